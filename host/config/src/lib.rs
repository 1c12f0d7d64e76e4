//! From text to a checked plan, and from two plans to their difference. Pure: no file, no network,
//! no environment; what a file may refer to comes in through [`Lookups`].
//!
//! * [`document`]: two dialects enter ([`Dialect`]), one model leaves: ordered keys with values and
//!   places. Java's properties are read in `properties`, native TOML in `native`.
//! * [`substitute`]: `${env:X}`, `${sys:X}`, `${other.key}` and config filters in values.
//! * [`mod@check`]: the document against the option rows; every problem in one go, and a [`Plan`] when
//!   there is no error.
//! * [`plan`]: what one agent runs, in typed values.
//! * [`diff`]: the difference of two plans, a value that a reload applies and an operator reads.
//! * [`convert`]: the native TOML of a document.
//! * [`problem`]: one thing that is wrong, with its place and the nearest known name.

pub mod check;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod convert;
pub mod diff;
pub mod document;
mod group;
mod native;
pub mod plan;
pub mod problem;
mod properties;
pub mod substitute;

pub use check::{Checked, CheckedAll, check, check_all};
pub use convert::to_toml;
pub use diff::PlanDiff;
pub use document::{Dialect, Document, UnsupportedDialect, decode};
pub use plan::Plan;
pub use problem::{Problem, Severity};
pub use substitute::{Lookups, NoLookups};

/// The rows of what this room resolves itself.
pub fn rows() -> impl Iterator<Item = &'static flumen_core::option::ComponentRow> {
    std::iter::once(&substitute::ENVIRONMENT_FILTER)
}
