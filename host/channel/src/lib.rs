//! The channels: each a transactional queue behind the contract in [`flumen_core::channel`].
//!
//! A row and its constructor stand together in the table below; nothing else knows which types
//! exist.
//!
//! Feature `sql` builds the SQL channel too, with SQLite in it. Feature `loom` replaces the locks of
//! the memory channel by those of the loom model checker, for
//! its own tests. A channel of such a build works inside a model only.

mod bounded;
mod change;
pub mod file;
pub mod flume_import;
#[cfg(feature = "sql")]
pub mod jdbc;
pub mod memory;
pub mod spillable;

pub use change::{Change, TAKES_A_RESTART};

use std::sync::Arc;

use flumen_core::channel::Channel;
use flumen_core::clock::Clock;
use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, Fault};

type Build = fn(&ComponentName, &Settings, Arc<dyn Clock>) -> Result<Arc<dyn Channel>, Fault>;

/// One type of channel.
struct Type {
    row: &'static ComponentRow,
    /// Makes one. May work on files, so it may block.
    build: Build,
    /// How one of the first settings gets the second. Touches nothing.
    change: fn(&ComponentName, &Settings, &Settings) -> Result<Change, Fault>,
}

static TYPES: &[Type] = &[
    Type {
        row: &memory::ROW,
        build: memory::build,
        change: memory::change,
    },
    Type {
        row: &file::ROW,
        build: file::build,
        change: file::change,
    },
    Type {
        row: &spillable::ROW,
        build: spillable::build,
        change: spillable::change,
    },
    #[cfg(feature = "sql")]
    Type {
        row: &jdbc::ROW,
        build: jdbc::build,
        change: jdbc::change,
    },
];

/// The rows of all channels.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    TYPES.iter().map(|own| own.row)
}

/// Opens a channel of this type. One that keeps its events in files works on them, so this may
/// block: call it where that is allowed.
///
/// # Errors
/// A configuration fault that names the option, or a row that is not of this room; a transient one
/// when the disk refuses.
pub fn build(
    row: &ComponentRow,
    name: &ComponentName,
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    (type_of(row, name)?.build)(name, settings, clock)
}

/// How a channel of this type and of the settings `old` gets the settings `new` while it runs.
/// Touches no channel and no file.
///
/// # Errors
/// A configuration fault when the new settings are wrong.
pub fn change(
    row: &ComponentRow,
    name: &ComponentName,
    old: &Settings,
    new: &Settings,
) -> Result<Change, Fault> {
    (type_of(row, name)?.change)(name, old, new)
}

fn type_of(row: &ComponentRow, name: &ComponentName) -> Result<&'static Type, Fault> {
    let own = TYPES.iter().find(|own| std::ptr::eq(own.row, row));
    own.ok_or_else(|| {
        Fault::configuration(format!(
            "channel {name}: no channel type {:?} is built",
            row.name
        ))
    })
}
