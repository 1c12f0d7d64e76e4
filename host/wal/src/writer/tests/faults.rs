//! The disk refuses something.

use std::io::ErrorKind;

use super::crash::{afterwards, workload};
use super::model::{Action, DISK_BYTES, Model, acknowledge, open, options, put, read_all};
use crate::error::{OpenError, Refusal};
use crate::options::{Durability, Options};
use crate::record::{Prepared, Record};
use crate::simulation::{Call, Crash, Disk};

const EIO: ErrorKind = ErrorKind::InvalidData;

/// Two groups before a fault, one at it, and the power goes at once.
fn one_fault(call: Call) -> (Disk, Model, u64) {
    let disk = Disk::new(DISK_BYTES, 3);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    model.commit(&mut log.writer, &[put(2, 500)]);
    model.commit(&mut log.writer, &[put(1, 500)]);
    disk.fail(call, 0, EIO);
    model.commit(&mut log.writer, &[put(3, 500), put(1, 5_000)]);
    model.commit(&mut log.writer, &[put(1, 500)]);
    let failovers = log.writer.counters().read().failovers;
    disk.crash(Crash::PowerCutDropsAll);
    (disk, model, failovers)
}

#[test]
pub(super) fn what_is_confirmed_after_a_failed_sync_survives_a_power_cut_at_once() {
    let (disk, mut model, failovers) = one_fault(Call::Sync);
    assert_eq!(model.records(), 5, "the group was written elsewhere");
    model.reopen(&disk, &options());
    assert_eq!(failovers, 1);
}

#[test]
pub(super) fn what_is_confirmed_after_a_failed_write_survives_a_power_cut_at_once() {
    let (disk, mut model, failovers) = one_fault(Call::Write);
    assert_eq!(model.records(), 5, "the group was written elsewhere");
    model.reopen(&disk, &options());
    assert_eq!(failovers, 1);
}

#[test]
pub(super) fn a_log_that_fails_twice_gives_the_records_back_and_still_reads() {
    let disk = Disk::new(DISK_BYTES, 3);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    model.commit(&mut log.writer, &[put(2, 500)]);
    disk.fail(Call::Sync, 0, EIO);
    disk.fail(Call::Sync, 1, EIO);
    model.commit(&mut log.writer, &[put(1, 500), put(1, 500)]);
    assert_eq!(model.unknown(), 2, "nobody knows what the disk has");
    let record = Record {
        items: 1,
        ..Record::default()
    };
    let outcome = log.writer.commit(vec![Prepared::new(record.clone())]);
    let error = outcome.into_iter().next().unwrap().unwrap_err();
    assert_eq!(error.record, record);
    assert!(matches!(error.refusal, Refusal::Failed(_)), "{error}");
    model.check_reading(&disk, &log, &[]);
    drop(log);
    disk.crash(Crash::Kill);
    model.reopen(&disk, &options());
}

#[test]
pub(super) fn every_call_may_fail_once() {
    let actions = workload();
    for call in [
        Call::Write,
        Call::Sync,
        Call::SyncFolder,
        Call::Create,
        Call::Rename,
        Call::Remove,
        Call::Truncate,
    ] {
        for passing in 0.. {
            let disk = Disk::new(DISK_BYTES, 7);
            let mut model = Model::default();
            disk.fail(call, passing, EIO);
            match open(&disk, &options()) {
                Ok(log) => model.run_in(log, &disk, &options(), &actions),
                Err(OpenError::Disk { .. }) => {}
                Err(error) => panic!("does not open: {error}"),
            }
            let reached = disk.calls_of(call) > passing;
            disk.crash(Crash::PowerCut { seed: passing });
            drop(model.reopen(&disk, &options()));
            model.run(&disk, &options(), &afterwards());
            if !reached {
                break;
            }
        }
    }
}

#[test]
pub(super) fn a_log_that_is_not_synced_survives_a_kill_whole_and_a_power_cut_from_its_start() {
    let options = Options {
        durability: Durability::Os,
        ..options()
    };
    let group = |bytes| Action::Group(vec![put(2, bytes), put(1, 100)]);
    let actions: Vec<Action> = (0..12).map(|n| group(1_000 * n)).collect();
    for seed in 0..60 {
        let disk = Disk::new(DISK_BYTES, seed);
        let mut model = Model::default();
        let log = open(&disk, &options).unwrap();
        model.run_in(log, &disk, &options, &actions);
        assert_eq!(model.records(), 24);
        disk.crash(Crash::Kill);
        drop(model.reopen(&disk, &options));

        let log = open(&disk, &options).unwrap();
        model.run_in(log, &disk, &options, &actions);
        disk.crash(Crash::PowerCut { seed });
        let log = open(&disk, &options).unwrap();
        let there = log.folding.fold();
        assert!(there.records >= 24, "what was there before was synced");
        assert_eq!(there, model.fold_of(there.records as usize));
        assert_eq!(log.report.quarantined_frames, 0, "a tail is cut, not lost");
    }
}

#[test]
pub(super) fn a_segment_that_the_disk_refused_at_its_first_group_is_nothing_to_fall_back_on() {
    let disk = Disk::new(DISK_BYTES, 3);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    for _ in 0..8 {
        model.commit(&mut log.writer, &[put(1, 15_000)]);
    }
    let items = model.items();
    model.commit(&mut log.writer, &[acknowledge(0..items)]);
    let before = log.writer.view().lock().active.unwrap().number;
    disk.fail(Call::Sync, 0, EIO);
    model.commit(&mut log.writer, &[put(1, 19_000)]);
    model.commit(
        &mut log.writer,
        &[put(1, 500), acknowledge(items..items + 1)],
    );
    let newest = log.writer.view().lock().active.unwrap().number;
    assert_eq!(newest, before + 2, "one segment was passed over");
    log.writer.close().unwrap();
    drop(log);
    // The names are kept, and with them that of the segment that was freed.
    disk.crash(Crash::PowerCutKeepsAll);
    let name = format!("segment-{newest:016x}");
    let mut bytes = disk.bytes(&name);
    bytes[8192..8300].fill(0);
    disk.set_bytes(&name, bytes);
    let log = model.reopen(&disk, &options());
    assert!(!log.report.without_snapshot);
    assert_eq!(log.report.damaged_snapshots, 1);
}

#[test]
pub(super) fn acknowledgements_that_a_power_cut_takes_back_have_freed_nothing() {
    let options = Options {
        durability: Durability::Os,
        ..options()
    };
    for seed in 0..60 {
        let disk = Disk::new(DISK_BYTES, seed);
        let mut model = Model::default();
        let mut log = open(&disk, &options).unwrap();
        for end in [10, 20] {
            for _ in 0..10 {
                model.commit(&mut log.writer, &[put(1, 15_000)]);
            }
            model.commit(&mut log.writer, &[acknowledge(0..end)]);
        }
        let released = log.writer.counters().read().released_segments;
        assert!(released > 0, "some were freed when it was durable");
        drop(log);
        disk.crash(Crash::PowerCut { seed });
        let log = open(&disk, &options).unwrap();
        assert_eq!(log.report.missing_segments, 0, "seed {seed}");
        assert_eq!(log.report.quarantined_frames, 0, "seed {seed}");
        let there = log.folding.fold();
        assert_eq!(there, model.fold_of(there.records as usize));
    }
}

#[test]
pub(super) fn a_sync_that_fails_behind_confirmed_records_is_told_and_the_log_goes_on() {
    let options = Options {
        durability: Durability::Os,
        ..options()
    };
    let disk = Disk::new(DISK_BYTES, 3);
    let mut model = Model::default();
    let mut log = open(&disk, &options).unwrap();
    model.commit(&mut log.writer, &[put(2, 500)]);
    log.writer.sync();
    let before = log.writer.counters().read();
    assert_eq!((before.sync_failures, before.doubtful_records), (0, 0));
    model.commit(&mut log.writer, &[put(1, 500), put(1, 500)]);
    model.commit(&mut log.writer, &[put(1, 500)]);
    disk.fail(Call::Sync, 0, EIO);
    log.writer.sync();
    let after = log.writer.counters().read();
    assert_eq!((after.sync_failures, after.doubtful_records), (1, 3));
    // What comes now is in another segment, and is durable when the disk says so.
    model.commit(&mut log.writer, &[put(1, 500)]);
    model.check_reading(&disk, &log, &[]);
    log.writer.sync();
    let last = log.writer.counters().read();
    assert_eq!((last.sync_failures, last.doubtful_records), (1, 3));
    drop(log);
    disk.crash(Crash::PowerCutDropsAll);
    let log = open(&disk, &options).unwrap();
    // The three are counted as lost, not silently gone.
    assert_eq!(log.report.frames + log.report.quarantined_frames, 1);
    assert_eq!(read_all(&disk, &log, 0).len(), 2);
}
