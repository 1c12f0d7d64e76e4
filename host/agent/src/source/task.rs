//! The task of one source.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flumen_core::channel::SourceState;
use flumen_core::clock::Clock;
use flumen_core::metric::SourceCounters;
use flumen_core::source::{
    ChannelProcessor, Handover, ProcessError, Source, SourceContext, StopReason, StopSignal,
};
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, FaultKind, Side};
use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::back_off::BackOff;
use crate::probation::{Version, Versions};
use crate::processor::Processor;
use crate::state::{ComponentState, StateCell};
use crate::stop::{self, Stop, Stopper};

/// How long the end of a source waits for a commit in the middle of which it was aborted: as long as
/// a disk may take. A commit that takes longer goes on.
const COMMIT_WAIT: Duration = Duration::from_secs(5);

/// Makes another instance of a source from the settings of the plan.
pub(crate) type MakeSource = Arc<dyn Fn() -> Result<Box<dyn Source>, Fault> + Send + Sync>;

/// What a source's task is made of.
#[derive(Clone)]
pub(crate) struct SourceParts {
    pub(crate) name: ComponentName,
    pub(crate) versions: Arc<Versions<MakeSource>>,
    pub(crate) processor: Arc<Processor>,
    pub(crate) counters: Arc<SourceCounters>,
    pub(crate) state: Arc<StateCell>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What the task tells while it runs.
#[derive(Default)]
struct Live {
    handover: Option<Handover>,
    address: Option<String>,
}

/// A running source.
pub(crate) struct SourceTask {
    stopper: Stopper,
    task: JoinHandle<()>,
    processor: Arc<Processor>,
    // A plain mutex: held for a copy only.
    live: Arc<Mutex<Live>>,
}

impl SourceTask {
    /// Runs a source; with `prepared`, that instance, which is ready to run.
    pub(crate) fn spawn(parts: SourceParts, prepared: Option<Box<dyn Source>>) -> Self {
        let (stopper, stop) = stop::pair();
        let live = Arc::new(Mutex::new(Live::default()));
        let processor = Arc::clone(&parts.processor);
        let run = Run {
            version: parts.versions.current(),
            parts,
            stop,
            live: Arc::clone(&live),
            back_off: BackOff::default(),
        };
        Self {
            stopper,
            task: tokio::spawn(run.supervise(prepared)),
            processor,
            live,
        }
    }

    /// What a successor may take over now.
    pub(crate) fn handover(&self) -> Option<Handover> {
        self.lock().handover.clone()
    }

    /// Where clients reach it now.
    pub(crate) fn address(&self) -> Option<String> {
        self.lock().address.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the source to end, without waiting.
    pub(crate) fn tell(&self, reason: StopReason) {
        self.stopper.stop(reason);
    }

    /// Ends the source; false when it did not end in time and was aborted.
    pub(crate) async fn end(mut self, reason: StopReason, deadline: Duration) -> bool {
        self.stopper.stop(reason);
        if tokio::time::timeout(deadline, &mut self.task).await.is_ok() {
            return true;
        }
        self.task.abort();
        let _ = self.task.await;
        // What it was putting is put: its channels may be closed next.
        let _ = tokio::time::timeout(COMMIT_WAIT, self.processor.settled()).await;
        false
    }
}

struct Run {
    parts: SourceParts,
    /// The version that the instance is of, or was of last.
    version: Arc<Version<MakeSource>>,
    stop: Stop,
    live: Arc<Mutex<Live>>,
    back_off: BackOff,
}

impl Run {
    async fn supervise(mut self, prepared: Option<Box<dyn Source>>) {
        let mut source = prepared;
        let mut is_prepared = source.is_some();
        while self.stop.reason().is_none() {
            let ended = self.once(&mut source, is_prepared).await;
            is_prepared = false;
            match ended {
                Ok(()) if self.stop.reason().is_some() => break,
                Ok(()) => {
                    info!(source = %self.parts.name, "source has come to the end of its input");
                    self.parts.state.set(ComponentState::Finished);
                    self.stop.stopped().await;
                }
                Err(fault) if self.parts.versions.failed(&self.version, &fault) => {
                    // The old version goes on behind the last commit, without a wait.
                    source = None;
                    self.tell_live(None);
                }
                Err(fault) => {
                    if fault.kind() != FaultKind::Transient {
                        source = None;
                    }
                    self.wait_after(&fault).await;
                }
            }
        }
        let now_ms = self.parts.clock.now_ms();
        self.parts
            .counters
            .stop_time
            .set(u64::try_from(now_ms).unwrap_or(0));
        self.parts.state.set(ComponentState::Stopped);
        self.tell_live(None);
    }

    /// One life: make, prepare, run. The instance stays in `source` for the next try.
    async fn once(
        &mut self,
        source: &mut Option<Box<dyn Source>>,
        is_prepared: bool,
    ) -> Result<(), Fault> {
        let mut instance = match source.take() {
            Some(instance) => instance,
            None => {
                self.version = self.parts.versions.current();
                (self.version.made)()?
            }
        };
        if !is_prepared {
            self.parts.state.set(ComponentState::Starting);
            let prepared = AssertUnwindSafe(instance.prepare(None))
                .catch_unwind()
                .await;
            if let Err(fault) = prepared.unwrap_or_else(|_| Err(panicked())) {
                *source = Some(instance);
                return Err(fault);
            }
        }
        self.tell_live(Some(instance.as_ref()));
        let now_ms = self.parts.clock.now_ms();
        self.parts
            .counters
            .start_time
            .set(u64::try_from(now_ms).unwrap_or(0));
        self.parts.counters.stop_time.set(0);
        self.parts
            .state
            .set(match self.parts.versions.rolled_back() {
                Some(reason) => ComponentState::RolledBack { reason },
                None => ComponentState::Running,
            });
        match instance.address() {
            Some(address) => info!(source = %self.parts.name, address, "source is running"),
            None => info!(source = %self.parts.name, "source is running"),
        }
        // Where it goes on is known when the commits of its predecessor have ended.
        let is_known = tokio::select! {
            () = self.parts.processor.settled() => true,
            _ = self.stop.stopped() => false,
        };
        if !is_known {
            *source = Some(instance);
            return Ok(());
        }
        let started = Instant::now();
        let context = self.context();
        let ran = AssertUnwindSafe(instance.run(context)).catch_unwind().await;
        if started.elapsed() > crate::back_off::HEALTHY_AFTER {
            self.back_off.succeeded();
        }
        *source = Some(instance);
        ran.unwrap_or_else(|_| Err(panicked()))
    }

    /// What an instance works with.
    fn context(&self) -> SourceContext {
        let processor = Arc::clone(&self.parts.processor);
        let state = processor.last_state(&self.parts.name);
        let processor: Arc<dyn ChannelProcessor> = match self.parts.versions.is_on_probation() {
            true => Arc::new(Observed {
                processor,
                versions: Arc::clone(&self.parts.versions),
            }),
            false => processor,
        };
        SourceContext {
            name: self.parts.name.clone(),
            processor,
            stop: Arc::new(self.stop.clone()),
            counters: Arc::clone(&self.parts.counters),
            clock: Arc::clone(&self.parts.clock),
            state,
        }
    }

    fn tell_live(&self, source: Option<&dyn Source>) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.handover = source.and_then(|source| source.handover());
        live.address = source.and_then(|source| source.address());
    }

    async fn wait_after(&mut self, fault: &Fault) {
        let name = &self.parts.name;
        self.tell_live(None);
        if fault.kind() == FaultKind::Configuration {
            error!(source = %name, side = %fault.side(), "source cannot run: {fault}");
            self.parts.state.set(ComponentState::Failed {
                reason: fault.to_string(),
            });
            self.stop.stopped().await;
            return;
        }
        let wait = self.back_off.failed(Instant::now(), fault.retry_after());
        let failures = self.back_off.failures();
        // Repeats are counted in the state, not printed each time.
        if failures.is_power_of_two() {
            warn!(
                source = %name, side = %fault.side(), failures, wait_ms = wait.as_millis() as u64,
                "source failed and is tried again: {fault}"
            );
        }
        self.parts.state.set(ComponentState::Retrying {
            reason: fault.to_string(),
            failures,
        });
        let _ = tokio::time::timeout(wait, self.stop.stopped()).await;
    }
}

/// The way into the channels of a source on probation: each batch that is accepted speaks for it.
struct Observed {
    processor: Arc<Processor>,
    versions: Arc<Versions<MakeSource>>,
}

impl ChannelProcessor for Observed {
    fn process<'a>(
        &'a self,
        batch: EventBatch,
        state: Option<SourceState>,
    ) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async move {
            self.versions.begins();
            self.processor.process(batch, state).await?;
            self.versions.handled();
            Ok(())
        })
    }

    fn transaction_events(&self) -> usize {
        self.processor.transaction_events()
    }
}

fn panicked() -> Fault {
    let message = "source panicked; this is a defect of the source";
    Fault::new(FaultKind::Broken, Side::Component, message)
}
