//! One header over the events of a batch.

use crate::bindings::types::HeaderColumn;

/// One header over the events of a batch. It belongs to the component; a value is read in place.
#[derive(Clone, Debug)]
pub struct Header {
    name: String,
    /// `None`: every event has it.
    rows: Option<Vec<u32>>,
    text: String,
    ends: Vec<u32>,
    events: usize,
}

impl Header {
    pub(crate) fn new(column: HeaderColumn, events: usize) -> Self {
        Header {
            name: column.name,
            rows: column.rows,
            // One check for the whole column. The host's values are UTF-8 by type, so the empty text
            // never happens; then all values would read as absent.
            text: String::from_utf8(column.values.data).unwrap_or_default(),
            ends: column.values.ends,
            events,
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of an event, `None` when it does not have the header.
    pub fn get(&self, row: usize) -> Option<&str> {
        match &self.rows {
            None => self.value(row),
            Some(rows) => {
                let row = u32::try_from(row).ok()?;
                self.value(rows.binary_search(&row).ok()?)
            }
        }
    }

    /// The value of each event in order, `None` where it does not have the header.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        let mut rows = self.rows.as_deref().map(|rows| rows.iter().peekable());
        let mut values = 0..self.ends.len();
        (0..self.events).map(move |row| {
            if let Some(rows) = &mut rows {
                rows.next_if(|own| **own as usize == row)?;
            }
            self.value(values.next()?)
        })
    }

    fn value(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.text.get(start..end)
    }
}
