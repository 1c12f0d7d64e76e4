//! The power goes or the process dies, at every call.

use super::model::{Action, DISK_BYTES, Model, acknowledge, options, put};
use crate::simulation::{Chance, Crash, Disk};

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
fn every_crash_point_of_a_small_workload_keeps_what_was_confirmed() {
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
fn a_crash_at_every_point_of_a_recovery_changes_nothing() {
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
            let opened = super::model::open(&disk, &options()).is_ok();
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
fn crashes_by_chance_of_workloads_by_chance_keep_what_was_confirmed() {
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
