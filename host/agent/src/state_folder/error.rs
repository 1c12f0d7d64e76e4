//! Why a state folder cannot be used. Each is told with what an operator may safely do.

use std::fmt;
use std::path::PathBuf;

use flumen_core::{Fault, Side};

/// Why a state folder was not opened. Its file was left as it is.
#[derive(Debug)]
pub(super) enum OpenError {
    /// The folder cannot be made or looked at.
    Folder {
        folder: PathBuf,
        cause: std::io::Error,
    },
    /// Another agent uses it.
    Held { folder: PathBuf },
    /// The file cannot be opened, read or made, for a reason of the machine.
    File { file: PathBuf, cause: redb::Error },
    /// Others could write it, or it is no plain file.
    Exposed { file: PathBuf },
    /// Its contents are not what was written.
    Damaged { file: PathBuf, cause: redb::Error },
    /// It was never written by flumen.
    Foreign { file: PathBuf },
    /// A newer flumen wrote it.
    Newer {
        file: PathBuf,
        format: u64,
        known: u64,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Folder { folder, .. } => write!(
                f,
                "cannot use state folder {}; name another with -Dflumen.stateFolder=DIR",
                folder.display()
            ),
            OpenError::Held { folder } => write!(
                f,
                "state folder {} is in use by another agent; give each agent its own with -Dflumen.stateFolder=DIR",
                folder.display()
            ),
            OpenError::File { file, .. } => {
                write!(f, "cannot use state file {}", file.display())
            }
            OpenError::Exposed { file } => write!(
                f,
                "state file {} has to be a file of the user who runs flumen that nobody else can write; chmod 600 makes it so",
                file.display()
            ),
            OpenError::Damaged { file, .. } => write!(
                f,
                "state file {} is damaged and was left as it is; it is safe to move it away: guests then begin without state, and sources at their beginning",
                file.display()
            ),
            OpenError::Foreign { file } => write!(
                f,
                "state file {} was not written by flumen and was left as it is; move it away, or name another folder with -Dflumen.stateFolder=DIR",
                file.display()
            ),
            OpenError::Newer {
                file,
                format,
                known,
            } => write!(
                f,
                "state file {} has format {format}, and this flumen knows formats up to {known}; run the newer flumen, or move the file away: guests then begin without state, and sources at their beginning",
                file.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Folder { cause, .. } => Some(cause),
            OpenError::File { cause, .. } | OpenError::Damaged { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        match error {
            OpenError::Folder { cause, .. } => Fault::configuration(message).with_cause(cause),
            OpenError::Damaged { cause, .. } => Fault::configuration(message).with_cause(cause),
            // A disk that is full now may not be later.
            OpenError::File { cause, .. } => {
                Fault::transient(Side::Machine, message).with_cause(cause)
            }
            _ => Fault::configuration(message),
        }
    }
}
