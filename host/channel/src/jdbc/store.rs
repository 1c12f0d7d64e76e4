//! The queue in the database: what one transaction writes, and what a read finds.

use std::ops::ControlFlow;

use flumen_clients::sqlite::{Database, Failure, Row, SqliteError, Statements, Value};
use flumen_core::state::StateRecord;
use flumen_core::{ComponentName, EventBatch};

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
    /// The record of state that belongs to it, and for a put who decides whether it counts.
    pub(super) record: Option<&'a StateRecord>,
    pub(super) decider: Option<&'a ComponentName>,
    /// Puts that were prepared and are decided.
    pub(super) withdrawn: &'a [PreparedKey],
    pub(super) settled: &'a [PreparedKey],
}

/// Where the events of a change stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Records up to this generation were forgotten.
    pub(super) forgotten: u64,
}

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundRecord {
    pub(super) record: StateRecord,
    /// A put that is not decided: who decides, and the events.
    pub(super) prepared: Option<Prepared>,
}

impl FoundRecord {
    /// First and last sequence of the events of a put that is not decided, and what they take.
    pub(super) fn prepared_events(&self) -> Option<((u64, u64), Room)> {
        let prepared = self.prepared.as_ref()?;
        Some((prepared.key.range()?, prepared.room))
    }
}

/// Which prepared put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PreparedKey {
    pub(super) generation: u64,
    /// The first sequence of its events, and the one behind the last.
    pub(super) first: u64,
    pub(super) end: u64,
}

impl PreparedKey {
    /// First and last sequence, if it has events.
    pub(super) fn range(self) -> Option<(u64, u64)> {
        (self.first < self.end).then(|| (self.first, self.end - 1))
    }

    fn values(self) -> [Value<'static>; 3] {
        [self.generation, self.first, self.end].map(|own| Value::Integer(signed(own)))
    }
}

/// Events of a put that does not count yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) decider: ComponentName,
    pub(super) key: PreparedKey,
    /// What of them is still there takes this much.
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
            forgotten: 0,
        };
        statements.query(schema::COUNTS, &[], |row| {
            counts.next_sequence = unsigned(row.integer(0)?);
            counts.room.events = unsigned(row.integer(1)?);
            counts.room.size = unsigned(row.integer(2)?);
            counts.forgotten = unsigned(row.integer(3)?);
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

    /// Writes all changes in one transaction, in their order, and drops the records up to
    /// `forgotten`.
    ///
    /// # Errors
    /// Nothing was written.
    pub(super) fn commit(
        &mut self,
        changes: &[Change<'_>],
        now_ms: i64,
        forgotten: u64,
    ) -> Result<Vec<Written>, SqliteError> {
        let result = self.commit_as(changes, now_ms, forgotten, Leaving::Deleted);
        let leave = changes.iter().any(|change| !change.gone.is_empty());
        match result {
            // A damaged page beside the rows must not bring acknowledged events back for ever.
            // What the failed statement has changed is undone, so the damage does not grow.
            Err(error) if leave && error.failure() == Some(Failure::Corrupt) => {
                self.commit_as(changes, now_ms, forgotten, Leaving::Noted)
            }
            other => other,
        }
    }

    fn commit_as(
        &mut self,
        changes: &[Change<'_>],
        now_ms: i64,
        forgotten: u64,
        leaving: Leaving,
    ) -> Result<Vec<Written>, SqliteError> {
        let before = self.counts;
        let (counts, written) = self.database.transaction(|statements| {
            let mut counts = before;
            let mut written = Vec::with_capacity(changes.len());
            for change in changes {
                let header_bytes = match change.put {
                    Some(events) => put(statements, events, counts.next_sequence, now_ms)?,
                    None => 0,
                };
                leave(statements, &change.gone, leaving)?;
                keep_record(statements, change, counts.next_sequence)?;
                decide(statements, change)?;
                written.push(Written {
                    first_sequence: counts.next_sequence,
                    header_bytes,
                });
                let added = change.put.map(Room::of::<BodyBytes>).unwrap_or_default();
                counts.next_sequence += added.events;
                counts.room = counts.room.plus(added).minus(change.gone_room);
            }
            if forgotten > counts.forgotten {
                let bound = [Value::Integer(signed(forgotten))];
                statements.execute(schema::FORGET_RECORDS, &bound)?;
                counts.forgotten = forgotten;
            }
            if counts != before {
                let Counts {
                    next_sequence,
                    room,
                    forgotten,
                } = counts;
                let values = [next_sequence, room.events, room.size, forgotten];
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

    /// The records, by generation.
    pub(super) fn records(&self) -> Result<Vec<FoundRecord>, SqliteError> {
        let statements = self.database.statements();
        let mut found = Vec::new();
        statements.query(schema::RECORDS, &[], |row| {
            let record = StateRecord {
                generation: unsigned(row.integer(0)?),
                bytes: row.bytes(1)?.into(),
            };
            let prepared = match row.text(2) {
                Ok(decider) => Some(Prepared {
                    decider: ComponentName::new(decider),
                    key: PreparedKey {
                        generation: record.generation,
                        first: unsigned(row.integer(3)?),
                        end: unsigned(row.integer(4)?),
                    },
                    room: Room::default(),
                }),
                Err(_) => None,
            };
            found.push(FoundRecord { record, prepared });
            Ok(ControlFlow::Continue(()))
        })?;
        for prepared in found.iter_mut().filter_map(|found| found.prepared.as_mut()) {
            let PreparedKey { first, end, .. } = prepared.key;
            let range = [first, end].map(|bound| Value::Integer(signed(bound)));
            statements.query(schema::ROOM_OF_RANGE, &range, |row| {
                prepared.room.events = unsigned(row.integer(0)?);
                prepared.room.size = unsigned(row.integer(1)?);
                Ok(ControlFlow::Break(()))
            })?;
        }
        Ok(found)
    }
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
    change: &Change<'_>,
    first_sequence: u64,
) -> Result<(), SqliteError> {
    let Some(record) = change.record else {
        return Ok(());
    };
    let generation = Value::Integer(signed(record.generation));
    let bytes = Value::Bytes(&record.bytes);
    let Some(decider) = change.decider else {
        statements.execute(schema::INSERT_RECORD, &[generation, bytes])?;
        return Ok(());
    };
    let events = change.put.map_or(0, EventBatch::len) as u64;
    let values = [
        generation,
        bytes,
        Value::Text(decider.as_str()),
        Value::Integer(signed(first_sequence)),
        Value::Integer(signed(first_sequence + events)),
    ];
    statements.execute(schema::INSERT_PREPARED, &values)?;
    Ok(())
}

fn decide(statements: &Statements<'_>, change: &Change<'_>) -> Result<(), SqliteError> {
    for key in change.withdrawn {
        statements.execute(schema::DELETE_PREPARED, &key.values())?;
    }
    for key in change.settled {
        statements.execute(schema::SETTLE_PREPARED, &key.values())?;
    }
    Ok(())
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
