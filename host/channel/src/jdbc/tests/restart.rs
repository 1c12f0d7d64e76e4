//! What a channel finds when it is opened again.

use std::fs;
use std::sync::Arc;

use flumen_core::batch::{BatchBuilder, HeaderName};
use flumen_core::channel::{Channel, PutPart, ReserveError, put_all};
use flumen_core::state::StateRecord;
use flumen_core::{EventBatch, FaultKind};

use super::{defaults, drain, events, number, numbered, open, put, shown, take, try_open};

fn with_headers(bodies: &[(&str, &[(&str, &str)])]) -> EventBatch {
    let mut builder = BatchBuilder::new();
    for (body, headers) in bodies {
        builder.push(body.as_bytes()).unwrap();
        for (name, value) in *headers {
            let name = HeaderName::new(*name).unwrap();
            builder.set_header(&name, value).unwrap();
        }
    }
    builder.finish().unwrap()
}

#[tokio::test]
async fn exactly_what_was_not_acknowledged_is_there_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let channel = open(&path);
    put(&channel, numbered(0..6)).await;
    put(&channel, numbered(6..9)).await;
    let first = take(&channel, 2).await;
    let second = take(&channel, 3).await;
    second.ack_except(vec![1]).await.unwrap();
    let held = take(&channel, 1).await;
    assert_eq!(shown(&held), [(3, "3".to_owned())]);
    drop((first, held, channel));

    let channel = open(&path);
    assert_eq!(channel.fill().events, 7);
    assert_eq!(channel.fill().bytes, 7);
    let expected: Vec<_> = [0, 1, 3, 5, 6, 7, 8]
        .map(|number| (number, number.to_string()))
        .into();
    assert_eq!(drain(&channel).await, expected);
    put(&channel, numbered(9..10)).await;
    drop(channel);
    let channel = open(&path);
    assert_eq!(drain(&channel).await, [(9, "9".to_owned())]);
    assert_eq!(channel.fill(), Default::default());
    drop(channel);
    let channel = open(&path);
    put(&channel, numbered(10..11)).await;
    let drained = drain(&channel).await;
    assert_eq!(
        drained,
        [(10, "10".to_owned())],
        "no sequence is used twice"
    );
}

#[tokio::test]
async fn events_come_back_as_they_were_put() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let batches = [
        with_headers(&[
            ("one", &[("a", "1"), ("b", "\"\\\n\0é")]),
            ("", &[]),
            ("three", &[("a", "")]),
        ]),
        with_headers(&[("x\0y", &[("same", "s")]), ("z", &[("same", "s")])]),
        events(&["plain"]),
    ];
    let channel = open(&path);
    for batch in &batches {
        put(&channel, batch.clone()).await;
    }
    drop(channel);
    let channel = open(&path);
    let lease = take(&channel, 100).await;
    let got: Vec<EventBatch> = lease
        .segments()
        .iter()
        .map(|segment| segment.events.clone())
        .collect();
    assert_eq!(
        EventBatch::concat(&got).unwrap(),
        EventBatch::concat(&batches).unwrap()
    );
}

#[tokio::test]
async fn a_record_is_in_the_transaction_of_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let channel = open(&path);
    let record = |generation: u64| StateRecord {
        generation,
        bytes: generation.to_le_bytes().into(),
    };
    for (generation, events) in [
        (1, numbered(0..2)),
        (2, numbered(2..2)),
        (3, numbered(2..3)),
    ] {
        let part = PutPart {
            channel: Arc::clone(&channel),
            events,
        };
        put_all(&[part], Some(&record(generation))).await.unwrap();
    }
    assert_eq!(
        channel.fill().events,
        3,
        "a put of a record alone is no event"
    );
    assert_eq!(channel.kept_record_bytes(), 24);
    drop(channel);
    let channel = open(&path);
    let found: Vec<StateRecord> = channel
        .recovered()
        .records
        .into_iter()
        .map(|found| found.record)
        .collect();
    assert_eq!(found, [record(1), record(2), record(3)]);
    channel.forget(2);
    assert_eq!(channel.kept_record_bytes(), 8);
    channel.release().await.unwrap();
    drop(channel);
    let recovered = open(&path).recovered();
    assert_eq!((recovered.forgotten, recovered.records.len()), (2, 1));
}

#[tokio::test]
async fn a_released_channel_lets_go_of_its_file_although_somebody_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let channel = open(&path);
    put(&channel, numbered(0..3)).await;
    let lease = take(&channel, 1).await;
    channel.release().await.unwrap();
    assert_eq!(drain(&open(&path)).await.len(), 3);
    let error = lease.ack().await.unwrap_err().to_string();
    assert!(error.contains("let go of its database"), "{error}");
}

#[tokio::test]
async fn a_channel_that_is_open_is_not_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let channel = open(&path);
    put(&channel, numbered(0..1)).await;
    let lease = take(&channel, 1).await;
    let fault = try_open(&defaults(&path)).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    assert!(
        fault.to_string().contains("is in use by another"),
        "{fault}"
    );
    drop(channel);
    assert!(try_open(&defaults(&path)).is_err(), "a lease holds it open");
    drop(lease);
    assert_eq!(drain(&open(&path)).await.len(), 1);
}

#[tokio::test]
async fn a_capacity_below_what_waits_keeps_it_and_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    put(&open(&path), numbered(0..5)).await;
    let settings = defaults(&path).with("maximum.capacity", number(3));
    let channel: Arc<dyn Channel> = Arc::new(try_open(&settings).unwrap());
    let one = numbered(5..6);
    for left in [5, 4, 3] {
        assert_eq!(channel.fill().events, left);
        let refused = channel.try_reserve(&one);
        assert!(matches!(refused.err(), Some(ReserveError::Full { .. })));
        take(&channel, 1).await.ack().await.unwrap();
    }
    assert!(channel.try_reserve(&one).is_ok());
    assert_eq!(drain(&channel).await.len(), 2);
}

#[tokio::test]
async fn opening_reads_the_log_of_a_process_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a"), folder.path().join("copy"));
    let channel = open(&path);
    put(&channel, numbered(0..3)).await;
    take(&channel, 1).await.ack().await.unwrap();
    // What a kill would leave: the database as it was made, and the log beside it.
    fs::copy(&path, &copy).unwrap();
    let log = |path: &std::path::Path| format!("{}-wal", path.display());
    fs::copy(log(&path), log(&copy)).unwrap();
    let drained = drain(&open(&copy)).await;
    assert_eq!(drained, [(1, "1".to_owned()), (2, "2".to_owned())]);
}
