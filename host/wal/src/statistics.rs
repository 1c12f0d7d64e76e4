//! What the writer counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows. Each change stands for itself, so no order is asked for.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Makes it at least this.
    pub(crate) fn raise(&self, least: u64) {
        self.0.fetch_max(least, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one log.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) groups: Counter,
    pub(crate) records: Counter,
    pub(crate) group_bytes: Counter,
    pub(crate) commit_us: Counter,
    pub(crate) commit_us_max: Counter,
    pub(crate) syncs: Counter,
    pub(crate) failovers: Counter,
    pub(crate) sync_failures: Counter,
    pub(crate) doubtful_records: Counter,
    pub(crate) released_segments: Counter,
    pub(crate) making_failures: Counter,
    pub(crate) quarantined_bytes: Counter,
    pub(crate) quarantine_skips: Counter,
}

/// What a log did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Groups that were written.
    pub groups: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of the groups, rounded up to blocks.
    pub group_bytes: u64,
    /// Microseconds that groups took, from the first look at their records to their confirmation.
    pub commit_us: u64,
    /// The longest of these times.
    pub commit_us_max: u64,
    /// How often the disk was asked to make something durable.
    pub syncs: u64,
    /// How often a group was written again, to another segment, because the disk refused it.
    pub failovers: u64,
    /// How often the disk refused to make something durable. One group that was waited for was then
    /// written again elsewhere; with [`crate::Durability::Interval`] and
    /// [`crate::Durability::Os`] see `doubtful_records`.
    pub sync_failures: u64,
    /// Records that had been confirmed when the sync that should have made them durable failed.
    /// They can be read, and a power cut may take them. Always 0 with
    /// [`crate::Durability::Sync`].
    pub doubtful_records: u64,
    /// Segments that were freed because all their items were acknowledged.
    pub released_segments: u64,
    /// How often the disk refused to make a file for a later segment, other than for want of room.
    /// Items are refused as [`crate::Refusal::Full`] when this goes on.
    pub making_failures: u64,
    /// Damaged bytes that were copied to the folder `quarantine`.
    pub quarantined_bytes: u64,
    /// Damaged stretches that were not, for want of room or because the disk refused them.
    pub quarantine_skips: u64,
}

/// What the files of a log take on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes of the segments, the one in use with all of its size.
    pub segment_bytes: u64,
    /// Bytes of files that wait to become segments. Those kept back are among them.
    pub spare_bytes: u64,
}

impl Counters {
    pub(crate) fn read(&self) -> Statistics {
        Statistics {
            groups: self.groups.get(),
            records: self.records.get(),
            group_bytes: self.group_bytes.get(),
            commit_us: self.commit_us.get(),
            commit_us_max: self.commit_us_max.get(),
            syncs: self.syncs.get(),
            failovers: self.failovers.get(),
            sync_failures: self.sync_failures.get(),
            doubtful_records: self.doubtful_records.get(),
            released_segments: self.released_segments.get(),
            making_failures: self.making_failures.get(),
            quarantined_bytes: self.quarantined_bytes.get(),
            quarantine_skips: self.quarantine_skips.get(),
        }
    }
}
