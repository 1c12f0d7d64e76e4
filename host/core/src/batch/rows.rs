//! Which rows of the columns a batch shows.

use std::ops::Range;
use std::sync::Arc;

use super::error::BatchError;

/// A range of rows, or a list of strictly increasing rows.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    /// All rows from start to end.
    Range { start: u32, end: u32 },
    /// The rows of a part of a list.
    List {
        list: Arc<Vec<u32>>,
        start: u32,
        end: u32,
    },
}

/// A row count as a row number. Batches are bounded far below `u32::MAX`.
pub(super) fn row_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Rows {
    pub(super) fn all(len: usize) -> Self {
        Rows::Range {
            start: 0,
            end: row_number(len),
        }
    }

    /// The rows of a list, which increase strictly; as a range where they follow one another.
    pub(super) fn list(list: Vec<u32>) -> Self {
        let end = row_number(list.len());
        Rows::list_part(&Arc::new(list), 0, end)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Rows::Range { start, end } | Rows::List { start, end, .. } => (end - start) as usize,
        }
    }

    pub(super) fn as_range(&self) -> Option<Range<u32>> {
        match self {
            Rows::Range { start, end } => Some(*start..*end),
            Rows::List { .. } => None,
        }
    }

    /// The row of the columns behind an index of the batch.
    pub(super) fn row(&self, index: usize) -> Option<u32> {
        if index >= self.len() {
            return None;
        }
        match self {
            Rows::Range { start, .. } => Some(start + row_number(index)),
            Rows::List { list, start, .. } => list.get(*start as usize + index).copied(),
        }
    }

    pub(super) fn iter(&self) -> RowIter<'_> {
        match self {
            Rows::Range { start, end } => RowIter::Range(*start..*end),
            Rows::List { list, start, end } => RowIter::List(
                list.get(*start as usize..*end as usize)
                    .unwrap_or_default()
                    .iter(),
            ),
        }
    }

    /// The rows as the fewest ranges of rows that follow one another: what is copied in one piece.
    pub(super) fn runs(&self) -> Runs<'_> {
        Runs(self.iter())
    }

    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        let from = range.start.min(self.len());
        let to = range.end.clamp(from, self.len());
        let (from, to) = (row_number(from), row_number(to));
        match self {
            Rows::Range { start, .. } => Rows::Range {
                start: start + from,
                end: start + to,
            },
            Rows::List { list, start, .. } => Rows::list_part(list, start + from, start + to),
        }
    }

    /// A part of a list, as a range where its rows follow one another.
    fn list_part(list: &Arc<Vec<u32>>, start: u32, end: u32) -> Self {
        let part = list.get(start as usize..end as usize).unwrap_or_default();
        match (part.first(), part.last()) {
            (Some(first), Some(last)) if (last - first) as usize + 1 > part.len() => Rows::List {
                list: Arc::clone(list),
                start,
                end,
            },
            (Some(first), Some(last)) => Rows::Range {
                start: *first,
                end: last + 1,
            },
            _ => Rows::Range { start: 0, end: 0 },
        }
    }

    /// The rows at these indices, which have been checked.
    pub(super) fn select(&self, indices: &[u32]) -> Self {
        Rows::list(
            indices
                .iter()
                .filter_map(|index| self.row(*index as usize))
                .collect(),
        )
    }
}

/// Checks that indices increase strictly and stay below `len`.
pub(super) fn check_increasing(indices: &[u32], len: usize) -> Result<(), BatchError> {
    if !indices.is_sorted_by(|a, b| a < b) {
        return Err(BatchError::RowOrder);
    }
    match indices.last() {
        Some(last) if *last as usize >= len => Err(BatchError::RowRange),
        _ => Ok(()),
    }
}

/// The rows of a batch in order.
#[derive(Clone, Debug)]
pub(super) enum RowIter<'a> {
    /// Of a range.
    Range(Range<u32>),
    /// Of a list.
    List(std::slice::Iter<'a, u32>),
}

impl Iterator for RowIter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            RowIter::Range(range) => range.next(),
            RowIter::List(list) => list.next().copied(),
        }
    }

    fn nth(&mut self, n: usize) -> Option<u32> {
        match self {
            RowIter::Range(range) => range.nth(n),
            RowIter::List(list) => list.nth(n).copied(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            RowIter::Range(range) => range.size_hint(),
            RowIter::List(list) => list.size_hint(),
        }
    }
}

impl ExactSizeIterator for RowIter<'_> {}

/// The rows of a batch in order, as ranges (see [`Rows::runs`]).
#[derive(Clone, Debug)]
pub(super) struct Runs<'a>(RowIter<'a>);

impl Iterator for Runs<'_> {
    type Item = Range<u32>;

    fn next(&mut self) -> Option<Range<u32>> {
        match &mut self.0 {
            RowIter::Range(range) if range.start >= range.end => None,
            RowIter::Range(range) => Some(std::mem::take(range)),
            RowIter::List(list) => {
                let first = *list.next()?;
                let mut end = first + 1;
                while list.as_slice().first() == Some(&end) {
                    list.next();
                    end += 1;
                }
                Some(first..end)
            }
        }
    }
}
