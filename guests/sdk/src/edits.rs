//! An answer that changes some events of a batch.

use crate::bindings::types::{self, BodyEdit, Column, ConstantHeader};
use crate::column::{HeaderColumnBuilder, check_distinct, check_name, column_of};
use crate::error::Error;
use crate::interceptor::Answer;

/// Changes to one batch, column by column, checked as the host checks them. Made by
/// [`Batch::edit`](crate::Batch::edit) and [`EditsBuilder::finish`].
#[derive(Clone, Debug)]
pub struct Edits(pub(crate) types::Edits);

/// Collects the changes to one batch. What is not named stays as it is.
///
/// Rows are those of the batch that was handed in, and are given in increasing order, for each kind
/// of change and each header by itself: that is the order of a loop over the events. A call that
/// breaks a rule is remembered and comes out of [`EditsBuilder::finish`], so that the loop needs no
/// `?`.
pub struct EditsBuilder {
    events: usize,
    set_all: Vec<ConstantHeader>,
    set_headers: Vec<HeaderColumnBuilder>,
    remove_headers: Vec<String>,
    body_rows: Vec<u32>,
    bodies: Column,
    dropped: Vec<u32>,
    mistake: Option<Error>,
}

impl EditsBuilder {
    pub(crate) fn new(events: usize) -> Self {
        EditsBuilder {
            events,
            set_all: Vec::new(),
            set_headers: Vec::new(),
            remove_headers: Vec::new(),
            body_rows: Vec::new(),
            bodies: Column::empty(),
            dropped: Vec::new(),
            mistake: None,
        }
    }

    /// Sets a header to one value on all events, at the cost of one value.
    pub fn set_header_on_all(&mut self, name: &str, value: &str) -> &mut Self {
        self.set_all.push(ConstantHeader {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    /// Sets a header of one event.
    pub fn set_header(&mut self, row: usize, name: &str, value: &str) -> &mut Self {
        let done = self
            .checked(row)
            .and_then(|row| match column_of(&mut self.set_headers, name) {
                Some(column) => column.push(row, value),
                None => Ok(()),
            });
        self.note(done)
    }

    /// Removes a header from all events.
    pub fn remove_header(&mut self, name: &str) -> &mut Self {
        self.remove_headers.push(name.to_owned());
        self
    }

    /// Replaces the body of one event.
    pub fn set_body(&mut self, row: usize, body: &[u8]) -> &mut Self {
        let done = self
            .checked(row)
            .and_then(|row| push_row(&mut self.body_rows, row, "the body"))
            .and_then(|()| self.bodies.push(body));
        self.note(done)
    }

    /// Drops one event: for its source it counts as accepted.
    pub fn drop_event(&mut self, row: usize) -> &mut Self {
        let done = self
            .checked(row)
            .and_then(|row| push_row(&mut self.dropped, row, "a drop"));
        self.note(done)
    }

    /// The answer: [`Answer::Unchanged`] when nothing was changed.
    ///
    /// # Errors
    /// [`Error::Broken`] for the first call that broke a rule: a row past the last, rows out of
    /// order, a header set twice for one event, a name that is empty or too long, a header both set
    /// for all events and for some, or both set and removed.
    pub fn finish(self) -> Result<Answer, Error> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let names = (self.set_all.iter().map(|header| header.name.as_str()))
            .chain(self.set_headers.iter().map(|column| column.name.as_str()))
            .chain(self.remove_headers.iter().map(String::as_str));
        names.clone().try_for_each(check_name)?;
        check_distinct(names.clone())?;
        if names.count() == 0 && self.body_rows.is_empty() && self.dropped.is_empty() {
            return Ok(Answer::Unchanged);
        }
        let events = self.events;
        let columns = self.set_headers.into_iter();
        Ok(Answer::Edits(Edits(types::Edits {
            set_all: self.set_all,
            set_headers: columns.map(|column| column.finish(events)).collect(),
            remove_headers: self.remove_headers,
            bodies: (!self.body_rows.is_empty()).then_some(BodyEdit {
                rows: self.body_rows,
                bodies: self.bodies,
            }),
            dropped: self.dropped,
        })))
    }

    fn checked(&self, row: usize) -> Result<u32, Error> {
        match u32::try_from(row) {
            Ok(number) if row < self.events => Ok(number),
            _ => Err(Error::broken(format!(
                "event {row} of a batch of {} events: rows are counted from 0",
                self.events
            ))),
        }
    }

    fn note(&mut self, done: Result<(), Error>) -> &mut Self {
        if let (Err(mistake), None) = (done, &self.mistake) {
            self.mistake = Some(mistake);
        }
        self
    }
}

fn push_row(rows: &mut Vec<u32>, row: u32, what: &str) -> Result<(), Error> {
    if rows.last().is_some_and(|last| *last >= row) {
        return Err(Error::broken(format!(
            "{what} of event {row} comes twice or out of order: give rows in increasing order"
        )));
    }
    rows.push(row);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(answer: Answer) -> types::Edits {
        match answer {
            Answer::Edits(edits) => edits.0,
            other => panic!("not edits: {other:?}"),
        }
    }

    #[test]
    fn nothing_changed_is_unchanged() {
        let answer = EditsBuilder::new(3).finish().unwrap();
        assert!(matches!(answer, Answer::Unchanged));
    }

    #[test]
    fn a_header_on_every_event_needs_no_rows_and_one_on_some_does() {
        let mut builder = EditsBuilder::new(2);
        builder.set_header(0, "all", "a").set_header(0, "some", "b");
        builder.set_header(1, "all", "c");
        let edits = edits(builder.finish().unwrap());
        let columns: Vec<_> = edits
            .set_headers
            .iter()
            .map(|column| (column.name.as_str(), column.rows.clone()))
            .collect();
        assert_eq!(columns, [("all", None), ("some", Some(vec![0]))]);
    }

    #[test]
    fn the_first_mistake_comes_out_at_the_end() {
        let mut builder = EditsBuilder::new(2);
        builder.drop_event(1).drop_event(0).set_body(9, b"x");
        let error = builder.finish().unwrap_err();
        assert!(error.message().contains("event 0"), "{error}");
    }

    #[test]
    fn a_row_past_the_last_is_refused() {
        let mut builder = EditsBuilder::new(2);
        builder.set_body(2, b"x");
        let error = builder.finish().unwrap_err();
        assert!(
            error.message().contains("event 2 of a batch of 2"),
            "{error}"
        );
    }

    #[test]
    fn a_header_is_set_once_and_not_removed_as_well() {
        let mut builder = EditsBuilder::new(2);
        builder.set_header(1, "h", "a").set_header(1, "h", "b");
        assert!(builder.finish().is_err());
        let mut builder = EditsBuilder::new(2);
        builder.set_header_on_all("h", "a").remove_header("h");
        assert!(builder.finish().is_err());
        let mut builder = EditsBuilder::new(2);
        builder.set_header_on_all("", "a");
        assert!(builder.finish().is_err());
    }
}
