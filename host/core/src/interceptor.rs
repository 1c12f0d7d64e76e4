//! The contract of an interceptor: what changes or drops events between a source and its selector.

use std::fmt;

use crate::batch::EventBatch;
use crate::fault::Fault;
use crate::future::BoxFuture;
use crate::state::PendingState;

/// What an interceptor made of a batch.
pub struct Intercepted {
    /// The events that take the place of those handed in.
    pub events: EventBatch,
    /// What counts once they are put; `None` for an interceptor that remembers nothing.
    pub pending: Option<Box<dyn PendingState>>,
}

impl Intercepted {
    /// The events, when whoever asks does not put them: what is pending is dropped.
    pub fn into_events(self) -> EventBatch {
        self.events
    }
}

impl From<EventBatch> for Intercepted {
    fn from(events: EventBatch) -> Self {
        Self {
            events,
            pending: None,
        }
    }
}

impl fmt::Debug for Intercepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intercepted")
            .field("events", &self.events)
            .field("has_pending", &self.pending.is_some())
            .finish()
    }
}

/// An interceptor.
///
/// # Result
/// The batch that comes back takes the place of the one that went in: with other headers, other
/// bodies, fewer events (dropped events count as accepted by the source), or more (split). The
/// order of events that stay is the order they came in.
///
/// # State
/// What an interceptor remembers of a batch counts when the batch is committed, and not at all when
/// it was refused ([`PendingState`]). Until one of the two has happened, the next batch may have to
/// wait, so whoever holds a pending state must not call the same interceptor again before it has
/// settled it.
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
    fn intercept(&self, batch: EventBatch) -> BoxFuture<'_, Result<Intercepted, Fault>>;
}
