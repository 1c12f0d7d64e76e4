//! Waiting, and the time of day.

use crate::host;

/// Milliseconds since the start of 1970 in UTC.
pub fn now_ms() -> u64 {
    host::now_ms()
}

/// Waits; no thread of the host waits with it. True when it ended early because the instance is to
/// stop or to be replaced. The wait counts against the call's time: a source rather returns
/// [`Next::WaitMs`](crate::Next::WaitMs).
pub fn sleep_ms(duration_ms: u32) -> bool {
    host::sleep_ms(duration_ms)
}

/// Whether the instance is to stop or to be replaced: a long call looks now and then.
pub fn stopping() -> bool {
    host::stopping()
}
