//! Header columns: one per name, constant or row by row.

use std::fmt;
use std::sync::Arc;

use super::error::BatchError;
use super::rows::{Rows, row_number};
use super::text_column::{TextColumn, TextColumnBuilder};
use crate::limits::HEADER_NAME_BYTES_MAX;

/// The name of a header: not empty, at most [`HEADER_NAME_BYTES_MAX`] bytes. Cheap to clone, so a
/// component makes its names once and not per batch.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderName(Arc<str>);

impl HeaderName {
    /// A header name.
    ///
    /// # Errors
    /// [`BatchError::HeaderName`] when it is empty or too long.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, BatchError> {
        let name = name.into();
        if name.is_empty() || name.len() > HEADER_NAME_BYTES_MAX {
            return Err(BatchError::HeaderName);
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[derive(Clone)]
pub(super) struct HeaderColumn {
    pub(super) name: HeaderName,
    pub(super) values: HeaderValues,
}

#[derive(Clone)]
pub(super) enum HeaderValues {
    Constant(Arc<str>),
    Column(Arc<TextColumn>),
}

impl HeaderValues {
    pub(super) fn get(&self, row: u32) -> Option<&str> {
        match self {
            HeaderValues::Constant(value) => Some(value),
            HeaderValues::Column(column) => column.get(row),
        }
    }

    /// The bytes that the values of the shown rows take in a column.
    pub(super) fn shown_bytes(&self, rows: &Rows) -> u64 {
        match self {
            HeaderValues::Constant(value) => value.len() as u64 * rows.len() as u64,
            HeaderValues::Column(column) => column.shown_bytes(rows),
        }
    }

    /// A column of `len` rows in which the shown rows have these values, one for each, and the
    /// others none.
    pub(super) fn over_rows<'a>(
        len: usize,
        rows: &Rows,
        values: impl IntoIterator<Item = Option<&'a str>>,
    ) -> Result<Self, BatchError> {
        let mut values = values.into_iter();
        let mut builder = TextColumnBuilder::with_rows(len);
        for row in rows.iter() {
            builder.pad_to(row as usize);
            builder.push(values.next().ok_or(BatchError::RowCount)?)?;
        }
        if values.next().is_some() {
            return Err(BatchError::RowCount);
        }
        builder.pad_to(len);
        Ok(HeaderValues::Column(Arc::new(builder.finish())))
    }

    /// The same values, as a constant when all of the `rows` rows have the same one.
    pub(super) fn folded(self, rows: usize) -> Self {
        let Some(first) = self.get(0) else {
            return self;
        };
        if (1..row_number(rows)).all(|row| self.get(row) == Some(first)) {
            return HeaderValues::Constant(Arc::from(first));
        }
        self
    }
}

/// The values of one header over the events of a batch.
#[derive(Clone, Copy)]
pub struct HeaderView<'a> {
    column: &'a HeaderColumn,
    rows: &'a Rows,
}

impl<'a> HeaderView<'a> {
    pub(super) fn new(column: &'a HeaderColumn, rows: &'a Rows) -> Self {
        Self { column, rows }
    }

    /// The value that holds for every event, when the column is constant.
    pub fn constant(&self) -> Option<&'a str> {
        match &self.column.values {
            HeaderValues::Constant(value) => Some(value),
            HeaderValues::Column(_) => None,
        }
    }

    /// The value of one event.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        self.column.values.get(self.rows.row(index)?)
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a str>> + 'a {
        let values = &self.column.values;
        self.rows.iter().map(move |row| values.get(row))
    }
}
