//! Any bytes handed to the decoders of the log.

#![no_main]

use flumen_wal::simulation::check_decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_decode(bytes);
});
