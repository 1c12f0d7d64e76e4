//! The channel selectors.

pub mod multiplexing;
pub mod replicating;
mod target;

use flumen_core::option::ComponentRow;
use flumen_core::selector::ChannelSelector;
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, Fault};

type Constructor = fn(&Settings, &[ComponentName]) -> Result<Box<dyn ChannelSelector>, Fault>;

/// Each type with what makes one.
static TYPES: &[(&ComponentRow, Constructor)] = &[
    (&replicating::ROW, replicating::build),
    (&multiplexing::ROW, multiplexing::build),
];

/// The rows of all channel selectors.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    TYPES.iter().map(|(row, _)| *row)
}

/// Makes a channel selector of this type.
///
/// # Errors
/// A configuration fault that names the option, or a row that is not of this room.
pub fn build(
    row: &ComponentRow,
    settings: &Settings,
    channels: &[ComponentName],
) -> Result<Box<dyn ChannelSelector>, Fault> {
    match TYPES.iter().find(|(own, _)| std::ptr::eq(*own, row)) {
        Some((_, constructor)) => constructor(settings, channels),
        None => Err(Fault::configuration(format!(
            "no channel selector type {:?} is built",
            row.name
        ))),
    }
}
