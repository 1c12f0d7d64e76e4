//! The log with its thread, on a real folder and on a simulated disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use super::*;
use crate::error::Refusal;
use crate::io::Folder;
use crate::options::Durability;
use crate::reader::Read;
use crate::simulation::{Crash, Disk};

mod change;

fn options() -> Options {
    Options {
        segment_bytes: 1024 * 1024,
        segments_max: 40,
        free_bytes_min: 0,
        ..Options::default()
    }
}

fn record(text: &str) -> Record {
    Record {
        items: 1,
        acknowledged: Vec::new(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
    }
}

fn read_all(log: &Log) -> Vec<String> {
    let mut reader = log.reader(0);
    let mut all = Vec::new();
    while let Some(read) = reader.next().unwrap() {
        match read {
            Read::Frame { payload, .. } => all.push(String::from_utf8(payload.to_vec()).unwrap()),
            lost => panic!("{lost:?}"),
        }
    }
    all
}

#[test]
fn what_many_threads_appended_is_there_after_a_restart_each_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let io: Arc<dyn LogIo> = Arc::new(Folder::new(folder.path()));
    let (log, recovery) = Log::open(Arc::clone(&io), options(), Box::new(())).unwrap();
    assert!(recovery.created);
    thread::scope(|scope| {
        for writer in 0..8 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..50 {
                    log.append_and_wait(record(&format!("{writer} {n:03}")))
                        .unwrap();
                }
            });
        }
    });
    let statistics = log.statistics();
    assert_eq!(statistics.records, 400);
    log.close().unwrap();

    let (log, recovery) = Log::open(io, options(), Box::new(())).unwrap();
    assert!(!recovery.created);
    assert_eq!((recovery.pending_items, recovery.cut_frames), (400, 0));
    let all = read_all(&log);
    for writer in 0..8 {
        let own: Vec<_> = all
            .iter()
            .filter(|t| t.starts_with(&format!("{writer} ")))
            .collect();
        assert_eq!(own.len(), 50);
        assert!(own.is_sorted());
    }
}

#[test]
fn a_folder_in_use_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Log::open(
            Arc::new(Folder::new(folder.path())),
            options(),
            Box::new(()),
        )
    };
    let (log, _) = open().unwrap();
    assert!(matches!(open(), Err(OpenError::Held)));
    drop(log);
    assert!(open().is_ok());
}

#[test]
fn what_comes_together_is_synced_together() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), options(), Box::new(())).unwrap();
    let before = log.statistics().syncs;
    let barrier = Arc::new(Barrier::new(2));
    let held = Arc::clone(&barrier);
    // The first completion holds the writer until the others wait.
    let done: Completion = Box::new(move |outcome| {
        outcome.unwrap();
        held.wait();
        held.wait();
    });
    log.append(record("first"), done).unwrap();
    barrier.wait();
    let confirmed = Arc::new(AtomicU64::new(0));
    for n in 0..100 {
        let confirmed = Arc::clone(&confirmed);
        let done: Completion = Box::new(move |outcome| {
            assert_eq!(outcome.unwrap().sequence, n + 1);
            confirmed.fetch_add(1, Ordering::Relaxed);
        });
        log.append(record("more"), done).unwrap();
    }
    barrier.wait();
    let last = log.append_and_wait(record("last")).unwrap();
    assert_eq!(last.sequence, 101);
    assert_eq!(confirmed.load(Ordering::Relaxed), 100, "in order");
    let syncs = log.statistics().syncs - before;
    assert!(syncs <= 3, "{syncs} syncs for 102 records");
    assert_eq!(log.read(last.position).unwrap(), "last");
}

#[test]
fn a_queue_that_is_full_gives_the_record_back() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let options = Options {
        queue_records_max: 2,
        ..options()
    };
    let (log, _) = Log::open(disk.io(), options, Box::new(())).unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let held = Arc::clone(&barrier);
    let hold: Completion = Box::new(move |_| {
        held.wait();
        held.wait();
    });
    log.append(record("held"), hold).unwrap();
    barrier.wait();
    for _ in 0..2 {
        log.append(record("waits"), Box::new(|_| {})).unwrap();
    }
    let error = log.append(record("back"), Box::new(|_| {})).unwrap_err();
    assert!(matches!(error.refusal, Refusal::Busy), "{error}");
    assert_eq!(error.record, record("back"));
    barrier.wait();
    log.append_and_wait(record("later")).unwrap();
    let most = log.options.record_bytes_max();
    let large = Record {
        payload: Bytes::from(vec![0; most as usize + 1]),
        ..Record::default()
    };
    let error = log.append_and_wait(large.clone()).unwrap_err();
    assert!(matches!(error.refusal, Refusal::TooLarge { .. }), "{error}");
    let fits = Record {
        payload: large.payload.slice(1..),
        ..large
    };
    log.append_and_wait(fits).unwrap();
}

#[test]
fn an_idle_log_proves_its_last_group() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let options = Options {
        witness_delay: Some(Duration::from_millis(1)),
        ..options()
    };
    let (log, _) = Log::open(disk.io(), options, Box::new(())).unwrap();
    let written = log.append_and_wait(record("proven")).unwrap();
    let name = format!("segment-{:016x}", written.position.segment());
    let block = (written.position.offset() as usize + 4096) & !4095;
    // Bounded by the test's own time limit; the writer wakes by itself.
    while disk.bytes(&name)[block..block + 4] != *b"FLWF" {
        thread::yield_now();
    }
    log.close().unwrap();
}

#[test]
fn a_completion_that_panics_closes_the_log_and_nobody_waits_for_ever() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), options(), Box::new(())).unwrap();
    log.append(record("a"), Box::new(|_| panic!("on purpose")))
        .unwrap();
    while log.append_and_wait(record("b")).is_ok() {}
    assert!(log.close().is_err());
}

#[test]
fn a_file_for_the_next_segment_is_made_ahead() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), options(), Box::new(())).unwrap();
    let spares = || {
        let names = disk.names();
        names.iter().filter(|n| n.starts_with("spare-")).count() as u64
    };
    while spares() <= crate::options::RESERVED_SEGMENTS {
        thread::yield_now();
    }
    let large = Record {
        items: 1,
        payload: Bytes::from(vec![7; 400 * 1024]),
        ..Record::default()
    };
    let first = log.append_and_wait(large.clone()).unwrap();
    while log
        .append_and_wait(large.clone())
        .unwrap()
        .position
        .segment()
        == first.position.segment()
    {}
    while spares() <= crate::options::RESERVED_SEGMENTS {
        thread::yield_now();
    }
    log.close().unwrap();
}

#[test]
fn a_log_at_rest_keeps_no_memory_for_payloads() {
    for durability in [Durability::Sync, Durability::Os] {
        let disk = Disk::new(64 * 1024 * 1024, 1);
        let options = Options {
            durability,
            ..options()
        };
        let (log, _) = Log::open(disk.io(), options, Box::new(())).unwrap();
        for _ in 0..2 {
            let mut buffer = log.buffers().take(200 * 1024);
            buffer.memory().fill(7);
            let large = Record {
                items: 1,
                payload: buffer.filled(200 * 1024),
                ..Record::default()
            };
            log.append_and_wait(large).unwrap();
            while log.buffers().is_in_use() {
                thread::yield_now();
            }
            assert_eq!(log.buffers().kept_bytes(), 0);
        }
        let read = log.reader(0).next().unwrap();
        assert!(matches!(read, Some(Read::Frame { payload, .. }) if payload.len() == 200 * 1024));
        log.close().unwrap();
    }
}

#[test]
fn what_is_confirmed_early_is_synced_in_time() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let options = Options {
        durability: Durability::Interval(Duration::from_millis(1)),
        ..options()
    };
    let (log, _) = Log::open(disk.io(), options.clone(), Box::new(())).unwrap();
    let syncs = log.statistics().syncs;
    log.append_and_wait(record("soon")).unwrap();
    while log.statistics().syncs == syncs {
        thread::yield_now();
    }
    // Nothing that the log does when it is dropped reaches the disk any more.
    disk.stop_at(disk.calls() + 1);
    drop(log);
    disk.crash(Crash::PowerCutDropsAll);
    let (log, _) = Log::open(disk.io(), options, Box::new(())).unwrap();
    assert_eq!(read_all(&log), ["soon"]);
}

#[test]
fn an_image_reads_what_the_log_holds_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let io: Arc<dyn LogIo> = Arc::new(Folder::new(folder.path()));
    let (log, _) = Log::open(Arc::clone(&io), options(), Box::new(())).unwrap();
    for n in 0..10 {
        log.append_and_wait(record(&format!("{n}"))).unwrap();
    }
    let only: Arc<dyn LogIo> = Arc::new(crate::ReadOnlyFolder::new(folder.path()));
    let held = crate::Image::open(Arc::clone(&only), &mut (), true).err();
    assert!(matches!(held, Some(OpenError::Held)));
    log.close().unwrap();
    let names = || {
        let mut names = io.list().unwrap();
        names.sort();
        names
    };
    let before = names();
    let image = crate::Image::open(Arc::clone(&only), &mut (), true).unwrap();
    assert_eq!(image.count().item, 10);
    assert_eq!(image.recovery().pending_items, 10);
    let mut reader = image.reader(3);
    let mut seen = Vec::new();
    while let Some(Read::Frame { payload, .. }) = reader.next().unwrap() {
        seen.push(payload);
    }
    assert_eq!(seen, (3..10).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(before, names());
    for refused in [
        only.create("segment-x").err(),
        only.rename("lock", "x").err(),
        only.remove("lock").err(),
        only.open(&before[1])
            .and_then(|file| file.write_at(0, b"x"))
            .err(),
    ] {
        let kind = refused.map(|error| error.kind());
        assert_eq!(kind, Some(std::io::ErrorKind::ReadOnlyFilesystem));
    }
    let writer = Log::open(io, options(), Box::new(()));
    assert!(
        matches!(writer.err(), Some(OpenError::Held)),
        "the image has the lock"
    );
}

#[test]
fn whoever_leads_answers_come_once_and_in_the_order_of_the_log() {
    const RECORDS: u64 = 200;
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), options(), Box::new(())).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = || -> Completion {
        let told = Arc::clone(&told);
        Box::new(move |outcome| told.lock().unwrap().push(outcome.unwrap().sequence))
    };
    thread::scope(|scope| {
        for writer in 0..6 {
            let (log, tell) = (&log, &tell);
            scope.spawn(move || {
                for n in 0..RECORDS {
                    let record = record(&format!("{writer} {n:03}"));
                    match writer % 3 {
                        0 => log.append(record, tell()).unwrap(),
                        1 => log.append_here(record, tell()).unwrap(),
                        _ => drop(log.append_and_wait(record).unwrap()),
                    }
                }
            });
        }
    });
    assert_eq!(
        log.append_and_wait(record("last")).unwrap().sequence,
        6 * RECORDS
    );
    let told = told.lock().unwrap();
    assert_eq!(told.len() as u64, 4 * RECORDS);
    assert!(told.is_sorted_by(|a, b| a < b));
    assert_eq!(read_all(&log).len() as u64, 6 * RECORDS + 1);
}

#[test]
fn a_completion_that_panics_on_the_thread_that_leads_closes_the_log_for_all() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), options(), Box::new(())).unwrap();
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let log = &log;
        let barrier = &barrier;
        let refused = scope.spawn(move || {
            barrier.wait();
            // Whether it leads, is led, or comes too late.
            while log.append_and_wait(record("b")).is_ok() {}
        });
        barrier.wait();
        log.append_here(record("a"), Box::new(|_| panic!("on purpose")))
            .unwrap();
        refused.join().unwrap();
    });
    let refusal = log.append_and_wait(record("c")).unwrap_err().refusal;
    assert!(matches!(log.failure().as_deref(), Some(Failure::Panicked)));
    assert!(matches!(refusal, Refusal::Closed), "{refusal}");
    assert!(matches!(*log.close().unwrap_err(), Failure::Panicked));
    assert!(
        Log::open(disk.io(), options(), Box::new(())).is_ok(),
        "the folder is free"
    );
}

#[test]
fn a_thread_that_waits_writes_itself_when_nobody_else_does() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), options(), Box::new(())).unwrap();
    let own = thread::current().id();
    let on = Arc::new(Mutex::new(None));
    let told = Arc::clone(&on);
    let done: Completion = Box::new(move |_| *told.lock().unwrap() = Some(thread::current().id()));
    log.append_here(record("a"), done).unwrap();
    assert_eq!(*on.lock().unwrap(), Some(own), "before it comes back");
}

#[test]
fn a_log_takes_up_to_its_bound_also_while_files_are_being_made() {
    let options = Options {
        segment_bytes: 64 * 1024,
        segments_max: 12,
        ..options()
    };
    for seed in 0..20 {
        let disk = Disk::new(64 * 1024 * 1024, seed);
        let (log, _) = Log::open(disk.io(), options.clone(), Box::new(())).unwrap();
        let large = Record {
            items: 1,
            payload: Bytes::from(vec![7; 19_000]),
            ..Record::default()
        };
        let mut taken = 0;
        let refusal = loop {
            match log.append_and_wait(large.clone()) {
                Ok(_) => taken += 1,
                Err(error) => break error.refusal,
            }
        };
        assert!(matches!(refusal, Refusal::Full), "{refusal}");
        let segments = options.segments_max - crate::options::RESERVED_SEGMENTS;
        assert_eq!(taken, 2 * segments, "two of these fit a segment");
    }
}
