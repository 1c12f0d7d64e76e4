//! The contract of a channel selector: which channels an event goes to.

use crate::batch::EventBatch;
use crate::fault::Fault;

/// Where some events go. Channels are indices into the source's list of channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The events, in the order of the batch.
    pub events: EventBatch,
    /// Channels that must take them, each once. May be empty: then the events are dropped by
    /// configuration, and counted.
    pub required: Vec<usize>,
    /// Channels that get them if they have room at once; a refusal is counted, not an error. No
    /// channel stands in both lists.
    pub optional: Vec<usize>,
}

/// A channel selector.
///
/// # Result
/// Every event of the batch stands in exactly one route, and events within a route are in the
/// order of the batch. Routes with the same channels are one route, so that the number of
/// transactions does not grow with the batch.
///
/// # Purity
/// The answer depends on the batch and, for a balancing selector, on how often it was asked. It
/// does no I/O and never waits.
pub trait ChannelSelector: Send + Sync {
    /// The routes of a batch, which is not empty.
    ///
    /// # Errors
    /// A fault; nothing is put.
    fn select(&self, batch: &EventBatch) -> Result<Vec<Route>, Fault>;
}
