//! The sinks.

pub mod file_roll;
pub mod logger;
pub mod null;

use flumen_core::Fault;
use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;
use flumen_core::sink::Sink;

type Constructor = fn(&Settings) -> Result<Box<dyn Sink>, Fault>;

/// Each type with what makes one.
static TYPES: &[(&ComponentRow, Constructor)] = &[
    (&logger::ROW, logger::build),
    (&null::ROW, null::build),
    (&file_roll::ROW, file_roll::build),
];

/// The rows of all sinks.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    TYPES.iter().map(|(row, _)| *row)
}

/// Makes a sink of this type.
///
/// # Errors
/// A configuration fault that names the option, or a row that is not of this room.
pub fn build(row: &ComponentRow, settings: &Settings) -> Result<Box<dyn Sink>, Fault> {
    match TYPES.iter().find(|(own, _)| std::ptr::eq(*own, row)) {
        Some((_, constructor)) => constructor(settings),
        None => Err(Fault::configuration(format!(
            "no sink type {:?} is built",
            row.name
        ))),
    }
}
