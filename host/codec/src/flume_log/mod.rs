//! The files of Apache Flume's file channel, as Flume 1.4 to 1.11 write them (log format 3): bytes
//! to values, for moving a backlog over. Nothing is written in this format.
//!
//! Source of the format: `filechannel.proto` and the classes `LogFile`, `LogFileV3`,
//! `TransactionEventRecord`, `Put`, `EventQueueBackingStoreFile` and `FlumeEventQueue` of Apache
//! Flume 1.11, checked against folders that it wrote.
//!
//! ```text
//! log-N           records end to end, then the filling
//!   0x7F          one record: u32 length, then as many bytes: header, body, footer
//!   0x00          a record that Flume's integrity tool has removed; framed as before
//!   0x80          the filling behind the last record, up to 1 MiB
//! header          TransactionEventHeader { type, transaction, write order }
//! body            Put { event, checksum } | Take { file, offset } | Rollback {} | Commit { type }
//! footer          TransactionEventFooter {}
//! log-N.meta      LogFileMetaData; says whether the log is encrypted
//! checkpoint      big endian words: version, write order, two unused, marker, up to word 1029;
//!                 then a ring of pointers to the puts that waited
//! checkpoint.meta Checkpoint { version, write order, size, head, logs }
//! inflighttakes   16 bytes of MD5, then per transaction: id, count, so many pointers
//! ```
//!
//! The length of a record is big endian. The messages are protobuf, each behind its own length. A
//! *pointer* is the number of a log file in the upper 32 bits and the offset of a put's record in the
//! lower 32.
//!
//! # What Flume's format cannot tell
//! Only the body of an event has a checksum. Damage to headers of events, to numbers of transactions
//! and to takes is seen only where it breaks the form of a message, so the form is checked strictly:
//! every field that Flume writes has to be there, and nothing may follow the footer.

mod checkpoint;
mod checksum;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod message;
mod meta;
mod record;
mod step;
#[cfg(test)]
mod tests;

pub use checkpoint::{
    CHECKPOINT_HEAD_BYTES, CHECKPOINT_SLOT_BYTES, CheckpointHead, CheckpointMeta, InflightTakes,
};
pub use meta::LogMeta;
pub use record::{FlumePointer, Operation, PutEvent, Record};
pub use step::{RECORD_BYTES_MAX, Step, bytes_needed, find_record, step};

use std::fmt;

/// What is wrong with bytes that should be a record, a message or a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// A message ends early, or a length inside it reaches beyond its end.
    Truncated,
    /// Bytes follow the end.
    TrailingBytes,
    /// A field has another type than in this format, or a number that no field has.
    BadField,
    /// A field that Flume always writes is missing.
    MissingField,
    /// A number stands where only some values have a meaning.
    BadValue,
    /// Text is not UTF-8.
    NotText,
    /// The checksum of an event's body does not fit the body.
    Checksum,
    /// A record begins with a byte that begins none.
    BadOperation(u8),
    /// The length of a record reaches beyond the end of the file, or is too short for any.
    BadLength(u32),
    /// A record is longer than [`RECORD_BYTES_MAX`].
    TooLong(u32),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::Truncated => f.write_str("it ends early"),
            FormatError::TrailingBytes => f.write_str("bytes follow its end"),
            FormatError::BadField => f.write_str("a field is not of this format"),
            FormatError::MissingField => f.write_str("a field is missing"),
            FormatError::BadValue => f.write_str("a field has a value without meaning"),
            FormatError::NotText => f.write_str("a text is not utf-8"),
            FormatError::Checksum => f.write_str("the checksum of the body is wrong"),
            FormatError::BadOperation(byte) => write!(f, "no record begins with byte {byte:#04x}"),
            FormatError::BadLength(bytes) => write!(f, "its length of {bytes} bytes cannot be"),
            FormatError::TooLong(bytes) => {
                write!(f, "it has {bytes} bytes, more than {RECORD_BYTES_MAX}")
            }
        }
    }
}

impl std::error::Error for FormatError {}
