//! Little-endian numbers at fixed places of bytes that nobody vouches for.

/// The number at `at`, or nothing when the bytes end before it does.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// The number at `at`, or nothing when the bytes end before it does.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

/// The bytes at `at`, or nothing when there are fewer.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The next multiple of `step`, which is a power of two.
pub(crate) fn round_up(length: u64, step: u64) -> u64 {
    length.saturating_add(step - 1) & !(step - 1)
}
