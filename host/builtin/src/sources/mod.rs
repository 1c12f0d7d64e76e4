//! The sources.

pub mod exec;
pub mod netcat;
mod poll_back_off;
pub mod seq;
pub mod stress;

use flumen_core::Fault;
use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;
use flumen_core::source::SourceInstance;

type Constructor = fn(&Settings) -> Result<SourceInstance, Fault>;

/// Each type with what makes one.
static TYPES: &[(&ComponentRow, Constructor)] = &[
    (&netcat::ROW, netcat::build),
    (&exec::ROW, exec::build),
    (&seq::ROW, seq::build),
    (&stress::ROW, stress::build),
];

/// The rows of all sources.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    TYPES.iter().map(|(row, _)| *row)
}

/// Makes a source of this type.
///
/// # Errors
/// A configuration fault that names the option, or a row that is not of this room.
pub fn build(row: &ComponentRow, settings: &Settings) -> Result<SourceInstance, Fault> {
    match TYPES.iter().find(|(own, _)| std::ptr::eq(*own, row)) {
        Some((_, constructor)) => constructor(settings),
        None => Err(Fault::configuration(format!(
            "no source type {:?} is built",
            row.name
        ))),
    }
}
