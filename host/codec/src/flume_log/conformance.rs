//! What holds for any bytes, for tests and the fuzz target.

use super::{CheckpointHead, CheckpointMeta, InflightTakes, LogMeta};
use super::{Operation, Step, bytes_needed, find_record, step};

/// Hands the bytes to all readers of this format: as a log file that is gone through from record to
/// record, and as each of the small files.
///
/// # Panics
/// When a reader does, does not get on, or asks for more than there is.
pub fn check_any_bytes(bytes: &[u8]) {
    let _ = LogMeta::parse(bytes);
    let _ = CheckpointHead::parse(bytes);
    let _ = CheckpointMeta::parse(bytes);
    if let Ok(transactions) = InflightTakes::parse(bytes) {
        let pointers = transactions.iter().map(|own| own.pointers.len());
        assert!(pointers.sum::<usize>() * 8 <= bytes.len());
    }
    let mut rest = bytes;
    loop {
        let left = rest.len() as u64;
        assert_eq!(bytes_needed(rest, left), None, "all bytes are there");
        let passed = match step(rest, left) {
            Step::End => break,
            Step::NeedMore { .. } => unreachable_with(left),
            Step::Record { bytes, record } => {
                if let Operation::Put(put) = record.operation {
                    let headers: usize = put
                        .headers()
                        .map(|(name, value)| name.len() + value.len())
                        .sum();
                    assert!((headers + put.body.len()) as u64 <= bytes);
                }
                bytes
            }
            Step::Removed { bytes } => bytes,
            Step::Damaged {
                bytes: Some(bytes), ..
            } => bytes,
            Step::Damaged { bytes: None, .. } => {
                let behind = rest.get(1..).unwrap_or_default();
                match find_record(behind) {
                    Ok(place) => place as u64 + 1,
                    Err(clear) => {
                        assert!(clear <= behind.len());
                        break;
                    }
                }
            }
        };
        assert!(passed > 0 && passed <= left, "{passed} of {left}");
        let passed = usize::try_from(passed).unwrap_or(usize::MAX);
        rest = rest.get(passed..).unwrap_or_default();
    }
    check_short_windows(bytes);
}

/// A window that is too short asks for more, and never tells anything else than a longer one.
fn check_short_windows(bytes: &[u8]) {
    let left = bytes.len() as u64;
    for end in 0..bytes.len().min(64) {
        let window = bytes.get(..end).unwrap_or_default();
        match (bytes_needed(window, left), step(window, left)) {
            (Some(needed), _) => assert!(needed > end as u64 && needed <= left),
            (None, Step::NeedMore { .. }) => unreachable_with(left),
            (None, _) => {}
        }
    }
}

#[expect(
    clippy::panic,
    reason = "an oracle says by panicking that something is wrong"
)]
fn unreachable_with<T>(left: u64) -> T {
    panic!("more is asked for than the {left} bytes that there are")
}
