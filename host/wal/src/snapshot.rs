//! The payload of a snapshot frame: all that recovery has to know about the log before it.
//!
//! The bytes are specified in `docs/spec/wal.md`.

use crate::acknowledged::Acknowledged;
use crate::frame::{RANGE_BYTES, decode_ranges};
use crate::layout::{u32_at, u64_at};
use crate::position::Count;
use crate::segment::Sealed;

/// Bytes before the ranges.
const HEAD_BYTES: usize = 40;

/// Bytes of a segment in the table.
const ENTRY_BYTES: usize = 56;

/// What was ever lost to damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Frames of data that were confirmed and cannot be read any more.
    pub frames: u64,
    /// Their items, less those that were acknowledged.
    pub items: u64,
}

/// What a snapshot says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Snapshot<'bytes> {
    pub(crate) acknowledged: Acknowledged,
    pub(crate) lost: Lost,
    /// The segments before this one that still hold something, oldest first.
    pub(crate) sealed: Vec<Sealed>,
    /// The state of the user.
    pub(crate) state: &'bytes [u8],
}

/// Appends a snapshot, all but the user's state, which comes last.
pub(crate) fn encode(
    acknowledged: &Acknowledged,
    lost: Lost,
    sealed: &[Sealed],
    bytes: &mut Vec<u8>,
) {
    for number in [acknowledged.frontier(), lost.frames, lost.items] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let ranges = acknowledged.ranges();
    for number in [ranges.len() as u32, sealed.len() as u32, 0, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for range in ranges {
        bytes.extend_from_slice(&range.start.to_le_bytes());
        bytes.extend_from_slice(&range.end.to_le_bytes());
    }
    for segment in sealed {
        for number in [
            segment.number,
            segment.salt,
            segment.first.sequence,
            segment.first.item,
            segment.last.sequence,
            segment.last.item,
            u64::from(segment.end),
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// Reads a snapshot; nothing when the bytes are none.
pub(crate) fn decode(bytes: &[u8]) -> Option<Snapshot<'_>> {
    let mut acknowledged = Acknowledged::below(u64_at(bytes, 0)?);
    let lost = Lost {
        frames: u64_at(bytes, 8)?,
        items: u64_at(bytes, 16)?,
    };
    let ranges = u32_at(bytes, 24)? as usize;
    let segments = u32_at(bytes, 28)? as usize;
    let table = HEAD_BYTES.checked_add(ranges.checked_mul(RANGE_BYTES)?)?;
    let state = table.checked_add(segments.checked_mul(ENTRY_BYTES)?)?;
    for range in decode_ranges(bytes.get(HEAD_BYTES..table)?) {
        acknowledged.add(range);
    }
    let mut sealed = Vec::new();
    for entry in bytes.get(table..state)?.chunks_exact(ENTRY_BYTES) {
        sealed.push(decode_entry(entry)?);
    }
    Some(Snapshot {
        acknowledged,
        lost,
        sealed,
        state: bytes.get(state..)?,
    })
}

fn decode_entry(entry: &[u8]) -> Option<Sealed> {
    Some(Sealed {
        number: u64_at(entry, 0)?,
        salt: u64_at(entry, 8)?,
        first: Count {
            sequence: u64_at(entry, 16)?,
            item: u64_at(entry, 24)?,
        },
        last: Count {
            sequence: u64_at(entry, 32)?,
            item: u64_at(entry, 40)?,
        },
        end: u32::try_from(u64_at(entry, 48)?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_every_cut_is_refused() {
        let mut acknowledged = Acknowledged::below(7);
        acknowledged.add(9..12);
        let lost = Lost {
            frames: 1,
            items: 3,
        };
        let sealed = vec![Sealed {
            number: 4,
            salt: 5,
            first: Count {
                sequence: 1,
                item: 2,
            },
            last: Count {
                sequence: 3,
                item: 40,
            },
            end: 8192,
        }];
        let mut bytes = Vec::new();
        encode(&acknowledged, lost, &sealed, &mut bytes);
        let length = bytes.len();
        bytes.extend_from_slice(b"state");
        let snapshot = decode(&bytes).unwrap();
        assert_eq!(
            snapshot,
            Snapshot {
                acknowledged,
                lost,
                sealed,
                state: b"state"
            }
        );
        for cut in 0..length {
            assert_eq!(decode(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
