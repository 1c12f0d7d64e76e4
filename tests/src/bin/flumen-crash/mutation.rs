//! The protections that can be switched off, and the scenarios that have to notice.
//!
//! Those of the channel are switched off in the driver, which then does what a channel without them
//! would do. Those of the log are its own: the log offers the switches to tests only (feature `simulation` of its room), and this program
//! in a build of its own (feature `mutations`), so that no other build has them.

#[cfg(feature = "mutations")]
use std::sync::Arc;

use anyhow::Result;
#[cfg(feature = "mutations")]
use anyhow::anyhow;
#[cfg(feature = "mutations")]
use flumen_wal::{LogIo, simulation};

use crate::driver::Kind;

/// The acknowledgements of a lazy channel are written within its window, not at its end.
pub(crate) const LAZY_WINDOW: &str = "lazy-window";

/// A put into several channels is taken of when it is decided.
pub(crate) const DECIDER: &str = "decider";

/// A start withdraws what was not decided.
pub(crate) const SETTLE: &str = "settle";

/// A protection, and who notices that it is gone.
pub(crate) struct Mutation {
    /// Its word, which for one of the log is the log's name for it.
    pub(crate) name: &'static str,
    /// The store that goes without it.
    pub(crate) kind: Kind,
    /// The scenarios that notice, the quickest first.
    pub(crate) scenarios: &'static [&'static str],
    /// Rounds of each, within which one of them notices. At least four times what it took when this
    /// was written, because chance has a hand in it.
    pub(crate) rounds: u64,
}

/// The protections that a real disk and real processes can show to be missing. Those that are not
/// here are switched off in the tests of the log, on its simulated disk: to see them missing takes
/// more luck than a real disk gives in minutes.
pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "group-sync",
        kind: Kind::Log,
        scenarios: &["power-cut"],
        rounds: 5,
    },
    Mutation {
        name: "folder-sync",
        kind: Kind::Log,
        scenarios: &["power-cut"],
        rounds: 20,
    },
    Mutation {
        name: "second-sync",
        kind: Kind::Log,
        scenarios: &["error-dropped"],
        rounds: 60,
    },
    Mutation {
        name: "salt",
        kind: Kind::Log,
        scenarios: &["power-cut", "power-cut-torn"],
        rounds: 200,
    },
    Mutation {
        name: "lock",
        kind: Kind::Log,
        scenarios: &["two-processes"],
        rounds: 3,
    },
    Mutation {
        name: "body-checksum",
        kind: Kind::Log,
        scenarios: &["damage-bit"],
        rounds: 120,
    },
    Mutation {
        name: "durable-mark",
        kind: Kind::Log,
        scenarios: &["damage-bit", "damage-blocks"],
        rounds: 120,
    },
    Mutation {
        name: "torn-tail",
        kind: Kind::Log,
        scenarios: &["power-cut-torn"],
        rounds: 200,
    },
    Mutation {
        name: "fall-back",
        kind: Kind::Log,
        scenarios: &["damage-bit"],
        rounds: 120,
    },
    Mutation {
        name: "head-first",
        kind: Kind::Log,
        scenarios: &["power-cut-torn", "power-cut", "kill-at-call"],
        rounds: 60,
    },
    Mutation {
        name: "reserve",
        kind: Kind::Log,
        scenarios: &["full-tmpfs"],
        rounds: 3,
    },
    Mutation {
        name: LAZY_WINDOW,
        kind: Kind::Lazy,
        scenarios: &["kill-after-window"],
        rounds: 2,
    },
    Mutation {
        name: DECIDER,
        kind: Kind::Pair,
        scenarios: &["kill-at-random"],
        rounds: 40,
    },
    Mutation {
        name: SETTLE,
        kind: Kind::Pair,
        scenarios: &["kill-at-random"],
        rounds: 40,
    },
    Mutation {
        name: "second-head",
        kind: Kind::Log,
        scenarios: &["damage-foreign-newest"],
        rounds: 60,
    },
];

/// Protections that the driver goes without, instead of the log.
const OF_THE_DRIVER: [&str; 3] = [LAZY_WINDOW, DECIDER, SETTLE];

/// Whether this build can switch anything off.
#[cfg(not(feature = "mutations"))]
const BUILT: &str = "this build cannot switch protections off; build it with --features mutations";

/// The disk of a log without this protection.
///
/// # Errors
/// When the log has no protection of this name.
#[cfg(feature = "mutations")]
pub(crate) fn weakened(folder: Arc<dyn LogIo>, name: &str) -> Result<Arc<dyn LogIo>> {
    let mutation = name
        .parse()
        .map_err(|_| anyhow!("no protection {name:?}"))?;
    Ok(Arc::new(simulation::Weakened::new(folder, mutation)))
}

/// Says whether this build can switch the protection of this name off.
///
/// # Errors
/// When it cannot.
pub(crate) fn check(name: &str) -> Result<()> {
    if OF_THE_DRIVER.contains(&name) {
        return Ok(());
    }
    #[cfg(not(feature = "mutations"))]
    anyhow::bail!("{name}: {BUILT}");
    #[cfg(feature = "mutations")]
    {
        let known: Result<simulation::Mutation, _> = name.parse();
        known
            .map(drop)
            .map_err(|_| anyhow!("no protection {name:?}"))
    }
}
