//! The contract of a sink: what takes events out.

use std::sync::Arc;

use crate::channel::{Segment, TakeLimits};
use crate::clock::Clock;
use crate::fault::Fault;
use crate::future::BoxFuture;
use crate::metric::SinkCounters;
use crate::name::ComponentName;
use crate::state::PendingState;

/// An event that a sink refuses for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its index over all segments of the delivery.
    pub index: u32,
    /// Why it can never be delivered.
    pub reason: String,
}

/// What became of the events of one delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// All are delivered.
    #[default]
    Delivered,
    /// Those at `retry` failed and are delivered again later; those in `rejected` can never be
    /// delivered; all others are delivered. Indices increase strictly in each list, and no index
    /// stands in both.
    Partial {
        /// Indices over all segments.
        retry: Vec<u32>,
        /// The events that can never be delivered.
        rejected: Vec<Rejected>,
    },
    /// All are in the sink's own buffer. They count as delivered only when `flush` has returned
    /// `Ok`; until then the agent keeps their lease.
    Buffered,
}

/// What a sink gets from the agent.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// Its name in the plan.
    pub name: ComponentName,
    /// Its counters. The agent counts takes and drains; the sink counts connections.
    pub counters: Arc<SinkCounters>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// A sink. One task calls it, one call at a time.
///
/// # Life
/// `start` once, then `deliver` batch after batch, `tick` when there was nothing to deliver, and
/// `stop` at the end. After a fault of kind [`crate::FaultKind::Transient`] the same instance goes
/// on with the same events after a back-off; after [`crate::FaultKind::Broken`] the agent drops it
/// and starts a new one. A dropped sink leaves behind nothing that a successor cannot cope with.
///
/// # Delivery
/// `Delivered` says that the events are out, as safely as the sink's documentation promises. A
/// fault says that none of them counts as delivered: all are delivered again, so a sink may see an
/// event twice. [`Segment::first_sequence`] tells such an event from a new one.
///
/// # State
/// What a sink remembers of events counts when they are acknowledged, and not at all when they are
/// delivered again. After a delivery or a flush that ended well the agent asks for it
/// ([`Sink::pending_state`]), acknowledges the events together with it, and commits it, before it
/// calls the sink again.
///
/// # Cancellation
/// The agent may drop a `deliver` future when its deadline has passed; the events count as not
/// delivered.
pub trait Sink: Send {
    /// How much it wants in one delivery.
    fn demand(&self) -> TakeLimits;

    /// Opens what it needs.
    ///
    /// # Errors
    /// A fault that names what is wrong and the remedy; nothing is left open.
    fn start(&mut self, context: SinkContext) -> BoxFuture<'_, Result<(), Fault>>;

    /// Delivers the events in order. Never empty.
    ///
    /// # Errors
    /// A fault: none of the events counts as delivered.
    fn deliver<'a>(&'a mut self, events: &'a [Segment]) -> BoxFuture<'a, Result<Outcome, Fault>>;

    /// Delivers what earlier deliveries left in the sink's buffer. A sink that answers
    /// [`Outcome::Buffered`] cannot do without it, so it has no default.
    ///
    /// # Errors
    /// A fault: none of the buffered events counts as delivered, and the buffer is empty.
    fn flush(&mut self) -> BoxFuture<'_, Result<(), Fault>>;

    /// What the sink has written of events that were delivered since it was asked last; nothing for
    /// a sink that remembers nothing.
    fn pending_state(&mut self) -> Option<Box<dyn PendingState>> {
        None
    }

    /// Called when the channel was empty, and about once a second while it is not: for work by the
    /// clock, such as rolling a file.
    ///
    /// # Errors
    /// A fault; the sink is started again after a back-off.
    fn tick(&mut self) -> BoxFuture<'_, Result<(), Fault>>;

    /// Closes what is open. Everything delivered stays delivered, whether or not this succeeds.
    ///
    /// # Errors
    /// A fault, for the log.
    fn stop(&mut self) -> BoxFuture<'_, Result<(), Fault>>;
}
