//! What components remember, and how it keeps step with the events.
//!
//! A change of state belongs to a batch. A durable channel writes it in the same frame as the batch
//! or its acknowledgement, as a [`StateRecord`] that it does not look into, so that after a crash
//! both are there or neither is. The agent reads the records back when it starts and applies those
//! that its own store does not know yet.

use std::sync::Arc;

use crate::fault::Fault;
use crate::name::ComponentName;

/// One change of a component's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// The key.
    pub key: String,
    /// The new value; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

/// What a component keeps in mind of a batch, and what counts only when that batch does: it is put,
/// or acknowledged.
///
/// Dropped without a commit: the batch was refused, and nothing of it counts. It may come again.
pub trait PendingState: Send {
    /// Whose state it is, as its store knows it.
    fn component(&self) -> &ComponentName;

    /// The changes, for a record of them. At most as large as the component's state may be.
    fn writes(&self) -> Vec<StateWrite>;

    /// The batch counts, or nothing of it was left.
    ///
    /// # Errors
    /// A fault of the state's store: the batch counts, and the state does not know of it.
    fn commit(self: Box<Self>) -> Result<(), Fault>;
}

/// The changes of state that belong to one put or acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRecord {
    /// Its place among all records of the agent: each put or acknowledgement that has one gets the
    /// next number, in this life of the agent or a later one.
    pub generation: u64,
    /// The changes, as the agent writes them: at most [`crate::limits::STATE_RECORD_BYTES_MAX`]
    /// bytes. May be empty: then only the number matters.
    pub bytes: Arc<[u8]>,
}

/// What a durable channel found when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The highest generation that it was told to forget: all puts up to it are decided.
    pub forgotten: u64,
    /// The records behind that, by generation; and each prepared put that is not settled.
    pub records: Vec<RecoveredRecord>,
}

/// A record that a durable channel found when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredRecord {
    /// The record.
    pub record: StateRecord,
    /// The channel that decides whether the put counts: it does if that channel has the same
    /// generation without a decider. `None`: it counts.
    pub decider: Option<ComponentName>,
}
