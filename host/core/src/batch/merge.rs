//! Batches in columns of their own: several made one, or one cut loose from a larger buffer.

use std::sync::Arc;

use super::EventBatch;
use super::bodies::BodyColumn;
use super::error::BatchError;
use super::header::{HeaderColumn, HeaderName, HeaderValues};
use super::rows::Rows;
use super::text_column::TextColumnBuilder;
use crate::limits::BATCH_HEADERS_MAX;

impl EventBatch {
    /// The same events in columns of their own that hold nothing else: what to keep when the
    /// buffer beneath should be free again. Delimiters in the buffer stay.
    ///
    /// # Errors
    /// [`BatchError`] when a limit is exceeded, which cannot happen to a batch that was within it.
    pub fn compacted(&self) -> Result<Self, BatchError> {
        Self::concat(std::slice::from_ref(self))
    }

    /// All events of these batches in one batch, copied. A header that is the same constant in all
    /// of them stays one; delimiters stay when all have the same.
    ///
    /// # Errors
    /// [`BatchError`] when a limit is exceeded.
    pub fn concat(batches: &[EventBatch]) -> Result<Self, BatchError> {
        // One without events has no say in headers and delimiters.
        let batches: Vec<&EventBatch> = batches.iter().filter(|batch| !batch.is_empty()).collect();
        let parts: Vec<(&BodyColumn, &Rows)> = batches
            .iter()
            .map(|batch| (&batch.bodies, &batch.rows))
            .collect();
        let bodies = BodyColumn::gathered(&parts)?;
        let mut headers: Vec<HeaderColumn> = Vec::new();
        for batch in &batches {
            for column in batch.headers.iter() {
                if headers.iter().any(|own| own.name == column.name) {
                    continue;
                }
                let Some(values) = merged_values(&batches, &column.name, bodies.len())? else {
                    continue;
                };
                if headers.len() >= BATCH_HEADERS_MAX {
                    return Err(BatchError::TooManyHeaders);
                }
                headers.push(HeaderColumn {
                    name: column.name.clone(),
                    values,
                });
            }
        }
        Ok(Self {
            headers: headers.into(),
            ..Self::from_bodies(bodies)
        })
    }
}

/// The values of one header over all events of these batches, `None` when no event has one.
fn merged_values(
    batches: &[&EventBatch],
    name: &HeaderName,
    rows: usize,
) -> Result<Option<HeaderValues>, BatchError> {
    if let Some(value) = common_constant(batches, name) {
        return Ok(Some(HeaderValues::Constant(value)));
    }
    let mut builder = TextColumnBuilder::with_rows(rows);
    for batch in batches {
        match batch.header(name.as_str()) {
            Some(view) => view.iter().try_for_each(|value| builder.push(value))?,
            None => builder.pad_to(builder.len() + batch.len()),
        }
    }
    if builder.is_blank() {
        return Ok(None);
    }
    Ok(Some(HeaderValues::Column(Arc::new(builder.finish()))))
}

/// The constant that a header is in all of these batches.
fn common_constant(batches: &[&EventBatch], name: &HeaderName) -> Option<Arc<str>> {
    let mut constants = batches.iter().map(|batch| {
        let column = batch.headers.iter().find(|own| own.name == *name)?;
        match &column.values {
            HeaderValues::Constant(value) => Some(value),
            HeaderValues::Column(_) => None,
        }
    });
    let first = constants.next()??;
    constants
        .all(|value| value == Some(first))
        .then(|| Arc::clone(first))
}
