//! The queue in the database: what one transaction writes, and what a read finds.

use std::ops::ControlFlow;

use flumen_clients::sqlite::{Database, Row, SqliteError, Statements, Value};
use flumen_core::EventBatch;

use super::headers::HeaderWriter;
use super::schema;
use crate::bounded::Room;

/// A state of a component, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptState {
    pub(super) component: String,
    pub(super) generation: u64,
    pub(super) bytes: std::sync::Arc<[u8]>,
}

/// What one caller wants written. All changes of a group are in one transaction.
#[derive(Debug, Default)]
pub(super) struct Change<'a> {
    /// Events that are put, at the end of the queue.
    pub(super) put: Option<&'a EventBatch>,
    /// First and last sequence of events that leave.
    pub(super) gone: Vec<(u64, u64)>,
    /// What those take.
    pub(super) gone_room: Room,
    /// States that belong to it.
    pub(super) states: &'a [KeptState],
}

/// Where the events of a change stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// The sequence of the first event that was put.
    pub(super) first_sequence: u64,
    /// Bytes of the headers, as they are written.
    pub(super) header_bytes: u64,
}

/// What is in the database, kept in it so that opening does not count the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// The sequence of the event that will be put next. No sequence is used twice.
    pub(super) next_sequence: u64,
    pub(super) room: Room,
}

/// The one that writes.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    counts: Counts,
}

impl Store {
    /// Reads where the queue stands, and the first sequence that waits. What the counts and the
    /// events do not agree on is settled by the events, as far as that can be told at once: another
    /// program may have changed them.
    pub(super) fn open(database: Database) -> Result<(Self, Option<u64>), SqliteError> {
        let statements = database.statements();
        let mut counts = Counts {
            next_sequence: 0,
            room: Room::default(),
        };
        statements.query(schema::COUNTS, &[], |row| {
            counts.next_sequence = unsigned(row.integer(0)?);
            counts.room.events = unsigned(row.integer(1)?);
            counts.room.size = unsigned(row.integer(2)?);
            Ok(ControlFlow::Break(()))
        })?;
        let first = optional_number(&statements, schema::FIRST_SEQUENCE)?;
        let last = optional_number(&statements, schema::LAST_SEQUENCE)?;
        if let (Some(first), Some(last)) = (first, last) {
            counts.next_sequence = counts.next_sequence.max(last + 1);
            counts.room.events = counts.room.events.clamp(1, last + 1 - first);
        } else {
            counts.room = Room::default();
        }
        Ok((Self { database, counts }, first))
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Writes all changes in one transaction, in their order.
    ///
    /// # Errors
    /// Nothing was written.
    pub(super) fn commit(
        &mut self,
        changes: &[Change<'_>],
        now_ms: i64,
    ) -> Result<Vec<Written>, SqliteError> {
        let before = self.counts;
        let (counts, written) = self.database.transaction(|statements| {
            let mut counts = before;
            let mut written = Vec::with_capacity(changes.len());
            for change in changes {
                written.push(write(statements, change, &mut counts, now_ms)?);
            }
            if counts != before {
                let values = [counts.next_sequence, counts.room.events, counts.room.size];
                statements.execute(
                    schema::SET_COUNTS,
                    &values.map(|value| Value::Integer(signed(value))),
                )?;
            }
            Ok::<_, SqliteError>((counts, written))
        })?;
        self.counts = counts;
        Ok(written)
    }

    #[cfg(test)]
    pub(super) fn states(&self) -> Result<Vec<KeptState>, SqliteError> {
        let mut states = Vec::new();
        let statements = self.database.statements();
        statements.query(schema::STATES, &[], |row| {
            states.push(KeptState {
                component: row.text(0)?.to_owned(),
                generation: unsigned(row.integer(1)?),
                bytes: row.bytes(2)?.into(),
            });
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(states)
    }
}

fn write(
    statements: &Statements<'_>,
    change: &Change<'_>,
    counts: &mut Counts,
    now_ms: i64,
) -> Result<Written, SqliteError> {
    let mut written = Written {
        first_sequence: counts.next_sequence,
        header_bytes: 0,
    };
    if let Some(events) = change.put {
        let mut headers = HeaderWriter::new(events);
        for (index, body) in events.bodies().enumerate() {
            let headers = headers.of(index);
            written.header_bytes += headers.len() as u64;
            let values = [
                Value::Integer(signed(counts.next_sequence)),
                Value::Integer(now_ms),
                Value::Text(headers),
                Value::Bytes(body),
            ];
            statements.execute(schema::INSERT_EVENT, &values)?;
            counts.next_sequence += 1;
        }
        counts.room = counts.room.plus(Room {
            events: events.len() as u64,
            size: events.body_bytes(),
        });
    }
    for (first, last) in &change.gone {
        let range = [first, last].map(|bound| Value::Integer(signed(*bound)));
        statements.execute(schema::DELETE_EVENTS, &range)?;
    }
    counts.room = counts.room.minus(change.gone_room);
    for state in change.states {
        let values = [
            Value::Text(&state.component),
            Value::Integer(signed(state.generation)),
            Value::Bytes(&state.bytes),
        ];
        statements.execute(schema::SET_STATE, &values)?;
    }
    Ok(written)
}

fn optional_number(
    statements: &Statements<'_>,
    sql: &'static str,
) -> Result<Option<u64>, SqliteError> {
    let mut found = None;
    statements.query(sql, &[], |row: &Row<'_>| {
        found = row.optional_integer(0)?.map(unsigned);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// SQLite's numbers are signed. Sequences and sums begin at 0 and no machine counts to 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number below 0 can only come from another program.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
