//! A guest as an interceptor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use flumen_core::future::BoxFuture;
use flumen_core::interceptor::{Intercepted, Interceptor};
use flumen_core::state::{PendingState, StateWrite};
use flumen_core::{ComponentName, EventBatch, Fault, FaultKind, Side};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Resource;

use crate::answer;
use crate::bindings::interceptor::Interceptor as InterceptorWorld;
use crate::bindings::interceptor::exports::flumen::plugin::interceptor_api::Answer;
use crate::instance::{Instance, Maker, RemakeWait};
use crate::limits::{CALL_BYTES_MAX, CALL_EVENTS_MAX};

const CALL: &str = "intercept";

/// An interceptor whose batches are handled by instances of a guest, at most `workers` at the same
/// time, each with one batch. A batch larger than [`CALL_EVENTS_MAX`] or [`CALL_BYTES_MAX`] goes
/// through one instance in several calls, and its answers are joined.
///
/// State that the guest writes counts when the batch is committed. Until then its instance waits
/// with it, and with one worker the next batch as well, so that every batch sees the state of all
/// batches before it. When the batch is refused the instance is dropped, and with it what it had in
/// its own memory: the next one begins with the state as it is kept. A guest that writes no state
/// never waits.
pub struct GuestInterceptor {
    maker: Maker<InterceptorWorld>,
    /// One permit for each batch that may be under way.
    turns: Arc<Semaphore>,
    rest: Arc<Mutex<Rest>>,
}

/// What waits between two batches; at most `workers` instances.
#[derive(Default)]
struct Rest {
    idle: Vec<Instance<InterceptorWorld>>,
    remake: RemakeWait,
}

impl GuestInterceptor {
    pub(crate) fn new(maker: Maker<InterceptorWorld>, workers: usize) -> Self {
        Self {
            maker,
            turns: Arc::new(Semaphore::new(workers)),
            rest: Arc::default(),
        }
    }

    /// Makes the first instance and runs its `init`, so that a guest that refuses to start is known
    /// before it gets a batch.
    ///
    /// # Errors
    /// The fault of the guest.
    pub async fn prepare(&self) -> Result<(), Fault> {
        if self.rest().idle.is_empty() {
            let instance = self.maker.make().await?;
            self.rest().idle.push(instance);
        }
        Ok(())
    }

    /// Bytes of memory that the idle instances hold now.
    pub fn idle_memory_bytes(&self) -> usize {
        let rest = self.rest();
        let bytes = rest
            .idle
            .iter()
            .map(|idle| idle.store.data().limiter.memory_bytes());
        bytes.sum()
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        lock(&self.rest)
    }

    async fn handle(&self, batch: EventBatch) -> Result<Intercepted, Fault> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Fault::transient(Side::Component, "the guest is stopping"))?;
        let mut instance = self.instance().await?;
        let answer = all_calls(&mut instance, &batch).await;
        match answer {
            Err(fault) => {
                match fault.kind() {
                    FaultKind::Broken => {
                        let rest = fault.retry_after();
                        self.rest().remake.failed(Instant::now(), rest);
                    }
                    _ => {
                        instance.store.data_mut().forget();
                        give_back(&self.rest, instance);
                    }
                }
                Err(fault)
            }
            Ok(events) if instance.store.data().staged.is_empty() => {
                give_back(&self.rest, instance);
                Ok(events.into())
            }
            Ok(events) => {
                let pending = Pending {
                    component: self.maker.parts.name.clone(),
                    instance: Some(instance),
                    rest: Arc::clone(&self.rest),
                    _turn: turn,
                };
                Ok(Intercepted {
                    events,
                    pending: Some(Box::new(pending)),
                })
            }
        }
    }

    /// An idle instance, or a new one after the wait that earlier failures ask for.
    async fn instance(&self) -> Result<Instance<InterceptorWorld>, Fault> {
        let wait = {
            let mut rest = self.rest();
            if let Some(idle) = rest.idle.pop() {
                return Ok(idle);
            }
            rest.remake.left(Instant::now())
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let made = self.maker.make().await;
        if let Err(fault) = &made {
            let rest = fault.retry_after();
            self.rest().remake.failed(Instant::now(), rest);
        }
        made
    }
}

/// A short lock: held to take an instance out or put it back, never over an await.
fn lock(rest: &Mutex<Rest>) -> MutexGuard<'_, Rest> {
    rest.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts an instance back after a call that ended well.
fn give_back(rest: &Mutex<Rest>, instance: Instance<InterceptorWorld>) {
    let mut rest = lock(rest);
    rest.remake.succeeded();
    match instance.is_worn() {
        true => {
            drop(rest);
            instance.retire_worn();
        }
        false => rest.idle.push(instance),
    }
}

/// State that counts with the commit of its batch, and the instance that wrote it.
struct Pending {
    component: ComponentName,
    instance: Option<Instance<InterceptorWorld>>,
    rest: Arc<Mutex<Rest>>,
    _turn: OwnedSemaphorePermit,
}

impl PendingState for Pending {
    fn component(&self) -> &ComponentName {
        &self.component
    }

    fn writes(&self) -> Vec<StateWrite> {
        let staged = self.instance.as_ref();
        staged.map_or_else(Vec::new, |own| own.store.data().staged.writes())
    }

    fn commit(mut self: Box<Self>) -> Result<(), Fault> {
        let Some(mut instance) = self.instance.take() else {
            return Ok(());
        };
        // An instance that could not write its state has more in its memory than is kept.
        instance.store.data_mut().commit()?;
        give_back(&self.rest, instance);
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(mut instance) = self.instance.take() {
            instance.store.data_mut().forget();
            instance.retire();
        }
    }
}

impl Interceptor for GuestInterceptor {
    fn intercept(&self, batch: EventBatch) -> BoxFuture<'_, Result<Intercepted, Fault>> {
        Box::pin(self.handle(batch))
    }
}

impl Drop for GuestInterceptor {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut *self.rest());
        rest.idle.into_iter().for_each(Instance::retire);
    }
}

async fn all_calls(
    instance: &mut Instance<InterceptorWorld>,
    batch: &EventBatch,
) -> Result<EventBatch, Fault> {
    let mut pieces = pieces(batch);
    if pieces.len() == 1 {
        return one_call(instance, batch).await;
    }
    for piece in &mut pieces {
        *piece = one_call(instance, piece).await?;
    }
    EventBatch::concat(&pieces).map_err(|rule| instance.lied(CALL, rule))
}

async fn one_call(
    instance: &mut Instance<InterceptorWorld>,
    batch: &EventBatch,
) -> Result<EventBatch, Fault> {
    let lent = instance.lend(vec![batch.clone()])?;
    let borrowed = Resource::new_borrow(lent.rep());
    let answer = instance
        .call(CALL, move |world, store| {
            let api = world.flumen_plugin_interceptor_api();
            Box::pin(api.call_intercept(store, borrowed))
        })
        .await?;
    instance.take_back(lent);
    let checked = match answer {
        Err(error) => return Err(instance.refusal(CALL, error)),
        Ok(Answer::Unchanged) => return Ok(batch.clone()),
        Ok(Answer::Edits(edits)) => answer::edited(batch, &edits),
        Ok(Answer::Replaced(events)) => answer::made(events),
    };
    checked.map_err(|rule| instance.lied(CALL, rule))
}

/// A batch cut into what one call takes.
fn pieces(batch: &EventBatch) -> Vec<EventBatch> {
    if batch.len() <= CALL_EVENTS_MAX && batch.body_bytes() <= CALL_BYTES_MAX {
        return vec![batch.clone()];
    }
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0_u64);
    for (index, body) in batch.bodies().enumerate() {
        let full = index - start == CALL_EVENTS_MAX || bytes + body.len() as u64 > CALL_BYTES_MAX;
        if full && index > start {
            pieces.push(batch.slice(start..index));
            (start, bytes) = (index, 0);
        }
        bytes += body.len() as u64;
    }
    pieces.push(batch.slice(start..batch.len()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(lens: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut data = Vec::new();
        let mut ends = Vec::new();
        for len in lens {
            data.resize(data.len() + len, b'x');
            ends.push(u32::try_from(data.len()).unwrap());
        }
        let batch = EventBatch::from_columns(data.into(), ends).unwrap();
        let cut = pieces(&batch);
        assert_eq!(EventBatch::concat(&cut).unwrap(), batch);
        cut.iter().map(EventBatch::len).collect()
    }

    #[test]
    fn a_batch_is_cut_by_events_and_by_bytes() {
        let max = usize::try_from(CALL_BYTES_MAX).unwrap();
        assert_eq!(sizes([1; 2000]), [2000]);
        assert_eq!(sizes([1; 4001]), [2000, 2000, 1]);
        assert_eq!(sizes([0, max, 0]), [3]);
        assert_eq!(sizes([1, max, 1]), [1, 1, 1]);
        assert_eq!(sizes([2 * max, 1]), [1, 1]);
        assert_eq!(sizes([max / 2; 5]), [2, 2, 1]);
    }
}
