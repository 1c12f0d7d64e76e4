//! From record to record through a log file, past what is damaged.

use super::FormatError;
use super::record::Record;

/// Bytes of one record at most. Flume bounds an event only by its file of 1.5 GiB; but it held each
/// event in its heap several times, and this reader holds one record in memory.
pub const RECORD_BYTES_MAX: u32 = 1 << 28;

/// The byte before a record, before its length.
const RECORD: u8 = 0x7f;
/// The byte before a record that Flume's integrity tool has removed.
const REMOVED: u8 = 0x00;
/// The filling.
const FILLING: u8 = 0x80;

/// Operation and length.
const PREFIX_BYTES: u64 = 5;

/// What the header of a record takes with its length: three fields of fixed size.
const HEADER_BYTES: usize = 24;

/// The shortest record: a header, an empty message and an empty footer.
const RECORD_BYTES_MIN: u32 = HEADER_BYTES as u32 + 2;

/// What stands at one place of a log file.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A record.
    Record {
        /// All of its bytes; the next one begins behind them.
        bytes: u64,
        /// What it says.
        record: Record<'a>,
    },
    /// A record that Flume's integrity tool has removed.
    Removed {
        /// All of its bytes.
        bytes: u64,
    },
    /// The filling, or the end of the file.
    End,
    /// The window is too short to tell.
    NeedMore {
        /// How long it has to be.
        bytes: u64,
    },
    /// No record.
    Damaged {
        /// Why not.
        error: FormatError,
        /// Its bytes, when its frame is whole; else [`find_record`] tells where to go on.
        bytes: Option<u64>,
    },
}

/// What stands at the beginning of `window`, which is the part of a log file that the reader has in
/// memory. `left` is how many bytes the file has from there, at least those of the window.
pub fn step(window: &[u8], left: u64) -> Step<'_> {
    let Some(operation) = window.first() else {
        return match left {
            0 => Step::End,
            _ => Step::NeedMore { bytes: 1 },
        };
    };
    if *operation == FILLING {
        return Step::End;
    }
    let damaged = |error| Step::Damaged { error, bytes: None };
    if *operation != RECORD && *operation != REMOVED {
        return damaged(FormatError::BadOperation(*operation));
    }
    if left < PREFIX_BYTES {
        return damaged(FormatError::Truncated);
    }
    let Some(length) = window.get(1..).and_then(|rest| rest.first_chunk::<4>()) else {
        return Step::NeedMore {
            bytes: PREFIX_BYTES,
        };
    };
    let length = u32::from_be_bytes(*length);
    let bytes = PREFIX_BYTES + u64::from(length);
    if length < RECORD_BYTES_MIN || bytes > left {
        return damaged(FormatError::BadLength(length));
    }
    if *operation == REMOVED {
        return Step::Removed { bytes };
    }
    if length > RECORD_BYTES_MAX {
        // Whether the length or the record is wrong, the header tells.
        return match looks_like_record(window) {
            None => Step::NeedMore {
                bytes: SIGNATURE_BYTES as u64,
            },
            Some(true) => Step::Damaged {
                error: FormatError::TooLong(length),
                bytes: Some(bytes),
            },
            Some(false) => damaged(FormatError::BadLength(length)),
        };
    }
    whole(window, length, left)
}

/// How long the window has to be so that [`step`] can tell what stands at its beginning; `None` when
/// it is long enough. Far cheaper than [`step`], which reads the whole record.
pub fn bytes_needed(window: &[u8], left: u64) -> Option<u64> {
    let wanted = match window.first() {
        None => 1,
        Some(&RECORD) => {
            let length = window.get(1..).and_then(|rest| rest.first_chunk::<4>());
            match length.map(|length| u32::from_be_bytes(*length)) {
                Some(length) if length <= RECORD_BYTES_MAX => {
                    PREFIX_BYTES + u64::from(length) + SIGNATURE_BYTES as u64
                }
                Some(_) => SIGNATURE_BYTES as u64,
                None => PREFIX_BYTES,
            }
        }
        Some(&REMOVED) => PREFIX_BYTES,
        Some(_) => 1,
    };
    let wanted = wanted.min(left);
    (wanted > window.len() as u64).then_some(wanted)
}

/// A record whose length may be right.
fn whole(window: &[u8], length: u32, left: u64) -> Step<'_> {
    let bytes = PREFIX_BYTES + u64::from(length);
    // What stands behind tells whether the frame is right when the record is not.
    let wanted = left.min(bytes + SIGNATURE_BYTES as u64);
    if (window.len() as u64) < wanted {
        return Step::NeedMore { bytes: wanted };
    }
    let end = usize::try_from(bytes).unwrap_or(usize::MAX);
    match Record::parse(window.get(PREFIX_BYTES as usize..end).unwrap_or_default()) {
        Ok(record) => Step::Record { bytes, record },
        Err(error) => {
            let is_framed = can_follow(window.get(end..).unwrap_or_default());
            Step::Damaged {
                error,
                bytes: is_framed.then_some(bytes),
            }
        }
    }
}

/// Whether this can stand behind a record: the next one, the filling, or the end of the file.
fn can_follow(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [FILLING, ..] => {
            let mut behind = bytes.iter().take(SIGNATURE_BYTES);
            behind.all(|byte| *byte == FILLING)
        }
        [operation @ (RECORD | REMOVED), ..] => looks_like(*operation, bytes) == Some(true),
        _ => false,
    }
}

/// Bytes that [`find_record`] looks at to recognise a record.
const SIGNATURE_BYTES: usize = PREFIX_BYTES as usize + HEADER_BYTES;

/// Where in the window the next record seems to begin. `Err` tells how many bytes at the window's
/// front hold none for sure; what is behind them needs a longer window to tell.
///
/// # Errors
/// See above.
pub fn find_record(window: &[u8]) -> Result<usize, usize> {
    let mut from = 0;
    while let Some(found) = window
        .get(from..)
        .and_then(|rest| memchr::memchr(RECORD, rest))
    {
        let place = from + found;
        match looks_like_record(window.get(place..).unwrap_or_default()) {
            Some(true) => return Ok(place),
            Some(false) => from = place + 1,
            None => return Err(place),
        }
    }
    Err(window.len())
}

/// Whether a record's frame and header begin here; `None` when there are too few bytes. Nine bytes
/// are fixed and five more have few values, so that chance does not make it in any real amount of
/// data; an event that holds a whole log file could.
fn looks_like_record(bytes: &[u8]) -> Option<bool> {
    looks_like(RECORD, bytes)
}

fn looks_like(wanted: u8, bytes: &[u8]) -> Option<bool> {
    let bytes = bytes.first_chunk::<SIGNATURE_BYTES>()?;
    let [
        operation,
        l0,
        l1,
        l2,
        l3,
        header,
        field_1,
        kind,
        0,
        0,
        0,
        field_2,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        field_3,
        ..,
    ] = *bytes
    else {
        return Some(false);
    };
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    Some(
        operation == wanted
            && length >= RECORD_BYTES_MIN
            && usize::from(header) == HEADER_BYTES - 1
            && (field_1, field_2, field_3) == (0x0d, 0x11, 0x19)
            && (1..=4).contains(&kind),
    )
}
