//! What can go wrong with a database.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What a failed statement means for who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Another process holds the write lock for longer than the bound. Trying again may help.
    Busy,
    /// The disk is full. Trying again helps once there is room.
    Full,
    /// The file is damaged where the statement had to look. Other parts may be readable.
    Corrupt,
    /// The file, its folder or the file system may not be written.
    ReadOnly,
    /// A value is longer than SQLite takes (10^9 bytes).
    TooBig,
    /// A read, write or sync failed.
    InputOutput,
    /// A row does not hold what the schema promises.
    Malformed,
    /// Anything else.
    Other,
}

/// What went wrong with a database.
#[derive(Debug)]
pub enum SqliteError {
    /// Somebody else has the file.
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// There is no file, and none was to be created.
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// The file is not one of ours. It was only read.
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is, as far as can be told.
        what: String,
    },
    /// The file was written by a newer version of flumen. It was only read.
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        found: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// The file, its lock or its folder cannot be reached.
    Unreachable {
        /// What could not be reached.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A statement failed, or the opening of a connection. A transaction that it was part of is
    /// rolled back.
    Failed {
        /// The database.
        path: PathBuf,
        /// What it means.
        failure: Failure,
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SqliteError {
    pub(super) fn unreachable(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Unreachable {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> Self + '_ {
        move |error| Self::Failed {
            path: path.to_owned(),
            failure: failure_of(&error),
            source: Box::new(error),
        }
    }

    /// What a failed statement means; `None` for an error of the opening.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Failed { failure, .. } => Some(*failure),
            _ => None,
        }
    }
}

fn failure_of(error: &rusqlite::Error) -> Failure {
    match error {
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => return Failure::Malformed,
        _ => {}
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Busy,
        Some(ErrorCode::DiskFull) => Failure::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Failure::Corrupt,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Failure::ReadOnly
        }
        Some(ErrorCode::TooBig) => Failure::TooBig,
        Some(ErrorCode::SystemIoFailure) => Failure::InputOutput,
        _ => Failure::Other,
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path } => write!(
                f,
                "database {} is in use by another agent or another component; give each its own \
                 file, or stop the other one",
                path.display()
            ),
            Self::Missing { path } => write!(
                f,
                "database {} does not exist and is not to be created; correct the path, or allow \
                 its creation",
                path.display()
            ),
            Self::Foreign { path, what } => write!(
                f,
                "{} is {what}, and was left untouched; name another file, or move this one away",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "database {} has schema {found}, and this flumen knows schemas up to {known}; it \
                 was left untouched: run the flumen that wrote it, or a newer one",
                path.display()
            ),
            Self::Unreachable { path, .. } => write!(
                f,
                "cannot reach {}; check that the path is right and that the agent may read and \
                 write there",
                path.display()
            ),
            Self::Failed { path, failure, .. } => {
                write!(f, "database {} {}", path.display(), failure.words())
            }
        }
    }
}

impl Failure {
    fn words(self) -> &'static str {
        match self {
            Failure::Busy => {
                "is locked by another process; end the transaction that it has open for writing"
            }
            Failure::Full => "cannot grow because the disk is full; make room on it",
            Failure::Corrupt => {
                "is damaged; keep a copy of the file and of the -wal beside it, and try \
                 `sqlite3 FILE .recover`"
            }
            Failure::ReadOnly => {
                "cannot be written; check the permissions of the file and its folder"
            }
            Failure::TooBig => "takes no value of more than 1000000000 bytes",
            Failure::InputOutput => "could not be read or written; check the disk",
            Failure::Malformed => {
                "holds a value that does not belong there; another program wrote to it"
            }
            Failure::Other => "refused a statement",
        }
    }
}

impl Error for SqliteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable { source, .. } => Some(source),
            Self::Failed { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
