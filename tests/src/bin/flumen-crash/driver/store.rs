//! What a driver needs of a store, so that the same load and the same oracle serve each of them.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::event::{Item, Opened, Place};

/// What is found while listing.
pub(crate) enum Seen {
    Item(Item),
    /// Frames that cannot be read, and the waiting items in them.
    Lost {
        frames: u64,
        items: u64,
    },
}

/// What became of a put.
pub(crate) enum PutOutcome {
    Confirmed(Place),
    /// Not in the store. A later try may succeed.
    Full,
    /// Not in the store, which takes nothing more.
    Failed(String),
    /// Perhaps in the store, which takes nothing more.
    Unknown(String),
}

/// A put: the bodies of one producer, and the state that belongs to them.
pub(crate) struct Batch {
    pub(crate) producer: u32,
    /// The number of the last body: the state of the producer.
    pub(crate) cursor: u64,
    pub(crate) bodies: Vec<Vec<u8>>,
}

/// A store that is open.
pub(crate) trait Store: Send + Sync {
    /// Items that were taken.
    type Held: Send;

    /// What was found at the opening.
    fn opened(&self) -> Opened;

    /// The state of the producers that was found at the opening. Nothing when the store was given
    /// none; then the rig says where they are to go on.
    fn cursors(&self) -> Option<BTreeMap<u32, u64>>;

    /// Shows all that waits, in order, before anything is put or taken.
    ///
    /// # Errors
    /// Those of `seen`, or when the store cannot be read at all.
    fn list(&self, seen: &mut dyn FnMut(Seen) -> Result<()>) -> Result<()>;

    /// Puts a batch and waits for the answer.
    fn put(&self, batch: &Batch) -> PutOutcome;

    /// Takes the oldest items; nothing when there is none after a short wait.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn take(&self, most: usize) -> Result<Option<(Vec<Item>, Self::Held)>>;

    /// Frames and items that takes found to be unreadable since this was last asked.
    fn lost(&self) -> Option<(u64, u64)>;

    /// Acknowledges what was taken except the items at these indices, which go back.
    ///
    /// # Errors
    /// When it may not have happened.
    fn acknowledge(&self, held: Self::Held, kept: &[u32]) -> Result<()>;

    /// Gives back what was taken.
    fn give_back(&self, held: Self::Held);

    /// Closes the store. That it cannot be closed well is no news: what counts was told before.
    fn close(self);
}
