//! Why a log does not open, an append is not taken, or a frame cannot be read.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::options::OptionsError;
use crate::position::Position;
use crate::record::Record;

/// Why a log was not opened. Its files were left as they are.
#[derive(Debug)]
pub enum OpenError {
    /// The options cannot be used.
    Options(OptionsError),
    /// Another process, or another log of this one, has the folder.
    Held,
    /// The disk did not do what it was asked to.
    Disk {
        /// What was asked.
        action: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// The disk does not give blocks without which it cannot be told what the log holds.
    Unreadable {
        /// The segment with such a block.
        segment: String,
        /// Where the first stands in it.
        offset: u64,
        /// What they are needed for.
        what: &'static str,
    },
    /// A segment was written by a newer version.
    Newer {
        /// The segment.
        segment: String,
        /// Its version.
        version: u32,
    },
    /// A segment of another log lies behind those of this one.
    Foreign {
        /// The stranger.
        segment: String,
    },
    /// Two segments belong to two logs, and it cannot be told which of them is the stranger.
    TwoLogs {
        /// The newer of them.
        newer: String,
        /// The older.
        older: String,
    },
    /// The state in a whole snapshot makes no sense to the user of the log.
    State {
        /// What the user says.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no room for the segment that the log would go on in.
    Full {
        /// Bytes of a segment.
        segment_bytes: u64,
    },
    /// The user's state is larger than a snapshot may hold.
    StateTooLarge {
        /// Bytes of the state.
        bytes: u64,
        /// The bound, which a larger segment raises.
        most: u64,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Options(_) => write!(f, "the options of the log cannot be used"),
            OpenError::Held => write!(
                f,
                "the log is in use; stop the other process or give this one another folder"
            ),
            OpenError::Disk { action, .. } => {
                write!(
                    f,
                    "cannot {action}; nothing was changed, mend the disk and open again"
                )
            }
            OpenError::Unreadable {
                segment,
                offset,
                what,
            } => write!(
                f,
                "the disk does not give {what} at offset {offset} of {segment}; nothing was changed, mend the disk and open again, or take what it does not give as lost"
            ),
            OpenError::Newer { segment, version } => write!(
                f,
                "{segment} has format version {version}, which is newer than this build; open it with the version that wrote it"
            ),
            OpenError::Foreign { segment } => write!(
                f,
                "{segment} belongs to another log; move it back to the folder it came from and open again"
            ),
            OpenError::TwoLogs { newer, older } => write!(
                f,
                "{newer} and {older} belong to two logs, and which of them is the stranger cannot be told; nothing was changed, move the stranger back to the folder it came from, put the file back whose place it took, and open again"
            ),
            OpenError::State { .. } => write!(
                f,
                "the log is whole, but what it says of its user's state cannot be used; nothing was changed"
            ),
            OpenError::Full { segment_bytes } => write!(
                f,
                "no room for a new segment of {segment_bytes} bytes; free space on the volume and open again, nothing is lost"
            ),
            OpenError::StateTooLarge { bytes, most } => write!(
                f,
                "the state takes {bytes} bytes in a snapshot, more than {most}; use larger segments"
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Options(cause) => Some(cause),
            OpenError::Disk { cause, .. } => Some(cause),
            OpenError::State { cause } => Some(cause.as_ref()),
            _ => None,
        }
    }
}

impl OpenError {
    pub(crate) fn disk(action: &'static str) -> impl FnOnce(io::Error) -> OpenError {
        move |cause| OpenError::Disk { action, cause }
    }
}

/// Why a log takes no appends any more. What was confirmed can still be read.
#[derive(Debug)]
pub enum Failure {
    /// The disk refused a group in one segment and again in another.
    Disk {
        /// What was asked.
        action: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// The disk refused a group, and there was no other segment to write it to.
    NoSegment,
    /// A completion panicked on the writer's thread.
    Panicked,
    /// The user's state is larger than a snapshot may hold.
    StateTooLarge {
        /// Bytes of the state.
        bytes: u64,
        /// The bound, which a larger segment raises.
        most: u64,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Disk { action, cause } => write!(
                f,
                "cannot {action}: {cause}; mend the disk and open the log again"
            ),
            Failure::NoSegment => write!(
                f,
                "a write failed and no other segment is left; free space and open the log again"
            ),
            Failure::Panicked => write!(
                f,
                "the thread of the log ended at a completion that panicked; open the log again"
            ),
            Failure::StateTooLarge { bytes, most } => write!(
                f,
                "the state takes {bytes} bytes in a snapshot, more than {most}; open the log with larger segments"
            ),
        }
    }
}

impl std::error::Error for Failure {}

/// Why a record was not confirmed.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// Too much waits for the writer. Try again when some of it is done.
    Busy,
    /// No room for items. Acknowledge some and try again; the log recovers by itself.
    Full,
    /// Larger than any record of this log may be. Make it smaller or the segments larger.
    TooLarge {
        /// Bytes of the record.
        bytes: u64,
        /// Bytes of the largest.
        most: u64,
    },
    /// It acknowledges items that were never confirmed.
    NotThere {
        /// The first number that no item has.
        next_item: u64,
    },
    /// Too many ranges would lie apart. Acknowledge the holes between them first.
    Scattered {
        /// How many may.
        most: u64,
    },
    /// The log failed before this record was written. It is not in the log.
    Failed(Arc<Failure>),
    /// The log failed while this record was written. It may be there when the log is opened again.
    Unknown(Arc<Failure>),
    /// The log is closed.
    Closed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Busy => write!(f, "too much waits to be written to the log; try again"),
            Refusal::Full => write!(
                f,
                "the log is full; try again when items were acknowledged or space was freed"
            ),
            Refusal::TooLarge { bytes, most } => write!(
                f,
                "a record of {bytes} bytes is larger than {most}; split it or use larger segments"
            ),
            Refusal::NotThere { next_item } => write!(
                f,
                "the record acknowledges items that the log does not hold; the next one will be {next_item}"
            ),
            Refusal::Scattered { most } => write!(
                f,
                "more than {most} acknowledged ranges lie apart; acknowledge the items between them first"
            ),
            Refusal::Failed(failure) => write!(f, "the log takes no more records: {failure}"),
            Refusal::Unknown(failure) => write!(
                f,
                "the log failed while it wrote the record, which may be there when it is opened again: {failure}"
            ),
            Refusal::Closed => write!(f, "the log is closed; open it again"),
        }
    }
}

/// A record that was not confirmed, and why. The record comes back.
#[derive(Debug, Clone)]
pub struct AppendError {
    /// What was handed in.
    pub record: Record,
    /// Why it was not taken.
    pub refusal: Refusal,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

impl std::error::Error for AppendError {}

/// Why a frame cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// Its segment is not there any more: all its items were acknowledged.
    Released {
        /// What was asked for.
        position: Position,
    },
    /// No whole frame of data stands there.
    Damaged {
        /// What was asked for.
        position: Position,
    },
    /// The disk did not give the bytes.
    Disk {
        /// What was asked for.
        position: Position,
        /// What the system said.
        cause: io::Error,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Released { position } => write!(
                f,
                "the segment of {position} was released; ask for items that are not acknowledged"
            ),
            ReadError::Damaged { position } => write!(
                f,
                "no whole frame stands at {position}; go on with the next one"
            ),
            ReadError::Disk { position, .. } => {
                write!(f, "cannot read the log at {position}; mend the disk")
            }
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::Disk { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
