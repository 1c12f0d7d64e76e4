//! The power goes or the process dies, at every call.

use std::io::ErrorKind;

use super::model::{Action, DISK_BYTES, Model, acknowledge, open, options, put};
use crate::frame::HEADER_BYTES;
use crate::simulation::{Call, Chance, Crash, Disk};

const CRASHES: [Crash; 7] = [
    Crash::Kill,
    Crash::PowerCutDropsAll,
    Crash::PowerCutKeepsAll,
    Crash::PowerCut { seed: 1 },
    Crash::PowerCut { seed: 2 },
    Crash::PowerCut { seed: 3 },
    Crash::PowerCut { seed: 4 },
];

/// Puts of several records, acknowledgements, rolls, releases, a witness and a restart.
pub(super) fn workload() -> Vec<Action> {
    vec![
        Action::Group(vec![put(3, 100), put(2, 9000)]),
        Action::Group(vec![put(1, 18_000)]),
        Action::Witness,
        Action::Group(vec![acknowledge(0..4), put(5, 12_000)]),
        Action::Group(vec![put(1, 19_000)]),
        Action::Group(vec![put(2, 19_000)]),
        Action::Reopen,
        Action::Group(vec![acknowledge(4..9), put(7, 600), put(1, 600)]),
        Action::Group(vec![put(1, 19_000)]),
        Action::Group(vec![acknowledge(10..12)]),
        Action::Group(vec![put(1, 19_000)]),
        Action::Group(vec![put(1, 19_000), acknowledge(9..14)]),
    ]
}

/// What a log still has to do after a crash: take more, and crash again.
pub(super) fn afterwards() -> Vec<Action> {
    vec![
        Action::Group(vec![put(1, 300), acknowledge(0..3)]),
        Action::Group(vec![put(1, 19_000)]),
        Action::Group(vec![put(1, 19_000)]),
        Action::Group(vec![put(1, 19_000)]),
        Action::Reopen,
    ]
}

fn calls_of(actions: &[Action]) -> u64 {
    let disk = Disk::new(DISK_BYTES, 7);
    Model::default().run(&disk, &options(), actions);
    disk.calls()
}

#[test]
pub(super) fn every_crash_point_of_a_small_workload_keeps_what_was_confirmed() {
    let actions = workload();
    for stop in 1..=calls_of(&actions) + 1 {
        for crash in CRASHES {
            let disk = Disk::new(DISK_BYTES, 7);
            let mut model = Model::default();
            disk.stop_at(stop);
            model.run(&disk, &options(), &actions);
            disk.crash(crash);
            drop(model.reopen(&disk, &options()));
            model.run(&disk, &options(), &afterwards());
            disk.crash(Crash::PowerCutDropsAll);
            model.reopen(&disk, &options());
        }
    }
}

#[test]
pub(super) fn a_crash_at_every_point_of_a_recovery_changes_nothing() {
    let actions = workload();
    let last = calls_of(&actions) + 1;
    let mut chance = Chance(11);
    for stop in (1..=last).step_by(3) {
        // Until a recovery gets through.
        for recovery_stop in 1.. {
            let disk = Disk::new(DISK_BYTES, 7);
            let mut model = Model::default();
            disk.stop_at(stop);
            model.run(&disk, &options(), &actions);
            disk.crash(Crash::PowerCut {
                seed: chance.draw(),
            });
            disk.stop_at(disk.calls() + recovery_stop);
            let opened = open(&disk, &options()).is_ok();
            let through = opened && !disk.is_stopped();
            disk.crash(Crash::PowerCut {
                seed: chance.draw(),
            });
            model.reopen(&disk, &options());
            if through {
                break;
            }
        }
    }
}

/// A workload by chance.
fn drawn(chance: &mut Chance, actions: usize) -> Vec<Action> {
    let mut items = 0;
    let mut drawn = Vec::new();
    for _ in 0..actions {
        drawn.push(match chance.up_to(19) {
            0 => Action::Reopen,
            1 | 2 => Action::Witness,
            _ => {
                let records = 1 + chance.up_to(2);
                let plans = (0..records).map(|_| {
                    if chance.up_to(2) == 0 {
                        let start = chance.up_to(items);
                        acknowledge(start..start + chance.up_to(12))
                    } else {
                        let count = chance.up_to(5) as u32;
                        items += u64::from(count);
                        put(count, chance.up_to(6_000) as usize)
                    }
                });
                Action::Group(plans.collect())
            }
        });
    }
    drawn
}

#[test]
pub(super) fn crashes_by_chance_of_workloads_by_chance_keep_what_was_confirmed() {
    for seed in 0..80 {
        let mut chance = Chance(seed);
        let disk = Disk::new(DISK_BYTES, seed);
        let mut model = Model::default();
        for _ in 0..6 {
            let actions = drawn(&mut chance, 30);
            disk.stop_at(disk.calls() + 1 + chance.up_to(120));
            model.run(&disk, &options(), &actions);
            disk.crash(match chance.up_to(3) {
                0 => Crash::Kill,
                _ => Crash::PowerCut {
                    seed: chance.draw(),
                },
            });
            model.reopen(&disk, &options());
        }
        assert!(model.records() > 0, "seed {seed} wrote nothing");
    }
}

#[test]
pub(super) fn frames_of_an_earlier_life_of_a_segment_never_count() {
    let disk = Disk::new(DISK_BYTES, 3);
    let mut model = Model::default();
    let mut log = open(&disk, &options()).unwrap();
    while log.writer.view().lock().active.unwrap().end < 40_000 {
        model.commit(&mut log.writer, &[put(1, 1_000)]);
    }
    // The first group of the next segment reaches the disk and its name does not: what stands in
    // the file is of a segment that never was. Its first record fills a block to the last byte.
    let block = 4096 - HEADER_BYTES;
    let synced = disk.calls_of(Call::SyncFolder);
    disk.fail(Call::SyncFolder, 1, ErrorKind::InvalidData);
    disk.fail(Call::Rename, 2, ErrorKind::InvalidData);
    let never = [put(1, block), put(1, block), put(1, 18_000)];
    model.commit(&mut log.writer, &never);
    assert_eq!(disk.calls_of(Call::SyncFolder), synced + 2);
    assert_eq!(model.unknown(), 3);
    disk.crash(Crash::PowerCutDropsAll);
    let mut log = model.reopen(&disk, &options());
    assert_eq!(model.unknown(), 0, "none of it came back");

    // The same number and the same file again, with another record in the first block.
    let before = log.writer.view().lock().active.unwrap();
    model.commit(&mut log.writer, &[put(1, block)]);
    let bytes = disk.bytes(&format!("segment-{:016x}", before.number));
    let behind = before.end as usize + 4096;
    assert_eq!(&bytes[behind..behind + 4], b"FLWF", "the old one follows");
    disk.crash(Crash::Kill);
    model.reopen(&disk, &options());
}
