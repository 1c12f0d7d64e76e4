//! Blocks that the disk does not give, for a time or for good.

use super::damage::{change, closed, name_of, touched};
use super::model::{DISK_BYTES, Model, open, options, put, reader};
use crate::error::{OpenError, ReadError};
use crate::options::Options;
use crate::reader::Read;
use crate::simulation::{Crash, Disk};

/// What the disk does not give is taken as lost.
pub(super) fn losing() -> Options {
    Options {
        unreadable_is_lost: true,
        ..options()
    }
}

#[test]
pub(super) fn what_was_cut_stays_cut_when_it_can_be_read_again() {
    let disk = Disk::new(DISK_BYTES, 5);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    model.commit(&mut log.writer, &[put(1, 100)]);
    let segment = log.writer.view().lock().active.unwrap();
    let name = name_of(segment.number);
    // The group that is on its way when the power goes, which the disk has and does not give.
    disk.stop_at(disk.calls() + 2);
    model.commit(&mut log.writer, &[put(3, 100)]);
    disk.crash(Crash::PowerCutKeepsAll);
    let group = u64::from(segment.end);
    disk.make_unreadable(&name, group..group + 4096);
    let mut log = model.reopen(&disk, &losing());
    assert_eq!(log.report.frames, 1);
    model.commit(&mut log.writer, &[put(1, 200)]);
    let newest = log.writer.view().lock().active.unwrap().number;
    drop(log);
    disk.crash(Crash::PowerCutDropsAll);

    // The disk gives it now, and the log has to fall back to its segment.
    disk.make_readable();
    change(&disk, &name_of(newest), |bytes| bytes[8192..8300].fill(0));
    let log = model.reopen(&disk, &options());
    assert_eq!(log.report.damaged_snapshots, 1);
}

#[test]
pub(super) fn what_cannot_be_read_for_a_time_is_not_lost() {
    let (_, model) = closed();
    let places = model.places();
    let last = places.last().unwrap().0.segment();
    let end = u64::from(places.last().unwrap().0.offset());
    // Head, snapshot and each block of frames of the last segment.
    for block in 0..=end / 4096 {
        let (disk, mut model) = closed();
        let stretch = block * 4096..(block + 1) * 4096;
        disk.make_unreadable(&name_of(last), stretch.clone());
        match open(&disk, &options()) {
            Ok(log) => assert_eq!(log.report.quarantined_frames, 0),
            Err(OpenError::Unreadable {
                segment, offset, ..
            }) => {
                assert_eq!((segment, offset), (name_of(last), stretch.start));
                let (frames, _) = touched(&model, last, stretch);
                assert!(frames > 0, "block {block} is needed");
            }
            Err(error) => panic!("block {block}: {error}"),
        }
        disk.make_readable();
        model.reopen(&disk, &options());
    }
    // Nothing is left to begin with.
    let (disk, mut model) = closed();
    for name in disk.names() {
        disk.make_unreadable(&name, 8192..12_288);
    }
    assert!(matches!(
        open(&disk, &options()),
        Err(OpenError::Unreadable { offset: 8192, .. })
    ));
    disk.make_readable();
    model.reopen(&disk, &options());
}

#[test]
pub(super) fn a_reader_waits_for_what_cannot_be_read_for_a_time() {
    let (disk, model) = closed();
    let (position, _, items) = model.places()[1].clone();
    let log = open(&disk, &options()).unwrap();
    let at = u64::from(position.offset());
    disk.make_unreadable(&name_of(position.segment()), at..at + 4096);
    let mut strict = reader(&disk, &log, items.start);
    for _ in 0..3 {
        assert!(matches!(strict.next(), Err(ReadError::Disk { .. })));
    }
    disk.make_readable();
    let read = strict.next().unwrap();
    assert!(matches!(read, Some(Read::Frame { first_item, .. }) if first_item == items.start));

    disk.make_unreadable(&name_of(position.segment()), at..at + 4096);
    let mut losing = reader(&disk, &log, items.start);
    losing.lose_unreadable();
    let read = losing.next().unwrap();
    assert!(matches!(read, Some(Read::Lost { items: lost, .. }) if lost == items));
}

#[test]
fn a_reader_passes_over_what_the_disk_does_not_give_when_it_is_told_to() {
    let (disk, model) = closed();
    let places = model.places();
    // The first of a group, so that it has its first block alone.
    let (position, _, items) = places[2].clone();
    let log = open(&disk, &options()).unwrap();
    let at = u64::from(position.offset());
    disk.make_unreadable(&name_of(position.segment()), at..at + 4096);
    let mut passing = reader(&disk, &log, 0);
    passing.pass_unreadable();
    let mut seen = Vec::new();
    let mut passed = Vec::new();
    while let Some(read) = passing.next().unwrap() {
        match read {
            Read::Frame { first_item, .. } => seen.push(first_item),
            Read::Unreadable {
                position,
                frames,
                items,
            } => passed.push((position, frames, items)),
            Read::Lost { .. } => panic!("nothing is lost"),
        }
    }
    let others = places.iter().filter(|p| !p.2.is_empty() && p.2 != items);
    assert_eq!(seen, others.map(|p| p.2.start).collect::<Vec<_>>());
    assert_eq!(passed, [(position, 1, items.clone())]);
    let statistics = log.writer.counters().read();
    assert_eq!(statistics.quarantined_bytes, 0, "it is not damaged");

    disk.make_readable();
    let mut again = reader(&disk, &log, items.start);
    let read = again.next().unwrap();
    assert!(matches!(read, Some(Read::Frame { first_item, .. }) if first_item == items.start));
}

#[test]
fn a_reader_passes_over_a_segment_that_is_not_there_when_it_is_told_to() {
    let (disk, model) = closed();
    let places = model.places();
    let first = places[0].0.segment();
    let rest = places.iter().find(|p| p.0.segment() > first).unwrap();
    let log = open(&disk, &options()).unwrap();
    disk.io().rename(&name_of(first), "elsewhere").unwrap();
    let mut passing = reader(&disk, &log, 0);
    assert!(matches!(passing.next(), Err(ReadError::Disk { .. })));
    passing.pass_unreadable();
    let read = passing.next().unwrap();
    assert!(
        matches!(&read, Some(Read::Unreadable { items, .. }) if *items == (0..rest.2.start)),
        "{read:?}"
    );
    let read = passing.next().unwrap();
    assert!(matches!(read, Some(Read::Frame { first_item, .. }) if first_item == rest.2.start));
}

#[test]
fn the_last_frame_of_the_segment_in_use_is_missed_when_it_cannot_be_had() {
    let disk = Disk::new(DISK_BYTES, 5);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    model.commit(&mut log.writer, &[put(1, 100)]);
    model.commit(&mut log.writer, &[put(3, 100)]);
    let (position, _, items) = model.places().pop().unwrap();
    let (name, at) = (name_of(position.segment()), u64::from(position.offset()));
    disk.make_unreadable(&name, at..at + 4096);
    let mut strict = reader(&disk, &log, 1);
    assert!(matches!(strict.next(), Err(ReadError::Disk { position: p, .. }) if p == position));
    strict.pass_unreadable();
    let read = strict.next().unwrap();
    assert!(
        matches!(&read, Some(Read::Unreadable { items: own, .. }) if *own == items),
        "{read:?}"
    );
    assert_eq!(strict.next().unwrap(), None, "once");

    // What comes behind it is read.
    model.commit(&mut log.writer, &[put(1, 50)]);
    let read = strict.next().unwrap();
    assert!(
        matches!(&read, Some(Read::Frame { first_item, .. }) if *first_item == items.end),
        "{read:?}"
    );

    disk.make_readable();
    change(&disk, &name, |bytes| bytes[at as usize + 80] ^= 1);
    let read = reader(&disk, &log, 1).next().unwrap();
    assert!(
        matches!(&read, Some(Read::Lost { items: own, .. }) if *own == items),
        "{read:?}"
    );
}
