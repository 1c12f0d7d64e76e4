//! Events as lines: read batch by batch, and written.

use std::io::{self, BufRead, Read, Write};

use flumen_core::EventBatch;
use flumen_core::batch::{BatchBuilder, BatchError};

/// Bytes of one line at most. Sources have limits far below it; a line of this length is a file that
/// has no lines.
pub const EVENT_BYTES_MAX: usize = 16 << 20;

/// Bytes of the lines of one batch, after which it is handed over with fewer events than wanted: as
/// much as one delivery to a sink has.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Why a batch could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Input(io::Error),
    /// The line of this number, counted from 1 over the whole run.
    TooLong(u64),
    Batch(BatchError),
}

/// Reads lines as events; the line end is no part of the body.
pub(super) struct LineReader<R> {
    input: R,
    line: Vec<u8>,
    /// Lines that were read so far.
    lines: u64,
}

impl<R: BufRead> LineReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            lines: 0,
        }
    }

    /// The next events, at most as many as wanted; an empty batch at the end.
    pub(super) fn next_batch(&mut self, events_max: usize) -> Result<EventBatch, ReadError> {
        let mut builder = BatchBuilder::new();
        while builder.len() < events_max && builder.body_bytes() < BATCH_BYTES_MAX {
            self.line.clear();
            // One more than the bound, so that a line which is too long shows.
            let mut bounded = (&mut self.input).take(EVENT_BYTES_MAX as u64 + 1);
            let read = bounded.read_until(b'\n', &mut self.line);
            if read.map_err(ReadError::Input)? == 0 {
                break;
            }
            self.lines += 1;
            let body = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            if body.len() >= EVENT_BYTES_MAX {
                return Err(ReadError::TooLong(self.lines));
            }
            builder.push(body).map_err(ReadError::Batch)?;
        }
        builder.finish().map_err(ReadError::Batch)
    }
}

/// Writes events as lines, with their headers before the body when these are wanted.
pub(super) fn write(
    output: &mut dyn Write,
    events: &EventBatch,
    with_headers: bool,
) -> io::Result<()> {
    for (index, body) in events.bodies().enumerate() {
        if with_headers {
            write_headers(output, events, index)?;
        }
        output.write_all(body)?;
        output.write_all(b"\n")?;
    }
    output.flush()
}

fn write_headers(output: &mut dyn Write, events: &EventBatch, index: usize) -> io::Result<()> {
    output.write_all(b"{")?;
    for (place, (name, value)) in events.headers_of(index).enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        write!(output, "{comma}{name}={value}")?;
    }
    output.write_all(b"} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(batch: &EventBatch) -> Vec<String> {
        let text = |body| String::from_utf8_lossy(body).into_owned();
        batch.bodies().map(text).collect()
    }

    #[test]
    fn lines_come_in_batches_and_a_last_one_without_end_counts() {
        let mut reader = LineReader::new(&b"a\n\nb\r\nc"[..]);
        assert_eq!(bodies(&reader.next_batch(3).unwrap()), ["a", "", "b\r"]);
        assert_eq!(bodies(&reader.next_batch(3).unwrap()), ["c"]);
        assert!(reader.next_batch(3).unwrap().is_empty());
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_a_line_too() {
        let line = vec![b'x'; BATCH_BYTES_MAX];
        let mut input = line.clone();
        input.extend_from_slice(b"\nsecond\n");
        let mut reader = LineReader::new(&input[..]);
        assert_eq!(reader.next_batch(10).unwrap().len(), 1);
        assert_eq!(bodies(&reader.next_batch(10).unwrap()), ["second"]);
        let mut reader = LineReader::new(io::BufReader::new(io::repeat(b'x')));
        assert!(matches!(reader.next_batch(1), Err(ReadError::TooLong(1))));
    }
}
