//! Building a batch event by event, for sources that do not have columns.

use std::sync::Arc;

use bytes::Bytes;

use super::EventBatch;
use super::bodies::BodyColumn;
use super::error::BatchError;
use super::header::{HeaderColumn, HeaderName, HeaderValues};
use super::rows::row_number;
use super::text_column::TextColumnBuilder;
use crate::limits::{
    BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_HEADERS_MAX, HEADER_VALUE_BYTES_MAX,
};

/// Collects events and makes one batch of them.
#[derive(Default)]
pub struct BatchBuilder {
    data: Vec<u8>,
    ends: Vec<u32>,
    headers: Vec<(HeaderName, TextColumnBuilder)>,
}

impl BatchBuilder {
    /// A builder without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder with room for that many events and bytes of bodies.
    pub fn with_capacity(events: usize, body_bytes: usize) -> Self {
        Self {
            data: Vec::with_capacity(body_bytes.min(BATCH_BODY_BYTES_MAX)),
            ends: Vec::with_capacity(events.min(BATCH_EVENTS_MAX)),
            headers: Vec::new(),
        }
    }

    /// How many events there are so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of the bodies so far.
    pub fn body_bytes(&self) -> usize {
        self.data.len()
    }

    /// Adds an event without headers.
    ///
    /// # Errors
    /// [`BatchError`] when a limit would be exceeded; the builder is as it was.
    pub fn push(&mut self, body: &[u8]) -> Result<(), BatchError> {
        if self.ends.len() >= BATCH_EVENTS_MAX {
            return Err(BatchError::TooManyEvents);
        }
        if body.len() > BATCH_BODY_BYTES_MAX - self.data.len() {
            return Err(BatchError::TooManyBodyBytes);
        }
        self.data.extend_from_slice(body);
        self.ends.push(row_number(self.data.len()));
        Ok(())
    }

    /// Sets a header of the event that was added last. A second value for the same name is refused.
    ///
    /// # Errors
    /// [`BatchError::RowRange`] when there is no event yet, [`BatchError::DuplicateHeader`] when
    /// the event has the header, or a limit; the event is then without this header or keeps the
    /// value it had.
    pub fn set_header(&mut self, name: &HeaderName, value: &str) -> Result<(), BatchError> {
        let row = self.ends.len().checked_sub(1).ok_or(BatchError::RowRange)?;
        let column = self.column(name, row)?;
        if column.len() > row {
            return Err(BatchError::DuplicateHeader);
        }
        column.pad_to(row);
        column.push(Some(value))
    }

    /// The column of a name; a new one has no value in the first `rows` rows.
    fn column(
        &mut self,
        name: &HeaderName,
        rows: usize,
    ) -> Result<&mut TextColumnBuilder, BatchError> {
        let place = match self.headers.iter().position(|(own, _)| own == name) {
            Some(place) => place,
            None if self.headers.len() >= BATCH_HEADERS_MAX => {
                return Err(BatchError::TooManyHeaders);
            }
            None => {
                let mut column = TextColumnBuilder::default();
                column.pad_to(rows);
                self.headers.push((name.clone(), column));
                self.headers.len() - 1
            }
        };
        self.headers
            .get_mut(place)
            .map(|(_, column)| column)
            .ok_or(BatchError::TooManyHeaders)
    }

    /// Adds all events of a batch.
    ///
    /// # Errors
    /// [`BatchError`] when a limit would be exceeded; the builder is as it was.
    pub fn append(&mut self, batch: &EventBatch) -> Result<(), BatchError> {
        self.check_room(batch)?;
        let first = self.ends.len();
        for body in batch.bodies() {
            self.push(body)?;
        }
        for header in batch.headers.iter() {
            let own = self.column(&header.name, first)?;
            own.pad_to(first);
            for row in batch.rows.iter() {
                own.push(header.values.get(row))?;
            }
        }
        Ok(())
    }

    /// Whether every limit would hold with the events of a batch added.
    fn check_room(&self, batch: &EventBatch) -> Result<(), BatchError> {
        if batch.len() > BATCH_EVENTS_MAX - self.ends.len() {
            return Err(BatchError::TooManyEvents);
        }
        if batch.body_bytes() > (BATCH_BODY_BYTES_MAX - self.data.len()) as u64 {
            return Err(BatchError::TooManyBodyBytes);
        }
        let mut names = self.headers.len();
        for header in batch.headers.iter() {
            let own = self.headers.iter().find(|(name, _)| *name == header.name);
            names += usize::from(own.is_none());
            let room = own.map_or(HEADER_VALUE_BYTES_MAX, |(_, column)| column.room());
            if header.values.shown_bytes(&batch.rows) > room as u64 {
                return Err(BatchError::TooManyHeaderBytes);
            }
        }
        if names > BATCH_HEADERS_MAX {
            return Err(BatchError::TooManyHeaders);
        }
        Ok(())
    }

    /// The batch. A header that all events share with one value becomes a constant.
    ///
    /// # Errors
    /// [`BatchError`] never in practice: every limit was checked when events were added.
    pub fn finish(self) -> Result<EventBatch, BatchError> {
        let rows = self.ends.len();
        let bodies = BodyColumn::packed(Bytes::from(self.data), self.ends)?;
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, mut column) in self.headers {
            column.pad_to(rows);
            let values = HeaderValues::Column(Arc::new(column.finish())).folded(rows);
            headers.push(HeaderColumn { name, values });
        }
        Ok(EventBatch {
            headers: headers.into(),
            ..EventBatch::from_bodies(bodies)
        })
    }
}
