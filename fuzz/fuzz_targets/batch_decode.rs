//! Any bytes handed to the decoder of a batch.

#![no_main]

use flumen_core::conformance::batch::check_decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_decode(bytes);
});
