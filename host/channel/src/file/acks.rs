//! Acknowledgements that are not yet in the log.

use std::ops::Range;
use std::time::Instant;

/// Ranges of sequences, and what their events took.
#[derive(Debug, Default)]
pub(super) struct PendingAcks {
    /// In no order; those that touch are mostly joined.
    ranges: Vec<Range<u64>>,
    size_bytes: u64,
    /// Since when the oldest waits.
    since: Option<Instant>,
    /// The log has no place for ranges that lie apart, so that they must not ride with events.
    scattered: bool,
}

/// Acknowledgements on their way into the log.
#[derive(Debug, Default)]
pub(super) struct Acks {
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) size_bytes: u64,
}

impl PendingAcks {
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn add(&mut self, range: Range<u64>, size_bytes: u64) {
        self.size_bytes += size_bytes;
        if range.is_empty() {
            return;
        }
        self.since.get_or_insert_with(Instant::now);
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            Some(last) if range.end == last.start => last.start = range.start,
            _ => self.ranges.push(range),
        }
    }

    /// What may ride with events: at most this many ranges.
    pub(super) fn take_for_put(&mut self, ranges_max: usize) -> Acks {
        match self.scattered {
            true => Acks::default(),
            false => self.take(ranges_max),
        }
    }

    /// The oldest, at most this many ranges.
    pub(super) fn take(&mut self, ranges_max: usize) -> Acks {
        if self.ranges.is_empty() || ranges_max == 0 {
            return Acks::default();
        }
        if self.ranges.len() > 1 {
            self.join();
        }
        let count = self.ranges.len().min(ranges_max);
        let ranges = self.ranges.drain(..count).collect();
        if self.ranges.is_empty() {
            self.since = None;
        }
        Acks {
            ranges,
            // With a part of the ranges all of it goes: it is a sum, and only the sum counts.
            size_bytes: std::mem::take(&mut self.size_bytes),
        }
    }

    /// They did not get into the log.
    pub(super) fn put_back(&mut self, acks: Acks) {
        self.size_bytes += acks.size_bytes;
        if acks.ranges.is_empty() {
            return;
        }
        self.since.get_or_insert_with(Instant::now);
        self.ranges.extend(acks.ranges);
        self.join();
    }

    /// Whether the log refused them because they lie too far apart.
    pub(super) fn set_scattered(&mut self, scattered: bool) {
        self.scattered = scattered;
    }

    fn join(&mut self) {
        self.ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::with_capacity(self.ranges.len());
        for range in self.ranges.drain(..) {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        self.ranges = joined;
    }
}
