//! Columns as they cross the border: bytes end to end with the end of each value.

use crate::bindings::types::{Column, HeaderColumn};
use crate::error::Error;

impl Column {
    pub(crate) const fn empty() -> Self {
        Column {
            data: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// [`Error::Broken`] when the column would grow past what 32-bit ends can say.
    pub(crate) fn push(&mut self, value: &[u8]) -> Result<(), Error> {
        let end = u32::try_from(self.data.len() + value.len())
            .map_err(|_| Error::broken("more than 4 GiB in one column: give smaller batches"))?;
        self.data.extend_from_slice(value);
        self.ends.push(end);
        Ok(())
    }

    /// Value `index`, `None` past the last.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.data.get(start..end)
    }
}

/// A header column in the making: rows and values grow together.
pub(crate) struct HeaderColumnBuilder {
    pub(crate) name: String,
    rows: Vec<u32>,
    values: Column,
}

impl HeaderColumnBuilder {
    pub(crate) fn new(name: &str) -> Self {
        HeaderColumnBuilder {
            name: name.to_owned(),
            rows: Vec::new(),
            values: Column::empty(),
        }
    }

    /// Sets the value of a row behind all that are set.
    ///
    /// # Errors
    /// [`Error::Broken`] when the row does not come after those that are set.
    pub(crate) fn push(&mut self, row: u32, value: &str) -> Result<(), Error> {
        if self.rows.last().is_some_and(|last| *last >= row) {
            return Err(Error::broken(format!(
                "header {:?} of event {row} is set twice or out of order: set rows in increasing order",
                self.name
            )));
        }
        self.values.push(value.as_bytes())?;
        self.rows.push(row);
        Ok(())
    }

    /// The column over a batch of `events` events.
    pub(crate) fn finish(self, events: usize) -> HeaderColumn {
        HeaderColumn {
            name: self.name,
            rows: (self.rows.len() != events).then_some(self.rows),
            values: self.values,
        }
    }
}

/// The column of this name, new when there is none yet. A batch has few names, so a search in order
/// is the fastest.
pub(crate) fn column_of<'a>(
    columns: &'a mut Vec<HeaderColumnBuilder>,
    name: &str,
) -> Option<&'a mut HeaderColumnBuilder> {
    let index = match columns.iter().position(|column| column.name == name) {
        Some(index) => index,
        None => {
            columns.push(HeaderColumnBuilder::new(name));
            columns.len() - 1
        }
    };
    columns.get_mut(index)
}

/// Bytes of one header name, as the host allows.
const HEADER_NAME_BYTES_MAX: usize = 1024;

/// # Errors
/// [`Error::Broken`] for a name that the host refuses.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > HEADER_NAME_BYTES_MAX {
        return Err(Error::broken(format!(
            "a header name of {} bytes: between 1 and {HEADER_NAME_BYTES_MAX} are allowed",
            name.len()
        )));
    }
    Ok(())
}

/// # Errors
/// [`Error::Broken`] for a name that stands twice.
pub(crate) fn check_distinct<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) => Err(Error::broken(format!(
            "header {:?} is set both for all events and for some, or set and removed: do one of them",
            pair.first().copied().unwrap_or_default()
        ))),
        None => Ok(()),
    }
}
