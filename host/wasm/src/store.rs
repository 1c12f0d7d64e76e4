//! What belongs to one instance: its limits as they are being used up, its handles, its staged
//! state, and a WASI with nothing behind it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use flumen_core::clock::Clock;
use flumen_core::{ComponentName, Fault};
use tokio::sync::Notify;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::bindings::logging::Level;
use crate::cpu::CpuBudget;
use crate::digest::Digest;
use crate::disposal::Disposal;
use crate::figures::{Figures, GuestInfo, GuestReport};
use crate::limits::{
    CORE_INSTANCES_MAX, HANDLES_MAX, Limits, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX, TICK,
};
use crate::log::{GuestLog, LastWords, Output};
use crate::state::{StagedState, StateStore};

/// What all instances of one loaded component share.
pub(crate) struct GuestParts {
    pub(crate) name: ComponentName,
    pub(crate) digest: Digest,
    pub(crate) limits: Limits,
    /// The component's own settings, by name.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) states: Arc<dyn StateStore>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where used instances go.
    pub(crate) disposal: Disposal,
    /// What the instances that are made from now on listen to.
    pub(crate) stopping: Mutex<Arc<Stopping>>,
    /// Filled in by the first instance.
    pub(crate) info: OnceLock<GuestInfo>,
}

impl GuestParts {
    /// Tells the instances that are there now to wait no longer. Those made later wait as ever.
    pub(crate) fn stop_waiting(&self) {
        std::mem::take(&mut *self.lock_stopping()).set();
    }

    /// A short lock: held for a copy.
    fn lock_stopping(&self) -> std::sync::MutexGuard<'_, Arc<Stopping>> {
        self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn report(&self) -> GuestReport {
        GuestReport {
            info: self.info.get().cloned(),
            state_bytes: self.states.bytes(&self.name).ok(),
            ..self.figures.report(&self.name, self.digest)
        }
    }
}

/// Tells waiting instances that they are to stop.
#[derive(Default)]
pub(crate) struct Stopping {
    stopping: AtomicBool,
    changed: Notify,
}

impl Stopping {
    pub(crate) fn set(&self) {
        self.stopping.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits, and gives whether the stop came before the time had passed.
    pub(crate) async fn sleep(&self, duration: Duration) -> bool {
        let changed = self.changed.notified();
        tokio::pin!(changed);
        // Enrolled before the look at the flag, so that no stop falls between the two.
        changed.as_mut().enable();
        if self.is_set() {
            return true;
        }
        tokio::time::timeout(duration, changed).await.is_ok()
    }
}

/// The data of a store.
pub(crate) struct GuestState {
    pub(crate) parts: Arc<GuestParts>,
    pub(crate) table: ResourceTable,
    pub(crate) staged: StagedState,
    pub(crate) last_words: LastWords,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) stopping: Arc<Stopping>,
    wasi: WasiCtx,
    pub(crate) cpu: CpuBudget,
}

impl GuestState {
    /// A store for one instance, with every limit in force.
    pub(crate) fn store(engine: &Engine, parts: &Arc<GuestParts>) -> Store<GuestState> {
        let limits = &parts.limits;
        let last_words = LastWords::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let state = GuestState {
            wasi: wasi(parts, &last_words),
            table,
            staged: StagedState::default(),
            last_words,
            limiter: MemoryLimiter::new(limits.memory_bytes, &parts.figures),
            cpu: CpuBudget::default(),
            stopping: Arc::clone(&parts.lock_stopping()),
            parts: Arc::clone(parts),
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.set_max_component_handles(HANDLES_MAX);
        store.epoch_deadline_callback(|mut store| {
            Ok(match store.data_mut().cpu.look() {
                None => UpdateDeadline::Interrupt,
                // The thread goes to other tasks at each tick.
                Some(resume) => UpdateDeadline::YieldCustom(1, Box::pin(resume)),
            })
        });
        store
    }

    /// Gives the next call its budget.
    pub(crate) fn arm(store: &mut Store<GuestState>) {
        let state = store.data_mut();
        state.cpu.begin(state.parts.limits.cpu);
        state.limiter.refused = false;
        state.last_words.clear();
        store.set_epoch_deadline(1);
    }

    /// Makes what the guest wrote count.
    ///
    /// # Errors
    /// A fault of the state's store; nothing counts.
    pub(crate) fn commit(&mut self) -> Result<(), Fault> {
        if self.staged.is_empty() {
            return Ok(());
        }
        self.parts
            .states
            .apply(&self.parts.name, self.staged.take())
    }

    /// Forgets what the guest wrote.
    pub(crate) fn forget(&mut self) {
        drop(self.staged.take());
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// WASI as standard libraries import it, with nothing behind it: no arguments, environment,
/// folders, network or input. Output goes to the log.
fn wasi(parts: &Arc<GuestParts>, last_words: &LastWords) -> WasiCtx {
    let output = Output::new(Arc::clone(&parts.log), Level::Info, None);
    let errors = Output::new(
        Arc::clone(&parts.log),
        Level::Warn,
        Some(last_words.clone()),
    );
    WasiCtxBuilder::new()
        .stdout(output)
        .stderr(errors)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .wall_clock(TimeOfDay(Arc::clone(&parts.clock)))
        .build()
}

/// The agent's clock as WASI's.
struct TimeOfDay(Arc<dyn Clock>);

impl HostWallClock for TimeOfDay {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now_ms()).unwrap_or(0))
    }
}

/// The memory of a whole instance: all its memories together, and all its tables.
///
/// Not counted: what the host holds for it (the batch, the staged state, handles), which has limits
/// of its own, and compiled code.
pub(crate) struct MemoryLimiter {
    memory_bytes_max: usize,
    /// Told of every change, so that the memory of all instances that live is known at any time.
    figures: Arc<Figures>,
    memory_bytes: usize,
    table_elements: usize,
    /// Whether memory was denied since the call began.
    pub(crate) refused: bool,
}

impl MemoryLimiter {
    fn new(memory_bytes_max: usize, figures: &Arc<Figures>) -> Self {
        Self {
            memory_bytes_max,
            figures: Arc::clone(figures),
            memory_bytes: 0,
            table_elements: 0,
            refused: false,
        }
    }

    /// Bytes of all memories now.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let grown = self.memory_bytes.saturating_add(more);
        let granted = grown <= self.memory_bytes_max;
        match granted {
            true => {
                self.memory_bytes = grown;
                self.figures.memory_bytes.add(more as u64);
            }
            false => self.refused = true,
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        let granted = grown <= TABLE_ELEMENTS_MAX;
        if granted {
            self.table_elements = grown;
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.figures.memory_bytes.subtract(self.memory_bytes as u64);
    }
}

/// The steps in which CPU time is counted are those of the engine's ticker.
const _: () = assert!(
    TICK.as_millis() == 10,
    "the bounds of limits.cpu_ms count in ticks of 10 ms"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed_and_a_refusal_is_remembered() {
        let figures = Arc::default();
        let mut limiter = MemoryLimiter::new(100, &figures);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert!(!limiter.refused);
        assert!(!limiter.memory_growing(40, 41, None).unwrap());
        assert!(limiter.refused);
        assert_eq!(limiter.memory_bytes(), 100);
        assert!(
            !limiter
                .table_growing(0, TABLE_ELEMENTS_MAX + 1, None)
                .unwrap()
        );
        let mut other = MemoryLimiter::new(100, &figures);
        assert!(other.memory_growing(0, 30, None).unwrap());
        assert_eq!(figures.memory_bytes.get(), 130);
        drop(limiter);
        assert_eq!(figures.memory_bytes.get(), 30);
    }

    #[tokio::test]
    async fn a_stop_ends_every_wait() {
        let stopping = Arc::new(Stopping::default());
        assert!(!stopping.sleep(Duration::ZERO).await);
        let other = Arc::clone(&stopping);
        let waiting = tokio::spawn(async move { other.sleep(Duration::from_secs(3600)).await });
        tokio::task::yield_now().await;
        stopping.set();
        assert!(waiting.await.unwrap());
        assert!(stopping.sleep(Duration::from_secs(3600)).await);
    }
}
