//! Lines for the operator's log: [`trace!`](crate::trace), [`debug!`](crate::debug),
//! [`info!`](crate::info), [`warn!`](crate::warn) and [`error!`](crate::error). The host keeps a
//! bounded number of lines per second: log batches, not events.

use std::fmt;

use crate::host;

pub use crate::bindings::logging::Level;

/// Whether lines of this level are kept. The macros ask by themselves.
pub fn enabled(level: Level) -> bool {
    host::log_enabled(level)
}

/// Writes one line. The macros are shorter.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(text) => host::log(level, text),
        None => host::log(level, &message.to_string()),
    }
}

/// Writes one line at a [`logging::Level`](crate::logging::Level). The arguments are read only when
/// the level is kept.
#[macro_export]
macro_rules! log {
    ($level:expr, $($message:tt)+) => {{
        let level = $level;
        if $crate::logging::enabled(level) {
            $crate::logging::write(level, ::core::format_args!($($message)+));
        }
    }};
}

/// Writes one line for whoever looks for a defect in every detail.
#[macro_export]
macro_rules! trace {
    ($($message:tt)+) => { $crate::log!($crate::logging::Level::Trace, $($message)+) };
}

/// Writes one line for whoever looks for a defect.
#[macro_export]
macro_rules! debug {
    ($($message:tt)+) => { $crate::log!($crate::logging::Level::Debug, $($message)+) };
}

/// Writes one line about something that is as it should be.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::log!($crate::logging::Level::Info, $($message)+) };
}

/// Writes one line about something that went wrong and was put right.
#[macro_export]
macro_rules! warn {
    ($($message:tt)+) => { $crate::log!($crate::logging::Level::Warn, $($message)+) };
}

/// Writes one line about something that needs a human. What a call returns as an error is logged by
/// the host and not here.
#[macro_export]
macro_rules! error {
    ($($message:tt)+) => { $crate::log!($crate::logging::Level::Error, $($message)+) };
}
