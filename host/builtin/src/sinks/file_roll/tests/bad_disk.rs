//! Disks that are full, refuse to cut a file, or fail a sync.

use super::*;

#[tokio::test]
async fn a_full_disk_leaves_no_part_of_a_batch_behind() {
    let directory = TempDir::new().expect("a directory");
    let disk = BadDisk::with_room(8);
    let mut sink = sink_on(Arc::clone(&disk) as _, directory.path(), &[]);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "first\n").await.expect("fits");
    for _ in 0..2 {
        let fault = deliver(&mut sink, "second\n")
            .await
            .expect_err("does not fit");
        assert_eq!(
            (fault.kind(), fault.side()),
            (FaultKind::Transient, Side::Machine)
        );
        assert_eq!(
            fault.message(),
            format!(
                "cannot write file {}/{START_MS}-1; free space there, and delivery goes on",
                directory.path().display()
            )
        );
        assert_eq!(contents(directory.path()), b"first\n");
    }
    disk.room_bytes.store(100, Ordering::SeqCst);
    deliver(&mut sink, "second\n").await.expect("fits");
    assert_eq!(
        files(directory.path()),
        [(format!("{START_MS}-1"), b"first\nsecond\n".to_vec())]
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_cut_back_is_left_and_said() {
    let directory = TempDir::new().expect("a directory");
    let disk = BadDisk::with_room(8);
    disk.cut_fails.store(true, Ordering::SeqCst);
    let mut sink = sink_on(Arc::clone(&disk) as _, directory.path(), &[]);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "first\n").await.expect("fits");
    let fault = deliver(&mut sink, "second\n")
        .await
        .expect_err("does not fit");
    assert!(
        fault
            .to_string()
            .contains("could not be cut off again (no cutting today)"),
        "{fault}"
    );
    disk.room_bytes.store(100, Ordering::SeqCst);
    deliver(&mut sink, "second\n").await.expect("fits");
    assert_eq!(
        files(directory.path()),
        [
            (format!("{START_MS}-1"), b"first\nse".to_vec()),
            (format!("{START_MS}-2"), b"second\n".to_vec())
        ]
    );
    sink.stop().await.expect("stops");
    assert_eq!(
        disk.syncs.load(Ordering::SeqCst),
        2,
        "the file that was left is synced as well"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_is_reported_once_and_never_tried_again() {
    let directory = TempDir::new().expect("a directory");
    let disk = BadDisk::with_room(u64::MAX / 2);
    let mut sink = sink_on(
        Arc::clone(&disk) as _,
        directory.path(),
        &[("sink.rollInterval", "1")],
    );
    let context = context();
    let counters = Arc::clone(&context.counters);
    sink.start(context).await.expect("starts");
    deliver(&mut sink, "a\n").await.expect("delivers");
    disk.sync_fails.store(true, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(1)).await;
    // The sync that fails is of another file than the events go to.
    deliver(&mut sink, "b\n").await.expect("delivers");
    let fault = sink.stop().await.expect_err("is reported");
    let text = fault.to_string();
    let file = format!("{}/{START_MS}-1", directory.path().display());
    assert!(
        text.contains(&file) && text.contains("may be incomplete"),
        "{text}"
    );
    assert_eq!(fault.kind(), FaultKind::Transient);
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 2, "one for each file");
    assert_eq!(counters.connection_failed.get(), 1);
    assert_eq!(counters.connection_closed.get(), 1);
    sink.stop().await.expect("is not reported twice");
    assert_eq!(contents(directory.path()), b"a\nb\n");
}

#[tokio::test]
async fn a_delivery_that_was_dropped_is_taken_back() {
    let directory = TempDir::new().expect("a directory");
    let mut sink = sink_in(directory.path(), &[]);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "a\n").await.expect("delivers");
    let running = sink.running.as_ref().expect("started");
    let events = vec![lines("dropped\n")];
    running
        .writer
        .send_and_leave(Job::Write {
            intervals: 0,
            events,
        })
        .await;
    deliver(&mut sink, "b\n").await.expect("delivers");
    assert_eq!(contents(directory.path()), b"a\nb\n");
}
