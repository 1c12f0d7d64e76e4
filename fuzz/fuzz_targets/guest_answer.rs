//! Any answer of a guest to any batch, against a model.

#![no_main]

use flumen_wasm::conformance::check_answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_answer(bytes);
});
