//! The protections that can be switched off, and the scenario that has to notice each.

/// A protection that is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Writes are not synced.
    NoSync,
    /// New names are not synced.
    NoFolderSync,
    /// A sync that failed is asked again, and its second answer believed.
    SyncAgain,
    /// Each life of a segment's file has the same salt.
    SameSalt,
    /// The folder is not locked.
    NoLock,
}

impl Mutation {
    /// All of them.
    pub(crate) const ALL: [Mutation; 5] = [
        Mutation::NoSync,
        Mutation::NoFolderSync,
        Mutation::SyncAgain,
        Mutation::SameSalt,
        Mutation::NoLock,
    ];

    /// Its word on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mutation::NoSync => "no-sync",
            Mutation::NoFolderSync => "no-folder-sync",
            Mutation::SyncAgain => "sync-again",
            Mutation::SameSalt => "same-salt",
            Mutation::NoLock => "no-lock",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Mutation> {
        Mutation::ALL.into_iter().find(|m| m.name() == name)
    }
}
