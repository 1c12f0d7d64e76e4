//! Where something stands in the log, and how far the log has counted.

use std::fmt;

use crate::segment::FileName;

/// Bits of a position that say the offset within a segment.
const OFFSET_BITS: u32 = 32;

/// A place in the log: the number of a segment and an offset of bytes within its file.
///
/// Positions are ordered as the log was written. One is never used twice for a frame that was
/// confirmed, not even by a segment whose file is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The place before every frame. No segment has the number 0.
    pub const START: Position = Position(0);

    /// The place at `offset` bytes in segment `number`, which has to be below 2^32.
    pub(crate) fn new(number: u64, offset: u32) -> Position {
        Position((number << OFFSET_BITS) | u64::from(offset))
    }

    /// A position as it is written in a frame. Any number is one.
    pub fn from_bits(bits: u64) -> Position {
        Position(bits)
    }

    /// The position as it is written in a frame.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The number of the segment.
    pub fn segment(self) -> u64 {
        self.0 >> OFFSET_BITS
    }

    /// The name of the segment's file.
    pub fn file_name(self) -> String {
        FileName::Segment(self.segment()).to_string()
    }

    /// Bytes from the start of the segment's file.
    pub fn offset(self) -> u32 {
        (self.0 & u64::from(u32::MAX)) as u32
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment(), self.offset())
    }
}

/// How many frames of data and how many items the log held before some place.
///
/// Both run on over segments and restarts. From the distance of two counts the log knows exactly
/// what is missing between two frames that are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Count {
    /// The number of the next frame of data, from 0.
    pub sequence: u64,
    /// The number of the next item, from 0.
    pub item: u64,
}

impl Count {
    /// The count behind one more frame with this many items.
    pub(crate) fn after(self, items: u32) -> Count {
        Count {
            sequence: self.sequence.saturating_add(1),
            item: self.item.saturating_add(u64::from(items)),
        }
    }
}
