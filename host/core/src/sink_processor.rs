//! The contract of a sink processor: which sink of a group takes the next batch.
//!
//! It is a policy and nothing else: it owns no sink and does no I/O. The agent asks for an order,
//! tries the sinks in that order until one delivers, and reports each result back.

use std::time::Instant;

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The sink delivered events.
    Delivered,
    /// The sink's channel was empty; the sink is well.
    Idle,
    /// The sink failed; its events went back.
    Failed,
}

/// A sink processor. Sinks are indices into the group's list.
///
/// # Order
/// `order` gives each index at most once. Sinks that it leaves out are not tried this time. An
/// empty answer means that none is to be tried now; the agent asks again after a back-off.
///
/// # Time
/// All time comes in as a parameter.
pub trait SinkProcessor: Send {
    /// The sinks to try for the next batch, best first.
    fn order(&mut self, now: Instant) -> Vec<usize>;

    /// What came of trying a sink.
    fn report(&mut self, sink: usize, attempt: Attempt, now: Instant);
}
