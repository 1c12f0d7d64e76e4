//! Events that a component makes.

use crate::bindings::types::{self, Column};
use crate::column::{HeaderColumnBuilder, check_distinct, check_name, column_of};
use crate::error::Error;
use crate::header::Header;

/// Events that a component made with a [`BatchBuilder`]. The default has none.
#[derive(Clone, Debug)]
pub struct EventBatch(pub(crate) types::EventBatch);

impl EventBatch {
    /// How many events.
    pub fn len(&self) -> usize {
        self.0.bodies.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for EventBatch {
    fn default() -> Self {
        EventBatch(types::EventBatch {
            bodies: Column::empty(),
            headers: Vec::new(),
        })
    }
}

/// Collects new events, column by column: an event costs no allocation of its own.
///
/// A call that breaks a rule is remembered and comes out of [`BatchBuilder::finish`].
pub struct BatchBuilder {
    bodies: Column,
    headers: Vec<HeaderColumnBuilder>,
    constants: Vec<(String, String)>,
    mistake: Option<Error>,
}

impl BatchBuilder {
    /// A batch without events.
    pub fn new() -> Self {
        BatchBuilder {
            bodies: Column::empty(),
            headers: Vec::new(),
            constants: Vec::new(),
            mistake: None,
        }
    }

    /// How many events there are so far.
    pub fn len(&self) -> usize {
        self.bodies.ends.len()
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends an event; what comes back sets its headers.
    pub fn push(&mut self, body: impl AsRef<[u8]>) -> EventBuilder<'_> {
        let row = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let done = self.bodies.push(body.as_ref());
        self.note(done);
        EventBuilder { batch: self, row }
    }

    /// Sets a header to one value on all events, those that come later too.
    pub fn set_header_on_all(&mut self, name: &str, value: &str) -> &mut Self {
        self.constants.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The events.
    ///
    /// # Errors
    /// [`Error::Broken`] for the first call that broke a rule: a header set twice for one event, a
    /// header set both for all events and for one, a name that is empty or too long, or more than
    /// 4 GiB.
    pub fn finish(self) -> Result<EventBatch, Error> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let names = (self.constants.iter().map(|(name, _)| name.as_str()))
            .chain(self.headers.iter().map(|column| column.name.as_str()));
        names.clone().try_for_each(check_name)?;
        check_distinct(names)?;
        let events = self.bodies.ends.len();
        let columns = self.headers.into_iter();
        let mut headers: Vec<_> = columns.map(|column| column.finish(events)).collect();
        for (name, value) in self.constants {
            // The interface has no constant column for new events, so the value is repeated.
            let mut values = Column::empty();
            for _ in 0..events {
                values.push(value.as_bytes())?;
            }
            headers.push(types::HeaderColumn {
                name,
                rows: None,
                values,
            });
        }
        Ok(EventBatch(types::EventBatch {
            bodies: self.bodies,
            headers,
        }))
    }

    fn note(&mut self, done: Result<(), Error>) {
        if let (Err(mistake), None) = (done, &self.mistake) {
            self.mistake = Some(mistake);
        }
    }
}

impl Default for BatchBuilder {
    fn default() -> Self {
        BatchBuilder::new()
    }
}

/// Sets headers of the event that was appended last. See [`BatchBuilder::push`].
pub struct EventBuilder<'a> {
    batch: &'a mut BatchBuilder,
    row: u32,
}

impl EventBuilder<'_> {
    /// Sets a header of this event.
    pub fn header(self, name: &str, value: &str) -> Self {
        let done = match column_of(&mut self.batch.headers, name) {
            Some(column) => column.push(self.row, value),
            None => Ok(()),
        };
        self.batch.note(done);
        self
    }

    /// Gives this event the headers that event `row` of another batch has in `headers`.
    pub fn headers_of(mut self, headers: &[Header], row: usize) -> Self {
        for header in headers {
            if let Some(value) = header.get(row) {
                self = self.header(header.name(), value);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_some_events_name_their_rows() {
        let mut batch = BatchBuilder::new();
        batch.push("a");
        batch.push("b").header("h", "1").header("i", "2");
        batch.set_header_on_all("c", "x");
        let batch = batch.finish().unwrap().0;
        assert_eq!(batch.bodies.ends, [1, 2]);
        let headers: Vec<_> = batch
            .headers
            .iter()
            .map(|column| {
                let text = String::from_utf8(column.values.data.clone()).unwrap();
                (column.name.as_str(), column.rows.clone(), text)
            })
            .collect();
        assert_eq!(
            headers,
            [
                ("h", Some(vec![1]), "1".to_owned()),
                ("i", Some(vec![1]), "2".to_owned()),
                ("c", None, "xx".to_owned()),
            ]
        );
    }

    #[test]
    fn a_header_is_set_once_per_event() {
        let mut batch = BatchBuilder::new();
        batch.push("a").header("h", "1").header("h", "2");
        assert!(matches!(batch.finish(), Err(Error::Broken(_))));
        let mut batch = BatchBuilder::new();
        batch.set_header_on_all("h", "1").push("a").header("h", "2");
        assert!(matches!(batch.finish(), Err(Error::Broken(_))));
    }
}
