//! The contract of an interceptor: what changes or drops events between a source and its selector.

use crate::batch::EventBatch;
use crate::fault::Fault;
use crate::future::BoxFuture;

/// An interceptor.
///
/// # Result
/// The batch that comes back takes the place of the one that went in: with other headers, other
/// bodies, fewer events (dropped events count as accepted by the source), or more (split). The
/// order of events that stay is the order they came in.
///
/// # Failure
/// After a fault nothing of the batch is put, and the source still has it. The same batch may come
/// again.
///
/// # Concurrency
/// Batches of different connections may be under way at the same time; batches of one connection
/// follow one another.
pub trait Interceptor: Send + Sync {
    /// Handles one batch, which is not empty.
    ///
    /// # Errors
    /// A fault; the batch is unchanged in the source's hands.
    fn intercept(&self, batch: EventBatch) -> BoxFuture<'_, Result<EventBatch, Fault>>;
}
