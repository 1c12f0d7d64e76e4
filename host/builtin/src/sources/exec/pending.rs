//! Lines that wait for others to fill their batch.

use std::time::Duration;

use flumen_core::EventBatch;
use flumen_core::batch::BatchError;
use tokio::time::Instant;

/// Bytes of bodies after which lines wait no longer, so that a large `batchSize` of long lines
/// stays a small part of the memory.
const PENDING_BYTES_MAX: u64 = 4 << 20;

/// Fewer lines than a batch has, and when they go all the same.
pub(super) struct Pending {
    parts: Vec<EventBatch>,
    events: usize,
    bytes: u64,
    flush_at: Option<Instant>,
    batch_events: usize,
    batch_timeout: Duration,
}

impl Pending {
    pub(super) fn new(batch_events: usize, batch_timeout: Duration) -> Self {
        Self {
            parts: Vec::new(),
            events: 0,
            bytes: 0,
            flush_at: None,
            batch_events,
            batch_timeout,
        }
    }

    /// When what waits has waited long enough; `None` when nothing waits.
    pub(super) fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Adds lines and gives the batches that are full, in order.
    ///
    /// # Errors
    /// [`BatchError`] never in practice: a batch here is far below every limit.
    pub(super) fn add(
        &mut self,
        lines: EventBatch,
        now: Instant,
    ) -> Result<Vec<EventBatch>, BatchError> {
        let mut full = Vec::new();
        let mut start = 0;
        while start < lines.len() {
            let end = lines.len().min(start + self.batch_events - self.events);
            self.push(lines.slice(start..end), now);
            start = end;
            if self.events >= self.batch_events || self.bytes >= PENDING_BYTES_MAX {
                full.push(self.take_shared()?);
            }
        }
        Ok(full)
    }

    fn push(&mut self, lines: EventBatch, now: Instant) {
        self.events += lines.len();
        self.bytes += lines.body_bytes();
        self.parts.push(lines);
        if self.flush_at.is_none() {
            // A wait past the end of time is one for ever.
            self.flush_at = now.checked_add(self.batch_timeout);
        }
    }

    /// All that waits, in a buffer of its own.
    ///
    /// # Errors
    /// As [`Pending::add`].
    pub(super) fn take(&mut self) -> Result<EventBatch, BatchError> {
        self.flush_at = None;
        self.events = 0;
        self.bytes = 0;
        EventBatch::concat(&std::mem::take(&mut self.parts))
    }

    /// A full batch that was cut from one read stays a part of that read's buffer: its neighbours
    /// are on their way too, and nothing is copied.
    fn take_shared(&mut self) -> Result<EventBatch, BatchError> {
        match self.parts.as_slice() {
            [_] => {
                let part = self.parts.pop().unwrap_or_default();
                self.take()?;
                Ok(part)
            }
            _ => self.take(),
        }
    }
}
