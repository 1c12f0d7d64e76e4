//! What can go wrong, as rounds that can be repeated one by one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::body::Chance;
use crate::driver::{Kind, Orders};
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
    /// Rounds of the short form.
    pub(crate) short_rounds: u64,
    /// Plays one round: the crash, and what the oracle says to it.
    round: fn(&Round) -> Result<Vec<Violation>>,
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kill-at-call",
        about: "kill -9 at the n-th system call that changes a file, then at a call of the recovery",
        short_rounds: 24,
        round: kill::at_call,
    },
    Scenario {
        name: "kill-in-recovery",
        about: "kill -9 at every call of the opening, one opening after the other",
        short_rounds: 1,
        round: kill::in_recovery,
    },
    Scenario {
        name: "kill-at-random",
        about: "kill -9 at any time under load, several times on one store",
        short_rounds: 12,
        round: kill::at_random,
    },
    Scenario {
        name: "power-cut",
        about: "the file system is cut off from its disk (EXT4_IOC_SHUTDOWN on a loop device)",
        short_rounds: 6,
        round: power::by_shutdown,
    },
    Scenario {
        name: "power-cut-torn",
        about: "the disk loses its power at some flush, and tears and drops what was not flushed",
        short_rounds: 10,
        round: power::by_faulty_disk,
    },
    Scenario {
        name: "power-cut-after-kill",
        about: "kill -9, an opening, and a power cut as soon as it showed what it found",
        short_rounds: 4,
        round: power::after_kill,
    },
    Scenario {
        name: "error-once",
        about: "a write or a sync fails once, and the power goes soon after",
        short_rounds: 6,
        round: errors::once,
    },
    Scenario {
        name: "error-dropped",
        about: "the disk drops a write, tells one sync and no more, and the power goes soon after",
        short_rounds: 8,
        round: errors::dropped,
    },
    Scenario {
        name: "error-for-ever",
        about: "no write or no sync succeeds any more; what is there can be taken",
        short_rounds: 4,
        round: errors::for_ever,
    },
    Scenario {
        name: "error-reading",
        about: "reads fail for a moment; what they hid is there again at the next opening",
        short_rounds: 6,
        round: errors::reads,
    },
    Scenario {
        name: "full-ext4",
        about: "a full ext4: restarts, takes and acknowledgements go on, puts come back with room",
        short_rounds: 1,
        round: space::on_ext4,
    },
    Scenario {
        name: "full-tmpfs",
        about: "the same on a full tmpfs",
        short_rounds: 1,
        round: space::on_tmpfs,
    },
    Scenario {
        name: "damage-bit",
        about: "one bit of a closed store is turned: in heads, snapshots, frames",
        short_rounds: 15,
        round: damage::bit,
    },
    Scenario {
        name: "damage-blocks",
        about: "blocks of a closed store are zeroed, doubled, swapped",
        short_rounds: 12,
        round: damage::blocks,
    },
    Scenario {
        name: "damage-files",
        about: "an older segment of a closed store is gone or cut short",
        short_rounds: 8,
        round: damage::files,
    },
    Scenario {
        name: "damage-foreign",
        about: "a segment of another log lies in the place of an older one",
        short_rounds: 6,
        round: damage::foreign,
    },
    Scenario {
        name: "damage-foreign-newest",
        about: "a segment of another log lies in the place of the newest one",
        short_rounds: 6,
        round: damage::foreign_newest,
    },
    Scenario {
        name: "two-processes",
        about: "a second process on the folder of one that runs",
        short_rounds: 3,
        round: surroundings::two_processes,
    },
    Scenario {
        name: "pause",
        about: "SIGSTOP for a second, and SIGCONT",
        short_rounds: 2,
        round: surroundings::pause,
    },
    Scenario {
        name: "clocks",
        about: "the monotonic clock and the times of the files jump between two runs",
        short_rounds: 2,
        round: surroundings::clocks,
    },
    Scenario {
        name: "descriptors",
        about: "fewer descriptors than the store needs",
        short_rounds: 2,
        round: surroundings::descriptors,
    },
];

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
        (None, None, None) => scenario.short_rounds,
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
        let violations = (scenario.round)(&round)
            .with_context(|| format!("{}, round {number}", scenario.name))?;
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
