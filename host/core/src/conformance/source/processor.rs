//! A channel processor that records what it is given, and refuses or blocks when told to.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Waiters;
use crate::batch::EventBatch;
use crate::channel::{PutError, ReserveError, SourceState};
use crate::fault::Fault;
use crate::future::BoxFuture;
use crate::name::ComponentName;
use crate::source::{ChannelProcessor, ProcessError, ProcessFailure};

/// One call of [`ChannelProcessor::process`] that accepted events.
#[derive(Clone, Debug)]
pub struct ProcessCall {
    /// The events that were accepted.
    pub events: EventBatch,
    /// The source state; only with a call that was accepted as a whole.
    pub state: Option<SourceState>,
}

struct Refusal {
    accepted: usize,
    cause: ProcessFailure,
}

#[derive(Default)]
struct State {
    calls: Vec<ProcessCall>,
    /// Answers of the next calls, in order; after them every call is accepted.
    refusals: VecDeque<Refusal>,
    refused: usize,
    is_blocked: bool,
    /// Calls that are under way and held up.
    held: usize,
    largest_call: usize,
    waiters: Waiters,
}

/// Records every accepted event. Works under any runtime.
pub struct RecordingProcessor {
    // A plain mutex: held for a few assignments, never over an await.
    state: Mutex<State>,
    transaction_events: usize,
}

impl Default for RecordingProcessor {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordingProcessor {
    /// One that accepts all, with Flume's default transaction capacity of 100 events. As the real
    /// one it takes larger batches too.
    pub fn new() -> Self {
        Self::with_transaction_events(100)
    }

    /// One with another transaction capacity.
    pub fn with_transaction_events(transaction_events: usize) -> Self {
        Self {
            state: Mutex::default(),
            transaction_events,
        }
    }

    /// Refuses the next `count` calls as a full channel does.
    pub fn refuse_next(&self, count: usize) {
        for _ in 0..count {
            self.refuse_next_after(0);
        }
    }

    /// Accepts the first `accepted` events of one call to come and refuses its others as a full
    /// channel does. Several of these and of [`Self::refuse_next`] apply to one call each, in order.
    pub fn refuse_next_after(&self, accepted: usize) {
        let full = ReserveError::Full {
            channel: ComponentName::from("recording"),
            waited: Duration::ZERO,
        };
        self.push_refusal(accepted, ProcessFailure::Put(PutError::Refused(full)));
    }

    /// Fails one call to come as an interceptor does that gives this fault.
    pub fn fail_next(&self, fault: Fault) {
        let component = ComponentName::from("failing");
        self.push_refusal(0, ProcessFailure::Component { component, fault });
    }

    /// Answers one call to come as an agent does that is stopping.
    pub fn stop_next(&self) {
        self.push_refusal(0, ProcessFailure::Stopping);
    }

    fn push_refusal(&self, accepted: usize, cause: ProcessFailure) {
        self.change(|state| state.refusals.push_back(Refusal { accepted, cause }));
    }

    /// Holds up all calls from now on, until [`Self::release`].
    pub fn block(&self) {
        self.change(|state| state.is_blocked = true);
    }

    /// Lets held calls and all later ones go on.
    pub fn release(&self) {
        self.change(|state| state.is_blocked = false);
    }

    /// The calls that accepted events, in order.
    pub fn calls(&self) -> Vec<ProcessCall> {
        self.lock().calls.clone()
    }

    /// The bodies of all accepted events, in order.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        let calls = self.calls();
        let bodies = calls.iter().flat_map(|call| call.events.bodies());
        bodies.map(<[u8]>::to_vec).collect()
    }

    /// The bodies of all accepted events as text, in order; bytes that are not UTF-8 are replaced.
    pub fn lines(&self) -> Vec<String> {
        let bodies = self.bodies();
        let lines = bodies.iter().map(|body| String::from_utf8_lossy(body));
        lines.map(String::from).collect()
    }

    /// How many events are accepted.
    pub fn accepted(&self) -> usize {
        accepted(&self.lock())
    }

    /// The most events that one call brought, accepted or not.
    pub fn largest_call(&self) -> usize {
        self.lock().largest_call
    }

    /// Waits until at least that many events are accepted.
    pub async fn until_accepted(&self, events: usize) {
        self.until(|state| accepted(state) >= events).await;
    }

    /// Waits until at least that many calls were refused.
    pub async fn until_refused(&self, calls: usize) {
        self.until(|state| state.refused >= calls).await;
    }

    /// Waits until a call is held up by [`Self::block`].
    pub async fn until_held(&self) {
        self.until(|state| state.held > 0).await;
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        poll_fn(|task| {
            let mut state = self.lock();
            if holds(&state) {
                return Poll::Ready(());
            }
            state.waiters.add(task);
            Poll::Pending
        })
        .await;
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, waiters) = {
            let mut state = self.lock();
            let result = change(&mut state);
            (result, state.waiters.take())
        };
        waiters.into_iter().for_each(Waker::wake);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is held up; the count falls also when its future is dropped.
struct Held<'a>(&'a RecordingProcessor);

impl<'a> Held<'a> {
    fn new(processor: &'a RecordingProcessor) -> Self {
        processor.change(|state| state.held += 1);
        Self(processor)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.held -= 1);
    }
}

fn accepted(state: &State) -> usize {
    state.calls.iter().map(|call| call.events.len()).sum()
}

fn record(
    state: &mut State,
    batch: EventBatch,
    source_state: Option<SourceState>,
) -> Result<(), ProcessError> {
    state.largest_call = state.largest_call.max(batch.len());
    let Some(refusal) = state.refusals.pop_front() else {
        state.calls.push(ProcessCall {
            events: batch,
            state: source_state,
        });
        return Ok(());
    };
    state.refused += 1;
    // At least one event is left over, or it would not be a refusal.
    let accepted = refusal.accepted.min(batch.len().saturating_sub(1));
    if accepted > 0 {
        state.calls.push(ProcessCall {
            events: batch.slice(0..accepted),
            state: None,
        });
    }
    Err(ProcessError {
        accepted,
        cause: refusal.cause,
    })
}

impl ChannelProcessor for RecordingProcessor {
    fn process<'a>(
        &'a self,
        batch: EventBatch,
        state: Option<SourceState>,
    ) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async move {
            if self.lock().is_blocked {
                let _held = Held::new(self);
                self.until(|state| !state.is_blocked).await;
            }
            self.change(|own| record(own, batch, state))
        })
    }

    fn transaction_events(&self) -> usize {
        self.transaction_events
    }
}
