//! What can go wrong, as rounds that can be repeated one by one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::body::Chance;
use crate::driver::Kind::{self, Channel, Interval, Lazy, Log, Os, Pair};
use crate::driver::Orders;
use crate::oracle::Violation;
use crate::rig::Rig;

mod damage;
mod errors;
mod kill;
mod power;
mod space;
mod surroundings;

/// One way in which things go wrong.
pub(crate) struct Scenario {
    /// Its word on the command line.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    /// The stores that it is played on, with the rounds of the short form; none where it has no part
    /// in that.
    pub(crate) stores: &'static [(Kind, u64)],
    /// Plays one round: the crash, and what the oracle says to it.
    round: fn(&Round) -> Result<Vec<Violation>>,
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kill-at-call",
        about: "kill -9 at the n-th system call that changes a file, then at a call of the recovery",
        stores: &[
            (Log, 24),
            (Channel, 24),
            (Lazy, 12),
            (Interval, 6),
            (Os, 6),
            (Pair, 18),
        ],
        round: kill::at_call,
    },
    Scenario {
        name: "kill-in-recovery",
        about: "kill -9 at every call of the opening, one opening after the other",
        stores: &[
            (Log, 1),
            (Channel, 1),
            (Lazy, 1),
            (Interval, 0),
            (Os, 0),
            (Pair, 1),
        ],
        round: kill::in_recovery,
    },
    Scenario {
        name: "kill-at-random",
        about: "kill -9 at any time under load, several times on one store",
        stores: &[
            (Log, 12),
            (Channel, 12),
            (Lazy, 6),
            (Interval, 3),
            (Os, 3),
            (Pair, 12),
        ],
        round: kill::at_random,
    },
    Scenario {
        name: "kill-after-window",
        about: "kill -9 when acknowledgements are older than the store may be late with them",
        stores: &[(Lazy, 2)],
        round: kill::after_window,
    },
    Scenario {
        name: "power-cut",
        about: "the file system is cut off from its disk (EXT4_IOC_SHUTDOWN on a loop device)",
        stores: &[
            (Log, 6),
            (Channel, 6),
            (Lazy, 4),
            (Interval, 4),
            (Os, 0),
            (Pair, 6),
        ],
        round: power::by_shutdown,
    },
    Scenario {
        name: "power-cut-torn",
        about: "the disk loses its power at some flush, and tears and drops what was not flushed",
        stores: &[(Log, 10), (Channel, 10), (Lazy, 4), (Pair, 8)],
        round: power::by_faulty_disk,
    },
    Scenario {
        name: "power-cut-after-kill",
        about: "kill -9, an opening, and a power cut as soon as it showed what it found",
        stores: &[(Log, 4), (Channel, 4), (Lazy, 2), (Pair, 4)],
        round: power::after_kill,
    },
    Scenario {
        name: "error-once",
        about: "a write or a sync fails once, and the power goes soon after",
        stores: &[(Log, 6), (Channel, 6), (Lazy, 3), (Pair, 6)],
        round: errors::once,
    },
    Scenario {
        name: "error-dropped",
        about: "the disk drops a write, tells one sync and no more, and the power goes soon after",
        stores: &[(Log, 8), (Channel, 8), (Lazy, 4), (Pair, 4)],
        round: errors::dropped,
    },
    Scenario {
        name: "error-for-ever",
        about: "no write or no sync succeeds any more; what is there can be taken",
        stores: &[(Log, 4), (Channel, 4), (Lazy, 2), (Pair, 4)],
        round: errors::for_ever,
    },
    Scenario {
        name: "error-reading",
        about: "reads fail for a moment; what they hid is there again at the next opening",
        stores: &[(Log, 6), (Channel, 6), (Lazy, 0), (Pair, 2)],
        round: errors::reads,
    },
    Scenario {
        name: "full-ext4",
        about: "a full ext4: restarts, takes and acknowledgements go on, puts come back with room",
        stores: &[(Log, 1), (Channel, 1), (Lazy, 1), (Pair, 1)],
        round: space::on_ext4,
    },
    Scenario {
        name: "full-tmpfs",
        about: "the same on a full tmpfs",
        stores: &[(Log, 1), (Channel, 1), (Lazy, 0), (Pair, 0)],
        round: space::on_tmpfs,
    },
    Scenario {
        name: "damage-bit",
        about: "one bit of a closed store is turned: in heads, snapshots, frames",
        stores: &[(Log, 15), (Channel, 15), (Lazy, 0)],
        round: damage::bit,
    },
    Scenario {
        name: "damage-blocks",
        about: "blocks of a closed store are zeroed, doubled, swapped",
        stores: &[(Log, 12), (Channel, 12), (Lazy, 0)],
        round: damage::blocks,
    },
    Scenario {
        name: "damage-files",
        about: "an older segment of a closed store is gone or cut short",
        stores: &[(Log, 8), (Channel, 8), (Lazy, 0)],
        round: damage::files,
    },
    Scenario {
        name: "damage-foreign",
        about: "a segment of another log lies in the place of an older one",
        stores: &[(Log, 6), (Channel, 6), (Lazy, 0)],
        round: damage::foreign,
    },
    Scenario {
        name: "damage-foreign-newest",
        about: "a segment of another log lies in the place of the newest one",
        stores: &[(Log, 6), (Channel, 6)],
        round: damage::foreign_newest,
    },
    Scenario {
        name: "two-processes",
        about: "a second process on the folder of one that runs",
        stores: &[(Log, 3), (Channel, 3), (Lazy, 0), (Pair, 1)],
        round: surroundings::two_processes,
    },
    Scenario {
        name: "pause",
        about: "SIGSTOP for a second, and SIGCONT",
        stores: &[(Log, 2), (Channel, 2), (Lazy, 1), (Pair, 1)],
        round: surroundings::pause,
    },
    Scenario {
        name: "clocks",
        about: "the monotonic clock and the times of the files jump between two runs",
        stores: &[(Log, 2), (Channel, 2), (Lazy, 0), (Pair, 1)],
        round: surroundings::clocks,
    },
    Scenario {
        name: "descriptors",
        about: "fewer descriptors than the store needs",
        stores: &[(Log, 2), (Channel, 2), (Lazy, 0), (Pair, 1)],
        round: surroundings::descriptors,
    },
];

impl Scenario {
    /// Rounds of the short form on this store; nothing when it is not played there.
    pub(crate) fn rounds_on(&self, kind: Kind) -> Option<u64> {
        let mut stores = self.stores.iter();
        stores
            .find(|(store, _)| *store == kind)
            .map(|(_, rounds)| *rounds)
    }

    /// The stores of the short form.
    pub(crate) fn short_stores(&self) -> String {
        let stores = self.stores.iter().filter(|(_, rounds)| *rounds > 0);
        let names: Vec<_> = stores.map(|(kind, _)| kind.name()).collect();
        names.join(",")
    }
}

/// The scenario of this name.
pub(crate) fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// What one round has to work with.
pub(crate) struct Round {
    /// Which of the scenario; decides together with the seed all that chance decides.
    pub(crate) number: u64,
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) mutation: Option<String>,
    /// An empty folder of its own.
    pub(crate) folder: PathBuf,
}

impl Round {
    /// Chance for this round.
    pub(crate) fn chance(&self) -> Chance {
        Chance::new(self.seed.rotate_left(20) ^ self.number)
    }

    /// The usual load, on a store in this folder of the round.
    pub(crate) fn orders(&self, store: &str) -> Orders {
        let seed = self.chance().next();
        Orders {
            mutation: self.mutation.clone(),
            ..Orders::new(self.kind, &self.folder.join(store), seed)
        }
    }

    /// A rig with the usual load.
    pub(crate) fn rig(&self) -> Rig {
        Rig::new(self.orders("store"))
    }
}

/// How rounds are chosen.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) mutation: Option<String>,
    /// One round only.
    pub(crate) round: Option<u64>,
    /// Rounds; when nothing is said, those of the short form.
    pub(crate) rounds: Option<u64>,
    /// No round of a scenario begins later than this after its first.
    pub(crate) share: Option<Duration>,
    /// Where folders of rounds are made.
    pub(crate) folder: PathBuf,
}

/// What came of a scenario.
pub(crate) struct Outcome {
    pub(crate) rounds: u64,
    pub(crate) elapsed: Duration,
    /// The round that broke a promise, and what it broke. It is the last one.
    pub(crate) broken: Option<(u64, Vec<Violation>)>,
}

/// Plays the rounds of a scenario up to the first that breaks a promise.
///
/// # Errors
/// When the machine lacks what the scenario needs, or the rig itself fails.
pub(crate) fn play(scenario: &Scenario, choice: &Choice) -> Result<Outcome> {
    let begin = Instant::now();
    let first = choice.round.unwrap_or(0);
    let count = match (choice.round, choice.rounds, choice.share) {
        (Some(_), ..) => 1,
        (None, Some(rounds), _) => rounds,
        (None, None, Some(_)) => u64::MAX,
        (None, None, None) => scenario.rounds_on(choice.kind).unwrap_or(0),
    };
    let mut rounds = 0;
    let mut broken = None;
    for number in first..first.saturating_add(count) {
        if choice.share.is_some_and(|share| begin.elapsed() >= share) {
            break;
        }
        let folder = tempfile::Builder::new()
            .prefix("flumen-crash-")
            .tempdir_in(&choice.folder)
            .context("make a folder for a round")?;
        let round = Round {
            number,
            seed: choice.seed,
            kind: choice.kind,
            mutation: choice.mutation.clone(),
            folder: folder.path().to_owned(),
        };
        rounds += 1;
        let violations = (scenario.round)(&round).with_context(|| {
            let store = choice.kind.name();
            format!("{} on the store {store}, round {number}", scenario.name)
        })?;
        if !violations.is_empty() {
            broken = Some((number, violations));
            break;
        }
    }
    Ok(Outcome {
        rounds,
        elapsed: begin.elapsed(),
        broken,
    })
}
