//! Any bytes handed to the decoders of the file channel.

#![no_main]

use flumen_channel::file::conformance::check_decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_decode(bytes);
});
