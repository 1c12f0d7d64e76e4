//! The channels: each a transactional queue behind the contract in [`flumen_core::channel`].
//!
//! A row and its constructor stand together in the table below; nothing else knows which types
//! exist.
//!
//! Feature `loom` replaces the locks of the memory channel by those of the loom model checker, for
//! its own tests. A channel of such a build works inside a model only.

pub mod flume_import;
pub mod memory;

use std::sync::Arc;

use flumen_core::channel::Channel;
use flumen_core::clock::Clock;
use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, Fault};

type Constructor = fn(&ComponentName, &Settings, Arc<dyn Clock>) -> Result<Arc<dyn Channel>, Fault>;

/// Each type with what makes one.
static TYPES: &[(&ComponentRow, Constructor)] = &[(&memory::ROW, memory::build)];

/// The rows of all channels.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    TYPES.iter().map(|(row, _)| *row)
}

/// Makes a channel of this type, open and empty.
///
/// # Errors
/// A configuration fault that names the option, or a row that is not of this room.
pub fn build(
    row: &ComponentRow,
    name: &ComponentName,
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    match TYPES.iter().find(|(own, _)| std::ptr::eq(*own, row)) {
        Some((_, constructor)) => constructor(name, settings, clock),
        None => Err(Fault::configuration(format!(
            "channel {name}: no channel type {:?} is built",
            row.name
        ))),
    }
}
