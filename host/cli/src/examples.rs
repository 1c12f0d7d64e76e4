//! The components inside the binary, which a configuration names as `example:NAME`. The build script
//! makes them from `guests/examples`.

use flumen_agent::Examples;

macro_rules! example {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
        )
    };
}

/// Name and bytes of each.
pub(crate) const EXAMPLES: Examples = &[example!("drop-debug"), example!("console")];
