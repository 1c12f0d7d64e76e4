//! What the writer counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows. Each change stands for itself, so no order is asked for.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
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
    pub(crate) syncs: Counter,
    pub(crate) failovers: Counter,
    pub(crate) released_segments: Counter,
}

/// What a log did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Groups that were written.
    pub groups: u64,
    /// Records in them.
    pub records: u64,
    /// How often the disk was asked to make something durable.
    pub syncs: u64,
    /// How often a group was written again, to another segment, because the disk refused it.
    pub failovers: u64,
    /// Segments that were freed because all their items were acknowledged.
    pub released_segments: u64,
}

impl Counters {
    pub(crate) fn read(&self) -> Statistics {
        Statistics {
            groups: self.groups.get(),
            records: self.records.get(),
            syncs: self.syncs.get(),
            failovers: self.failovers.get(),
            released_segments: self.released_segments.get(),
        }
    }
}
