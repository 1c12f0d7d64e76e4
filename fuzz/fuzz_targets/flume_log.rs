//! Any bytes handed to the readers of Flume's file-channel files.

#![no_main]

use flumen_codec::flume_log::conformance::check_any_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_any_bytes(bytes);
});
