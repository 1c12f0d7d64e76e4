//! The sink processors.

pub mod default;

use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;
use flumen_core::sink_processor::SinkProcessor;
use flumen_core::{ComponentName, Fault};

type Constructor = fn(&Settings, &[ComponentName]) -> Result<Box<dyn SinkProcessor>, Fault>;

/// Each type with what makes one.
static TYPES: &[(&ComponentRow, Constructor)] = &[(&default::ROW, default::build)];

/// The rows of all sink processors.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    TYPES.iter().map(|(row, _)| *row)
}

/// Makes a sink processor of this type.
///
/// # Errors
/// A configuration fault that names the option, or a row that is not of this room.
pub fn build(
    row: &ComponentRow,
    settings: &Settings,
    sinks: &[ComponentName],
) -> Result<Box<dyn SinkProcessor>, Fault> {
    match TYPES.iter().find(|(own, _)| std::ptr::eq(*own, row)) {
        Some((_, constructor)) => constructor(settings, sinks),
        None => Err(Fault::configuration(format!(
            "no sink processor type {:?} is built",
            row.name
        ))),
    }
}
