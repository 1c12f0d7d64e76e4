//! What a channel holds after its end, whatever end that was.

use std::sync::Arc;

use flumen_core::channel::{Channel, TakeError};
use flumen_core::settings::Value;
use flumen_core::{ComponentName, FaultKind};

use super::{
    FileChannel, LONG, Record, at_most, drain, events, folder, granted, open, put, put_with,
    record, seen, settings, try_open,
};

fn strict(settings: flumen_core::settings::Settings) -> flumen_core::settings::Settings {
    settings.with("acknowledge", Value::Text("strict".to_owned()))
}

#[tokio::test]
async fn exactly_the_rest_is_there_after_a_restart_with_its_order_and_sequences() {
    for strictly in [false, true] {
        let folder = folder();
        let mut settings = settings(folder.path());
        if strictly {
            settings = strict(settings);
        }
        let channel = open(&settings);
        for start in [0, 10, 20, 30] {
            put(&channel, events(start..start + 10, 5)).await;
        }
        // Of the first ten all, of the second ten every other one, and a lease that is still out.
        let first = channel.take(at_most(10), LONG).await.unwrap();
        first.ack().await.unwrap();
        let second = channel.take(at_most(10), LONG).await.unwrap();
        let kept = (0..10).filter(|index| index % 2 == 1).collect();
        second.ack_except(kept).await.unwrap();
        let third = channel.take(at_most(7), LONG).await.unwrap();
        assert_eq!(third.len(), 7);
        let before = channel.fill();
        assert_eq!((before.events, before.bytes), (25, 25 * 13));
        drop(third);
        drop(channel);

        let channel = open(&settings);
        let fill = channel.fill();
        assert_eq!((fill.events, fill.bytes), (25, 25 * 13));
        let expected: Vec<(u64, u64)> = (10..40)
            .filter(|number| *number >= 20 || number % 2 == 1)
            .map(|number| (number, number))
            .collect();
        assert_eq!(drain(&channel).await, expected);
        put(&channel, events(40..42, 5)).await;
        drop(channel);

        let channel = open(&settings);
        assert_eq!(drain(&channel).await, [(40, 40), (41, 41)]);
        assert_eq!((channel.fill().events, channel.fill().bytes), (0, 0));
        let end = channel.take(at_most(1), std::time::Duration::ZERO).await;
        assert!(matches!(end, Err(TakeError::Empty)));
    }
}

#[tokio::test]
async fn records_come_back_until_they_are_forgotten() {
    let folder = folder();
    let settings = settings(folder.path());
    let channel = open(&settings);
    for (generation, count) in [(3, 2), (4, 1), (7, 0)] {
        let record = record(generation, &generation.to_le_bytes());
        let put = put_with(&channel, events(0..count, 0), Some(record));
        put.await.unwrap();
    }
    let lease = channel.take(at_most(1), LONG).await.unwrap();
    drop(lease);
    // Enough to roll into other segments, whose snapshots carry the records.
    for start in 0..40 {
        put(&channel, events(start..start + 1, 10_000)).await;
    }
    drop(channel);
    let channel = open(&settings);
    let generations = |channel: &FileChannel| -> Vec<u64> {
        let (_, records) = channel.recovered();
        records.iter().map(|record| record.generation).collect()
    };
    assert_eq!(generations(&channel), [3, 4, 7]);
    assert_eq!(channel.fill().events, 43);
    assert!(channel.kept_record_bytes() > 24);
    channel.forget(4);
    put(&channel, events(0..1, 0)).await;
    drop(channel);
    let channel = open(&settings);
    assert_eq!(generations(&channel), [7]);
    assert_eq!(channel.recovered().0, 4);
}

#[tokio::test]
async fn records_that_nobody_forgets_do_not_pile_up() {
    let folder = folder();
    let settings = settings(folder.path());
    let channel = open(&settings);
    let mut generation = 0;
    let refused = loop {
        generation += 1;
        let record = record(generation, &[0; 500]);
        if let Err(fault) = put_with(&channel, events(0..1, 0), Some(record)).await {
            break fault;
        }
        assert!(generation < 100, "a segment of 64 KiB has no room for that");
    };
    assert_eq!(refused.kind(), FaultKind::Transient);
    assert!(refused.to_string().contains("state folder"), "{refused}");
    assert_eq!(channel.fill().events, generation - 1);
    // No event comes that could tell the log, so the next refusal does.
    channel.forget(generation);
    let one = || put_with(&channel, events(0..1, 0), Some(record(1000, &[0; 500])));
    while one().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert!(channel.kept_record_bytes() < 1000);
}

#[tokio::test]
async fn what_is_prepared_counts_once_it_is_published() {
    let folder = folder();
    let settings = settings(folder.path());
    let channel = open(&settings);
    let prepare = |generation: u64, numbers: std::ops::Range<u64>| {
        let record = Record {
            decider: Some(ComponentName::new("c2")),
            ..record(generation, b"state")
        };
        let granted = granted(&channel, &events(numbers, 0)).unwrap();
        granted.prepare(record)
    };
    let first = prepare(1, 0..2).await.unwrap();
    let second = prepare(2, 2..4).await.unwrap();
    let third = prepare(3, 4..6).await.unwrap();
    let fourth = prepare(4, 6..8).await.unwrap();
    put(&channel, events(8..10, 0)).await;
    let lease = channel.take(at_most(10), LONG).await.unwrap();
    assert_eq!(seen(&lease), [(8, 8), (9, 9)]);
    lease.ack().await.unwrap();
    second.publish();
    first.withdraw().await.unwrap();
    // Begun and given up: as if it had never been.
    drop(prepare(5, 10..12));
    let lease = channel.take(at_most(10), LONG).await.unwrap();
    assert_eq!(seen(&lease), [(2, 2), (3, 3)]);
    lease.ack().await.unwrap();
    std::mem::forget((third, fourth));
    let owner = Arc::clone(&channel.owner);
    owner.release().await.unwrap();
    drop((owner, channel));

    let channel = open(&settings);
    let (_, records) = channel.recovered();
    let generations: Vec<u64> = records.iter().map(|own| own.generation).collect();
    assert_eq!(generations, [3, 4]);
    let nothing = channel.take(at_most(10), std::time::Duration::ZERO).await;
    assert!(matches!(nothing, Err(TakeError::Empty)));
    channel.settle_recovery(&[3]).await.unwrap();
    drop(channel);

    let channel = open(&settings);
    channel.settle_recovery(&[]).await.unwrap();
    assert_eq!(drain(&channel).await, [(6, 6), (7, 7)]);
    assert_eq!((channel.fill().events, channel.fill().bytes), (0, 0));
}

#[tokio::test]
async fn one_folder_is_opened_once() {
    let folder = folder();
    let settings = settings(folder.path());
    let channel = open(&settings);
    let fault = try_open(&settings).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    assert!(
        fault.to_string().contains("is in use by another"),
        "{fault}"
    );
    // A lease holds the channel, so the folder is free with the last of both.
    put(&channel, events(0..2, 0)).await;
    let lease = channel.take(at_most(2), LONG).await.unwrap();
    drop(channel);
    assert!(try_open(&settings).is_err());
    assert_eq!(seen(&lease), [(0, 0), (1, 1)]);
    lease.ack().await.unwrap();
    assert_eq!(open(&settings).fill().events, 0);
}

#[tokio::test]
async fn a_capacity_below_the_backlog_keeps_the_events() {
    let folder = folder();
    let wide = settings(folder.path());
    let channel = open(&wide);
    put(&channel, events(0..10, 0)).await;
    drop(channel);
    let narrow = wide
        .with("capacity", Value::Integer(4))
        .with("transactionCapacity", Value::Integer(4));
    let channel = open(&narrow);
    assert_eq!(channel.fill().events, 10);
    let one = events(10..11, 0);
    assert!(channel.try_reserve(&one).is_err());
    for _ in 0..2 {
        let lease = channel.take(at_most(4), LONG).await.unwrap();
        lease.ack().await.unwrap();
    }
    assert!(channel.try_reserve(&one).is_ok());
}

#[test]
fn data_of_apache_flume_is_not_passed_over() {
    let folder = folder();
    let settings = settings(folder.path());
    std::fs::write(folder.path().join("log-1.meta"), b"x").unwrap();
    std::fs::write(folder.path().join("log-x"), b"x").unwrap();
    drop(try_open(&settings).unwrap());

    let folder = super::folder();
    let settings = super::settings(folder.path());
    std::fs::write(folder.path().join("log-1"), b"x").unwrap();
    let fault = try_open(&settings).err().unwrap();
    assert!(
        fault.to_string().contains("flumen import-flume-channel"),
        "{fault}"
    );
    assert!(!folder.path().join(super::super::LOG_FOLDER).exists());
    let name = ComponentName::new("c1");
    let opened = FileChannel::open(&name, &settings, super::clock(), super::Beside::FlumeFiles);
    drop(opened.unwrap());
    // From now on the log is what counts.
    drop(try_open(&settings).unwrap());
}

#[tokio::test]
async fn a_log_in_another_of_the_folders_is_not_passed_over() {
    let (one, two) = (folder(), folder());
    let dirs = |first: &tempfile::TempDir, second: &tempfile::TempDir| {
        let text = format!("{}, {}", first.path().display(), second.path().display());
        settings(first.path()).with("dataDirs", Value::Text(text))
    };
    let channel = open(&dirs(&one, &two));
    put(&channel, events(0..1, 0)).await;
    drop(channel);
    let fault = try_open(&dirs(&two, &one)).err().unwrap();
    assert!(fault.to_string().contains("put "), "{fault}");
    assert_eq!(open(&dirs(&one, &two)).fill().events, 1);
}

#[tokio::test]
async fn a_log_of_somebody_else_is_left_alone() {
    let folder = folder();
    let settings = settings(folder.path());
    drop(open(&settings));
    let log = folder.path().join(super::super::LOG_FOLDER);
    let io = Arc::new(flumen_wal::Folder::new(&log));
    let options = flumen_wal::Options {
        segment_bytes: 64 * 1024,
        segments_max: 40,
        free_bytes_min: 0,
        ..Default::default()
    };
    // A log of no channel: it has no state, and its frames are none of ours.
    for entry in std::fs::read_dir(&log).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let (foreign, _) = flumen_wal::Log::open(io, options, Box::new(())).unwrap();
    foreign.close().unwrap();
    let fault = try_open(&settings).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    assert!(
        fault.to_string().contains("nothing in it was changed"),
        "{fault}"
    );
}

#[tokio::test]
async fn figures_have_the_names_that_pages_know_and_move() {
    let folder = folder();
    let settings = settings(folder.path()).with("durability", Value::Text("sync".to_owned()));
    let channel = open(&settings);
    let figure = |channel: &FileChannel, name: &str| {
        let figures = channel.figures();
        let own = figures.iter().find(|(own, _)| *own == name);
        own.map(|(_, value)| *value).unwrap()
    };
    let names: Vec<&str> = channel.figures().iter().map(|(name, _)| *name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let mut known = flumen_core::metric::OWN_CHANNEL_ATTRIBUTES.to_vec();
    known.sort_unstable();
    assert_eq!(sorted, known);
    assert_eq!(figure(&channel, "Open"), 1);
    for start in 0..5 {
        put(&channel, events(start..start + 1, 92)).await;
    }
    assert_eq!(figure(&channel, "EventBytes"), 500);
    assert!(figure(&channel, "WindowBytes") >= 500);
    assert_eq!(figure(&channel, "LogGroupCount"), 5);
    assert_eq!(figure(&channel, "LogRecordCount"), 5);
    assert_eq!(figure(&channel, "LogBytes") % 4096, 0);
    assert!(figure(&channel, "LogCommitMicros") >= figure(&channel, "LogCommitMicrosMax"));
    assert!(figure(&channel, "LogCommitMicrosMax") > 0);
    assert!(figure(&channel, "SegmentBytes") >= 64 * 1024);
    assert!(figure(&channel, "SpareBytes") >= 64 * 1024);
    assert_eq!(figure(&channel, "Unhealthy"), 0);
    channel.close();
    channel.release().await.unwrap();
    assert_eq!(
        (figure(&channel, "Open"), figure(&channel, "Closed")),
        (0, 1)
    );
    drop(channel);
    let channel = open(&settings);
    assert!(figure(&channel, "RecoveryBytes") > 0);
    assert_eq!(figure(&channel, "EventBytes"), 500);
}
