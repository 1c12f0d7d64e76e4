//! What the user of the log hands in and gets back.

use std::ops::Range;

use bytes::Bytes;

use crate::frame::{Frame, HEADER_BYTES, Header, Kind, RANGE_BYTES, encode_ranges};
use crate::layout::round_up;
use crate::position::{Count, Position};

/// One append: it is in the log as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// How many items the payload holds. The log counts them, and loses none without telling how
    /// many. A record without items (acknowledgements, state) may be written to a full log.
    pub items: u32,
    /// Items that need not be kept any more, in any order; each was confirmed before.
    pub acknowledged: Vec<Range<u64>>,
    /// Bytes that the log does not look into.
    pub payload: Bytes,
}

impl Record {
    /// Bytes of the body that this becomes.
    pub fn body_length(&self) -> u64 {
        (self.acknowledged.len() * RANGE_BYTES + self.payload.len()) as u64
    }
}

/// Where an append went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Where its frame stands, for [`crate::Log::read`].
    pub position: Position,
    /// Its number among the frames of data.
    pub sequence: u64,
    /// The number of its first item; the others follow.
    pub first_item: u64,
}

/// A record with its checksum, which the caller's thread computes, beside the others'.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) record: Record,
    ranges: Vec<u8>,
    checksum: u32,
}

impl Prepared {
    pub(crate) fn new(record: Record) -> Prepared {
        let mut ranges = Vec::with_capacity(record.acknowledged.len() * RANGE_BYTES);
        encode_ranges(&record.acknowledged, &mut ranges);
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&ranges), &record.payload);
        Prepared {
            record,
            ranges,
            checksum,
        }
    }

    /// Bytes that the frame takes.
    pub(crate) fn frame_length(&self) -> u64 {
        round_up(
            HEADER_BYTES as u64 + self.record.body_length(),
            crate::frame::ALIGNMENT_BYTES,
        )
    }

    /// Appends the frame to `bytes`. The lengths were checked against the options, so they fit.
    pub(crate) fn encode(&self, place: Place, bytes: &mut Vec<u8>) {
        let header = Header {
            kind: Kind::Data,
            salt: place.salt,
            position: place.position,
            durable: place.durable,
            count: place.count,
            items: self.record.items,
            ranges: self.record.acknowledged.len() as u32,
            payload_length: self.record.payload.len() as u32,
            body_checksum: self.checksum,
        };
        let start = bytes.len();
        header.encode(bytes);
        bytes.extend_from_slice(&self.ranges);
        bytes.extend_from_slice(&self.record.payload);
        bytes.resize(start + header.frame_length() as usize, 0);
    }
}

/// What a frame has to know about the place where it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) salt: u64,
    pub(crate) position: Position,
    pub(crate) durable: Position,
    pub(crate) count: Count,
}

/// A frame of data, as the user's state sees it go by.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'bytes> {
    /// Where it stands.
    pub position: Position,
    /// Its number among the frames of data.
    pub sequence: u64,
    /// The number of its first item.
    pub first_item: u64,
    /// How many items it holds.
    pub items: u32,
    /// What the user wrote.
    pub payload: &'bytes [u8],
}

impl<'bytes> Passing<'bytes> {
    pub(crate) fn of(frame: &Frame<'bytes>) -> Passing<'bytes> {
        Passing {
            position: frame.header.position,
            sequence: frame.header.count.sequence,
            first_item: frame.header.count.item,
            items: frame.header.items,
            payload: frame.payload,
        }
    }
}

/// What the user of the log wants to know after a restart without reading the whole log: a fold
/// over all frames. The log writes it into each segment and hands it back.
///
/// The same calls come in the same order while the log runs and when it recovers, so a state that
/// depends on nothing else is the same after a crash, up to frames that were never confirmed.
pub trait LogState: Send {
    /// Takes back what [`LogState::snapshot`] gave. Comes first, or not at all.
    ///
    /// # Errors
    /// When the bytes make no sense to this build; then the log is not opened.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// A frame was confirmed, or was found in the log. In the order of the log, each once.
    fn apply(&mut self, frame: Passing<'_>);

    /// Found while the log is opened: frames between the last and the next one, or a whole older
    /// segment, cannot be read any more, and these items with them. What a [`crate::Reader`] finds
    /// later is told by it alone.
    fn lost(&mut self, items: Range<u64>);

    /// All that was found was taken in, and every item below the frontier is acknowledged. Comes
    /// once, before anything is changed and before the log can be used.
    ///
    /// # Errors
    /// When the user cannot go on with what was found; then the log is not opened.
    fn recovered(&mut self, frontier: u64) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let _ = frontier;
        Ok(())
    }

    /// Appends the state to `bytes`: at most [`crate::Options::state_bytes_max`].
    fn snapshot(&self, bytes: &mut Vec<u8>);
}

/// No state.
impl LogState for () {
    fn restore(&mut self, _: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    fn apply(&mut self, _: Passing<'_>) {}

    fn lost(&mut self, _: Range<u64>) {}

    fn snapshot(&self, _: &mut Vec<u8>) {}
}
