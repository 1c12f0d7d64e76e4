//! The log or the volume is full, and what recovery costs.

use super::model::{DISK_BYTES, Model, acknowledge, open, options, put};
use crate::options::Options;
use crate::simulation::{Crash, Disk};

/// Puts until items are refused.
fn fill(disk: &Disk, model: &mut Model) -> super::model::Opened {
    let mut log = open(disk, &options()).unwrap();
    while model.refused_full() == 0 {
        model.commit(&mut log.writer, &[put(1, 15_000)]);
    }
    log
}

#[test]
pub(super) fn a_full_log_takes_acknowledgements_and_then_items_again() {
    let disk = Disk::new(DISK_BYTES, 1);
    let mut model = Model::default();
    let mut log = fill(&disk, &mut model);
    let filled = model.records();
    model.commit(&mut log.writer, &[put(1, 15_000), acknowledge(0..20)]);
    assert_eq!(model.refused_full(), 2, "the item was refused");
    assert_eq!(
        model.records(),
        filled + 1,
        "beside it the acknowledgement was not"
    );
    model.commit(&mut log.writer, &[put(1, 15_000)]);
    assert_eq!(model.refused_full(), 2);
    model.check_reading(&disk, &log, &[]);
}

#[test]
pub(super) fn a_full_log_is_opened_and_drained_one_item_at_a_time() {
    let disk = Disk::new(DISK_BYTES, 1);
    let mut model = Model::default();
    drop(fill(&disk, &mut model));
    // The volume has not a byte left either.
    disk.set_capacity(0);
    for item in 0..model.items() {
        disk.crash(Crash::PowerCut { seed: item });
        let mut log = model.reopen(&disk, &options());
        let records = model.records();
        for _ in 0..30 {
            model.commit(&mut log.writer, &[acknowledge(item..item + 1)]);
        }
        assert_eq!(
            model.records(),
            records + 30,
            "acknowledgements get through"
        );
    }
    let log = model.reopen(&disk, &options());
    assert_eq!(log.report.pending_items, 0);
}

#[test]
pub(super) fn a_volume_that_fills_refuses_items_and_keeps_the_rest() {
    let disk = Disk::new(DISK_BYTES, 1);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    disk.set_capacity(6 * 64 * 1024);
    while model.refused_full() == 0 {
        model.commit(&mut log.writer, &[put(1, 15_000)]);
    }
    disk.set_capacity(DISK_BYTES);
    model.commit(&mut log.writer, &[put(1, 15_000)]);
    assert_eq!(model.refused_full(), 1, "it goes on without a restart");
    disk.crash(Crash::PowerCutDropsAll);
    model.reopen(&disk, &options());
}

#[test]
pub(super) fn recovery_reads_one_segment_whatever_waits() {
    let options = Options {
        segments_max: 140,
        ..options()
    };
    let disk = Disk::new(16 * 1024 * 1024, 1);
    let mut model = Model::default();
    let mut log = open(&disk, &options).unwrap();
    while log.writer.view().lock().sealed.len() < 100 {
        model.commit(&mut log.writer, &[put(1, 15_000)]);
    }
    disk.crash(Crash::PowerCutDropsAll);
    let log = model.reopen(&disk, &options);
    assert!(log.report.scanned_bytes <= options.segment_bytes);
    assert!(log.report.pending_items > 250);
}

#[test]
pub(super) fn a_reader_passes_over_segments_without_items() {
    let disk = Disk::new(DISK_BYTES, 1);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    for _ in 0..8 {
        model.commit(&mut log.writer, &[put(1, 15_000)]);
    }
    model.commit(&mut log.writer, &[acknowledge(0..8)]);
    for _ in 0..3 {
        drop(log);
        disk.crash(Crash::Kill);
        log = model.reopen(&disk, &options());
    }
    assert!(super::model::read_all(&disk, &log, 0).is_empty());
    model.commit(&mut log.writer, &[put(1, 100)]);
    assert_eq!(super::model::read_all(&disk, &log, 0).len(), 1);
}

#[test]
pub(super) fn restarts_with_a_little_each_time_do_not_use_the_log_up() {
    let disk = Disk::new(DISK_BYTES, 1);
    let mut model = Model::default();
    let most = options().segments_max * options().segment_bytes;
    for restart in 0..25 {
        let mut log = model.reopen(&disk, &options());
        model.commit(&mut log.writer, &[put(1, 300)]);
        drop(log);
        let names = disk.names();
        let used: usize = names.iter().map(|name| disk.bytes(name).len()).sum();
        assert!(used as u64 <= most, "{used} bytes after {restart} restarts");
        disk.crash(Crash::PowerCut { seed: restart });
    }
    assert_eq!((model.records(), model.refused_full()), (25, 0));
    let mut log = model.reopen(&disk, &options());
    model.commit(&mut log.writer, &[acknowledge(0..25)]);
    assert_eq!(log.writer.view().lock().sealed.len(), 1, "all are freed");
}
