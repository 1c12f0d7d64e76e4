//! A segment: one file of the log, and the block at its start that says which one it is.
//!
//! The block stands there twice, because a segment without it has lost the proof of where the one
//! before it ended. The bytes are specified in `docs/spec/wal.md`.

use crate::layout::{array_at, round_up, u32_at, u64_at};
use crate::position::{Count, Position};

/// What the disk writes at once. A group begins at a multiple of it, so that no later write
/// touches a block that holds confirmed frames.
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// Where the frames of a segment begin: behind the two copies of its block.
pub(crate) const DATA_START: u32 = 2 * BLOCK_BYTES as u32;

pub(crate) const MAGIC: [u8; 8] = *b"FLUMENWL";

/// The version of the format that is written, and the highest that is read.
pub(crate) const VERSION: u32 = 1;

/// Where the checksum stands in every version; it covers all before it.
const CHECKSUM_AT: usize = 124;

const NAME_PREFIX: &str = "segment-";
const SPARE_PREFIX: &str = "spare-";
const MAKING_PREFIX: &str = "making-";

/// Which log a segment belongs to. Chosen when the log is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogId(pub [u8; 16]);

/// What the first block of a segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The log it belongs to.
    pub log: LogId,
    /// Which segment it is, from 1, ever rising.
    pub number: u64,
    /// Drawn anew for each life of the file, so that frames of an earlier life are known as such.
    pub salt: u64,
    /// The count before the first frame.
    pub count: Count,
    /// Where the frames of the segment before end; what stands behind that never counted.
    /// [`Position::START`] for the first of a log.
    pub previous_end: Position,
}

/// Why a block is no segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderDamage {
    /// Not written by this format, or not what was written.
    Damaged,
    /// Whole, and of a version that this build does not read.
    Newer {
        /// The version that the block names.
        version: u32,
    },
}

impl SegmentHeader {
    /// Both copies.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(DATA_START as usize);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&VERSION.to_le_bytes());
        block.extend_from_slice(&0_u32.to_le_bytes());
        block.extend_from_slice(&self.log.0);
        for number in [
            self.number,
            self.salt,
            self.count.sequence,
            self.count.item,
            self.previous_end.bits(),
        ] {
            block.extend_from_slice(&number.to_le_bytes());
        }
        block.resize(CHECKSUM_AT, 0);
        let checksum = crc32c::crc32c(&block);
        block.extend_from_slice(&checksum.to_le_bytes());
        block.resize(BLOCK_BYTES as usize, 0);
        block.extend_from_within(..);
        block
    }

    /// The header from the first two blocks of a file: the first copy that is whole.
    ///
    /// # Errors
    /// When neither is, or when the bytes are of a newer version.
    pub fn decode(blocks: &[u8]) -> Result<SegmentHeader, HeaderDamage> {
        let first = SegmentHeader::decode_copy(blocks);
        if first != Err(HeaderDamage::Damaged) {
            return first;
        }
        let second = blocks
            .get(BLOCK_BYTES as usize..)
            .ok_or(HeaderDamage::Damaged)?;
        SegmentHeader::decode_copy(second)
    }

    fn decode_copy(block: &[u8]) -> Result<SegmentHeader, HeaderDamage> {
        let covered = block.get(..CHECKSUM_AT).ok_or(HeaderDamage::Damaged)?;
        let whole = block.starts_with(&MAGIC)
            && u32_at(block, CHECKSUM_AT) == Some(crc32c::crc32c(covered));
        let version = u32_at(block, 8).filter(|_| whole);
        match version {
            None => Err(HeaderDamage::Damaged),
            Some(VERSION) => SegmentHeader::fields(block).ok_or(HeaderDamage::Damaged),
            Some(version) => Err(HeaderDamage::Newer { version }),
        }
    }

    fn fields(block: &[u8]) -> Option<SegmentHeader> {
        Some(SegmentHeader {
            log: LogId(array_at(block, 16)?),
            number: u64_at(block, 32)?,
            salt: u64_at(block, 40)?,
            count: Count {
                sequence: u64_at(block, 48)?,
                item: u64_at(block, 56)?,
            },
            previous_end: Position::from_bits(u64_at(block, 64)?),
        })
    }
}

/// The name of a file of the log's folder, as far as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileName {
    /// A segment of this number.
    Segment(u64),
    /// A written file without use, ready to become a segment.
    Spare(u64),
    /// A file that was being made when the log ended.
    Making(u64),
}

impl FileName {
    pub(crate) fn parse(name: &str) -> Option<FileName> {
        let number = |prefix: &str| {
            let digits = name.strip_prefix(prefix)?;
            let number = u64::from_str_radix(digits, 16).ok()?;
            (format!("{number:016x}") == digits).then_some(number)
        };
        number(NAME_PREFIX)
            .map(FileName::Segment)
            .or_else(|| number(SPARE_PREFIX).map(FileName::Spare))
            .or_else(|| number(MAKING_PREFIX).map(FileName::Making))
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileName::Segment(number) => write!(f, "{NAME_PREFIX}{number:016x}"),
            FileName::Spare(number) => write!(f, "{SPARE_PREFIX}{number:016x}"),
            FileName::Making(number) => write!(f, "{MAKING_PREFIX}{number:016x}"),
        }
    }
}

/// A segment that is no longer written, as the log remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) salt: u64,
    /// The count before its first frame.
    pub(crate) first: Count,
    /// The count behind its last frame.
    pub(crate) last: Count,
    /// Where its frames end.
    pub(crate) end: u32,
}

impl Sealed {
    /// Bytes of its file that count against the bound of the log. One that is less than half full
    /// is cut off behind its frames when the log is opened, and counts what is left: else each
    /// restart would cost the room of a whole segment until its few items are acknowledged.
    pub(crate) fn bytes(&self, segment_bytes: u64) -> u64 {
        if self.is_short(segment_bytes) {
            round_up(u64::from(self.end), BLOCK_BYTES)
        } else {
            segment_bytes
        }
    }

    /// Whether it is cut off.
    pub(crate) fn is_short(&self, segment_bytes: u64) -> bool {
        u64::from(self.end) <= segment_bytes / 2
    }
}

#[cfg(test)]
mod tests;
