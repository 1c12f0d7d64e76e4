//! `log-N.meta`.

use super::FormatError;
use super::message::{Fields, delimited, required};

/// What stands beside a log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogMeta {
    /// The version of the log's format; 3 is the one that is read here.
    pub version: u32,
    /// The number of the log file.
    pub file: u32,
    /// The name of the key when the log is encrypted.
    pub encryption_key: Option<String>,
}

impl LogMeta {
    /// Reads the contents of the file.
    ///
    /// # Errors
    /// [`FormatError`] when it is not what Flume writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut rest = bytes;
        let (mut version, mut file, mut encryption_key) = (None, None, None);
        let mut fields = Fields::new(delimited(&mut rest)?);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                1 => version = Some(value.fixed32()?),
                2 => file = Some(value.fixed32()?),
                5 => encryption_key = Some(key_name(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(Self {
            version: required(version)?,
            file: required(file)?,
            encryption_key,
        })
    }
}

fn key_name(message: &[u8]) -> Result<String, FormatError> {
    let mut name = None;
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        if number == 2 {
            name = Some(value.text()?.to_owned());
        }
    }
    required(name)
}
