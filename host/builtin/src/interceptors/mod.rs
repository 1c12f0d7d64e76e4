//! The interceptors.

mod header;
pub mod host;
mod java_pattern;
pub mod regex_filter;
pub mod static_header;
pub mod timestamp;

use std::sync::Arc;

use flumen_core::Fault;
use flumen_core::clock::Clock;
use flumen_core::interceptor::Interceptor;
use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;

type Constructor = fn(&Settings, &Arc<dyn Clock>) -> Result<Box<dyn Interceptor>, Fault>;

/// Each type with what makes one.
static TYPES: &[(&ComponentRow, Constructor)] = &[
    (&timestamp::ROW, timestamp::build),
    (&host::ROW, host::build),
    (&static_header::ROW, static_header::build),
    (&regex_filter::ROW, regex_filter::build),
];

/// The rows of all interceptors.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    TYPES.iter().map(|(row, _)| *row)
}

/// Makes an interceptor of this type.
///
/// # Errors
/// A configuration fault that names the option, or a row that is not of this room.
pub fn build(
    row: &ComponentRow,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Interceptor>, Fault> {
    match TYPES.iter().find(|(own, _)| std::ptr::eq(*own, row)) {
        Some((_, constructor)) => constructor(settings, clock),
        None => Err(Fault::configuration(format!(
            "no interceptor type {:?} is built",
            row.name
        ))),
    }
}
