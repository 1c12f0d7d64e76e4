//! The queue in the database: what one transaction writes, and what a read finds.

use std::ops::ControlFlow;

use flumen_clients::sqlite::{Database, Failure, Row, SqliteError, Statements, Value};
use flumen_core::EventBatch;
use flumen_core::state::StateRecord;

use super::headers::HeaderWriter;
use super::schema;
use super::state::BodyBytes;
use crate::bounded::Room;

/// What one caller wants written. All changes of a group are in one transaction.
#[derive(Debug, Default)]
pub(super) struct Change<'a> {
    /// Events that are put, at the end of the queue.
    pub(super) put: Option<&'a EventBatch>,
    /// First and last sequence of events that leave.
    pub(super) gone: Vec<(u64, u64)>,
    /// What those take.
    pub(super) gone_room: Room,
    /// The record of state that belongs to it.
    pub(super) record: Option<&'a StateRecord>,
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

/// Ranges of sequences, first and last, of rows that were acknowledged and could not be deleted.
/// As many as there are acknowledgements beside damaged pages.
pub(super) fn acknowledged(database: &Database) -> Result<Vec<(u64, u64)>, SqliteError> {
    let mut ranges = Vec::new();
    database
        .statements()
        .query(schema::ACKNOWLEDGED, &[], |row| {
            ranges.push((unsigned(row.integer(0)?), unsigned(row.integer(1)?)));
            Ok(ControlFlow::Continue(()))
        })?;
    Ok(ranges)
}

/// The one that writes.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    counts: Counts,
    /// Records up to this generation are deleted.
    forgotten: u64,
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
        let mut forgotten = 0;
        statements.query(schema::COUNTS, &[], |row| {
            counts.next_sequence = unsigned(row.integer(0)?);
            counts.room.events = unsigned(row.integer(1)?);
            counts.room.size = unsigned(row.integer(2)?);
            forgotten = unsigned(row.integer(3)?);
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
        let store = Self {
            database,
            counts,
            forgotten,
        };
        Ok((store, first))
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
        forget: u64,
        now_ms: i64,
    ) -> Result<Vec<Written>, SqliteError> {
        let result = self.commit_as(changes, forget, now_ms, Leaving::Deleted);
        let leave = changes.iter().any(|change| !change.gone.is_empty());
        match result {
            // A damaged page beside the rows must not bring acknowledged events back for ever.
            // What the failed statement has changed is undone, so the damage does not grow.
            Err(error) if leave && error.failure() == Some(Failure::Corrupt) => {
                self.commit_as(changes, forget, now_ms, Leaving::Noted)
            }
            other => other,
        }
    }

    fn commit_as(
        &mut self,
        changes: &[Change<'_>],
        forget: u64,
        now_ms: i64,
        leaving: Leaving,
    ) -> Result<Vec<Written>, SqliteError> {
        let (before, forgotten) = (self.counts, self.forgotten);
        let (counts, written) = self.database.transaction(|statements| {
            let mut counts = before;
            let mut written = Vec::with_capacity(changes.len());
            for change in changes {
                let header_bytes = match change.put {
                    Some(events) => put(statements, events, counts.next_sequence, now_ms)?,
                    None => 0,
                };
                leave(statements, &change.gone, leaving)?;
                keep_record(statements, change.record)?;
                written.push(Written {
                    first_sequence: counts.next_sequence,
                    header_bytes,
                });
                let added = change.put.map(Room::of::<BodyBytes>).unwrap_or_default();
                counts.next_sequence += added.events;
                counts.room = counts.room.plus(added).minus(change.gone_room);
            }
            if counts != before {
                let values = [counts.next_sequence, counts.room.events, counts.room.size];
                statements.execute(
                    schema::SET_COUNTS,
                    &values.map(|value| Value::Integer(signed(value))),
                )?;
            }
            if forget > forgotten {
                let generation = [Value::Integer(signed(forget))];
                statements.execute(schema::FORGET_RECORDS, &generation)?;
                statements.execute(schema::SET_FORGOTTEN, &generation)?;
            }
            Ok::<_, SqliteError>((counts, written))
        })?;
        self.counts = counts;
        self.forgotten = forgotten.max(forget);
        Ok(written)
    }

    /// Up to which generation records are deleted.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

/// The records that are kept, by generation.
pub(super) fn records(database: &Database) -> Result<Vec<StateRecord>, SqliteError> {
    let mut records = Vec::new();
    database.statements().query(schema::RECORDS, &[], |row| {
        records.push(StateRecord {
            generation: unsigned(row.integer(0)?),
            bytes: row.bytes(1)?.into(),
        });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(records)
}

/// How acknowledged events leave.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    Deleted,
    /// Their rows stay, and the ranges are noted.
    Noted,
}

/// Puts events behind those that are there, and tells the bytes of their headers.
fn put(
    statements: &Statements<'_>,
    events: &EventBatch,
    first_sequence: u64,
    now_ms: i64,
) -> Result<u64, SqliteError> {
    let mut headers = HeaderWriter::new(events);
    let mut header_bytes = 0;
    let bodies = events.bodies().enumerate();
    for ((index, body), sequence) in bodies.zip(first_sequence..) {
        let headers = headers.of(index);
        header_bytes += headers.len() as u64;
        let values = [
            Value::Integer(signed(sequence)),
            Value::Integer(now_ms),
            Value::Text(headers),
            Value::Bytes(body),
        ];
        statements.execute(schema::INSERT_EVENT, &values)?;
    }
    Ok(header_bytes)
}

fn leave(
    statements: &Statements<'_>,
    gone: &[(u64, u64)],
    leaving: Leaving,
) -> Result<(), SqliteError> {
    let sql = match leaving {
        Leaving::Deleted => schema::DELETE_EVENTS,
        Leaving::Noted => schema::NOTE_ACKNOWLEDGED,
    };
    for (first, last) in gone {
        let range = [first, last].map(|bound| Value::Integer(signed(*bound)));
        statements.execute(sql, &range)?;
    }
    Ok(())
}

fn keep_record(
    statements: &Statements<'_>,
    record: Option<&StateRecord>,
) -> Result<(), SqliteError> {
    let Some(record) = record else { return Ok(()) };
    let values = [
        Value::Integer(signed(record.generation)),
        Value::Bytes(&record.bytes),
    ];
    statements.execute(schema::INSERT_RECORD, &values).map(drop)
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
