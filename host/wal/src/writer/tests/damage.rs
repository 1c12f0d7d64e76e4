//! Bytes that are not what was written.

use std::ops::Range;

use super::model::{DISK_BYTES, Model, Opened, acknowledge, open, options, put, read_all, reader};
use crate::error::OpenError;
use crate::position::Position;
use crate::reader::Read;
use crate::segment::FileName;
use crate::simulation::{Call, Chance, Crash, Disk};

/// A closed log: some sealed segments, and the last one with several groups and a proof at its end.
pub(super) fn closed() -> (Disk, Model) {
    let disk = Disk::new(DISK_BYTES, 5);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    for _ in 0..3 {
        model.commit(&mut log.writer, &[put(2, 9_000), put(1, 9_000)]);
    }
    model.commit(&mut log.writer, &[put(3, 100), put(2, 5_000), put(1, 10)]);
    model.commit(&mut log.writer, &[put(4, 6_000)]);
    model.commit(&mut log.writer, &[put(1, 3), put(1, 3), acknowledge(0..1)]);
    log.writer.close().unwrap();
    drop(log);
    disk.crash(Crash::PowerCutDropsAll);
    (disk, model)
}

pub(super) fn change(disk: &Disk, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.bytes(name);
    assert!(!bytes.is_empty(), "{name} is there");
    change(&mut bytes);
    disk.set_bytes(name, bytes);
}

pub(super) fn name_of(number: u64) -> String {
    FileName::Segment(number).to_string()
}

fn lost_in(log: &Opened) -> Vec<Range<u64>> {
    log.folding.lost_items()
}

#[test]
pub(super) fn one_flipped_bit_loses_one_frame_and_is_counted_exactly() {
    let (_, model) = closed();
    let last = model.places().last().unwrap().0.segment();
    for (position, length, items) in model.places() {
        if position.segment() != last {
            continue;
        }
        // The magic, the salt, the item count, the checksum, the body.
        for at in [0, 9, 50, 70, 72, length - 8] {
            let (disk, model) = closed();
            let at = u64::from(position.offset()) + at;
            change(&disk, &name_of(last), |bytes| bytes[at as usize] ^= 4);
            let log = open(&disk, &options()).unwrap();
            assert_eq!(log.report.quarantined_frames, 1, "{position} at {at}");
            let count = items.end - items.start;
            assert_eq!(log.report.quarantined_items, count, "{position} at {at}");
            model.check_reading(&disk, &log, std::slice::from_ref(&items));
            assert_eq!(lost_in(&log), std::slice::from_ref(&items));
            drop(log);
            disk.crash(Crash::PowerCutDropsAll);
            let again = open(&disk, &options()).unwrap();
            assert_eq!(again.report.quarantined_frames, 0, "it is told once");
        }
    }
}

/// The frames of the last segment that touch a stretch of it.
pub(super) fn touched(model: &Model, segment: u64, stretch: Range<u64>) -> (u64, u64) {
    let places = model.places();
    let hit = places.iter().filter(|(position, length, _)| {
        let start = u64::from(position.offset());
        position.segment() == segment && start < stretch.end && stretch.start < start + length
    });
    hit.fold((0, 0), |(frames, items), (_, _, range)| {
        (frames + 1, items + range.end - range.start)
    })
}

#[test]
pub(super) fn a_zeroed_or_unreadable_block_loses_the_frames_on_it() {
    let (_, model) = closed();
    let last = model.places().last().unwrap().0.segment();
    let end = model.places().last().unwrap().0.offset() as u64;
    // Behind the head and the snapshot, up to the last group.
    for block in 3..end / 4096 {
        let stretch = block * 4096..(block + 1) * 4096;
        let (frames, items) = touched(&model, last, stretch.clone());
        for unreadable in [false, true] {
            let (disk, model) = closed();
            if unreadable {
                disk.make_unreadable(&name_of(last), stretch.clone());
            } else {
                let stretch = stretch.start as usize..stretch.end as usize;
                change(&disk, &name_of(last), |bytes| bytes[stretch].fill(0));
            }
            let log = open(&disk, &super::unreadable::losing()).unwrap();
            assert_eq!(log.report.quarantined_frames, frames, "block {block}");
            assert_eq!(log.report.quarantined_items, items, "block {block}");
            assert_eq!(log.report.unreadable_blocks > 0, unreadable);
            model.check_reading(&disk, &log, &lost_in(&log));
        }
    }
}

#[test]
pub(super) fn a_damaged_head_of_a_segment_loses_nothing() {
    let (_, model) = closed();
    let last = model.places().last().unwrap().0.segment();
    for number in 1..=last {
        // One copy, the other, both, both and the snapshot.
        for blocks in [0..1, 1..2, 0..2, 0..3] {
            let (disk, mut model) = closed();
            let stretch = blocks.start * 4096..blocks.end * 4096;
            change(&disk, &name_of(number), |bytes| bytes[stretch].fill(0x5a));
            model.reopen(&disk, &options());
        }
    }
}

#[test]
pub(super) fn without_any_snapshot_every_frame_is_still_found() {
    let (disk, model) = closed();
    let names = disk.names();
    for name in names.iter().filter(|name| name.starts_with("segment")) {
        change(&disk, name, |bytes| bytes[8192..8300].fill(0));
    }
    let log = open(&disk, &options()).unwrap();
    assert!(log.report.without_snapshot);
    assert_eq!(log.report.quarantined_frames, 0);
    assert_eq!(log.folding.fold(), model.fold_of(model.records()));
    model.check_reading(&disk, &log, &[]);
}

#[test]
pub(super) fn a_missing_segment_is_counted_exactly() {
    let (disk, model) = closed();
    let places = model.places();
    let first = places.first().unwrap().0.segment();
    let last = places.last().unwrap().0.segment();
    assert!(first < last, "there is more than one");
    let (frames, items) = touched(&model, first, 0..u64::MAX);
    disk.io().remove(&name_of(first)).unwrap();
    let log = open(&disk, &options()).unwrap();
    assert_eq!(log.report.missing_segments, 1);
    assert_eq!(log.report.quarantined_frames, frames);
    // Item 0 was acknowledged.
    assert_eq!(log.report.quarantined_items, items - 1);
    model.check_reading(&disk, &log, &lost_in(&log));
}

#[test]
pub(super) fn rot_in_an_older_segment_is_told_to_the_reader_and_its_segment_is_freed() {
    let (disk, mut model) = closed();
    let (position, _, items) = model.places()[1].clone();
    assert_ne!(
        position.segment(),
        model.places().last().unwrap().0.segment()
    );
    let at = position.offset() as usize + 100;
    change(&disk, &name_of(position.segment()), |bytes| bytes[at] ^= 1);
    let mut log = open(&disk, &options()).unwrap();
    assert_eq!(
        log.report.quarantined_frames, 0,
        "nobody has looked there yet"
    );
    model.check_reading(&disk, &log, std::slice::from_ref(&items));
    let view = log.writer.view().clone();
    let mut reader = reader(&disk, &log, 0);
    let mut told = Vec::new();
    while let Some(read) = reader.next().unwrap() {
        if let Read::Lost { frames, items } = read {
            told.push((frames, items));
        }
    }
    assert_eq!(told, [(1, items)]);
    let all = 0..model.items();
    model.commit(&mut log.writer, &[acknowledge(all)]);
    assert!(view.lock().numbered(position.segment()).is_none());
}

#[test]
pub(super) fn frames_behind_a_torn_one_of_the_last_group_are_cut() {
    let disk = Disk::new(DISK_BYTES, 5);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    model.commit(&mut log.writer, &[put(1, 100)]);
    let end = u64::from(log.writer.view().lock().active.unwrap().end);
    let segment = log.writer.view().lock().active.unwrap().number;
    disk.stop_at(disk.calls() + 2);
    model.commit(&mut log.writer, &[put(1, 100), put(1, 100), put(1, 100)]);
    disk.crash(Crash::PowerCutKeepsAll);
    change(&disk, &name_of(segment), |bytes| {
        bytes[end as usize + 20] ^= 1
    });
    let log = model.reopen(&disk, &options());
    assert_eq!(log.report.cut_frames, 2);
    assert_eq!(log.report.frames, 1);
}

#[test]
pub(super) fn a_log_in_use_is_not_opened() {
    let disk = Disk::new(DISK_BYTES, 5);
    let log = open(&disk, &options()).unwrap();
    let calls = disk.calls();
    assert!(matches!(open(&disk, &options()), Err(OpenError::Held)));
    assert_eq!(disk.calls(), calls, "nothing was touched");
    drop(log);
    assert!(open(&disk, &options()).is_ok());
}

#[test]
pub(super) fn segments_of_others_and_of_newer_versions_are_refused() {
    let (disk, _) = closed();
    let other = Disk::new(DISK_BYTES, 99);
    drop(open(&other, &options()).unwrap());
    let names = disk.names();
    let newest = names.iter().rfind(|n| n.starts_with("segment")).unwrap();
    let number = u64::from_str_radix(&newest["segment-".len()..], 16).unwrap();

    // A newer version that is whole.
    let before = disk.bytes(newest);
    change(&disk, newest, |bytes| {
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..124]);
        bytes[124..128].copy_from_slice(&checksum.to_le_bytes());
    });
    let error = open(&disk, &options()).err().unwrap();
    assert!(
        matches!(error, OpenError::Newer { version: 2, .. }),
        "{error}"
    );
    disk.set_bytes(newest, before);

    // The first segment of another log under the number it has there, and ours without snapshot.
    change(&disk, newest, |bytes| bytes[8192..8300].fill(0));
    let foreign = other.bytes(&name_of(1));
    let ours = disk.bytes(&name_of(1));
    if number > 1 {
        for n in 2..number {
            disk.io().remove(&name_of(n)).ok();
        }
    }
    disk.set_bytes(&name_of(1), foreign);
    let calls = disk.calls_of(Call::Write);
    let error = open(&disk, &options()).err().unwrap();
    assert!(matches!(error, OpenError::TwoLogs { .. }), "{error}");
    assert_eq!(disk.calls_of(Call::Write), calls, "nothing was written");
    disk.set_bytes(&name_of(1), ours);
    assert!(open(&disk, &options()).is_ok());
}

#[test]
pub(super) fn a_position_that_was_read_wrongly_gives_an_error() {
    let (disk, model) = closed();
    let log = open(&disk, &options()).unwrap();
    let io = disk.io();
    let view = log.writer.view();
    let (position, _, _) = model.places().pop().unwrap();
    let read = |position| crate::reader::read_at(io.as_ref(), view, position);
    assert!(read(position).is_ok());
    for bits in [
        0,
        1,
        position.bits() + 8,
        position.bits() | 0xffff_ffff,
        u64::MAX,
    ] {
        assert!(read(Position::from_bits(bits)).is_err(), "{bits}");
    }
}

/// Something that happens to a file, by chance.
fn spoil(disk: &Disk, chance: &mut Chance) {
    let names: Vec<String> = disk.names();
    let mut pick = || names[chance.up_to(names.len() as u64 - 1) as usize].clone();
    let (name, other) = (pick(), pick());
    let mut bytes = disk.bytes(&name);
    let at = chance.up_to(bytes.len().saturating_sub(1) as u64) as usize;
    let until = (at + chance.up_to(9_000) as usize).min(bytes.len());
    match chance.up_to(6) {
        0 => bytes.truncate(at),
        1 => bytes[at..until].fill(0),
        2 => bytes[at..until]
            .iter_mut()
            .for_each(|b| *b = chance.draw() as u8),
        3 => bytes = disk.bytes(&other),
        4 => return disk.io().remove(&name).unwrap_or_default(),
        5 => return disk.io().rename(&name, &other).unwrap_or_default(),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.up_to(7);
            }
        }
    }
    disk.set_bytes(&name, bytes);
}

#[test]
pub(super) fn whatever_happens_to_the_files_nothing_panics_and_nothing_is_invented() {
    let mut opened = 0;
    for seed in 0..150 {
        let mut chance = Chance(seed);
        let (disk, model) = closed();
        for _ in 0..=chance.up_to(4) {
            spoil(&disk, &mut chance);
        }
        let Ok(mut log) = open(&disk, &options()) else {
            continue;
        };
        opened += 1;
        model.check_payloads(&read_all(&disk, &log, 0));
        // What is left is a log like any other.
        let before = log.report.pending_items;
        let next = Model::default().commit_one(&mut log.writer);
        drop(log);
        disk.crash(Crash::PowerCutDropsAll);
        let log = open(&disk, &options()).unwrap();
        assert_eq!(log.report.pending_items, before + 1, "seed {seed}");
        assert!(read_all(&disk, &log, 0).contains_key(&next), "seed {seed}");
    }
    assert!(opened > 90, "{opened}");
}

#[test]
pub(super) fn damaged_bytes_are_kept_aside_and_counted() {
    let (disk, model) = closed();
    let places = model.places();
    let last = places.last().unwrap().0.segment();
    // One frame where the log is opened, and one that only a reader meets.
    let (here, length, items) = places
        .iter()
        .find(|p| p.0.segment() == last)
        .cloned()
        .unwrap();
    let (there, _, _) = places[1].clone();
    for position in [here, there] {
        let at = position.offset() as usize + 100;
        change(&disk, &name_of(position.segment()), |bytes| bytes[at] ^= 1);
    }
    let kept_of = |position: Position| {
        let name = name_of(position.segment());
        let kept = disk.bytes(&format!("quarantine/{name}-{:08x}", position.offset()));
        let stood = disk.bytes(&name).split_off(position.offset() as usize);
        assert!(stood.starts_with(&kept), "they are as they stood");
        kept.len() as u64
    };
    let log = open(&disk, &options()).unwrap();
    assert_eq!(log.report.quarantined_items, items.end - items.start);
    let kept = kept_of(here);
    assert!(kept >= length, "the whole frame is kept");
    assert_eq!(kept_of(there), 0, "nobody has looked there yet");
    for _ in 0..2 {
        read_all(&disk, &log, 0);
    }
    let statistics = log.writer.counters().read();
    assert_eq!(statistics.quarantined_bytes, kept + kept_of(there), "once");
    assert_eq!(statistics.quarantine_skips, 0);
}

/// A closed log with one damaged frame.
fn damaged() -> (Disk, Model, Range<u64>) {
    let (disk, model) = closed();
    let places = model.places();
    let last = places.last().unwrap().0.segment();
    let (position, _, items) = places.iter().find(|p| p.0.segment() == last).unwrap();
    let at = position.offset() as usize + 100;
    change(&disk, &name_of(last), |bytes| bytes[at] ^= 1);
    (disk, model, items.clone())
}

#[test]
pub(super) fn a_quarantine_that_the_disk_refuses_is_passed_over() {
    for refused in [Call::Create, Call::Write, Call::Sync] {
        let (disk, model, items) = damaged();
        // The opening writes the end of the log again and syncs it before.
        let passing = u64::from(refused != Call::Create);
        disk.fail(refused, passing, std::io::ErrorKind::InvalidData);
        let log = open(&disk, &options()).unwrap();
        assert_eq!(log.report.quarantined_frames, 1, "{refused:?}");
        let statistics = log.writer.counters().read();
        assert_eq!(statistics.quarantine_skips, 1, "{refused:?}");
        let left = disk.names();
        assert!(
            !left.iter().any(|n| n.starts_with("quarantine/")),
            "{left:?}"
        );
        model.check_reading(&disk, &log, std::slice::from_ref(&items));
    }
}

#[test]
pub(super) fn a_quarantine_without_room_is_passed_over() {
    let (disk, _, _) = damaged();
    disk.set_capacity(0);
    let log = open(&disk, &options()).unwrap();
    assert_eq!(log.writer.counters().read().quarantine_skips, 1);
}

#[test]
pub(super) fn a_segment_of_another_log_under_the_newest_name_is_refused() {
    let (disk, mut model) = closed();
    let other = Disk::new(DISK_BYTES, 99);
    drop(open(&other, &options()).unwrap());
    let newest = model.places().last().unwrap().0.segment();
    let ours = disk.bytes(&name_of(newest));
    disk.set_bytes(&name_of(newest), other.bytes(&name_of(1)));
    assert!(newest > 1);
    let error = open(&disk, &options()).err().unwrap();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    disk.set_bytes(&name_of(newest), ours);
    model.reopen(&disk, &options());
}

#[test]
pub(super) fn a_log_whose_newest_head_is_damaged_stays_the_same_log() {
    let (disk, mut model) = closed();
    let newest = model.places().last().unwrap().0.segment();
    change(&disk, &name_of(newest), |bytes| bytes[..8192].fill(0x5a));
    let mut log = model.reopen(&disk, &options());
    model.commit(&mut log.writer, &[put(1, 100)]);
    let next = log.writer.view().lock().active.unwrap().number;
    drop(log);
    disk.crash(Crash::PowerCutDropsAll);
    // Both snapshots are of no use, so that a segment from before is met.
    for number in [newest, next] {
        change(&disk, &name_of(number), |bytes| bytes[8192..8300].fill(0));
    }
    model.reopen(&disk, &options());
}
