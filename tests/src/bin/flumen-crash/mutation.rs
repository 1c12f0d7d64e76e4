//! The protections of the log that can be switched off, and the scenarios that have to notice.
//!
//! The log offers the switches to tests only (feature `simulation` of its room), and this program
//! in a build of its own (feature `mutations`), so that no other build has them.

#[cfg(feature = "mutations")]
use std::sync::Arc;

use anyhow::Result;
#[cfg(feature = "mutations")]
use anyhow::anyhow;
#[cfg(feature = "mutations")]
use flumen_wal::{LogIo, simulation};

/// A protection, and who notices that it is gone.
pub(crate) struct Mutation {
    /// Its word, which is the log's name for it.
    pub(crate) name: &'static str,
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
        scenarios: &["power-cut"],
        rounds: 5,
    },
    Mutation {
        name: "folder-sync",
        scenarios: &["power-cut"],
        rounds: 20,
    },
    Mutation {
        name: "second-sync",
        scenarios: &["error-dropped"],
        rounds: 60,
    },
    Mutation {
        name: "salt",
        scenarios: &["power-cut", "power-cut-torn"],
        rounds: 200,
    },
    Mutation {
        name: "lock",
        scenarios: &["two-processes"],
        rounds: 3,
    },
    Mutation {
        name: "body-checksum",
        scenarios: &["damage-bit"],
        rounds: 120,
    },
    Mutation {
        name: "durable-mark",
        scenarios: &["damage-bit", "damage-blocks"],
        rounds: 120,
    },
    Mutation {
        name: "torn-tail",
        scenarios: &["power-cut-torn"],
        rounds: 200,
    },
    Mutation {
        name: "fall-back",
        scenarios: &["damage-bit"],
        rounds: 120,
    },
    Mutation {
        name: "head-first",
        scenarios: &["power-cut-torn", "power-cut", "kill-at-call"],
        rounds: 60,
    },
    Mutation {
        name: "reserve",
        scenarios: &["full-tmpfs"],
        rounds: 3,
    },
    Mutation {
        name: "second-head",
        scenarios: &["damage-foreign-newest"],
        rounds: 60,
    },
];

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
