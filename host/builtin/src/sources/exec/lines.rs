//! From the bytes of a pipe to batches of lines.

use bytes::Bytes;
use flumen_core::EventBatch;
use flumen_core::batch::{BatchBuilder, BatchError, LineScanner};

/// Splits a stream of bytes at `\n`, `\r` and `\r\n`. However the stream is cut into reads, the
/// lines are the same.
///
/// Holds at most one unfinished line of the greatest length and one read.
pub(super) struct LineSplitter {
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that hold no line end: they are not searched again.
    searched: usize,
    /// The last line ended with `\r`, so that a `\n` that comes next belongs to it.
    is_after_return: bool,
    line_bytes_max: usize,
    cuts: u64,
}

impl LineSplitter {
    /// Cuts lines that are longer than `line_bytes_max` bytes, which is above 0.
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            searched: 0,
            is_after_return: false,
            line_bytes_max,
            cuts: 0,
        }
    }

    /// Where the next read goes: behind what is there, with room for `bytes`.
    pub(super) fn space(&mut self, bytes: usize) -> &mut Vec<u8> {
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * bytes {
            // A very long line is over: give its memory back.
            self.buffer = Vec::new();
        }
        self.buffer.reserve(bytes);
        &mut self.buffer
    }

    /// How often a line was cut because it was too long.
    pub(super) fn cuts(&self) -> u64 {
        self.cuts
    }

    /// The lines that are complete; none is an empty batch.
    ///
    /// # Errors
    /// [`BatchError`] when they do not fit one batch, which takes reads of more than a megabyte.
    pub(super) fn take_lines(&mut self) -> Result<EventBatch, BatchError> {
        if self.is_after_return && !self.buffer.is_empty() {
            self.is_after_return = false;
            if self.buffer.first() == Some(&b'\n') {
                self.buffer.drain(..1);
            }
        }
        let new = self.buffer.get(self.searched..).unwrap_or_default();
        if memchr::memchr2(b'\n', b'\r', new).is_none() && self.buffer.len() <= self.line_bytes_max
        {
            self.searched = self.buffer.len();
            return Ok(EventBatch::empty());
        }
        if memchr::memchr(b'\r', new).is_none() {
            let mut ends = Vec::new();
            let scan = LineScanner::new(b'\n').scan(&self.buffer, &mut ends, usize::MAX);
            let rest_bytes = self.buffer.len() - scan.rest;
            if scan.longest.max(rest_bytes) <= self.line_bytes_max {
                let lines = self.buffer.get(..scan.rest).unwrap_or_default();
                let lines = Bytes::copy_from_slice(lines);
                self.consume(scan.rest);
                return EventBatch::from_delimited(lines, b'\n', ends);
            }
        }
        self.take_lines_of_any_kind()
    }

    /// The way for lines that end with `\r` or are too long: each body is copied by itself.
    fn take_lines_of_any_kind(&mut self) -> Result<EventBatch, BatchError> {
        let mut lines = Lines::new(self.line_bytes_max);
        let mut start = 0;
        for end in memchr::memchr2_iter(b'\n', b'\r', &self.buffer) {
            let is_feed = self.buffer.get(end) == Some(&b'\n');
            let is_second = is_feed
                && end
                    .checked_sub(1)
                    .is_some_and(|before| self.buffer.get(before) == Some(&b'\r'));
            if !is_second {
                lines.push(self.buffer.get(start..end).unwrap_or_default())?;
            }
            start = end + 1;
        }
        self.is_after_return = start == self.buffer.len() && self.buffer.last() == Some(&b'\r');
        let mut rest = self.buffer.get(start..).unwrap_or_default();
        rest = lines.push_cut(rest)?;
        let consumed = self.buffer.len() - rest.len();
        self.cuts += lines.cuts;
        self.consume(consumed);
        lines.builder.finish()
    }

    fn consume(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.searched = self.buffer.len();
    }

    /// What is left when nothing more comes: a last line without an end, or nothing.
    ///
    /// # Errors
    /// As [`LineSplitter::take_lines`].
    pub(super) fn take_rest(&mut self) -> Result<EventBatch, BatchError> {
        let rest = std::mem::take(&mut self.buffer);
        self.searched = 0;
        self.is_after_return = false;
        let mut builder = BatchBuilder::new();
        if !rest.is_empty() {
            builder.push(&rest)?;
        }
        builder.finish()
    }
}

/// Collects lines and cuts those that are too long.
struct Lines {
    builder: BatchBuilder,
    line_bytes_max: usize,
    cuts: u64,
}

impl Lines {
    fn new(line_bytes_max: usize) -> Self {
        Self {
            builder: BatchBuilder::new(),
            line_bytes_max,
            cuts: 0,
        }
    }

    fn push(&mut self, line: &[u8]) -> Result<(), BatchError> {
        let last = self.push_cut(line)?;
        self.builder.push(last)
    }

    /// Adds pieces of the greatest length for as long as something is left behind them, and gives
    /// that back.
    fn push_cut<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8], BatchError> {
        let mut left = line;
        while left.len() > self.line_bytes_max
            && let Some((piece, behind)) = left.split_at_checked(self.line_bytes_max)
        {
            self.builder.push(piece)?;
            self.cuts += 1;
            left = behind;
        }
        Ok(left)
    }
}
