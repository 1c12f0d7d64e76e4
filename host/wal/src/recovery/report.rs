//! What the opening of a log tells.

use crate::snapshot::Lost;

/// What was found when a log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// There was no log, so one was made.
    pub created: bool,
    /// Whole frames of data behind the snapshot.
    pub frames: u64,
    /// Items in the log that are not acknowledged.
    pub pending_items: u64,
    /// Frames of data that were durable and are damaged or gone, found now.
    pub quarantined_frames: u64,
    /// Their items, less those that were acknowledged before.
    pub quarantined_items: u64,
    /// What was ever lost, as the log remembers it; what is found now is in it.
    pub lost: Lost,
    /// Frames behind the end of the log, at its torn tail, whose heads can still be read. None of
    /// them was confirmed.
    pub cut_frames: u64,
    /// Bytes from the end of the log to the end of the last of them.
    pub cut_bytes: u64,
    /// Snapshots that were damaged, or not finished when the log ended, so that one more segment had to be read for each.
    pub damaged_snapshots: u64,
    /// No snapshot was whole: acknowledgements and state were rebuilt from what frames there are.
    pub without_snapshot: bool,
    /// Segments that should be there and are not, or are others' under their name.
    pub missing_segments: u64,
    /// Bytes in which frames were looked for.
    pub scanned_bytes: u64,
    /// Blocks that the disk did not give.
    pub unreadable_blocks: u64,
}
