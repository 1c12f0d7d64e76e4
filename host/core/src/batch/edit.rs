//! Edits: what an interceptor changes, column by column. Everything not named stays as it is.
//!
//! Edits may come from a guest, so nothing in them is trusted: the whole is checked before any of
//! it is applied, and a refused edit leaves the batch as it was.

use std::sync::Arc;

use super::error::BatchError;
use super::header::HeaderName;
use super::rows::check_increasing;
use super::{EventBatch, Existing};
use crate::limits::BATCH_HEADERS_MAX;

/// A header set on some events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEdit {
    /// The header.
    pub name: HeaderName,
    /// The events, strictly increasing; `None` stands for all of them.
    pub rows: Option<Vec<u32>>,
    /// One value per event.
    pub values: Vec<String>,
}

/// The changes to one batch, applied in the order of the fields. All row numbers are those of the
/// batch before any change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Headers set to one value on all events.
    pub set_all: Vec<(HeaderName, Arc<str>)>,
    /// Headers set event by event.
    pub set_headers: Vec<HeaderEdit>,
    /// Header names removed from all events.
    pub remove_headers: Vec<HeaderName>,
    /// Replaced bodies: events, strictly increasing, and one body for each.
    pub bodies: Option<(Vec<u32>, Vec<Vec<u8>>)>,
    /// Events to drop, strictly increasing.
    pub dropped: Vec<u32>,
}

impl Edits {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self, len: usize) -> Result<(), BatchError> {
        for edit in &self.set_headers {
            let rows = match &edit.rows {
                None => len,
                Some(rows) => {
                    check_increasing(rows, len)?;
                    rows.len()
                }
            };
            if edit.values.len() != rows {
                return Err(BatchError::RowCount);
            }
        }
        // A batch cannot have more names than this, so an edit that names more is not one of it.
        let set = self.set_all.len() + self.set_headers.len();
        if set.max(self.remove_headers.len()) > BATCH_HEADERS_MAX {
            return Err(BatchError::TooManyHeaders);
        }
        let mut names: Vec<&HeaderName> = self
            .set_all
            .iter()
            .map(|(name, _)| name)
            .chain(self.set_headers.iter().map(|edit| &edit.name))
            .collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(BatchError::DuplicateHeader);
        }
        if let Some((rows, bodies)) = &self.bodies {
            check_increasing(rows, len)?;
            if rows.len() != bodies.len() {
                return Err(BatchError::RowCount);
            }
        }
        check_increasing(&self.dropped, len)
    }
}

impl EventBatch {
    /// The batch with these edits.
    ///
    /// # Errors
    /// [`BatchError`] when a row number is out of range or out of order, a count does not fit, a
    /// name is set twice, or the result would exceed a limit.
    pub fn edited(&self, edits: &Edits) -> Result<EventBatch, BatchError> {
        edits.check(self.len())?;
        let mut batch = self.clone();
        for (name, value) in &edits.set_all {
            batch = batch.with_constant_header(name, value, Existing::Replace)?;
        }
        for edit in &edits.set_headers {
            batch = batch.with_header_edit(edit)?;
        }
        if !edits.remove_headers.is_empty() {
            batch = batch.without_headers(|name| {
                edits.remove_headers.iter().any(|own| own.as_str() == name)
            });
        }
        if let Some((rows, bodies)) = &edits.bodies
            && !rows.is_empty()
        {
            let mut replaced = rows.iter().zip(bodies).peekable();
            let merged = batch.bodies().enumerate().map(|(index, body)| {
                replaced
                    .next_if(|(row, _)| **row as usize == index)
                    .map_or(body, |(_, body)| body.as_slice())
            });
            batch = batch.with_bodies(merged)?;
        }
        if !edits.dropped.is_empty() {
            let mut dropped = edits.dropped.iter().peekable();
            batch =
                batch.filter(|index, _| dropped.next_if(|row| **row as usize == index).is_none());
        }
        Ok(batch)
    }

    fn with_header_edit(&self, edit: &HeaderEdit) -> Result<EventBatch, BatchError> {
        let Some(rows) = &edit.rows else {
            let values = edit.values.iter().map(|value| Some(value.as_str()));
            return self.with_header(&edit.name, values, Existing::Replace);
        };
        let old = self.header(edit.name.as_str());
        let mut set = rows.iter().zip(&edit.values).peekable();
        let merged =
            (0..self.len()).map(
                |index| match set.next_if(|(row, _)| **row as usize == index) {
                    Some((_, value)) => Some(value.as_str()),
                    None => old.as_ref().and_then(|view| view.get(index)),
                },
            );
        self.with_header(&edit.name, merged, Existing::Replace)
    }
}
