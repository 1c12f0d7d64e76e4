//! The batch: one immutable, shared, columnar buffer of events. The unit of reading, intercepting,
//! committing, crossing the guest boundary, framing on disk and writing out.
//!
//! ```text
//! EventBatch
//!   bodies    bytes of all bodies end to end, one u32 end per row, and optionally one delimiter
//!             byte behind each body that belongs to no body (lines keep their line feed, so that
//!             the kernel's copy into the buffer is the only one)
//!   headers   one column per header name: a constant for all rows, or values end to end with u32
//!             ends and presence bits
//!   rows      which rows of the columns this batch shows: a range or a list
//! ```
//!
//! Guarantees
//! * A clone, a slice, a selection of rows and a constant header copy no event.
//! * A row is Flume's event without loss: a map of header names to text and a body of any bytes.
//!   A name occurs once. Names and values are UTF-8 by type.
//! * A batch never changes. Every edit gives a new batch that shares the columns it left alone.
//! * Limits: [`crate::limits::BATCH_EVENTS_MAX`] rows, [`crate::limits::BATCH_BODY_BYTES_MAX`]
//!   bytes of bodies, [`crate::limits::BATCH_HEADERS_MAX`] names.
//!
//! What keeps memory alive: a batch holds the whole buffer that it was cut from. A source that
//! cuts small batches from large buffers copies them first (see [`EventBatch::compacted`]).

mod bodies;
mod builder;
mod edit;
mod encoding;
mod error;
mod header;
mod lines;
mod merge;
mod rows;
#[cfg(test)]
mod tests;
mod text_column;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use bodies::TextRun;
pub use builder::BatchBuilder;
pub use edit::{Edits, HeaderEdit};
pub use encoding::{DecodeError, ENCODING_VERSION, MAGIC};
pub use error::BatchError;
pub use header::{HeaderName, HeaderView};
pub use lines::{LineScan, LineScanner};

use bodies::BodyColumn;
use header::{HeaderColumn, HeaderValues};
use rows::Rows;

use crate::limits::{BATCH_HEADERS_MAX, HEADER_VALUE_BYTES_MAX};

/// What to do with a header that an event already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep the value that is there (Flume's `preserveExisting = true`).
    Keep,
    /// Replace it.
    Replace,
}

/// A batch of events. See the module's text for what it guarantees.
#[derive(Clone)]
pub struct EventBatch {
    bodies: BodyColumn,
    headers: Arc<[HeaderColumn]>,
    rows: Rows,
    body_bytes: u64,
}

impl EventBatch {
    /// A batch without events.
    pub fn empty() -> Self {
        Self::from_bodies(BodyColumn::empty())
    }

    fn from_bodies(bodies: BodyColumn) -> Self {
        let rows = Rows::all(bodies.len());
        let body_bytes = bodies.shown_bytes(&rows);
        Self {
            bodies,
            headers: Arc::from([]),
            rows,
            body_bytes,
        }
    }

    /// Bodies end to end, with the end of each (exclusive), without headers.
    ///
    /// # Errors
    /// [`BatchError`] when the ends decrease, the last end is not the length of `data`, or a limit
    /// is exceeded.
    pub fn from_columns(data: Bytes, ends: Vec<u32>) -> Result<Self, BatchError> {
        BodyColumn::packed(data, ends).map(Self::from_bodies)
    }

    /// Bodies that are each followed by one `delimiter` byte in `data`; `ends` are the positions of
    /// the delimiters. Bytes behind the last delimiter are not part of the batch.
    ///
    /// # Errors
    /// [`BatchError`] when an end is not the position of a delimiter, ends do not increase, or a
    /// limit is exceeded.
    pub fn from_delimited(data: Bytes, delimiter: u8, ends: Vec<u32>) -> Result<Self, BatchError> {
        BodyColumn::delimited(data, delimiter, ends).map(Self::from_bodies)
    }

    /// How many events.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all bodies, without delimiters and headers.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// The sum over all events of `ceil(body length / SLOT_BYTES)`, at least one per event: how
    /// Flume's memory channel counts bytes. The size of a slot is known to the compiler, because a
    /// division per event would cost as much as finding the line ends.
    pub fn body_slots<const SLOT_BYTES: u32>(&self) -> u64 {
        const { assert!(SLOT_BYTES > 0, "a slot holds at least one byte") };
        self.bodies.shown_slots::<SLOT_BYTES>(&self.rows)
    }

    /// The body of an event, `None` past the last.
    pub fn body(&self, index: usize) -> Option<&[u8]> {
        self.bodies.get(self.rows.row(index)?)
    }

    /// The bodies in order.
    pub fn bodies(&self) -> impl Iterator<Item = &[u8]> + '_ {
        self.rows
            .iter()
            .map(|row| self.bodies.get(row).unwrap_or_default())
    }

    /// The header names of the columns, in the order in which they were set. A name may have no
    /// value in any row of a slice.
    pub fn header_names(&self) -> impl Iterator<Item = &str> + '_ {
        self.headers.iter().map(|column| column.name.as_str())
    }

    /// The values of a header, `None` when the batch has no such column.
    pub fn header(&self, name: &str) -> Option<HeaderView<'_>> {
        self.headers
            .iter()
            .find(|column| column.name.as_str() == name)
            .map(|column| HeaderView::new(column, &self.rows))
    }

    /// All header columns, in the order in which they were set.
    pub fn headers(&self) -> impl Iterator<Item = (&str, HeaderView<'_>)> + '_ {
        self.headers
            .iter()
            .map(|column| (column.name.as_str(), HeaderView::new(column, &self.rows)))
    }

    /// The headers of one event, in column order.
    pub fn headers_of(&self, index: usize) -> impl Iterator<Item = (&str, &str)> + '_ {
        let row = self.rows.row(index);
        self.headers.iter().filter_map(move |column| {
            let value = column.values.get(row?)?;
            Some((column.name.as_str(), value))
        })
    }

    /// The events of a range, sharing all columns. The range is cut to what there is.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let rows = self.rows.slice(range);
        self.with_rows(rows)
    }

    /// The events at these indices, which increase strictly, sharing all columns.
    ///
    /// # Errors
    /// [`BatchError::RowOrder`] or [`BatchError::RowRange`].
    pub fn select(&self, indices: &[u32]) -> Result<Self, BatchError> {
        rows::check_increasing(indices, self.len())?;
        Ok(self.with_rows(self.rows.select(indices)))
    }

    /// The events for which `keep` says so, sharing all columns.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(usize, &[u8]) -> bool) -> Self {
        let mut body =
            |index: usize, row: u32| keep(index, self.bodies.get(row).unwrap_or_default());
        let mut rows = self.rows.iter().enumerate();
        // Nothing is allocated before the first event is dropped.
        let Some((dropped, _)) = rows.find(|(index, row)| !body(*index, *row)) else {
            return self.clone();
        };
        let mut kept = Vec::with_capacity(self.len());
        kept.extend(self.rows.iter().take(dropped));
        kept.extend(
            rows.filter(|(index, row)| body(*index, *row))
                .map(|(_, row)| row),
        );
        self.with_rows(Rows::list(kept))
    }

    fn with_rows(&self, rows: Rows) -> Self {
        let body_bytes = self.bodies.shown_bytes(&rows);
        Self {
            bodies: self.bodies.clone(),
            headers: Arc::clone(&self.headers),
            rows,
            body_bytes,
        }
    }

    /// The same events with one header set to the same value on all of them: one small column for
    /// the whole batch. Only [`Existing::Keep`] over a header that some events have and others do
    /// not looks at the events.
    ///
    /// # Errors
    /// [`BatchError`] when the value is too long or there are too many names.
    pub fn with_constant_header(
        &self,
        name: &HeaderName,
        value: &Arc<str>,
        existing: Existing,
    ) -> Result<Self, BatchError> {
        if value.len() > HEADER_VALUE_BYTES_MAX {
            return Err(BatchError::TooManyHeaderBytes);
        }
        let present = self
            .headers
            .iter()
            .find(|column| column.name == *name)
            .map(|column| &column.values);
        let values = match (present, existing) {
            (Some(HeaderValues::Constant(_)), Existing::Keep) => return Ok(self.clone()),
            (Some(HeaderValues::Column(column)), Existing::Keep) => {
                if column.is_full_over(&self.rows) {
                    return Ok(self.clone());
                }
                let filled = self
                    .rows
                    .iter()
                    .map(|row| Some(column.get(row).unwrap_or(value)));
                HeaderValues::over_rows(self.bodies.len(), &self.rows, filled)?
            }
            _ => HeaderValues::Constant(Arc::clone(value)),
        };
        self.with_column(HeaderColumn {
            name: name.clone(),
            values,
        })
    }

    /// The same events with one header set row by row. With [`Existing::Keep`] a value that is
    /// there stays; otherwise the event gets the new value, or loses the header where that is
    /// `None`.
    ///
    /// # Errors
    /// [`BatchError`] when the number of values is not the number of events or a limit is exceeded.
    pub fn with_header<'a>(
        &self,
        name: &HeaderName,
        values: impl IntoIterator<Item = Option<&'a str>>,
        existing: Existing,
    ) -> Result<Self, BatchError> {
        let len = self.bodies.len();
        let values = match (self.header(name.as_str()), existing) {
            (Some(old), Existing::Keep) => {
                let mut new = values.into_iter();
                let mut merged = Vec::with_capacity(self.len());
                merged.extend(old.iter().zip(new.by_ref()).map(|(old, new)| old.or(new)));
                merged.extend(new.next());
                HeaderValues::over_rows(len, &self.rows, merged)?
            }
            _ => HeaderValues::over_rows(len, &self.rows, values)?,
        };
        self.with_column(HeaderColumn {
            name: name.clone(),
            values,
        })
    }

    fn with_column(&self, column: HeaderColumn) -> Result<Self, BatchError> {
        let mut headers: Vec<HeaderColumn> = Vec::with_capacity(self.headers.len() + 1);
        headers.extend(self.headers.iter().cloned());
        if let Some(own) = headers.iter_mut().find(|own| own.name == column.name) {
            *own = column;
        } else if headers.len() >= BATCH_HEADERS_MAX {
            return Err(BatchError::TooManyHeaders);
        } else {
            headers.push(column);
        }
        Ok(Self {
            headers: headers.into(),
            ..self.clone()
        })
    }

    /// The same events without the headers of these names.
    #[must_use]
    pub fn without_headers(&self, mut remove: impl FnMut(&str) -> bool) -> Self {
        let kept: Vec<HeaderColumn> = self
            .headers
            .iter()
            .filter(|column| !remove(column.name.as_str()))
            .cloned()
            .collect();
        if kept.len() == self.headers.len() {
            return self.clone();
        }
        Self {
            headers: kept.into(),
            ..self.clone()
        }
    }

    /// The same events with these bodies, one per event.
    ///
    /// # Errors
    /// [`BatchError`] when the number of bodies is not the number of events or a limit is exceeded.
    pub fn with_bodies<'a>(
        &self,
        bodies: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, BatchError> {
        let bodies = BodyColumn::over_rows(self.bodies.len(), &self.rows, bodies)?;
        Ok(Self {
            body_bytes: bodies.shown_bytes(&self.rows),
            bodies,
            ..self.clone()
        })
    }

    /// The events as delimited text in the fewest runs of bytes: a run is a stretch of the buffer
    /// in which every body is followed by `delimiter`. Lines that came off a socket and were not
    /// edited come back as one run, so that a file sink writes them without a copy.
    pub fn text_runs(&self, delimiter: u8) -> impl Iterator<Item = TextRun<'_>> + '_ {
        bodies::text_runs(&self.bodies, &self.rows, delimiter)
    }

    /// The stretch of the buffer from the first body to the last, with the position of each body in
    /// it: for a search over all bodies in one pass. Delimiters stand between the bodies when the
    /// buffer has them. `None` when rows between the first and the last are not shown.
    pub fn contiguous(&self) -> Option<(&[u8], impl Iterator<Item = Range<usize>> + '_)> {
        let range = self.rows.as_range()?;
        self.bodies.contiguous(range)
    }
}

impl Default for EventBatch {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for EventBatch {
    /// Equal events in equal order; how the columns are laid out is no difference.
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() || !self.bodies().eq(other.bodies()) {
            return false;
        }
        let covers = |a: &Self, b: &Self| {
            a.headers().all(|(name, view)| {
                let theirs = b.header(name);
                (0..a.len()).all(|i| view.get(i) == theirs.as_ref().and_then(|v| v.get(i)))
            })
        };
        covers(self, other) && covers(other, self)
    }
}

impl Eq for EventBatch {}

impl fmt::Debug for EventBatch {
    /// Counts, not contents: events are the operator's data and do not belong into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBatch")
            .field("events", &self.len())
            .field("body_bytes", &self.body_bytes)
            .field("headers", &self.header_names().collect::<Vec<_>>())
            .finish()
    }
}
