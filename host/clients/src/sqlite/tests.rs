//! Files that are refused, files that are made, locks, and what a reader sees.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rusqlite::Connection;

use super::{Database, DatabaseFile, Failure, JobQueue, Schema, SqliteError, Value, Worker};

const SCHEMA: Schema = Schema {
    application_id: 0x464c_7465,
    version: 2,
    statements: "CREATE TABLE words (word TEXT NOT NULL) STRICT;",
};

const SHORT: Duration = Duration::from_millis(20);

fn take(path: &Path) -> Result<DatabaseFile, SqliteError> {
    DatabaseFile::take(path, SCHEMA, true, SHORT)
}

fn add(database: &mut Database, word: &str) -> Result<(), SqliteError> {
    database.transaction(|statements| {
        let added = statements.execute("INSERT INTO words VALUES (?1)", &[Value::Text(word)])?;
        assert_eq!(added, 1);
        Ok(())
    })
}

fn words(database: &Database) -> Vec<String> {
    let mut words = Vec::new();
    let all = database
        .statements()
        .query("SELECT word FROM words", &[], |row| {
            words.push(row.text(0)?.to_owned());
            Ok(ControlFlow::Continue(()))
        });
    all.unwrap();
    words
}

/// Names and contents of everything in a folder.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut contents: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect();
    contents.sort();
    contents
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/below/words.sqlite");
    let mut database = take(&path).unwrap().connect().unwrap();
    add(&mut database, "one").unwrap();
    let undone: Result<(), SqliteError> = database.transaction(|statements| {
        statements.execute("INSERT INTO words VALUES ('two')", &[])?;
        statements.execute("INSERT INTO nowhere VALUES ('three')", &[])?;
        Ok(())
    });
    assert_eq!(undone.unwrap_err().failure(), Some(Failure::Other));
    drop(database);
    let database = take(&path).unwrap().connect().unwrap();
    assert_eq!(words(&database), ["one"]);
}

#[test]
fn a_new_database_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("below/a");
    let mut database = take(&path).unwrap().connect().unwrap();
    add(&mut database, "one").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files = fs::read_dir(path.parent().unwrap()).unwrap();
    let modes: Vec<u32> = files.map(|file| mode(&file.unwrap().path())).collect();
    assert_eq!(
        modes, [0o600; 4],
        "the database, its log, the index of that, and the lock"
    );
}

#[test]
fn a_full_database_says_so_and_can_be_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = take(&folder.path().join("a")).unwrap().connect().unwrap();
    // SQLite answers as it does on a disk that is full.
    let bound = database
        .statements()
        .query("PRAGMA max_page_count = 8", &[], |_| {
            Ok(ControlFlow::Continue(()))
        });
    bound.unwrap();
    let word = "x".repeat(3000);
    let mut added = 0;
    let error = loop {
        match add(&mut database, &word) {
            Ok(()) => added += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.failure(), Some(Failure::Full), "{error}");
    assert_eq!(words(&database).len(), added, "what was there is there");
    let removed = database.transaction(|statements| statements.execute("DELETE FROM words", &[]));
    assert_eq!(removed.unwrap(), added as u64);
    add(&mut database, &word).unwrap();
}

#[test]
fn a_commit_is_synced_into_a_write_ahead_log() {
    let folder = tempfile::tempdir().unwrap();
    let database = take(&folder.path().join("a")).unwrap().connect().unwrap();
    let mut found = Vec::new();
    for pragma in ["PRAGMA journal_mode", "PRAGMA synchronous"] {
        let row = database.statements().query(pragma, &[], |row| {
            found.push(match row.integer(0) {
                Ok(number) => number.to_string(),
                Err(_) => row.text(0)?.to_owned(),
            });
            Ok(ControlFlow::Break(()))
        });
        row.unwrap();
    }
    assert_eq!(found, ["wal", "2"], "2 is FULL");
}

#[test]
fn foreign_files_are_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let database_of = |application_id: i32, version: u32| {
        let _ = fs::remove_file(&path);
        let other = Connection::open(&path).unwrap();
        let script = format!(
            "CREATE TABLE a (b); PRAGMA application_id = {application_id}; \
             PRAGMA user_version = {version};"
        );
        other.execute_batch(&script).unwrap();
    };
    let refused = |what: &str| {
        let before = contents(folder.path());
        let error = take(&path).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert_eq!(contents(folder.path()), before, "{what}");
    };
    fs::write(&path, "").unwrap();
    refused("an empty file");
    fs::write(&path, "x".repeat(5000)).unwrap();
    refused("not a database of SQLite");
    fs::write(&path, "SQLite format 3\0").unwrap();
    refused("not a database of SQLite");
    database_of(0, 0);
    refused("a database of another program (application_id 0)");
    database_of(77, 1);
    refused("a database of another program (application_id 77)");
    database_of(SCHEMA.application_id, 0);
    refused("without a version");
    database_of(SCHEMA.application_id, 3);
    refused("has schema 3, and this flumen knows schemas up to 2");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = take(&path).unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
}

#[test]
fn a_newer_version_that_is_still_in_the_log_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    drop(take(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 3).unwrap();
    let error = take(&path).unwrap_err();
    assert!(
        matches!(
            error,
            SqliteError::Newer {
                found: 3,
                known: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_database_has_one_holder_whatever_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let held = take(&path).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        let error = take(name).unwrap_err();
        assert!(matches!(error, SqliteError::InUse { .. }), "{error}");
    }
    let database = held.connect().unwrap();
    drop(held);
    assert!(take(&path).is_err(), "a connection holds the file too");
    drop(database);
    assert!(take(&path).is_ok());
}

#[test]
fn nothing_is_made_where_nothing_shall_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("below/a");
    let error = DatabaseFile::take(&path, SCHEMA, false, SHORT).unwrap_err();
    assert!(matches!(error, SqliteError::Missing { .. }), "{error}");
    assert!(contents(folder.path()).is_empty());
}

#[test]
fn what_a_crash_left_while_the_file_was_made_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(folder.path().join("a-making"), "half of it").unwrap();
    fs::write(folder.path().join("a-making-journal"), "half of it").unwrap();
    let database = take(&path).unwrap().connect().unwrap();
    assert!(words(&database).is_empty());
    assert!(!folder.path().join("a-making").exists());
    assert!(!folder.path().join("a-making-journal").exists());
}

#[test]
fn a_reader_does_not_hold_up_the_writer_and_a_writer_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut database = take(&path).unwrap().connect().unwrap();
    add(&mut database, "one").unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN; SELECT * FROM words;").unwrap();
    add(&mut database, "two").unwrap();
    other.execute_batch("COMMIT; BEGIN IMMEDIATE;").unwrap();
    let error = add(&mut database, "three").unwrap_err();
    assert_eq!(error.failure(), Some(Failure::Busy), "{error}");
    assert_eq!(words(&database), ["one", "two"], "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    add(&mut database, "three").unwrap();
}

#[test]
fn a_value_of_the_wrong_type_is_told_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let database = take(&folder.path().join("a")).unwrap().connect().unwrap();
    let asked = database.statements().query("SELECT 'secret'", &[], |row| {
        row.integer(0).map(|_| ControlFlow::Continue(()))
    });
    let error = asked.unwrap_err();
    assert_eq!(error.failure(), Some(Failure::Malformed));
    let all = format!("{error}: {:?}", std::error::Error::source(&error));
    assert!(all.contains("is not a number but Text"), "{all}");
    assert!(!all.contains("secret"), "{all}");
}

#[test]
fn a_worker_does_what_it_was_given_in_order_and_in_groups() {
    let (done, seen) = sync_channel(16);
    let (go, gate) = sync_channel::<()>(16);
    let queue = JobQueue::new();
    let worker = Worker::start("test", queue.clone(), 2, move |group: Vec<u32>| {
        gate.recv().unwrap();
        done.send(group).unwrap();
    })
    .unwrap();
    for number in 0..2 {
        queue.submit(number);
    }
    for _ in 0..8 {
        go.send(()).unwrap();
    }
    for number in 2..5 {
        queue.submit(number);
    }
    drop(worker);
    let groups: Vec<Vec<u32>> = seen.iter().collect();
    assert!(groups.iter().all(|group| group.len() <= 2));
    assert_eq!(groups.concat(), [0, 1, 2, 3, 4], "the end waits for all");
}
