//! The tables, as `docs/spec/sql-channel.md` describes them for those who read along.
//!
//! A change of anything here is a new version of the schema, and of that page.

use flumen_clients::sqlite::Schema;

/// "flSQ": how SQLite and `file` tell a database of this channel from others.
const APPLICATION_ID: i32 = 0x666c_5351;

/// Which tables there are.
pub(super) const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    version: 1,
    statements: "
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    put_time_ms INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE queue (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_sequence INTEGER NOT NULL,
    events INTEGER NOT NULL,
    body_bytes INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
) STRICT;
INSERT INTO queue VALUES (1, 0, 0, 0, 0);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    record BLOB NOT NULL,
    decider TEXT,
    first_sequence INTEGER,
    end_sequence INTEGER
) STRICT;
CREATE TABLE acknowledged (
    first_sequence INTEGER PRIMARY KEY,
    last_sequence INTEGER NOT NULL
) STRICT;
CREATE VIEW readable AS
    SELECT sequence,
           datetime(put_time_ms / 1000, 'unixepoch') AS put_time,
           headers,
           CAST(body AS TEXT) AS body
    FROM events ORDER BY sequence;
",
};

pub(super) const INSERT_EVENT: &str =
    "INSERT INTO events (sequence, put_time_ms, headers, body) VALUES (?1, ?2, ?3, ?4)";

pub(super) const DELETE_EVENTS: &str = "DELETE FROM events WHERE sequence BETWEEN ?1 AND ?2";

/// Where the file is damaged, rows may be there that cannot be deleted.
pub(super) const NOTE_ACKNOWLEDGED: &str = "INSERT INTO acknowledged (first_sequence, last_sequence) \
     VALUES (?1, ?2) ON CONFLICT (first_sequence) DO UPDATE \
     SET last_sequence = max(last_sequence, excluded.last_sequence)";

pub(super) const ACKNOWLEDGED: &str =
    "SELECT first_sequence, last_sequence FROM acknowledged ORDER BY first_sequence";

pub(super) const EVENTS_FROM: &str = "SELECT sequence, headers, body FROM events \
     WHERE sequence >= ?1 AND sequence < ?2 ORDER BY sequence LIMIT ?3";

pub(super) const FIRST_SEQUENCE: &str = "SELECT min(sequence) FROM events";

pub(super) const LAST_SEQUENCE: &str = "SELECT max(sequence) FROM events";

pub(super) const COUNTS: &str =
    "SELECT next_sequence, events, body_bytes, forgotten FROM queue WHERE id = 1";

pub(super) const SET_COUNTS: &str = "UPDATE queue SET next_sequence = ?1, events = ?2, body_bytes = ?3, forgotten = ?4 WHERE id = 1";

pub(super) const INSERT_RECORD: &str = "INSERT INTO records (generation, record) VALUES (?1, ?2)";

pub(super) const INSERT_PREPARED: &str = "INSERT INTO records \
     (generation, record, decider, first_sequence, end_sequence) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const DELETE_PREPARED: &str = "DELETE FROM records WHERE generation = ?1 \
     AND first_sequence = ?2 AND end_sequence = ?3 AND decider IS NOT NULL";

/// It counts, and nobody has to be asked any more.
pub(super) const SETTLE_PREPARED: &str = "UPDATE records SET decider = NULL WHERE generation = ?1 \
     AND first_sequence = ?2 AND end_sequence = ?3 AND decider IS NOT NULL";

pub(super) const FORGET_RECORDS: &str = "DELETE FROM records WHERE generation <= ?1";

pub(super) const RECORDS: &str = "SELECT generation, record, decider, first_sequence, end_sequence \
     FROM records ORDER BY generation, id";

pub(super) const ROOM_OF_RANGE: &str = "SELECT count(*), ifnull(sum(length(body)), 0) FROM events \
     WHERE sequence >= ?1 AND sequence < ?2";
