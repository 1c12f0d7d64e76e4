//! Segments of another log in the place of one.

use std::collections::BTreeMap;

use super::damage::{change, name_of, touched};
use super::model::{DISK_BYTES, Model, open, options, put};
use crate::error::OpenError;
use crate::segment::{LogId, SegmentHeader};
use crate::simulation::{Crash, Disk};

/// A closed log of some segments, another one for each seed.
fn closed_with(seed: u64) -> (Disk, Model) {
    let disk = Disk::new(DISK_BYTES, seed);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    for _ in 0..10 {
        model.commit(&mut log.writer, &[put(2, 9_000), put(1, 9_000)]);
    }
    log.writer.close().unwrap();
    drop(log);
    disk.crash(Crash::PowerCutDropsAll);
    (disk, model)
}

fn closed() -> (Disk, Model) {
    closed_with(5)
}

/// The numbers of the segments, oldest first.
fn segments(disk: &Disk) -> Vec<u64> {
    let names = disk.names();
    let digits = names.iter().filter_map(|n| n.strip_prefix("segment-"));
    digits
        .map(|d| u64::from_str_radix(d, 16).unwrap())
        .collect()
}

fn log_of(disk: &Disk, number: u64) -> LogId {
    SegmentHeader::decode(&disk.bytes(&name_of(number)))
        .unwrap()
        .log
}

/// Everything in the folder.
fn content(disk: &Disk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.names().into_iter();
    names.map(|n| (n.clone(), disk.bytes(&n))).collect()
}

/// Puts the segment of the same number of another log in the place of one, and gives back ours.
fn exchange(disk: &Disk, number: u64) -> Vec<u8> {
    let (other, _) = closed_with(99);
    let ours = disk.bytes(&name_of(number));
    disk.set_bytes(&name_of(number), other.bytes(&name_of(number)));
    assert_eq!(
        SegmentHeader::decode(&disk.bytes(&name_of(number)))
            .unwrap()
            .number,
        number
    );
    ours
}

/// The log is refused, both segments are named, and nothing is changed.
fn assert_two_logs(disk: &Disk, newest: u64, next: u64) {
    let before = content(disk);
    match open(disk, &options()).err() {
        Some(OpenError::TwoLogs { newer, older }) => {
            assert_eq!((newer, older), (name_of(newest), name_of(next)));
        }
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(content(disk), before, "nothing was changed");
}

#[test]
pub(super) fn a_stranger_under_the_name_of_the_newest_is_refused_and_nothing_is_changed() {
    let (disk, mut model) = closed();
    let newest = *segments(&disk).last().unwrap();
    let ours = exchange(&disk, newest);
    assert_two_logs(&disk, newest, newest - 1);
    disk.set_bytes(&name_of(newest), ours);
    model.reopen(&disk, &options());
}

#[test]
fn of_two_segments_of_two_logs_nobody_can_tell_which_is_the_stranger() {
    let (disk, mut model) = closed();
    let [older @ .., next, newest] = &segments(&disk)[..] else {
        panic!("too few segments")
    };
    let aside: Vec<_> = older
        .iter()
        .map(|n| (*n, disk.bytes(&name_of(*n))))
        .collect();
    for (number, _) in &aside {
        disk.io().remove(&name_of(*number)).unwrap();
    }
    for exchanged in [*next, *newest] {
        let ours = exchange(&disk, exchanged);
        assert_two_logs(&disk, *newest, *next);
        disk.set_bytes(&name_of(exchanged), ours);
    }
    for (number, bytes) in aside {
        disk.set_bytes(&name_of(number), bytes);
    }
    model.reopen(&disk, &options());
}

#[test]
fn a_stranger_under_an_older_name_takes_what_stood_there_and_no_more() {
    let (disk, _) = closed();
    let numbers = segments(&disk);
    assert!(numbers.len() > 3, "{numbers:?}");
    for number in &numbers[..numbers.len() - 1] {
        let (disk, model) = closed();
        let log = log_of(&disk, numbers[0]);
        exchange(&disk, *number);
        let opened = open(&disk, &options()).unwrap();
        let next = *segments(&disk).last().unwrap();
        assert_eq!(log_of(&disk, next), log, "it goes on as itself");
        let lost = touched_items(&model, *number);
        model.check_reading(&disk, &opened, &lost);
    }
}

/// The items of a segment.
fn touched_items(model: &Model, number: u64) -> Vec<std::ops::Range<u64>> {
    let (frames, _) = touched(model, number, 0..u64::MAX);
    let places = model.places().into_iter();
    let lost: Vec<_> = places
        .filter(|(position, _, _)| position.segment() == number)
        .map(|(_, _, items)| items)
        .collect();
    assert_eq!(lost.len() as u64, frames);
    lost
}

#[test]
fn without_the_newest_head_the_table_of_its_snapshot_says_which_of_the_others_are_ours() {
    let (disk, model) = closed();
    let numbers = segments(&disk);
    let newest = *numbers.last().unwrap();
    let log = log_of(&disk, newest);
    change(&disk, &name_of(newest), |bytes| bytes[..8192].fill(0x5a));
    exchange(&disk, newest - 1);
    let opened = open(&disk, &options()).unwrap();
    let next = *segments(&disk).last().unwrap();
    assert_eq!(log_of(&disk, next), log);
    model.check_reading(&disk, &opened, &touched_items(&model, newest - 1));
}

#[test]
fn with_no_head_but_that_of_a_stranger_the_log_is_refused() {
    let (disk, mut model) = closed();
    let numbers = segments(&disk);
    let newest = *numbers.last().unwrap();
    let before = content(&disk);
    for number in &numbers {
        change(&disk, &name_of(*number), |bytes| bytes[..8192].fill(0x5a));
    }
    let (other, _) = closed_with(99);
    disk.set_bytes(&name_of(newest - 1), other.bytes(&name_of(newest - 1)));
    assert_two_logs(&disk, newest, newest - 1);
    for (name, bytes) in before {
        disk.set_bytes(&name, bytes);
    }
    model.reopen(&disk, &options());
}

#[test]
fn a_log_that_had_to_take_another_name_knows_its_older_segments() {
    let (disk, mut model) = closed();
    let numbers = segments(&disk);
    let newest = *numbers.last().unwrap();
    let log = log_of(&disk, newest);
    change(&disk, &name_of(newest), |bytes| bytes[..8192].fill(0x5a));
    for number in &numbers[..numbers.len() - 1] {
        disk.make_unreadable(&name_of(*number), 0..8192);
    }
    let opened = open(&disk, &options()).unwrap();
    let next = *segments(&disk).last().unwrap();
    assert_ne!(log_of(&disk, next), log, "nothing said what it was");
    drop(opened);
    disk.crash(Crash::PowerCutDropsAll);
    disk.make_readable();
    model.reopen(&disk, &options());
}
