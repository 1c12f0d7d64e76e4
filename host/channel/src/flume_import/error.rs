//! Why a backlog was not imported.

use std::fmt;
use std::io;
use std::path::PathBuf;

use flumen_core::channel::{PutError, ReserveError};

/// Why a backlog was not, or not wholly, imported. Flume's folders are as they were.
#[derive(Debug)]
pub enum ImportError {
    /// A file or folder could not be read.
    Read {
        /// Which.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// A folder is none of Flume's file channel.
    NotFlume(PathBuf),
    /// Folders of checkpoints were given, and none with logs.
    NoLogs,
    /// Flume runs on the folder, or something else holds its lock.
    InUse(PathBuf),
    /// A log file is encrypted.
    Encrypted {
        /// Which.
        path: PathBuf,
        /// The name of its key.
        key: String,
    },
    /// A log file has another version than 3.
    Version {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Two folders have a log file of the same number, so that they belong to different channels.
    SameNumber {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The checkpoint names events in a log file that is in no folder.
    MissingLog {
        /// The number of the log file.
        file: u32,
        /// How many events wait in it.
        events: u64,
    },
    /// More events wait than are kept in mind.
    TooMany,
    /// The folders changed between the two passes.
    Changed(PathBuf),
    /// The channel has the events already.
    AlreadyImported {
        /// How many.
        events: u64,
    },
    /// The channel holds the beginning of another import.
    OtherImport {
        /// The folders of that one.
        folders: String,
        /// How many of its events are in the channel.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// What says which imports were made cannot be read or written.
    Ledger {
        /// The file.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// The channel refused events.
    Put {
        /// How many events are in the channel.
        done: u64,
        /// Why.
        error: PutError,
    },
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::NotFlume(path) => write!(
                f,
                "{} is no folder of Flume's file channel: it holds neither log-N files nor a checkpoint; name the folders of dataDirs and checkpointDir",
                path.display()
            ),
            Self::NoLogs => f.write_str(
                "no folder with log-N files is among those given; name those of dataDirs too",
            ),
            Self::InUse(path) => write!(
                f,
                "{} is in use by a running Flume; stop that agent first",
                path.display()
            ),
            Self::Encrypted { path, key } => write!(
                f,
                "{} is encrypted with the key {key}, which cannot be read here; let Flume move the events into a channel without encryption, through an Avro sink and source, and import that",
                path.display()
            ),
            Self::Version { path, version } => write!(
                f,
                "{} has format version {version}, and only version 3 can be read; start Flume 1.11 on it once and stop it again when its sinks have emptied the files of the old version",
                path.display()
            ),
            Self::SameNumber { first, second } => write!(
                f,
                "{} and {} have the same number, so they belong to different channels; import one channel after the other",
                first.display(),
                second.display()
            ),
            Self::MissingLog { file, events } => write!(
                f,
                "the checkpoint tells of {events} events in log-{file}, which is in none of the folders; name all folders of dataDirs, or leave the checkpoint's folder out if that file is lost"
            ),
            Self::TooMany => f.write_str(
                "more events wait than one import can keep in mind; let Flume's sinks deliver some first",
            ),
            Self::Changed(path) => write!(
                f,
                "{} changed while it was read; stop whatever writes there and import into a new folder",
                path.display()
            ),
            Self::AlreadyImported { events } => write!(
                f,
                "the channel has these {events} events already; nothing was done"
            ),
            Self::OtherImport {
                folders,
                done,
                total,
            } => write!(
                f,
                "the channel holds {done} of {total} events of another import, from {folders}; finish that one first, or import into another folder"
            ),
            Self::Ledger { path, error } => write!(
                f,
                "cannot use {}, which says what was imported: {error}",
                path.display()
            ),
            Self::Put { done, error } => fmt_put(f, *done, error),
        }
    }
}

fn fmt_put(f: &mut fmt::Formatter<'_>, done: u64, error: &PutError) -> fmt::Result {
    match error {
        PutError::Refused(ReserveError::Full { .. }) => write!(
            f,
            "there is no room for more than {done} events: the disk has less free space than minimumRequiredSpace; make room, and continue with the same command"
        ),
        _ => write!(
            f,
            "the import stopped after {done} events and can be continued by the same command: {error}"
        ),
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { error, .. } | Self::Ledger { error, .. } => Some(error),
            Self::Put { error, .. } => Some(error),
            _ => None,
        }
    }
}
