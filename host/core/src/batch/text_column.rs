//! A column of header values that differ from row to row.

use super::bodies::{Stretch, check_ends};
use super::error::BatchError;
use super::rows::{Rows, row_number};
use crate::limits::HEADER_VALUE_BYTES_MAX;

/// Values end to end. A row without a value is empty and has its bit cleared.
pub(super) struct TextColumn {
    data: String,
    ends: Vec<u32>,
    /// `None` when every row has a value.
    present: Option<Presence>,
}

/// One bit per row, row 0 in the lowest bit of the first word. Bits past the last row are 0.
#[derive(Default)]
pub(super) struct Presence {
    words: Vec<u64>,
    rows: usize,
}

impl Presence {
    /// A presence of this many rows that all have a value.
    fn full(rows: usize) -> Self {
        let mut words = vec![u64::MAX; rows / 64];
        if !rows.is_multiple_of(64) {
            words.push((1 << (rows % 64)) - 1);
        }
        Self { words, rows }
    }

    /// Bits that came from outside.
    ///
    /// # Errors
    /// [`BatchError::Presence`] when there are not exactly as many words as `rows` need, or a bit
    /// past the last row is set.
    pub(super) fn checked(words: Vec<u64>, rows: usize) -> Result<Self, BatchError> {
        let spare = rows.next_multiple_of(64) - rows;
        let stray = words
            .last()
            .is_some_and(|word| spare > 0 && word >> (64 - spare) != 0);
        if words.len() != rows.div_ceil(64) || stray {
            return Err(BatchError::Presence {
                row: row_number(rows),
            });
        }
        Ok(Self { words, rows })
    }

    fn is_full(&self) -> bool {
        let set: usize = self
            .words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum();
        set == self.rows
    }

    fn has(&self, row: u32) -> bool {
        self.words
            .get(row as usize / 64)
            .is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(super) fn push(&mut self, present: bool) {
        if self.rows.is_multiple_of(64) {
            self.words.push(0);
        }
        if let Some(word) = self.words.last_mut() {
            *word |= u64::from(present) << (self.rows % 64);
        }
        self.rows += 1;
    }

    /// Adds rows without a value, up to this many rows.
    fn pad_to(&mut self, rows: usize) {
        self.words
            .resize(rows.div_ceil(64).max(self.words.len()), 0);
        self.rows = self.rows.max(rows);
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }
}

impl TextColumn {
    /// A column from bytes that nobody vouches for.
    ///
    /// # Errors
    /// [`BatchError`] when the values are too many bytes, ends decrease or do not fit the data, a
    /// value is not UTF-8, or a row without a value has bytes.
    pub(super) fn checked(
        data: &[u8],
        ends: Vec<u32>,
        present: Option<Presence>,
    ) -> Result<Self, BatchError> {
        if data.len() > HEADER_VALUE_BYTES_MAX {
            return Err(BatchError::TooManyHeaderBytes);
        }
        check_ends(&ends, data.len())?;
        let row_at =
            |offset: usize| row_number(ends.partition_point(|end| *end as usize <= offset));
        let data = std::str::from_utf8(data).map_err(|error| BatchError::HeaderUtf8 {
            row: row_at(error.valid_up_to()),
        })?;
        // A border inside a character would leave one half of it in each of two values.
        if let Some(row) = ends
            .iter()
            .position(|end| !data.is_char_boundary(*end as usize))
        {
            return Err(BatchError::HeaderUtf8 {
                row: row_number(row),
            });
        }
        let column = Self {
            data: data.to_owned(),
            ends,
            // A sparse column without gaps needs no look at its bits.
            present: present.filter(|present| !present.is_full()),
        };
        match column.first_absent_with_bytes() {
            Some(row) => Err(BatchError::Presence { row }),
            None => Ok(column),
        }
    }

    fn first_absent_with_bytes(&self) -> Option<u32> {
        let present = self.present.as_ref()?;
        let mut start = 0;
        self.ends.iter().zip(0..).find_map(|(end, row)| {
            let filled = std::mem::replace(&mut start, *end) < *end;
            (filled && !present.has(row)).then_some(row)
        })
    }

    pub(super) fn has(&self, row: u32) -> bool {
        self.present.as_ref().is_none_or(|present| present.has(row))
    }

    fn start(&self, row: u32) -> u32 {
        (row as usize)
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |end| *end)
    }

    pub(super) fn get(&self, row: u32) -> Option<&str> {
        if !self.has(row) {
            return None;
        }
        let end = *self.ends.get(row as usize)?;
        self.data.get(self.start(row) as usize..end as usize)
    }

    /// Whether every shown row has a value.
    pub(super) fn is_full_over(&self, rows: &Rows) -> bool {
        self.present
            .as_ref()
            .is_none_or(|present| rows.iter().all(|row| present.has(row)))
    }

    /// The values of the shown rows, which hold no bytes of any other row.
    pub(super) fn stretches<'a>(
        &'a self,
        rows: &'a Rows,
    ) -> impl Iterator<Item = Stretch<'a>> + Clone + 'a {
        rows.runs().filter_map(|run| {
            let base = self.start(run.start);
            let ends = self.ends.get(run.start as usize..run.end as usize)?;
            let end = ends.last().map_or(base, |end| *end);
            Some(Stretch {
                data: self.data.as_bytes().get(base as usize..end as usize)?,
                base,
                ends,
            })
        })
    }

    /// The bytes of the values of the shown rows.
    pub(super) fn shown_bytes(&self, rows: &Rows) -> u64 {
        self.stretches(rows)
            .map(|stretch| stretch.data.len() as u64)
            .sum()
    }
}

/// Builds a column row by row.
#[derive(Default)]
pub(super) struct TextColumnBuilder {
    data: String,
    ends: Vec<u32>,
    /// Begun with the first row that has no value.
    present: Option<Presence>,
    values: usize,
}

impl TextColumnBuilder {
    pub(super) fn with_rows(rows: usize) -> Self {
        Self {
            ends: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no row has a value.
    pub(super) fn is_blank(&self) -> bool {
        self.values == 0
    }

    /// How many bytes of values fit in.
    pub(super) fn room(&self) -> usize {
        HEADER_VALUE_BYTES_MAX.saturating_sub(self.data.len())
    }

    /// Adds rows without a value, up to this many rows.
    pub(super) fn pad_to(&mut self, rows: usize) {
        let len = self.len();
        if rows > len {
            self.present
                .get_or_insert_with(|| Presence::full(len))
                .pad_to(rows);
            self.ends.resize(rows, row_number(self.data.len()));
        }
    }

    /// Adds one row.
    ///
    /// # Errors
    /// [`BatchError::TooManyHeaderBytes`]; the builder is as it was.
    pub(super) fn push(&mut self, value: Option<&str>) -> Result<(), BatchError> {
        let Some(value) = value else {
            self.pad_to(self.len() + 1);
            return Ok(());
        };
        if value.len() > self.room() {
            return Err(BatchError::TooManyHeaderBytes);
        }
        if let Some(present) = &mut self.present {
            present.push(true);
        }
        self.values += 1;
        self.data.push_str(value);
        self.ends.push(row_number(self.data.len()));
        Ok(())
    }

    pub(super) fn finish(self) -> TextColumn {
        TextColumn {
            data: self.data,
            ends: self.ends,
            present: self.present,
        }
    }
}
