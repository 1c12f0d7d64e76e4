//! The real host.

pub(crate) use crate::bindings::logging::{enabled as log_enabled, log};
pub(crate) use crate::bindings::metrics::{Counter, Gauge};
pub(crate) use crate::bindings::settings::all as settings;
pub(crate) use crate::bindings::timers::{now_ms, sleep_ms, stopping};

use crate::bindings::state;
use crate::error::Error;

pub(crate) fn state_get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(state::get(key)?)
}

pub(crate) fn state_set(key: &str, value: &[u8]) -> Result<(), Error> {
    Ok(state::set(key, value)?)
}

pub(crate) fn state_delete(key: &str) -> Result<(), Error> {
    Ok(state::delete(key)?)
}
