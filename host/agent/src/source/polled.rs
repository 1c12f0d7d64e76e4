//! Drives a source that is asked for events: poll, put with the cursor, acknowledge, wait.

use std::sync::Arc;
use std::time::Duration;

use flumen_core::channel::SourceState;
use flumen_core::source::{
    Handover, PollBackOff, PollNext, Polled, PolledSource, Source, SourceContext,
};
use flumen_core::{BoxFuture, Fault, FaultKind, Side};
use tracing::{error, warn};

use crate::back_off::BackOff;
use crate::state_folder::StateFolder;

/// Events in one poll. Sources of Flume bring their own batch size, which is usually smaller; a
/// guest gets as many as one call is worth (measured: the cost of a call is gone at a thousand).
const POLL_EVENTS_MAX: usize = 1000;

/// A polled source as a [`Source`].
pub(crate) struct PolledDriver {
    source: Box<dyn PolledSource>,
    back_off: PollBackOff,
    states: Arc<StateFolder>,
}

impl PolledDriver {
    pub(crate) fn new(
        source: Box<dyn PolledSource>,
        back_off: PollBackOff,
        states: Arc<StateFolder>,
    ) -> Self {
        Self {
            source,
            back_off,
            states,
        }
    }

    async fn drive(&mut self, context: SourceContext) -> Result<(), Fault> {
        let cursor = context.state.as_ref().map(|state| &*state.bytes);
        self.source.open(cursor).await?;
        let mut idle_turns: u32 = 0;
        while context.stop.reason().is_none() {
            let events_max = context.processor.transaction_events().min(POLL_EVENTS_MAX);
            let polled = tokio::select! {
                biased;
                polled = self.source.poll(events_max) => polled?,
                _ = context.stop.stopped() => return Ok(()),
            };
            if polled.cursor.is_some() {
                // Before the put: a folder that cannot be had is told while the events are still
                // the source's, which gives them again.
                self.states.ready(false).await?;
            }
            let next = polled.next;
            idle_turns = match next {
                PollNext::BackOff => idle_turns.saturating_add(1),
                _ => 0,
            };
            self.put(&context, polled).await?;
            let wait = match next {
                PollNext::Again => Duration::ZERO,
                PollNext::BackOff => self
                    .back_off
                    .increment
                    .saturating_mul(idle_turns)
                    .min(self.back_off.maximum),
                PollNext::Wait(wait) => wait,
                PollNext::End => return Ok(()),
            };
            if wait.is_zero() {
                // A generator that never waits must not keep its sink from this core.
                tokio::task::yield_now().await;
            } else {
                let _ = tokio::time::timeout(wait, context.stop.stopped()).await;
            }
        }
        Ok(())
    }

    /// Puts what was polled, again and again for as long as the channel has no room. What was
    /// polled is gone from the source, so giving up would lose it: events that can never be put as
    /// things are block the source, loudly, until a reload changes its way or the agent stops. The
    /// agent's drain deadline is what ends the wait for room.
    async fn put(&mut self, context: &SourceContext, polled: Polled) -> Result<(), Fault> {
        let state = polled.cursor.clone().map(|bytes| SourceState {
            source: context.name.clone(),
            bytes,
            writes: Arc::clone(&polled.writes),
        });
        let mut batch = polled.events;
        let mut back_off = BackOff::default();
        context.counters.event_received.add(batch.len() as u64);
        // Until the source has heard of the commit, and kept what it keeps with it.
        let _commit = self.states.commit_of(&context.name);
        // Without events too: the position may have moved.
        while !batch.is_empty() || state.is_some() {
            let result = context
                .processor
                .process(batch.clone(), state.clone())
                .await;
            let Err(failure) = result else {
                context.counters.event_accepted.add(batch.len() as u64);
                let has_events = u64::from(!batch.is_empty());
                context.counters.append_batch_accepted.add(has_events);
                break;
            };
            context.counters.event_accepted.add(failure.accepted as u64);
            context.counters.channel_write_fail.add(1);
            batch = batch.slice(failure.accepted..batch.len());
            let wait = back_off.failed(std::time::Instant::now(), None);
            let failures = back_off.failures();
            let hopeless = !failure.may_succeed_later();
            if hopeless && context.stop.reason().is_some() {
                let fault = Fault::new(FaultKind::Transient, Side::Data, "events were refused");
                return Err(fault.with_cause(failure));
            }
            // Repeats are counted, not printed each time.
            match failures.is_power_of_two() {
                true if hopeless => {
                    error!(source = %context.name, failures, "events block this source until its way is changed: {failure}");
                }
                true => warn!(source = %context.name, failures, "events wait: {failure}"),
                false => {}
            }
            tokio::time::sleep(wait).await;
        }
        self.source.ack(polled.cursor.as_deref());
        Ok(())
    }
}

impl Source for PolledDriver {
    /// Reads the positions of an earlier run, if there are any.
    fn prepare(&mut self, _predecessor: Option<Handover>) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async {
            self.states.ready(true).await?;
            self.source.prepare().await
        })
    }

    fn run(&mut self, context: SourceContext) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.drive(context))
    }
}
