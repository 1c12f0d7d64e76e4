//! From the bytes of one connection to batches of whole lines.

use bytes::Bytes;
use flumen_core::EventBatch;
use flumen_core::batch::{BatchError, LineScanner};
use flumen_core::limits;

use super::buffer::{BUFFER_BYTES, PooledBuffer};

const LINE_FEED: u8 = b'\n';

/// An unfinished line up to this size is copied to the front of the next buffer, so that it goes
/// into one batch with the lines behind it. A longer one is gathered by itself, which keeps a line
/// that comes in many small pieces from being copied with each.
const REST_COPIED_BYTES_MAX: usize = BUFFER_BYTES / 16;

// One buffer never holds more lines than a batch may, not even when all bytes are line feeds.
const _: () = assert!(BUFFER_BYTES <= limits::BATCH_EVENTS_MAX);

/// Bytes that were read, behind the rest that [`LineCutter::rest_to_copy`] gave.
pub(super) enum Chunk {
    /// In a pooled buffer, of which so many bytes are filled.
    Pooled(PooledBuffer, usize),
    /// Decoded text.
    Decoded(Vec<u8>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Pooled(buffer, filled) => buffer.get(..*filled).unwrap_or_default(),
            Chunk::Decoded(text) => text,
        }
    }

    /// The bytes of a range that lies within, without a copy where that pays.
    fn into_shared(self, from: usize, to: usize) -> Bytes {
        match self {
            Chunk::Pooled(buffer, _) if !buffer.is_worth_giving(to - from) => {
                Bytes::copy_from_slice(buffer.get(from..to).unwrap_or_default())
            }
            Chunk::Pooled(buffer, _) => Bytes::from_owner(buffer).slice(from..to),
            Chunk::Decoded(text) => Bytes::from(text).slice(from..to),
        }
    }
}

/// What came out of a read.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// A line that was gathered from several reads.
    pub(super) long_line: Option<EventBatch>,
    /// The lines behind it.
    pub(super) lines: Option<EventBatch>,
    /// Whether what follows them is longer than a line may be. Nothing behind that was looked at.
    pub(super) too_long: bool,
}

/// Cuts the stream of one connection into lines. Holds the unfinished line between two reads and
/// nothing else.
#[derive(Debug, Default)]
pub(super) struct LineCutter {
    rest: Vec<u8>,
    /// Lines of the last read: how many the next is likely to bring.
    lines_expected: usize,
}

impl LineCutter {
    /// What has to stand at the front of the next chunk. It does not fill a buffer.
    pub(super) fn rest_to_copy(&self) -> &[u8] {
        if self.gathers() { &[] } else { &self.rest }
    }

    /// Bytes of the unfinished line.
    pub(super) fn rest_bytes(&self) -> usize {
        self.rest.len()
    }

    fn gathers(&self) -> bool {
        self.rest.len() > REST_COPIED_BYTES_MAX
    }

    /// Cuts the next chunk, in which lines have at most `characters_max` characters, line feed
    /// included.
    ///
    /// # Errors
    /// [`BatchError`], which the bounds above rule out.
    pub(super) fn cut(&mut self, chunk: Chunk, characters_max: usize) -> Result<Cut, BatchError> {
        let mut cut = Cut::default();
        let mut from = 0;
        if self.gathers() {
            let Some(end) = memchr::memchr(LINE_FEED, chunk.bytes()) else {
                self.rest.extend_from_slice(chunk.bytes());
                cut.too_long = too_long(&self.rest, characters_max);
                return Ok(cut);
            };
            from = end + 1;
            self.rest
                .extend_from_slice(chunk.bytes().get(..end).unwrap_or_default());
            if too_long(&self.rest, characters_max) {
                cut.too_long = true;
                return Ok(cut);
            }
            let end = u32::try_from(self.rest.len()).map_err(|_| BatchError::TooManyBodyBytes)?;
            let line = Bytes::from(std::mem::take(&mut self.rest));
            cut.long_line = Some(EventBatch::from_columns(line, vec![end])?);
        }
        self.cut_lines(chunk, from, characters_max, &mut cut)?;
        Ok(cut)
    }

    /// Cuts what begins at `from`, where a line begins.
    fn cut_lines(
        &mut self,
        chunk: Chunk,
        from: usize,
        characters_max: usize,
        cut: &mut Cut,
    ) -> Result<(), BatchError> {
        let data = chunk.bytes().get(from..).unwrap_or_default();
        let mut ends = Vec::with_capacity(self.lines_expected);
        let scan = LineScanner::new(LINE_FEED).scan(data, &mut ends, limits::BATCH_EVENTS_MAX);
        self.rest.clear();
        if scan.longest >= characters_max
            && let Some(row) = first_too_long(data, &ends, characters_max)
        {
            ends.truncate(row);
            cut.too_long = true;
        } else {
            self.rest
                .extend_from_slice(data.get(scan.rest..).unwrap_or_default());
            cut.too_long = too_long(&self.rest, characters_max);
        }
        // An eighth more than last time, so that reads that grow slowly do not reallocate.
        self.lines_expected = ends.len() + ends.len() / 8;
        if let Some(last) = ends.last() {
            let to = from + *last as usize + 1;
            let data = chunk.into_shared(from, to);
            cut.lines = Some(EventBatch::from_delimited(data, LINE_FEED, ends)?);
        }
        Ok(())
    }
}

/// The first line that is too long. Characters are counted only where the bytes are too many.
fn first_too_long(data: &[u8], ends: &[u32], characters_max: usize) -> Option<usize> {
    let mut start = 0;
    ends.iter().position(|end| {
        let line = data.get(start..*end as usize).unwrap_or_default();
        start = *end as usize + 1;
        too_long(line, characters_max)
    })
}

/// Whether a line without its line feed has too many characters.
fn too_long(line: &[u8], characters_max: usize) -> bool {
    line.len() >= characters_max && characters(line) >= characters_max
}

/// Characters as Java counts them: UTF-16 units, one for each malformed sequence. Never less than
/// a third of the bytes, so that a bound on characters bounds the bytes.
fn characters(text: &[u8]) -> usize {
    text.utf8_chunks()
        .map(|chunk| {
            let valid: usize = chunk.valid().chars().map(char::len_utf16).sum();
            valid + usize::from(!chunk.invalid().is_empty())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::proptest;
    use proptest::strategy::Strategy;

    use super::super::buffer::BufferPool;
    use super::*;

    /// What a cutter made of a stream: the lines, and whether one was too long.
    fn cut_in_pieces(
        stream: &[u8],
        pieces: &[usize],
        characters_max: usize,
    ) -> (Vec<Vec<u8>>, bool) {
        let pool = Arc::new(BufferPool::default());
        let mut cutter = LineCutter::default();
        let mut lines = Vec::new();
        let mut left = stream;
        let mut pieces = pieces
            .iter()
            .copied()
            .chain(std::iter::repeat(BUFFER_BYTES));
        while !left.is_empty() {
            let mut buffer = pool.take();
            let rest = cutter.rest_to_copy().len();
            buffer[..rest].copy_from_slice(cutter.rest_to_copy());
            let piece = pieces
                .next()
                .unwrap_or(1)
                .min(left.len())
                .min(BUFFER_BYTES - rest);
            buffer[rest..rest + piece].copy_from_slice(&left[..piece]);
            left = &left[piece..];
            let chunk = Chunk::Pooled(buffer, rest + piece);
            let cut = cutter
                .cut(chunk, characters_max)
                .expect("a batch within its bounds");
            for batch in [cut.long_line, cut.lines].into_iter().flatten() {
                lines.extend(batch.bodies().map(<[u8]>::to_vec));
            }
            if cut.too_long {
                return (lines, true);
            }
        }
        (lines, false)
    }

    /// The same, one character at a time.
    fn model(stream: &[u8], characters_max: usize) -> (Vec<Vec<u8>>, bool) {
        let mut lines = Vec::new();
        let mut left = stream;
        while let Some(end) = left.iter().position(|byte| *byte == LINE_FEED) {
            let line = &left[..end];
            if String::from_utf8_lossy(line).encode_utf16().count() + 1 > characters_max {
                return (lines, true);
            }
            lines.push(line.to_vec());
            left = &left[end + 1..];
        }
        let rest = String::from_utf8_lossy(left).encode_utf16().count();
        (lines, rest >= characters_max)
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let part = proptest::prop_oneof![
            6 => "[a-z]{0,40}".prop_map(String::into_bytes),
            6 => proptest::strategy::Just(b"\n".to_vec()),
            1 => "[a-z]{100,3000}".prop_map(String::into_bytes),
            1 => "[\\réß€😀]{1,9}".prop_map(String::into_bytes),
            1 => proptest::collection::vec(proptest::prelude::any::<u8>(), 1..5),
        ];
        proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        /// However a stream is cut into reads, the lines are the same.
        #[test]
        fn any_fragments_give_the_same_lines(
            stream in stream(),
            pieces in proptest::collection::vec(1..200_usize, 0..200),
            characters_max in proptest::prop_oneof![1..60_usize, 500..5000_usize],
        ) {
            proptest::prop_assert_eq!(
                cut_in_pieces(&stream, &pieces, characters_max),
                model(&stream, characters_max)
            );
        }
    }

    #[test]
    fn characters_are_counted_as_java_counts_them() {
        assert_eq!(characters("aß€".as_bytes()), 3);
        assert_eq!(characters("😀".as_bytes()), 2);
        assert_eq!(characters(b"a\xFF\xFEb"), 4);
        assert_eq!(characters(&[0x80; 9]), 9);
    }

    #[test]
    fn a_few_bytes_do_not_hold_a_buffer() {
        let pool = Arc::new(BufferPool::default());
        let mut cutter = LineCutter::default();
        let mut buffer = pool.take();
        buffer[..6].copy_from_slice(b"hello\n");
        let cut = cutter.cut(Chunk::Pooled(buffer, 6), 512).expect("a batch");
        assert_eq!(pool.free(), 1);
        assert_eq!(cut.lines.map(|lines| lines.len()), Some(1));
    }

    #[test]
    fn a_full_buffer_is_the_batch_and_comes_back_with_its_last_holder() {
        let pool = Arc::new(BufferPool::default());
        let mut cutter = LineCutter::default();
        let mut buffer = pool.take();
        buffer.fill(b'\n');
        let cut = cutter
            .cut(Chunk::Pooled(buffer, BUFFER_BYTES), 512)
            .expect("a batch");
        assert_eq!(pool.free(), 0);
        let slice = cut.lines.as_ref().map(|lines| lines.slice(0..1));
        drop(cut);
        assert_eq!(pool.free(), 0);
        drop(slice);
        assert_eq!(pool.free(), 1);
    }
}
