//! Protections of the log that a test can switch off, one at a time, to see that its crashes find
//! the hole. A suite that stays green without a protection is too weak to say that it works.
//!
//! Only tests and the feature `simulation` can: in any other build nothing is ever switched off,
//! and the compiler drops the questions.

#[cfg(any(test, feature = "simulation"))]
use std::{fmt, str::FromStr};

use crate::io::{LogFile, LogIo};

/// A protection, named by what is lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    not(any(test, feature = "simulation")),
    expect(
        dead_code,
        unreachable_pub,
        reason = "only the simulation shows them, and its disk asks about some of them alone"
    )
)]
pub enum Mutation {
    /// A group is synced before it is confirmed. Without: it is only written.
    GroupSync,
    /// Names are made durable by syncing the folder. Without: they are left to the system.
    FolderSync,
    /// A sync that failed proves nothing afterwards. Without: it is asked again and believed.
    SecondSync,
    /// The head and the snapshot of a segment are durable with its first group. Without: they are
    /// written behind it, when it was confirmed.
    HeadFirst,
    /// One process at a time. Without: the folder is open to everybody.
    Lock,
    /// Frames of an earlier life of a file are known by their salt. Without: they count.
    Salt,
    /// The body of a frame is held against its checksum when the log is opened and read. Without:
    /// a whole head is enough.
    BodyChecksum,
    /// Damage before something that is known to be durable is rot. Without: every damage is a torn
    /// tail, and ends the log.
    DurableMark,
    /// What was never confirmed is cut. Without: it is counted as lost.
    TornTail,
    /// The head of a segment says where the one before ended. Without: that ends where its frames
    /// seem to.
    PreviousEnd,
    /// Segments are freed when the acknowledgements of their items are durable. Without: when they
    /// are acknowledged.
    ReleaseOrder,
    /// The last but one segment stays, for its snapshot. Without: it is freed like any other.
    FallBack,
    /// The end of the log is synced when it is opened, because the process before may have ended
    /// between writing and syncing. Without: what is read is believed to be durable.
    SyncAtOpening,
    /// The end of the log is written again before that sync. Without: when the sync of a group
    /// failed before the process ended, the next one is believed.
    RewriteAtOpening,
    /// Some segments are kept back for acknowledgements and restarts. Without: items take them.
    Reserve,
    /// An older segment has to agree with the newest about which log this is. Without: the newest
    /// is believed.
    SecondHead,
}

/// Whether this disk goes without the protection.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn lacks(io: &dyn LogIo, protection: Mutation) -> bool {
    io.lacks(protection)
}

/// Whether this file goes without the protection.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn file_lacks(file: &dyn LogFile, protection: Mutation) -> bool {
    file.lacks(protection)
}

/// Never.
#[cfg(not(any(test, feature = "simulation")))]
pub(crate) fn lacks(_: &dyn LogIo, _: Mutation) -> bool {
    false
}

/// Never.
#[cfg(not(any(test, feature = "simulation")))]
pub(crate) fn file_lacks(_: &dyn LogFile, _: Mutation) -> bool {
    false
}

#[cfg(any(test, feature = "simulation"))]
impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 16] = [
        Mutation::GroupSync,
        Mutation::FolderSync,
        Mutation::SecondSync,
        Mutation::HeadFirst,
        Mutation::Lock,
        Mutation::Salt,
        Mutation::BodyChecksum,
        Mutation::DurableMark,
        Mutation::TornTail,
        Mutation::PreviousEnd,
        Mutation::ReleaseOrder,
        Mutation::FallBack,
        Mutation::SyncAtOpening,
        Mutation::RewriteAtOpening,
        Mutation::Reserve,
        Mutation::SecondHead,
    ];

    /// The name, for command lines and reports.
    pub fn name(self) -> &'static str {
        match self {
            Mutation::GroupSync => "group-sync",
            Mutation::FolderSync => "folder-sync",
            Mutation::SecondSync => "second-sync",
            Mutation::HeadFirst => "head-first",
            Mutation::Lock => "lock",
            Mutation::Salt => "salt",
            Mutation::BodyChecksum => "body-checksum",
            Mutation::DurableMark => "durable-mark",
            Mutation::TornTail => "torn-tail",
            Mutation::PreviousEnd => "previous-end",
            Mutation::ReleaseOrder => "release-order",
            Mutation::FallBack => "fall-back",
            Mutation::SyncAtOpening => "sync-at-opening",
            Mutation::RewriteAtOpening => "rewrite-at-opening",
            Mutation::Reserve => "reserve",
            Mutation::SecondHead => "second-head",
        }
    }
}

#[cfg(any(test, feature = "simulation"))]
impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No protection has this name.
#[cfg(any(test, feature = "simulation"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMutation {
    /// What was given.
    pub given: String,
}

#[cfg(any(test, feature = "simulation"))]
impl fmt::Display for UnknownMutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Mutation::ALL.map(Mutation::name).join(", ");
        write!(
            f,
            "no protection is named {}; give one of {names}",
            self.given
        )
    }
}

#[cfg(any(test, feature = "simulation"))]
impl std::error::Error for UnknownMutation {}

#[cfg(any(test, feature = "simulation"))]
impl FromStr for Mutation {
    type Err = UnknownMutation;

    fn from_str(name: &str) -> Result<Mutation, UnknownMutation> {
        let found = Mutation::ALL.into_iter().find(|m| m.name() == name);
        found.ok_or_else(|| UnknownMutation {
            given: name.to_owned(),
        })
    }
}
