//! What becomes of the poison events of one component.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use flumen_core::channel::{Channel, PutPart, Segment};
use flumen_core::clock::Clock;
use flumen_core::metric::Counter;
use flumen_core::{ComponentName, EventBatch, Fault, Side};
use tracing::{error, warn};

use super::letter::{self, Blame};
use super::{POISON_IN_A_ROW_MAX, PoisonCounters, Policy};

/// How long a dead letter waits in line for room before its sink gives way to others and tries again
/// after a back-off.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// Dead letters in one put: with headers of the longest sort they are 8 MB.
const LETTERS_IN_A_PUT_MAX: usize = 1000;

/// The channels of an agent by name, as they are now. Dead letters find theirs here when they need
/// it, so that a reload may replace a channel at any time.
#[derive(Default)]
pub(crate) struct ChannelDirectory(ArcSwap<BTreeMap<ComponentName, Arc<dyn Channel>>>);

impl ChannelDirectory {
    pub(crate) fn set(&self, channels: &BTreeMap<ComponentName, Arc<dyn Channel>>) {
        self.0.store(Arc::new(channels.clone()));
    }

    pub(crate) fn all(&self) -> Vec<Arc<dyn Channel>> {
        self.0.load().values().cloned().collect()
    }

    fn find(&self, name: &ComponentName) -> Result<Arc<dyn Channel>, Fault> {
        self.0.load().get(name).cloned().ok_or_else(|| {
            let message = format!("there is no dead-letter channel {name} now");
            Fault::transient(Side::Operator, message)
        })
    }
}

/// The policy of one component, with all that it takes to follow it.
pub(crate) struct PoisonHandler {
    component: ComponentName,
    policy: Policy,
    channels: Arc<ChannelDirectory>,
    counters: Arc<PoisonCounters>,
    clock: Arc<dyn Clock>,
    /// Poison events since the last event that was handled.
    in_a_row: AtomicU32,
}

impl PoisonHandler {
    pub(crate) fn new(
        component: ComponentName,
        policy: Policy,
        channels: Arc<ChannelDirectory>,
        counters: Arc<PoisonCounters>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            component,
            policy,
            channels,
            counters,
            clock,
            in_a_row: AtomicU32::new(0),
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The component has handled an event.
    pub(crate) fn handled(&self) {
        // Read first: this is on the path of every batch, and the row is empty as a rule.
        if self.in_a_row.load(Ordering::Relaxed) > 0
            && self.in_a_row.swap(0, Ordering::Relaxed) >= POISON_IN_A_ROW_MAX
        {
            warn!(component = %self.component, "component handles events again");
        }
    }

    /// How many more events may be taken for poison before the component counts as broken as a
    /// whole.
    pub(crate) fn left_in_the_row(&self) -> u32 {
        POISON_IN_A_ROW_MAX.saturating_sub(self.in_a_row.load(Ordering::Relaxed))
    }

    /// Counts events that are disposed of.
    pub(crate) fn in_a_row(&self, events: u32) {
        let before = self.in_a_row.fetch_add(events, Ordering::Relaxed);
        let now = before.saturating_add(events);
        if before < POISON_IN_A_ROW_MAX && now >= POISON_IN_A_ROW_MAX {
            error!(
                component = %self.component, events = now,
                "component fails on one event after another and counts as broken: its events wait until it has handled one; change the component or its configuration"
            );
        }
    }

    /// An event was found that blocks the component or has it stop.
    pub(crate) fn found(&self) {
        self.counters.poison.add(1);
    }

    /// The events as dead letters, with one blame for each.
    pub(crate) fn letters(&self, events: EventBatch, blames: &[Blame]) -> EventBatch {
        letter::letters(events, blames, &self.component, self.clock.now_ms())
    }

    /// What puts dead letters into their channel, for a put that has other parts too.
    ///
    /// # Errors
    /// A transient fault when the channel is not there now.
    pub(crate) fn parts(&self, letters: &EventBatch) -> Result<Vec<PutPart>, Fault> {
        let Policy::DeadLetter(name) = &self.policy else {
            return Ok(Vec::new());
        };
        let channel = self.channels.find(name)?;
        let pieces = pieces(letters, channel.as_ref());
        Ok(pieces
            .map(|events| PutPart {
                channel: Arc::clone(&channel),
                events,
            })
            .collect())
    }

    /// Follows the policy, as far as it takes events out of the flow. Tells how many of the events
    /// are disposed of, the first ones, and why not all.
    pub(crate) async fn dispose(
        &self,
        segments: &[Segment],
        indices: &[u32],
        blames: &[Blame],
    ) -> (usize, Result<(), Fault>) {
        if !matches!(self.policy, Policy::DeadLetter(_)) {
            self.disposed(indices.len(), blames.last());
            return (indices.len(), Ok(()));
        }
        let mut posted = 0;
        let result = self.post(segments, indices, blames, &mut posted).await;
        self.disposed(posted, blames.get(..posted).and_then(<[Blame]>::last));
        (posted, result)
    }

    async fn post(
        &self,
        segments: &[Segment],
        indices: &[u32],
        blames: &[Blame],
        posted: &mut usize,
    ) -> Result<(), Fault> {
        let Policy::DeadLetter(name) = &self.policy else {
            return Ok(());
        };
        let channel = self.channels.find(name)?;
        let letters = self.letters(letter::pick(segments, indices)?, blames);
        for piece in pieces(&letters, channel.as_ref()) {
            let permit = channel.reserve(&piece, ROOM_WAIT).await.map_err(|error| {
                let message = "a dead letter finds no room";
                Fault::transient(Side::Operator, message).with_cause(error)
            })?;
            permit.commit(None).await?;
            *posted += piece.len();
        }
        Ok(())
    }

    /// Counts and tells what was disposed of, with the last blame.
    pub(crate) fn disposed(&self, events: usize, blame: Option<&Blame>) {
        let Some(blame) = blame.filter(|_| events > 0) else {
            return;
        };
        let events = events as u64;
        self.counters.poison.add(events);
        let (counter, what) = match &self.policy {
            Policy::DeadLetter(_) => (
                &self.counters.dead_lettered,
                "event cannot be handled and went into the dead-letter channel",
            ),
            _ => (
                &self.counters.dropped,
                "event cannot be handled and was dropped",
            ),
        };
        // Repeats are counted, not printed each time.
        if let Some(total) = add_and_tell(counter, events) {
            warn!(component = %self.component, total, reason = blame.reason(), "{what}");
        }
    }
}

/// Adds, and gives the total when it has passed another power of two.
fn add_and_tell(counter: &Counter, count: u64) -> Option<u64> {
    let before = counter.get();
    counter.add(count);
    let total = before + count;
    (before.checked_ilog2() != total.checked_ilog2()).then_some(total)
}

/// Dead letters in slices that fit one put.
fn pieces(letters: &EventBatch, channel: &dyn Channel) -> impl Iterator<Item = EventBatch> {
    let step = channel.limits().transaction_events;
    let step = step.clamp(1, LETTERS_IN_A_PUT_MAX);
    (0..letters.len())
        .step_by(step)
        .map(move |start| letters.slice(start..start.saturating_add(step)))
}
