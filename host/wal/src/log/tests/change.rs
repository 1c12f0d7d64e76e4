//! Options that change while the log is open.

use std::io::ErrorKind;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::options::RunningOptions;
use crate::simulation::Call;

fn with(durability: Durability) -> Options {
    Options {
        durability,
        ..options()
    }
}

fn to_sync() -> RunningOptions {
    with(Durability::Sync).running()
}

/// What is there after the power went, with nothing that the log does when it is dropped.
fn after_power_cut(disk: &Disk, log: Log) -> Vec<String> {
    disk.stop_at(disk.calls() + 1);
    drop(log);
    disk.crash(Crash::PowerCutDropsAll);
    let (log, _) = Log::open(disk.io(), options(), Box::new(())).unwrap();
    let mut reader = log.reader(0);
    let read = std::iter::from_fn(|| reader.next().unwrap());
    let told = read.map(|read| match read {
        Read::Frame { payload, .. } => String::from_utf8(payload.to_vec()).unwrap(),
        Read::Lost { items, .. } => format!("lost {items:?}"),
        unreadable @ Read::Unreadable { .. } => panic!("{unreadable:?}"),
    });
    told.collect()
}

#[test]
fn what_was_confirmed_early_is_durable_when_the_log_syncs_from_now_on() {
    for before in [
        Durability::Os,
        Durability::Interval(Duration::from_secs(3600)),
    ] {
        let disk = Disk::new(64 * 1024 * 1024, 1);
        let (log, _) = Log::open(disk.io(), with(before), Box::new(())).unwrap();
        log.append_and_wait(record("early")).unwrap();
        log.change(to_sync()).unwrap();
        assert_eq!(after_power_cut(&disk, log), ["early"]);
    }
}

#[test]
fn what_comes_after_the_change_is_as_durable_as_it_says() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), with(Durability::Os), Box::new(())).unwrap();
    log.change(to_sync()).unwrap();
    log.append_and_wait(record("durable")).unwrap();
    log.change(with(Durability::Os).running()).unwrap();
    log.append_and_wait(record("early")).unwrap();
    assert_eq!(after_power_cut(&disk, log), ["durable"]);
}

#[test]
fn a_shorter_time_between_syncs_counts_at_once() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let hour = with(Durability::Interval(Duration::from_secs(3600)));
    let (log, _) = Log::open(disk.io(), hour, Box::new(())).unwrap();
    log.append_and_wait(record("first")).unwrap();
    // The log's own thread lies down for the hour.
    while !log.shared.queue.is_asleep_for(Duration::from_secs(60)) {
        thread::yield_now();
    }
    let short = Durability::Interval(Duration::from_millis(1));
    log.change(with(short).running()).unwrap();
    let syncs = log.statistics().syncs;
    log.append_and_wait(record("second")).unwrap();
    while log.statistics().syncs == syncs {
        thread::yield_now();
    }
    assert_eq!(after_power_cut(&disk, log), ["first", "second"]);
}

#[test]
fn a_change_that_changes_no_durability_syncs_nothing() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), with(Durability::Os), Box::new(())).unwrap();
    log.append_and_wait(record("early")).unwrap();
    let syncs = log.statistics().syncs;
    let more = Options {
        free_bytes_min: 1,
        ..with(Durability::Os)
    };
    log.change(more.running()).unwrap();
    assert_eq!(log.statistics().syncs, syncs);
}

#[test]
fn a_disk_that_does_not_take_what_was_confirmed_early_is_told_and_the_log_goes_on() {
    let disk = Disk::new(64 * 1024 * 1024, 1);
    let (log, _) = Log::open(disk.io(), with(Durability::Os), Box::new(())).unwrap();
    log.append_and_wait(record("early")).unwrap();
    disk.fail(Call::Sync, 0, ErrorKind::Other);
    let told = log.change(to_sync()).unwrap_err();
    assert!(matches!(told, ChangeError::Doubtful(_)), "{told}");
    assert_eq!(log.statistics().doubtful_records, 1);
    log.append_and_wait(record("durable")).unwrap();
    assert_eq!(after_power_cut(&disk, log), ["lost 0..1", "durable"]);
}

#[test]
fn a_log_that_was_full_takes_more_once_its_bounds_are_wider() {
    let disk = Disk::new(16 * 1024 * 1024, 1);
    let narrow = Options {
        segment_bytes: 64 * 1024,
        segments_max: 6,
        ..options()
    };
    let (log, _) = Log::open(disk.io(), narrow.clone(), Box::new(())).unwrap();
    let large = "x".repeat(20_000);
    let fill = || loop {
        match log.append_and_wait(record(&large)) {
            Ok(_) => {}
            Err(error) => break error.refusal,
        }
    };
    assert!(matches!(fill(), Refusal::Full));
    let wide = Options {
        segments_max: 12,
        ..narrow.clone()
    };
    log.change(wide.running()).unwrap();
    log.append_and_wait(record(&large)).unwrap();
    // Now the volume is what keeps them out.
    let picky = Options {
        free_bytes_min: 16 * 1024 * 1024,
        ..wide.clone()
    };
    log.change(picky.running()).unwrap();
    assert!(matches!(fill(), Refusal::Full));
    log.change(wide.running()).unwrap();
    log.append_and_wait(record(&large)).unwrap();
    let none = Options {
        segments_max: 1,
        ..narrow
    };
    let told = log.change(none.running()).unwrap_err();
    assert!(matches!(told, ChangeError::Options(_)), "{told}");
}

#[test]
fn a_change_gets_its_turn_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let io: Arc<dyn LogIo> = Arc::new(Folder::new(folder.path()));
    let (log, _) = Log::open(io, with(Durability::Os), Box::new(())).unwrap();
    let changed = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !changed.load(Ordering::Relaxed) {
                    let more: Completion = Box::new(drop);
                    // Until the log is full, which is as good.
                    if log.append(record("more"), more).is_err() {
                        thread::yield_now();
                    }
                }
            });
        }
        for durability in [Durability::Sync, Durability::Os, Durability::Sync] {
            let groups = log.statistics().groups;
            while log.statistics().groups < groups + 20 {
                thread::yield_now();
            }
            log.change(with(durability).running()).unwrap();
        }
        changed.store(true, Ordering::Relaxed);
    });
    log.close().unwrap();
}
