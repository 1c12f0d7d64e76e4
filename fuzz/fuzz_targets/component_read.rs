//! Any bytes read as a component file.

#![no_main]

use flumen_wasm::conformance::check_component;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_component(bytes);
});
