//! Why a batch cannot be built.

use std::fmt;

use crate::limits;

/// A batch that was asked for would break its own rules. What it was to be built from is
/// unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError {
    /// More events than [`limits::BATCH_EVENTS_MAX`].
    TooManyEvents,
    /// More bytes of bodies than [`limits::BATCH_BODY_BYTES_MAX`].
    TooManyBodyBytes,
    /// More header names than [`limits::BATCH_HEADERS_MAX`].
    TooManyHeaders,
    /// More bytes of values than [`limits::HEADER_VALUE_BYTES_MAX`] in one header.
    TooManyHeaderBytes,
    /// A header name that is not UTF-8, empty, or longer than [`limits::HEADER_NAME_BYTES_MAX`].
    HeaderName,
    /// A header value that is not UTF-8, at this row.
    HeaderUtf8 {
        /// The row, from 0.
        row: u32,
    },
    /// Presence bits that contradict the rows: an event marked as without the header has a value,
    /// or a bit past the last row is set.
    Presence {
        /// The row, from 0; the number of rows when the bit is past the last one.
        row: u32,
    },
    /// Ends that decrease, or do not fit the data, at this row.
    Ends {
        /// The row, from 0.
        row: u32,
    },
    /// A body that is not followed by the delimiter, at this row.
    Delimiter {
        /// The row, from 0.
        row: u32,
    },
    /// Rows that do not increase strictly.
    RowOrder,
    /// A row past the last.
    RowRange,
    /// Not one value per event.
    RowCount,
    /// The same header name twice: in one event, one edit, or one encoded batch.
    DuplicateHeader,
    /// Too little room for the encoding.
    NoRoom,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::TooManyEvents => {
                write!(
                    f,
                    "more than {} events in a batch",
                    limits::BATCH_EVENTS_MAX
                )
            }
            BatchError::TooManyBodyBytes => write!(
                f,
                "more than {} bytes of bodies in a batch",
                limits::BATCH_BODY_BYTES_MAX
            ),
            BatchError::TooManyHeaders => {
                write!(
                    f,
                    "more than {} header names in a batch",
                    limits::BATCH_HEADERS_MAX
                )
            }
            BatchError::TooManyHeaderBytes => write!(
                f,
                "more than {} bytes of values in one header",
                limits::HEADER_VALUE_BYTES_MAX
            ),
            BatchError::HeaderName => write!(
                f,
                "a header name that is not UTF-8, empty or longer than {} bytes",
                limits::HEADER_NAME_BYTES_MAX
            ),
            BatchError::HeaderUtf8 { row } => {
                write!(f, "a header value that is not UTF-8 in row {row}")
            }
            BatchError::Presence { row } => {
                write!(f, "presence bits that contradict the values at row {row}")
            }
            BatchError::Ends { row } => {
                write!(f, "an end that does not fit the data in row {row}")
            }
            BatchError::Delimiter { row } => {
                write!(f, "no delimiter behind the body of row {row}")
            }
            BatchError::RowOrder => f.write_str("row numbers that do not increase"),
            BatchError::RowRange => f.write_str("a row number past the last row"),
            BatchError::RowCount => f.write_str("not one value per event"),
            BatchError::DuplicateHeader => f.write_str("the same header name twice"),
            BatchError::NoRoom => f.write_str("too little room for the encoding of a batch"),
        }
    }
}

impl std::error::Error for BatchError {}
