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

/// A put: bodies of one producer for each channel of the store.
pub(crate) struct Batch {
    pub(crate) parts: Vec<Part>,
}

/// What one channel gets of a put, and the state that belongs to it.
pub(crate) struct Part {
    /// The producer, [`numbered`] for the channel.
    pub(crate) producer: u32,
    /// None, when another channel gets all of the put.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// The number of the last body: the state of the producer.
    pub(crate) cursor: u64,
}

/// Producers of one channel have numbers below this.
const PRODUCERS_MAX: u32 = 100;

/// The number under which a producer puts into a channel: what it puts into another one is counted
/// apart.
pub(crate) fn numbered(producer: u32, channel: u32) -> u32 {
    channel * PRODUCERS_MAX + producer
}

/// A store that is open.
pub(crate) trait Store: Send + Sync {
    /// Items that were taken.
    type Held: Send;

    /// The channels that a put goes into at once.
    const CHANNELS: u32 = 1;

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

    /// Closes the store, and waits until it is closed.
    ///
    /// # Errors
    /// When it is not closed well: what was promised at leisure may not be kept.
    fn close(self) -> Result<()>;
}
