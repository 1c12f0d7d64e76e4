//! Batches written down in a test.

use std::collections::BTreeMap;
use std::fmt;

use crate::bindings::types::{EventBatch, HeaderColumn};
use crate::error::Error;
use crate::header::Header;

/// One event.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TestEvent {
    /// The body.
    pub body: Vec<u8>,
    /// The headers by name.
    pub headers: BTreeMap<String, String>,
}

impl TestEvent {
    /// An event without headers.
    pub fn new(body: impl AsRef<[u8]>) -> Self {
        TestEvent {
            body: body.as_ref().to_vec(),
            headers: BTreeMap::new(),
        }
    }

    /// The same event with a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A header of it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl fmt::Debug for TestEvent {
    /// The body as text, for tests that fail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.body))?;
        if self.headers.is_empty() {
            return Ok(());
        }
        write!(f, " with {:?}", self.headers)
    }
}

/// A batch of events that a test hands in, or that came out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TestBatch {
    events: Vec<TestEvent>,
}

impl TestBatch {
    /// Events with these bodies and without headers.
    pub fn of<B: AsRef<[u8]>>(bodies: impl IntoIterator<Item = B>) -> Self {
        bodies.into_iter().map(TestEvent::new).collect()
    }

    /// The same events with a header set on all of them.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        for event in &mut self.events {
            event.headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// How many events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events in order.
    pub fn events(&self) -> &[TestEvent] {
        &self.events
    }

    /// The bodies as text, in order.
    pub fn texts(&self) -> Vec<String> {
        let bodies = self.events.iter().map(|event| &event.body);
        bodies
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect()
    }

    pub(super) fn events_mut(&mut self) -> &mut Vec<TestEvent> {
        &mut self.events
    }

    /// The events that a component made.
    ///
    /// # Errors
    /// [`Error::Broken`] when the host would refuse them.
    pub(super) fn from_columns(columns: EventBatch) -> Result<Self, Error> {
        let len = columns.bodies.ends.len();
        let mut batch = TestBatch::of((0..len).filter_map(|row| columns.bodies.get(row)));
        if batch.len() != len {
            return Err(Error::broken("bodies whose ends do not fit their data"));
        }
        for column in columns.headers {
            batch.set_column(column)?;
        }
        Ok(batch)
    }

    /// # Errors
    /// [`Error::Broken`] when the host would refuse the column.
    pub(super) fn set_column(&mut self, column: HeaderColumn) -> Result<(), Error> {
        let values = column.rows.as_ref().map_or(self.len(), Vec::len);
        if column.values.ends.len() != values {
            return Err(Error::broken(format!(
                "header {:?} has {} values for {values} events",
                column.name,
                column.values.ends.len()
            )));
        }
        let header = Header::new(column, self.events.len());
        for (event, value) in self.events.iter_mut().zip(header.iter()) {
            if let Some(value) = value {
                event
                    .headers
                    .insert(header.name().to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

impl FromIterator<TestEvent> for TestBatch {
    fn from_iter<I: IntoIterator<Item = TestEvent>>(events: I) -> Self {
        TestBatch {
            events: events.into_iter().collect(),
        }
    }
}

impl fmt::Debug for TestBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.events).finish()
    }
}
