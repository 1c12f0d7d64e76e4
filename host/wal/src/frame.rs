//! One frame: what is written and confirmed as a whole, or not at all.
//!
//! The bytes are specified in `docs/spec/wal.md`. A frame tells its own place, segment and number,
//! so one that is read from the wrong place, or that an earlier life of the file left behind, is
//! never taken for another. Decoding any bytes ends with a frame or with [`Damage`], after work
//! that is linear in the length that the frame claims, which is bounded by what is at hand.

use std::ops::Range;

use crate::layout::{round_up, u32_at, u64_at};
use crate::position::{Count, Position};

/// Bytes before the body.
pub const HEADER_BYTES: usize = 72;

/// Frames begin at multiples of this within a segment.
pub const ALIGNMENT_BYTES: u64 = 8;

/// Bytes of one acknowledged range.
pub(crate) const RANGE_BYTES: usize = 16;

const MAGIC: [u8; 4] = *b"FLWF";
const VERSION: u8 = 1;

/// Where the checksum of the header stands; it covers all before it.
const CHECKSUM_AT: usize = 68;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Items, acknowledgements, or both. Only these are counted.
    Data,
    /// Everything that recovery has to know about the log before this frame.
    Snapshot,
    /// Nothing but the proof that what stands before it was durable.
    Witness,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            1 => Some(Kind::Data),
            2 => Some(Kind::Snapshot),
            3 => Some(Kind::Witness),
            _ => None,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Kind::Data => 1,
            Kind::Snapshot => 2,
            Kind::Witness => 3,
        }
    }
}

/// The head of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// The salt of the segment's present life.
    pub salt: u64,
    /// Where the frame stands.
    pub position: Position,
    /// Everything before this was durable when the frame was built.
    pub durable: Position,
    /// The count before this frame.
    pub count: Count,
    /// Items in the frame; 0 unless it is of data.
    pub items: u32,
    /// Acknowledged ranges at the start of the body.
    pub ranges: u32,
    /// Bytes of the body behind the ranges.
    pub payload_length: u32,
    /// CRC32C of the body.
    pub body_checksum: u32,
}

/// Why some bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// No frame begins here, or its head is damaged, so that nothing it says can be believed.
    Head,
    /// The head is whole and of a version or kind that this build does not know.
    Unknown,
    /// The head is whole and the body is not. `length` bytes belong to the frame.
    Body {
        /// Bytes from the first of the head to the next possible frame.
        length: u64,
    },
    /// The head is whole and claims more bytes than there are.
    Short {
        /// Bytes that the frame claims.
        length: u64,
    },
}

impl Header {
    /// Bytes of the body.
    pub fn body_length(&self) -> u64 {
        u64::from(self.ranges) * RANGE_BYTES as u64 + u64::from(self.payload_length)
    }

    /// Bytes of the whole frame, up to the next possible one.
    pub fn frame_length(&self) -> u64 {
        round_up(HEADER_BYTES as u64 + self.body_length(), ALIGNMENT_BYTES)
    }

    /// The count behind this frame.
    pub fn count_after(&self) -> Count {
        match self.kind {
            Kind::Data => self.count.after(self.items),
            Kind::Snapshot | Kind::Witness => self.count,
        }
    }

    /// Appends the head to `bytes`.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, self.kind.to_byte(), 0, 0]);
        for number in [
            self.salt,
            self.position.bits(),
            self.durable.bits(),
            self.count.sequence,
            self.count.item,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [
            self.items,
            self.ranges,
            self.payload_length,
            self.body_checksum,
            0,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = bytes.get(start..).map(crc32c::crc32c).unwrap_or_default();
        bytes.extend_from_slice(&checksum.to_le_bytes());
    }

    /// The head at the start of these bytes.
    ///
    /// # Errors
    /// [`Damage::Head`] or [`Damage::Unknown`].
    pub fn decode(bytes: &[u8]) -> Result<Header, Damage> {
        let head = bytes.get(..HEADER_BYTES).ok_or(Damage::Head)?;
        if !looks_like_frame(head) {
            return Err(Damage::Head);
        }
        let covered = head.get(..CHECKSUM_AT).ok_or(Damage::Head)?;
        if u32_at(head, CHECKSUM_AT) != Some(crc32c::crc32c(covered)) {
            return Err(Damage::Head);
        }
        Header::fields(head).ok_or(Damage::Unknown)
    }

    /// The fields of a head whose checksum is right.
    fn fields(head: &[u8]) -> Option<Header> {
        let &[version, kind, 0, 0] = head.get(4..8)? else {
            return None;
        };
        if version != VERSION || u32_at(head, 64)? != 0 {
            return None;
        }
        let kind = Kind::from_byte(kind)?;
        let header = Header {
            kind,
            salt: u64_at(head, 8)?,
            position: Position::from_bits(u64_at(head, 16)?),
            durable: Position::from_bits(u64_at(head, 24)?),
            count: Count {
                sequence: u64_at(head, 32)?,
                item: u64_at(head, 40)?,
            },
            items: u32_at(head, 48)?,
            ranges: u32_at(head, 52)?,
            payload_length: u32_at(head, 56)?,
            body_checksum: u32_at(head, 60)?,
        };
        let counted = header.items > 0 || header.ranges > 0;
        (kind == Kind::Data || !counted).then_some(header)
    }
}

/// A whole frame, still in the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'bytes> {
    /// The head.
    pub header: Header,
    ranges: &'bytes [u8],
    /// What the user of the log wrote.
    pub payload: &'bytes [u8],
}

impl<'bytes> Frame<'bytes> {
    /// The frame at the start of these bytes. What stands behind it is not looked at.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &'bytes [u8]) -> Result<Frame<'bytes>, Damage> {
        let header = Header::decode(bytes)?;
        let length = header.frame_length();
        let body = usize::try_from(header.body_length())
            .ok()
            .and_then(|body| HEADER_BYTES.checked_add(body))
            .and_then(|end| bytes.get(HEADER_BYTES..end))
            .ok_or(Damage::Short { length })?;
        if crc32c::crc32c(body) != header.body_checksum {
            return Err(Damage::Body { length });
        }
        Frame::split(header, body).ok_or(Damage::Body { length })
    }

    /// The frame of a head whose body was found whole before.
    pub(crate) fn checked(header: Header, bytes: &'bytes [u8]) -> Option<Frame<'bytes>> {
        let end = HEADER_BYTES.checked_add(usize::try_from(header.body_length()).ok()?)?;
        Frame::split(header, bytes.get(HEADER_BYTES..end)?)
    }

    fn split(header: Header, body: &'bytes [u8]) -> Option<Frame<'bytes>> {
        let ranges_length = header.ranges as usize * RANGE_BYTES;
        let (ranges, payload) = body.split_at_checked(ranges_length)?;
        Some(Frame {
            header,
            ranges,
            payload,
        })
    }

    /// The items that this frame acknowledges, as they were given.
    pub fn acknowledged(&self) -> impl Iterator<Item = Range<u64>> + use<'bytes> {
        decode_ranges(self.ranges)
    }
}

/// Ranges from bytes of whole ranges; an incomplete last one is passed over.
pub(crate) fn decode_ranges(bytes: &[u8]) -> impl Iterator<Item = Range<u64>> + use<'_> {
    bytes
        .chunks_exact(RANGE_BYTES)
        .filter_map(|range| Some(u64_at(range, 0)?..u64_at(range, 8)?))
}

/// The bytes of ranges.
pub(crate) fn encode_ranges<'range>(
    ranges: impl IntoIterator<Item = &'range Range<u64>>,
    bytes: &mut Vec<u8>,
) {
    for range in ranges {
        bytes.extend_from_slice(&range.start.to_le_bytes());
        bytes.extend_from_slice(&range.end.to_le_bytes());
    }
}

/// Whether a frame may begin with these bytes. Cheap, for the search behind damage.
pub(crate) fn looks_like_frame(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

#[cfg(test)]
mod tests;
