//! The two options that every polled source has: how long it waits when there is nothing.

use std::time::Duration;

use flumen_core::Fault;
use flumen_core::option::{DefaultValue, OptionRow, Unit, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::source::PollBackOff;

const MILLISECONDS: ValueKind = ValueKind::Integer {
    min: 0,
    max: i64::MAX,
};

/// How much longer each wait is.
pub(super) const INCREMENT: OptionRow = OptionRow::new(
    "backoffSleepIncrement",
    MILLISECONDS,
    DefaultValue::Is("1000"),
    "How much longer the source waits each time in a row that there is nothing.",
)
.unit(Unit::Milliseconds);

/// The longest wait.
pub(super) const MAXIMUM: OptionRow = OptionRow::new(
    "maxBackoffSleep",
    MILLISECONDS,
    DefaultValue::Is("5000"),
    "The longest wait when there is nothing.",
)
.unit(Unit::Milliseconds);

/// What the two options say.
///
/// # Errors
/// A configuration fault that names the option.
pub(super) fn read(settings: &Settings) -> Result<PollBackOff, Fault> {
    Ok(PollBackOff {
        increment: Duration::from_millis(settings.number(INCREMENT.name)?),
        maximum: Duration::from_millis(settings.number(MAXIMUM.name)?),
    })
}
