//! Answers of guests, which nobody vouches for: checked as a whole, then made into batches. A batch
//! never changes, so an answer that turns out wrong half way leaves nothing behind.
//!
//! No event is allocated for: values are looked at where the guest's column was copied to.

use std::fmt;
use std::sync::Arc;

use flumen_core::EventBatch;
use flumen_core::batch::{BatchError, Existing, HeaderName};
use flumen_core::limits::{BATCH_HEADERS_MAX, HEADER_VALUE_BYTES_MAX};
use flumen_core::sink::{Outcome, Rejected};

use crate::bindings::sink::exports::flumen::plugin::sink_api;
use crate::bindings::types::{Column, Edits, EventBatch as GuestEvents, HeaderColumn};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::text::one_line;

/// An answer that breaks the rules of the interface: which part of it, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerError {
    pub(crate) part: &'static str,
    pub(crate) rule: BatchError,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its {} has {}", self.part, self.rule)
    }
}

impl std::error::Error for AnswerError {}

/// Says which part of an answer breaks a rule.
fn within<T>(part: &'static str, result: Result<T, BatchError>) -> Result<T, AnswerError> {
    result.map_err(|rule| AnswerError { part, rule })
}

/// A column whose ends fit its data.
struct Values<'a> {
    data: &'a [u8],
    ends: &'a [u32],
}

impl<'a> Values<'a> {
    fn checked(column: &'a Column, count: usize) -> Result<Self, BatchError> {
        if column.ends.len() != count {
            return Err(BatchError::RowCount);
        }
        let bad_end = |row: usize| BatchError::Ends {
            row: u32::try_from(row).unwrap_or(u32::MAX),
        };
        // The common case in a form that the compiler turns into vector instructions.
        if !column.ends.is_sorted() {
            let row = column
                .ends
                .windows(2)
                .position(|pair| pair.first() > pair.last());
            return Err(bad_end(row.map_or(0, |row| row + 1)));
        }
        if column.ends.last().map_or(0, |end| *end as usize) != column.data.len() {
            return Err(bad_end(count.saturating_sub(1)));
        }
        Ok(Self {
            data: &column.data,
            ends: &column.ends,
        })
    }

    fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let data = self.data;
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let value = data.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            value
        })
    }
}

/// A column whose values are text.
struct Texts<'a> {
    data: &'a str,
    ends: &'a [u32],
}

impl<'a> Texts<'a> {
    fn checked(column: &'a Column, count: usize) -> Result<Self, BatchError> {
        if column.data.len() > HEADER_VALUE_BYTES_MAX {
            return Err(BatchError::TooManyHeaderBytes);
        }
        let Values { data, ends } = Values::checked(column, count)?;
        let row_at = |offset: usize| {
            let row = ends.partition_point(|end| *end as usize <= offset);
            BatchError::HeaderUtf8 {
                row: u32::try_from(row).unwrap_or(u32::MAX),
            }
        };
        let data = std::str::from_utf8(data).map_err(|error| row_at(error.valid_up_to()))?;
        // A border inside a character would leave one half of it in each of two values.
        match ends
            .iter()
            .find(|end| !data.is_char_boundary(**end as usize))
        {
            Some(end) => Err(row_at((*end as usize).saturating_sub(1))),
            None => Ok(Self { data, ends }),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let data = self.data;
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let value = data.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            value
        })
    }

    /// The value that all rows have, if they have the same one.
    fn constant(&self) -> Option<&'a str> {
        let first = self.iter().next()?;
        self.iter().all(|value| value == first).then_some(first)
    }
}

/// A header column that keeps all rules, over a batch of a known length.
struct CheckedHeader<'a> {
    name: HeaderName,
    rows: Option<&'a [u32]>,
    values: Texts<'a>,
}

impl<'a> CheckedHeader<'a> {
    fn new(column: &'a HeaderColumn, len: usize) -> Result<Self, BatchError> {
        let rows = column.rows.as_deref();
        if let Some(rows) = rows {
            check_increasing(rows, len)?;
        }
        Ok(Self {
            name: HeaderName::new(column.name.as_str())?,
            rows,
            values: Texts::checked(&column.values, rows.map_or(len, <[u32]>::len))?,
        })
    }

    /// The batch with this header. Rows that are not named keep what they have.
    fn set_on(&self, batch: &EventBatch) -> Result<EventBatch, BatchError> {
        let Some(rows) = self.rows.filter(|rows| rows.len() < batch.len()) else {
            return match self.values.constant() {
                Some(value) => {
                    batch.with_constant_header(&self.name, &Arc::from(value), Existing::Replace)
                }
                None => {
                    batch.with_header(&self.name, self.values.iter().map(Some), Existing::Replace)
                }
            };
        };
        if rows.is_empty() {
            return Ok(batch.clone());
        }
        let old = batch.header(self.name.as_str());
        let mut set = rows.iter().zip(self.values.iter()).peekable();
        let merged =
            (0..batch.len()).map(
                |index| match set.next_if(|(row, _)| **row as usize == index) {
                    Some((_, value)) => Some(value),
                    None => old.as_ref().and_then(|view| view.get(index)),
                },
            );
        batch.with_header(&self.name, merged, Existing::Replace)
    }
}

/// Row numbers that increase strictly and are below `len`.
fn check_increasing(rows: &[u32], len: usize) -> Result<(), BatchError> {
    if !rows.is_sorted_by(|a, b| a < b) {
        return Err(BatchError::RowOrder);
    }
    match rows.last() {
        Some(last) if *last as usize >= len => Err(BatchError::RowRange),
        _ => Ok(()),
    }
}

fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), BatchError> {
    let mut names: Vec<&str> = names.collect();
    if names.len() > BATCH_HEADERS_MAX {
        return Err(BatchError::TooManyHeaders);
    }
    names.sort_unstable();
    match names.windows(2).any(|pair| pair.first() == pair.last()) {
        true => Err(BatchError::DuplicateHeader),
        false => Ok(()),
    }
}

/// The batch with a guest's edits.
pub(crate) fn edited(batch: &EventBatch, edits: &Edits) -> Result<EventBatch, AnswerError> {
    let len = batch.len();
    let names = edits.set_all.iter().map(|header| header.name.as_str());
    let names = names.chain(edits.set_headers.iter().map(|header| header.name.as_str()));
    within("list of headers to set", check_names(names))?;
    if edits.remove_headers.len() > BATCH_HEADERS_MAX {
        return within("list of headers to remove", Err(BatchError::TooManyHeaders));
    }
    let headers: Result<Vec<_>, _> = edits
        .set_headers
        .iter()
        .map(|column| CheckedHeader::new(column, len))
        .collect();
    let headers = within("header column", headers)?;
    within(
        "list of rows to drop",
        check_increasing(&edits.dropped, len),
    )?;
    let bodies = match &edits.bodies {
        Some(edit) => {
            within(
                "list of rows with new bodies",
                check_increasing(&edit.rows, len),
            )?;
            let values = within(
                "column of bodies",
                Values::checked(&edit.bodies, edit.rows.len()),
            )?;
            Some((edit.rows.as_slice(), values))
        }
        None => None,
    };
    let mut batch = batch.clone();
    for header in &edits.set_all {
        let name = within("header", HeaderName::new(header.name.as_str()))?;
        let value = Arc::from(header.value.as_str());
        batch = within(
            "header",
            batch.with_constant_header(&name, &value, Existing::Replace),
        )?;
    }
    for header in &headers {
        batch = within("header column", header.set_on(&batch))?;
    }
    if !edits.remove_headers.is_empty() {
        batch = batch.without_headers(|name| edits.remove_headers.iter().any(|own| own == name));
    }
    if let Some((rows, values)) = bodies {
        batch = within("column of bodies", with_bodies(&batch, rows, &values))?;
    }
    if !edits.dropped.is_empty() {
        let mut dropped = edits.dropped.iter().peekable();
        batch = batch.filter(|index, _| dropped.next_if(|row| **row as usize == index).is_none());
    }
    Ok(batch)
}

fn with_bodies(
    batch: &EventBatch,
    rows: &[u32],
    values: &Values<'_>,
) -> Result<EventBatch, BatchError> {
    if rows.is_empty() {
        return Ok(batch.clone());
    }
    if rows.len() == batch.len() {
        return batch.with_bodies(values.iter());
    }
    let mut replaced = rows.iter().zip(values.iter()).peekable();
    let merged = batch.bodies().enumerate().map(|(index, body)| {
        replaced
            .next_if(|(row, _)| **row as usize == index)
            .map_or(body, |(_, body)| body)
    });
    batch.with_bodies(merged)
}

/// A batch that a guest made. Its bodies are not copied again.
pub(crate) fn made(events: GuestEvents) -> Result<EventBatch, AnswerError> {
    let names = events.headers.iter().map(|header| header.name.as_str());
    within("list of headers", check_names(names))?;
    let Column { data, ends } = events.bodies;
    let mut batch = within(
        "column of bodies",
        EventBatch::from_columns(data.into(), ends),
    )?;
    for column in &events.headers {
        let header = within("header column", CheckedHeader::new(column, batch.len()))?;
        if !batch.is_empty() {
            batch = within("header column", header.set_on(&batch))?;
        }
    }
    Ok(batch)
}

/// What became of a delivery of `len` events.
pub(crate) fn outcome(answer: sink_api::Outcome, len: usize) -> Result<Outcome, AnswerError> {
    let partial = match answer {
        sink_api::Outcome::Delivered => return Ok(Outcome::Delivered),
        sink_api::Outcome::Buffered => return Ok(Outcome::Buffered),
        sink_api::Outcome::Partial(partial) => partial,
    };
    within(
        "list of rows to retry",
        check_increasing(&partial.retry, len),
    )?;
    let rows: Vec<u32> = partial
        .rejected
        .iter()
        .map(|rejected| rejected.row)
        .collect();
    within("list of rejected rows", check_increasing(&rows, len))?;
    if rows
        .iter()
        .any(|row| partial.retry.binary_search(row).is_ok())
    {
        // The nearest word for a row that cannot be two things.
        return within("list of rejected rows", Err(BatchError::RowOrder));
    }
    if partial.retry.is_empty() && rows.is_empty() {
        return Ok(Outcome::Delivered);
    }
    Ok(Outcome::Partial {
        retry: partial.retry,
        rejected: partial
            .rejected
            .into_iter()
            .map(|rejected| Rejected {
                index: rejected.row,
                reason: one_line(&rejected.reason, MESSAGE_BYTES_MAX),
            })
            .collect(),
    })
}
