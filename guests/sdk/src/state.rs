//! Small durable state, apart for each component name in the configuration: a new version of the
//! component finds what the old one wrote.
//!
//! What is written while a batch is handled is kept with that batch or not at all: when the call
//! fails, or the channels refuse the answer, it is taken back. Fields of the instance are not, so an
//! instance that keeps a copy in memory has to notice: write a number with each batch, and read all
//! anew when the number that is stored is not the one last written (the example `dedup` does).
//!
//! The host bounds keys and values of a component together (1 MiB unless configured).

use crate::error::Error;
use crate::host;

/// The value of a key.
///
/// # Errors
/// As the host says.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::state_get(key)
}

/// Sets the value of a key.
///
/// # Errors
/// As the host says: most of all when the state would grow past its bound.
pub fn set(key: &str, value: &[u8]) -> Result<(), Error> {
    host::state_set(key, value)
}

/// Removes a key; without one nothing happens.
///
/// # Errors
/// As the host says.
pub fn delete(key: &str) -> Result<(), Error> {
    host::state_delete(key)
}

/// The number of a key, as [`set_u64`] wrote it.
///
/// # Errors
/// As the host says; [`Error::Broken`] when the value is no such number.
pub fn get_u64(key: &str) -> Result<Option<u64>, Error> {
    let Some(value) = get(key)? else {
        return Ok(None);
    };
    match value.try_into() {
        Ok(bytes) => Ok(Some(u64::from_le_bytes(bytes))),
        Err(_) => Err(Error::broken(format!("state {key:?} is not a number"))),
    }
}

/// Sets the number of a key: eight bytes, little endian.
///
/// # Errors
/// As the host says.
pub fn set_u64(key: &str, value: u64) -> Result<(), Error> {
    set(key, &value.to_le_bytes())
}
