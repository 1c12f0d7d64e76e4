//! What a restart finds: the overflow, and nothing of memory.

use std::sync::Arc;

use flumen_core::ComponentName;
use flumen_core::clock::ManualClock;

use super::{drain, number, numbered, numbers, open, put, settings, shown, take};

#[tokio::test]
async fn what_lay_in_files_is_delivered_with_its_sequences() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), 3);
    let channel = open(&settings);
    put(&channel, numbered(0..3)).await;
    put(&channel, numbered(3..6)).await;
    put(&channel, numbered(6..9)).await;
    let memory = take(&channel, 3).await;
    assert_eq!(numbers(&shown(&memory)), [0, 1, 2]);
    let files = take(&channel, 2).await;
    let before = shown(&files);
    assert_eq!(numbers(&before), [3, 4]);
    files.ack_except(vec![1]).await.unwrap();
    channel.release().await.unwrap();
    drop((memory, channel));

    let channel = open(&settings);
    assert_eq!(channel.fill().events, 5);
    put(&channel, numbered(9..11)).await;
    let after = drain(&channel).await;
    assert_eq!(numbers(&after), [4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(after[0], before[1], "an event has its sequence again");
    let (old, new) = after.split_at(5);
    assert!(old.is_sorted_by(|one, next| one.0 + 1 == next.0));
    assert!(new[0].0 > old[4].0 + 1_000_000, "no sequence is used twice");
    assert_eq!(channel.fill(), Default::default());
}

#[tokio::test]
async fn sequences_grow_over_any_number_of_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), 2);
    let mut last = 0;
    for round in 0..4 {
        let channel = open(&settings);
        put(&channel, numbered(0..2)).await;
        let lease = take(&channel, 1).await;
        let first = shown(&lease)[0].0;
        assert!(first > last, "round {round}");
        last = first;
    }
}

#[tokio::test]
async fn without_an_overflow_what_an_earlier_one_left_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let spilling = settings(folder.path(), 1);
    let channel = open(&spilling);
    put(&channel, numbered(0..1)).await;
    put(&channel, numbered(1..4)).await;
    drop(channel);
    let channel = open(
        &spilling
            .with("overflowCapacity", number(0))
            .with("memoryCapacity", number(9)),
    );
    put(&channel, numbered(4..6)).await;
    assert_eq!(numbers(&drain(&channel).await), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_file_channel_becomes_a_spillable_one_and_keeps_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), 2);
    let file_settings = settings.clone().with("capacity", number(10_000));
    let clock = Arc::new(ManualClock::at(0));
    let name = ComponentName::new("c1");
    let file = crate::build(&crate::file::ROW, &name, &file_settings, clock).unwrap();
    put(&file, numbered(0..3)).await;
    drop(file);
    let channel = open(&settings);
    put(&channel, numbered(3..5)).await;
    assert_eq!(numbers(&drain(&channel).await), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn puts_go_to_files_until_enough_of_memory_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), 10).with("overflowDeactivationThreshold", number(50));
    let channel = open(&settings);
    put(&channel, numbered(0..10)).await;
    put(&channel, numbered(10..11)).await;
    take(&channel, 4).await.ack().await.unwrap();
    put(&channel, numbered(11..12)).await;
    take(&channel, 1).await.ack().await.unwrap();
    put(&channel, numbered(12..13)).await;
    drop(channel);
    // A restart tells what was where.
    assert_eq!(numbers(&drain(&open(&settings)).await), [10, 11]);
}
