//! What people with a SQL tool see and may do. The tool is asked where it is installed; the
//! statements are those of the documentation.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use flumen_clients::sqlite::DatabaseFile;
use flumen_core::batch::{BatchBuilder, Existing, HeaderName};

use super::super::{BUSY_WAIT, schema};
use super::{drain, events, numbered, open, put, sqlite3, take};

#[tokio::test]
async fn the_queue_can_be_read_while_it_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let channel = open(&path);
    let host = HeaderName::new("host").unwrap();
    let batch = events(&["one", "two"]);
    let batch = batch.with_constant_header(&host, &"web1".into(), Existing::Replace);
    put(&channel, batch.unwrap()).await;
    let lease = take(&channel, 1).await;
    let ask = |sql| sqlite3(&path, sql);
    let Some(told) = ask("SELECT * FROM readable") else {
        return;
    };
    assert_eq!(
        told,
        "0|2023-11-14 22:13:20|{\"host\":\"web1\"}|one\n\
         1|2023-11-14 22:13:20|{\"host\":\"web1\"}|two\n"
    );
    let counted =
        ask("SELECT headers ->> 'host', count(*), sum(length(body)) FROM events GROUP BY 1");
    assert_eq!(counted.unwrap(), "web1|2|6\n");
    assert_eq!(ask("SELECT * FROM queue").unwrap(), "1|2|2|6|0\n");
    lease.ack().await.unwrap();
    assert_eq!(ask("SELECT sequence FROM events").unwrap(), "1\n");
    assert_eq!(ask("SELECT * FROM queue").unwrap(), "1|2|1|3|0\n");
    assert_eq!(
        ask("PRAGMA application_id; PRAGMA user_version; PRAGMA integrity_check").unwrap(),
        "1718375249\n1\nok\n"
    );
}

#[test]
fn the_documentation_shows_the_tables_as_they_are() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec/sql-channel.md");
    let page = fs::read_to_string(page).unwrap();
    let shown = schema::SCHEMA.statements.trim();
    assert!(
        page.contains(shown),
        "docs/spec/sql-channel.md shows:\n{shown}"
    );
    for number in [
        format!("`application_id` {}", schema::SCHEMA.application_id),
        format!("`user_version` {}", schema::SCHEMA.version),
    ] {
        assert!(
            page.contains(&number),
            "docs/spec/sql-channel.md names {number}"
        );
    }
}

/// Runs statements as another program would, while nobody else has the database.
fn meddle(path: &Path, statements: &[&'static str]) {
    let file = DatabaseFile::take(path, schema::SCHEMA, false, BUSY_WAIT).unwrap();
    let mut database = file.connect().unwrap();
    for sql in statements {
        let changed = database.transaction(|statements| statements.execute(sql, &[]));
        changed.unwrap();
    }
    let count = database
        .statements()
        .query("SELECT 1", &[], |_| Ok(ControlFlow::Continue(())));
    count.unwrap();
}

#[tokio::test]
async fn events_that_somebody_deleted_are_missed_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    put(&open(&path), numbered(0..10)).await;
    meddle(&path, &["DELETE FROM events WHERE sequence IN (0, 4, 9)"]);
    let channel = open(&path);
    let bodies: Vec<u64> = drain(&channel)
        .await
        .iter()
        .map(|(sequence, _)| *sequence)
        .collect();
    assert_eq!(bodies, [1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(
        channel.fill(),
        Default::default(),
        "the accounts are right again"
    );
    put(&channel, numbered(10..13)).await;
    take(&channel, 3)
        .await
        .ack_except(vec![0, 2])
        .await
        .unwrap();
    drop(channel);
    let channel = open(&path);
    let fill = channel.fill();
    assert_eq!(
        (fill.events, fill.bytes),
        (2, 4),
        "and so are the counts in the database"
    );
    assert_eq!(drain(&channel).await.len(), 2);
    drop(channel);
    put(&open(&path), numbered(0..2)).await;
    meddle(&path, &["DELETE FROM events"]);
    assert_eq!(open(&path).fill(), Default::default());
}

#[tokio::test]
async fn an_event_that_somebody_changed_is_delivered_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    put(&open(&path), numbered(0..2)).await;
    meddle(
        &path,
        &[
            "UPDATE events SET body = CAST('new' AS BLOB), headers = '{ \"a\" : \"b\" }' WHERE sequence = 1",
        ],
    );
    let channel = open(&path);
    let lease = take(&channel, 1).await;
    lease.ack().await.unwrap();
    let lease = take(&channel, 1).await;
    let event = &lease.segments()[0].events;
    assert_eq!(event.body(0).unwrap(), b"new");
    assert_eq!(event.headers_of(0).collect::<Vec<_>>(), [("a", "b")]);
}

#[tokio::test]
async fn a_row_that_is_no_event_stays_and_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    put(&open(&path), numbered(0..4)).await;
    meddle(
        &path,
        &[
            "UPDATE events SET headers = '{' WHERE sequence = 0",
            "UPDATE events SET headers = '{\"a\":1}' WHERE sequence = 2",
        ],
    );
    let channel = open(&path);
    let sequences: Vec<u64> = drain(&channel)
        .await
        .iter()
        .map(|(sequence, _)| *sequence)
        .collect();
    assert_eq!(sequences, [1, 3]);
    drop(channel);
    meddle(&path, &["UPDATE events SET headers = '{}'"]);
    let sequences: Vec<u64> = drain(&open(&path))
        .await
        .iter()
        .map(|(sequence, _)| *sequence)
        .collect();
    assert_eq!(
        sequences,
        [0, 2],
        "once they are repaired they are delivered"
    );
}

#[tokio::test]
async fn a_batch_has_no_more_header_names_than_a_batch_may_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let channel = open(&path);
    for number in 0..1500 {
        let mut builder = BatchBuilder::new();
        builder.push(b"x").unwrap();
        let name = HeaderName::new(format!("h{number}")).unwrap();
        builder.set_header(&name, "v").unwrap();
        put(&channel, builder.finish().unwrap()).await;
    }
    drop(channel);
    assert_eq!(drain(&open(&path)).await.len(), 1500);
}
