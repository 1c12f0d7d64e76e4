//! A disk that fills, a database that others have, and pages that are damaged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flumen_clients::sqlite::{Database, DatabaseFile};
use flumen_core::FaultKind;
use flumen_core::channel::{Channel, PutPart, ReserveError, put_all};

use super::super::{Scale, schema};
use super::{
    at_most, defaults, drain, events, number, numbered, open, open_with, put, shown, take, try_open,
};

#[tokio::test]
async fn on_a_disk_without_space_puts_are_refused_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let enough = defaults(&path).with("minimum_free_bytes", number(0));
    let never = defaults(&path).with("minimum_free_bytes", number(1 << 60));
    let channel: Arc<dyn Channel> = Arc::new(try_open(&enough).unwrap());
    put(&channel, numbered(0..3)).await;
    assert!(channel.reconfigure(&never).unwrap());
    let part = || PutPart {
        channel: Arc::clone(&channel),
        events: numbered(3..4),
    };
    // The first is refused by the writer, later ones before they have room in other channels.
    for _ in 0..2 {
        let error = put_all(&[part()], None).await.unwrap_err().to_string();
        assert!(
            error.contains("bytes free, and minimum_free_bytes is"),
            "{error}"
        );
    }
    let refused = channel.try_reserve(&numbered(3..4)).err().unwrap();
    let ReserveError::Failed { fault, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(fault.kind(), FaultKind::Transient);
    take(&channel, 1).await.ack().await.unwrap();
    assert_eq!(channel.fill().events, 2);
    assert!(channel.reconfigure(&enough).unwrap());
    put(&channel, numbered(3..4)).await;
    assert_eq!(drain(&channel).await.len(), 3);
    assert_eq!(channel.fill(), Default::default());
}

/// Another program with the database: it has no part in our lock.
fn beside(path: &Path) -> Database {
    let link = path.with_extension("link");
    fs::hard_link(path, &link).unwrap();
    for ending in ["-wal", "-shm"] {
        let of = |path: &Path| format!("{}{ending}", path.display());
        fs::hard_link(of(path), of(&link)).unwrap();
    }
    let file = DatabaseFile::take(&link, schema::SCHEMA, false, Duration::ZERO);
    file.unwrap().connect().unwrap()
}

#[tokio::test]
async fn an_event_of_any_size_is_taken_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let large = "x".repeat(3 << 20);
    put(&open(&path), events(&["a", &large, &large, "b"])).await;
    let channel = open(&path);
    let lengths: Vec<usize> = drain(&channel)
        .await
        .iter()
        .map(|(_, body)| body.len())
        .collect();
    assert_eq!(lengths, [1, 3 << 20, 3 << 20, 1]);
}

#[tokio::test]
async fn a_damaged_page_costs_its_own_events_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let channel = open(&path);
    for put_number in 0..20 {
        let bodies: Vec<String> = (0..100)
            .map(|number| format!("{:0100}", put_number * 100 + number))
            .collect();
        put(&channel, events(&bodies)).await;
    }
    drop(channel);
    damage_a_leaf(&path);
    let channel = open(&path);
    let drained = drain(&channel).await;
    assert!(drained.is_sorted());
    let lost = 2000 - drained.len();
    assert!((1..=100).contains(&lost), "{lost} events were on the page");
    for (sequence, body) in drained {
        assert_eq!(body, format!("{sequence:0100}"));
    }
    put(&channel, events(&["behind"])).await;
    drop(channel);
    let left = drain(&open(&path)).await;
    assert_eq!(
        left,
        [(2000, "behind".to_owned())],
        "acknowledged events stay away"
    );
}

/// Overwrites one page in the middle that holds rows.
fn damage_a_leaf(path: &Path) {
    const PAGE_BYTES: usize = 4096;
    /// What a page begins with that holds rows of a table.
    const LEAF: u8 = 0x0d;
    let bytes = fs::read(path).unwrap();
    let pages = bytes.chunks(PAGE_BYTES).enumerate();
    let leaves: Vec<usize> = pages
        .filter(|(_, page)| page[0] == LEAF)
        .map(|(index, _)| index)
        .collect();
    let place = leaves[leaves.len() / 2] * PAGE_BYTES;
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xff; PAGE_BYTES], place as u64)
        .unwrap();
}

#[tokio::test]
async fn a_transaction_that_another_process_keeps_open_is_told_and_takes_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let scale = Scale {
        busy_wait: Duration::from_millis(20),
        ..Scale::default()
    };
    let channel: Arc<dyn Channel> = Arc::new(open_with(&defaults(&path), scale).unwrap());
    put(&channel, numbered(0..2)).await;
    let mut other = beside(&path);
    let (put_error, shown) = other
        .transaction(|statements| {
            statements.execute("UPDATE queue SET id = id", &[])?;
            // Within the transaction of the other: a put has to wait and is refused at last.
            let answers = std::thread::scope(|scope| {
                let asked = scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_time()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        let part = PutPart {
                            channel: Arc::clone(&channel),
                            events: numbered(2..3),
                        };
                        let lease = channel.take(at_most(1), Duration::ZERO).await.unwrap();
                        let error = put_all(&[part], None).await.unwrap_err();
                        (error.to_string(), shown(&lease))
                    })
                });
                asked.join().unwrap()
            });
            Ok::<_, flumen_clients::sqlite::SqliteError>(answers)
        })
        .unwrap();
    assert!(
        put_error.contains("is locked by another process"),
        "{put_error}"
    );
    assert_eq!(shown, [(0, "0".to_owned())]);
    put(&channel, numbered(2..3)).await;
    assert_eq!(drain(&channel).await.len(), 3);
}
