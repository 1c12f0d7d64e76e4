//! Rows of the components of Flume that this version does not have.
//!
//! A configuration that names one gets an error that says so, instead of "unknown type"; the
//! compatibility page lists them. The options of a row carry Flume's names, defaults and units as
//! of Flume 1.11 (the `elasticsearch` and `kite` sinks: 1.9, the last version that had them). They
//! count as not built because their component does: when it is built, its row moves to the file
//! of the component and its support is judged option by option.
//!
//! Where Flume knows a type by its class name only, `name` is the short name that flumen gives it.
//! Where Flume's guide and Flume's code contradict each other, the row follows the code.

mod channels;
mod interceptors;
mod kafka;
mod selection;
mod serialization;
mod sinks;
mod sources;
mod tls;

#[cfg(test)]
mod tests;

use flumen_core::option::{ComponentRow, ValueKind};

/// All rows of components that are not built, in the order of the compatibility page.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    [
        sources::ROWS,
        interceptors::ROWS,
        selection::CHANNEL_SELECTOR_ROWS,
        channels::ROWS,
        selection::SINK_PROCESSOR_ROWS,
        sinks::ROWS,
        serialization::ROWS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// A whole number without a bound of its own.
const ANY_INTEGER: ValueKind = ValueKind::Integer {
    min: i64::MIN,
    max: i64::MAX,
};

/// A whole number for which 0 has a meaning, often "off".
const FROM_ZERO: ValueKind = ValueKind::Integer {
    min: 0,
    max: i64::MAX,
};

/// A whole number of things of which at least one is needed.
const FROM_ONE: ValueKind = ValueKind::Integer {
    min: 1,
    max: i64::MAX,
};

/// A TCP or UDP port; 0 lets the system choose one.
const PORT: ValueKind = ValueKind::Integer { min: 0, max: 65535 };
