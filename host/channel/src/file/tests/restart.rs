//! What a channel holds after its end, whatever end that was.

use std::sync::Arc;

use flumen_core::channel::{Channel, PutPart, SourceState, TakeError, put_all};
use flumen_core::settings::Value;
use flumen_core::{ComponentName, FaultKind};

use super::{LONG, at_most, drain, events, folder, open, put, seen, settings, try_open};

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
async fn the_newest_state_of_each_component_comes_back() {
    let folder = folder();
    let settings = settings(folder.path());
    let channel = open(&settings);
    let state = |source: &str, bytes: &str| SourceState {
        source: ComponentName::new(source),
        bytes: Arc::from(bytes.as_bytes()),
    };
    for (source, bytes, count) in [("r1", "7", 2), ("r2", "a", 1), ("r1", "9", 0)] {
        let part = PutPart {
            channel: Arc::clone(&channel) as Arc<dyn Channel>,
            events: events(0..count, 0),
        };
        let state = state(source, bytes);
        put_all(&[part], Some(&state)).await.unwrap();
    }
    // Enough to roll into other segments, whose snapshots carry the states.
    for start in 0..40 {
        put(&channel, events(start..start + 1, 10_000)).await;
    }
    drop(channel);
    let channel = open(&settings);
    let found: Vec<(&str, &[u8])> = channel
        .recovered_states()
        .iter()
        .map(|state| (state.component.as_str(), &*state.bytes))
        .collect();
    assert_eq!(found, [("r1", &b"9"[..]), ("r2", &b"a"[..])]);
    assert_eq!(channel.fill().events, 43);
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
    let opened =
        super::FileChannel::open(&name, &settings, super::clock(), super::Beside::FlumeFiles);
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
