//! The column of bodies.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::error::BatchError;
use super::rows::{Rows, row_number};
use crate::limits::{BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX};

/// Bodies end to end. With a delimiter, each body is followed by that byte, which belongs to none.
#[derive(Clone)]
pub(super) struct BodyColumn {
    data: Bytes,
    ends: Arc<Vec<u32>>,
    delimiter: Option<u8>,
}

/// A stretch of delimited text (see [`super::EventBatch::text_runs`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRun<'a> {
    /// Bodies that are each followed by the delimiter, the last one too.
    Delimited(&'a [u8]),
    /// One body, to which the writer adds the delimiter.
    Bare(&'a [u8]),
}

/// Rows of a column that follow one another: their data, where it begins in the column, and the
/// end of each row in the column.
#[derive(Clone)]
pub(super) struct Stretch<'a> {
    pub(super) data: &'a [u8],
    pub(super) base: u32,
    pub(super) ends: &'a [u32],
}

impl BodyColumn {
    pub(super) fn empty() -> Self {
        Self {
            data: Bytes::new(),
            ends: Arc::new(Vec::new()),
            delimiter: None,
        }
    }

    pub(super) fn packed(data: Bytes, ends: Vec<u32>) -> Result<Self, BatchError> {
        check_sizes(&data, &ends)?;
        check_ends(&ends, data.len())?;
        Ok(Self {
            data,
            ends: Arc::new(ends),
            delimiter: None,
        })
    }

    pub(super) fn delimited(
        data: Bytes,
        delimiter: u8,
        ends: Vec<u32>,
    ) -> Result<Self, BatchError> {
        check_sizes(&data, &ends)?;
        // A delimiter at every end and ends that increase: then every body starts behind a
        // delimiter and no body reaches into another.
        let mut least = 0;
        for (row, end) in ends.iter().enumerate() {
            if *end < least {
                return Err(BatchError::Ends {
                    row: row_number(row),
                });
            }
            if data.get(*end as usize) != Some(&delimiter) {
                return Err(BatchError::Delimiter {
                    row: row_number(row),
                });
            }
            least = end + 1;
        }
        Ok(Self {
            data: data.slice(..least as usize),
            ends: Arc::new(ends),
            delimiter: Some(delimiter),
        })
    }

    /// A column of `len` rows in which the shown rows have these bodies and the others are empty.
    pub(super) fn over_rows<'a>(
        len: usize,
        rows: &Rows,
        bodies: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, BatchError> {
        let mut bodies = bodies.into_iter();
        let mut data = Vec::new();
        let mut ends = Vec::with_capacity(len);
        for row in rows.iter() {
            // Rows that are not shown end where the body before them did.
            ends.resize(row as usize, row_number(data.len()));
            let body = bodies.next().ok_or(BatchError::RowCount)?;
            if body.len() > BATCH_BODY_BYTES_MAX - data.len() {
                return Err(BatchError::TooManyBodyBytes);
            }
            data.extend_from_slice(body);
            ends.push(row_number(data.len()));
        }
        if bodies.next().is_some() {
            return Err(BatchError::RowCount);
        }
        ends.resize(len, row_number(data.len()));
        Ok(Self {
            data: data.into(),
            ends: Arc::new(ends),
            delimiter: None,
        })
    }

    /// The shown rows of these columns, each with at least one, copied one behind the other. The
    /// delimiter stays where all columns have the same one and there is room for it.
    pub(super) fn gathered(parts: &[(&BodyColumn, &Rows)]) -> Result<Self, BatchError> {
        let events: usize = parts.iter().map(|(_, rows)| rows.len()).sum();
        let bytes: u64 = parts
            .iter()
            .map(|(column, rows)| column.shown_bytes(rows))
            .sum();
        if events > BATCH_EVENTS_MAX {
            return Err(BatchError::TooManyEvents);
        }
        if bytes > BATCH_BODY_BYTES_MAX as u64 {
            return Err(BatchError::TooManyBodyBytes);
        }
        // Below two limits whose sum is far below what a usize holds.
        let bytes = bytes as usize;
        let delimiter = kept_delimiter(parts, bytes, events);
        let gaps = if delimiter.is_some() { events } else { 0 };
        let mut data = Vec::with_capacity(bytes + gaps);
        let mut ends = Vec::with_capacity(events);
        for (column, rows) in parts {
            if column.delimiter == delimiter {
                for stretch in column.stretches(rows) {
                    let base = row_number(data.len());
                    ends.extend(stretch.ends.iter().map(|end| end - stretch.base + base));
                    data.extend_from_slice(stretch.data);
                }
            } else {
                for row in rows.iter() {
                    data.extend_from_slice(column.get(row).unwrap_or_default());
                    ends.push(row_number(data.len()));
                }
            }
        }
        Ok(Self {
            data: data.into(),
            ends: Arc::new(ends),
            delimiter,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn delimiter(&self) -> Option<u8> {
        self.delimiter
    }

    fn gap(&self) -> u32 {
        u32::from(self.delimiter.is_some())
    }

    fn start(&self, row: u32) -> u32 {
        match (row as usize).checked_sub(1) {
            None => 0,
            Some(before) => self
                .ends
                .get(before)
                .map_or(0, |end| end.saturating_add(self.gap())),
        }
    }

    fn end(&self, row: u32) -> u32 {
        self.ends.get(row as usize).copied().unwrap_or(0)
    }

    pub(super) fn get(&self, row: u32) -> Option<&[u8]> {
        let end = *self.ends.get(row as usize)?;
        self.data.get(self.start(row) as usize..end as usize)
    }

    /// See [`super::EventBatch::body_slots`].
    pub(super) fn shown_slots<const SLOT_BYTES: u32>(&self, rows: &Rows) -> u64 {
        rows.runs()
            .map(|run| self.range_slots::<SLOT_BYTES>(run))
            .sum()
    }

    fn range_slots<const SLOT_BYTES: u32>(&self, range: Range<u32>) -> u64 {
        let slots = |len: u32| u64::from(len.div_ceil(SLOT_BYTES).max(1));
        let ends = self.ends.get(range.start as usize..range.end as usize);
        let (Some(ends), Some(first)) = (ends, ends.and_then(<[u32]>::first)) else {
            return 0;
        };
        let gap = self.gap();
        let later = ends.iter().zip(ends.iter().skip(1));
        // Ends and gaps were checked when the column was made, so nothing wraps.
        let later = later.map(|(before, end)| slots(end.wrapping_sub(*before).wrapping_sub(gap)));
        slots(first.saturating_sub(self.start(range.start))) + later.sum::<u64>()
    }

    /// The bytes of the bodies of the shown rows, without delimiters.
    pub(super) fn shown_bytes(&self, rows: &Rows) -> u64 {
        rows.runs().map(|run| self.range_bytes(run)).sum()
    }

    fn range_bytes(&self, range: Range<u32>) -> u64 {
        let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) else {
            return 0;
        };
        let gaps = (last - range.start) * self.gap();
        u64::from(self.end(last) - self.start(range.start) - gaps)
    }

    /// The stretch of a range, and where each body stands in it.
    pub(super) fn contiguous(
        &self,
        range: Range<u32>,
    ) -> Option<(&[u8], impl Iterator<Item = Range<usize>> + '_)> {
        let base = self.start(range.start);
        let last = range.end.checked_sub(1).map_or(base, |row| self.end(row));
        let stretch = self.data.get(base as usize..last.max(base) as usize)?;
        let ends = self.ends.get(range.start as usize..range.end as usize)?;
        let gap = self.gap();
        let mut start = base;
        let places = ends.iter().map(move |end| {
            let place = (start - base) as usize..(end - base) as usize;
            start = end + gap;
            place
        });
        Some((stretch, places))
    }

    /// The shown rows as the fewest stretches of the buffer, each with the delimiter behind its
    /// last body where the column has one.
    pub(super) fn stretches<'a>(
        &'a self,
        rows: &'a Rows,
    ) -> impl Iterator<Item = Stretch<'a>> + Clone + 'a {
        rows.runs().filter_map(|run| {
            let base = self.start(run.start);
            let ends = self.ends.get(run.start as usize..run.end as usize)?;
            let end = ends.last().map_or(base, |end| end + self.gap());
            Some(Stretch {
                data: self.data.get(base as usize..end as usize)?,
                base,
                ends,
            })
        })
    }
}

/// The delimiter that all of these columns have, when that many bytes of bodies leave room for one
/// behind each event.
pub(super) fn kept_delimiter(
    parts: &[(&BodyColumn, &Rows)],
    bytes: usize,
    events: usize,
) -> Option<u8> {
    if bytes + events > BATCH_BODY_BYTES_MAX {
        return None;
    }
    let mut delimiters = parts.iter().map(|(column, _)| column.delimiter);
    let first = delimiters.next()??;
    delimiters.all(|own| own == Some(first)).then_some(first)
}

/// Checks that ends never decrease and that the last one is the length of the data.
pub(super) fn check_ends(ends: &[u32], data_len: usize) -> Result<(), BatchError> {
    // The common case first, in a form that the compiler turns into vector instructions; the row
    // is looked for only when there is one to name.
    if !ends.is_sorted() {
        let row = ends.windows(2).position(|pair| pair.first() > pair.last());
        return Err(BatchError::Ends {
            row: row_number(row.map_or(0, |row| row + 1)),
        });
    }
    if ends.last().map_or(0, |end| *end as usize) != data_len {
        return Err(BatchError::Ends {
            row: row_number(ends.len().saturating_sub(1)),
        });
    }
    Ok(())
}

fn check_sizes(data: &[u8], ends: &[u32]) -> Result<(), BatchError> {
    if ends.len() > BATCH_EVENTS_MAX {
        return Err(BatchError::TooManyEvents);
    }
    if data.len() > BATCH_BODY_BYTES_MAX {
        return Err(BatchError::TooManyBodyBytes);
    }
    Ok(())
}

/// The shown rows as text (see [`super::EventBatch::text_runs`]).
pub(super) fn text_runs<'a>(
    bodies: &'a BodyColumn,
    rows: &'a Rows,
    delimiter: u8,
) -> impl Iterator<Item = TextRun<'a>> + 'a {
    let shared = bodies.delimiter == Some(delimiter);
    let mut stretches = bodies.stretches(rows);
    let mut single = rows.iter();
    std::iter::from_fn(move || {
        if shared {
            Some(TextRun::Delimited(stretches.next()?.data))
        } else {
            let row = single.next()?;
            Some(TextRun::Bare(bodies.get(row).unwrap_or_default()))
        }
    })
}
