//! Any text handed to the configuration room, in both dialects, with the real catalogue.

#![no_main]

use std::sync::LazyLock;

use flumen_config::conformance::exercise;
use flumen_config::{Dialect, NoLookups, decode};
use flumen_core::option::Catalogue;
use libfuzzer_sys::fuzz_target;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(flumen_agent::catalogue);

fuzz_target!(|bytes: &[u8]| {
    for dialect in [Dialect::Properties, Dialect::Toml] {
        if let Ok(text) = decode(dialect, "any", bytes) {
            exercise(dialect, &text, &NoLookups, &CATALOGUE);
        }
    }
});
