//! The encoding of a batch: the same bytes on disk and at the guest boundary. The specification,
//! byte by byte, is `docs/spec/batch.md`; this file follows it.
//!
//! Reading trusts nothing: every count, end and text is checked against the bytes that are there
//! before anything is built, so that damaged or hostile bytes give an error and never a batch that
//! breaks its rules. Integrity (a checksum) is the business of the frame around it.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes};

use super::EventBatch;
use super::bodies::{BodyColumn, Stretch};
use super::error::BatchError;
use super::header::{HeaderColumn, HeaderName, HeaderValues};
use super::rows::row_number;
use super::text_column::{Presence, TextColumn};
use crate::limits::{
    BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_HEADERS_MAX, HEADER_NAME_BYTES_MAX,
    HEADER_VALUE_BYTES_MAX,
};

/// The first four bytes of an encoded batch.
pub const MAGIC: [u8; 4] = *b"FLBA";

/// The version that is written, and the only one that is read.
pub const ENCODING_VERSION: u8 = 1;

/// The bytes before the first end.
const HEAD_BYTES: usize = 20;

const FLAG_DELIMITED: u8 = 0b0000_0001;
const COLUMN_CONSTANT: u8 = 0;
const COLUMN_FULL: u8 = 1;
const COLUMN_SPARSE: u8 = 2;

/// Why bytes are not a batch. Nothing was built from them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes do not begin with [`MAGIC`].
    Magic,
    /// A version that this program does not read.
    Version(u8),
    /// Flags or a column kind that version 1 does not know, at this offset.
    Unknown {
        /// The offset in bytes.
        offset: usize,
    },
    /// The bytes end before what they promise.
    Truncated,
    /// Bytes behind the end of the batch.
    Trailing,
    /// A batch that would break its rules.
    Batch(BatchError),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Magic => f.write_str("not an encoded batch: wrong first bytes"),
            DecodeError::Version(version) => write!(
                f,
                "batch encoding version {version}, but this program reads version \
                 {ENCODING_VERSION} only: use the release that wrote it"
            ),
            DecodeError::Unknown { offset } => {
                write!(
                    f,
                    "unknown flag or column kind in an encoded batch at byte {offset}"
                )
            }
            DecodeError::Truncated => f.write_str("an encoded batch that ends too early"),
            DecodeError::Trailing => f.write_str("bytes behind the end of an encoded batch"),
            DecodeError::Batch(_) => {
                f.write_str("an encoded batch that breaks the rules of a batch")
            }
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DecodeError::Batch(error) => Some(error),
            _ => None,
        }
    }
}

impl From<BatchError> for DecodeError {
    fn from(error: BatchError) -> Self {
        DecodeError::Batch(error)
    }
}

impl EventBatch {
    /// Appends the encoding of the batch to `out`, which has room for
    /// [`EventBatch::encoded_bytes_max`] bytes or grows. The same events may have different encodings
    /// (see the specification); each decodes to an equal batch.
    ///
    /// # Errors
    /// [`BatchError::NoRoom`] when `out` has too little room; another never in practice, because a
    /// batch that exists is within the limits that the reader checks. `out` is then as it was.
    pub fn encode(&self, out: &mut impl BufMut) -> Result<(), BatchError> {
        if (out.remaining_mut() as u64) < self.encoded_bytes_max() {
            return Err(BatchError::NoRoom);
        }
        let delimiter = self.bodies.delimiter();
        let gaps = if delimiter.is_some() { self.len() } else { 0 };
        let data_len = usize::try_from(self.body_bytes)
            .ok()
            .and_then(|bytes| bytes.checked_add(gaps))
            .filter(|len| *len <= BATCH_BODY_BYTES_MAX)
            .ok_or(BatchError::TooManyBodyBytes)?;
        out.put_slice(&MAGIC);
        out.put_u8(ENCODING_VERSION);
        out.put_u8(delimiter.map_or(0, |_| FLAG_DELIMITED));
        out.put_u8(delimiter.unwrap_or(0));
        out.put_u8(0);
        put_u32(out, self.len());
        put_u32(out, self.headers.len());
        put_u32(out, data_len);
        put_ends(out, self.bodies.stretches(&self.rows));
        for stretch in self.bodies.stretches(&self.rows) {
            out.put_slice(stretch.data);
        }
        for column in self.headers.iter() {
            self.encode_column(column, out);
        }
        Ok(())
    }

    /// The most bytes that [`EventBatch::encode`] may append: exact, but for presence bits that the
    /// shown events turn out not to need.
    pub fn encoded_bytes_max(&self) -> u64 {
        let rows = self.len() as u64;
        let gaps = if self.bodies.delimiter().is_some() {
            rows
        } else {
            0
        };
        let columns = self.headers.iter().map(|column| {
            let values = match &column.values {
                HeaderValues::Constant(value) => 4 + value.len() as u64,
                HeaderValues::Column(values) => {
                    8 * rows.div_ceil(64) + 4 * rows + values.shown_bytes(&self.rows)
                }
            };
            4 + column.name.as_str().len() as u64 + 1 + values
        });
        HEAD_BYTES as u64 + 4 * rows + self.body_bytes + gaps + columns.sum::<u64>()
    }

    fn encode_column(&self, column: &HeaderColumn, out: &mut impl BufMut) {
        put_text(out, column.name.as_str());
        let values = match &column.values {
            HeaderValues::Constant(value) => {
                out.put_u8(COLUMN_CONSTANT);
                put_text(out, value);
                return;
            }
            HeaderValues::Column(values) => values,
        };
        if values.is_full_over(&self.rows) {
            out.put_u8(COLUMN_FULL);
        } else {
            out.put_u8(COLUMN_SPARSE);
            let mut present = Presence::default();
            self.rows
                .iter()
                .for_each(|row| present.push(values.has(row)));
            for word in present.words() {
                out.put_u64_le(*word);
            }
        }
        put_ends(out, values.stretches(&self.rows));
        for stretch in values.stretches(&self.rows) {
            out.put_slice(stretch.data);
        }
    }

    /// Reads one encoded batch, which is all of `bytes`. Bodies share `bytes`; they are not copied.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that is not a batch by the specification.
    pub fn decode(bytes: &Bytes) -> Result<EventBatch, DecodeError> {
        let mut reader = Reader { bytes, offset: 0 };
        if reader.take(4)? != MAGIC {
            return Err(DecodeError::Magic);
        }
        let version = reader.byte()?;
        if version != ENCODING_VERSION {
            return Err(DecodeError::Version(version));
        }
        let delimiter = reader.delimiter()?;
        let rows = reader.count(BATCH_EVENTS_MAX, BatchError::TooManyEvents)?;
        let columns = reader.count(BATCH_HEADERS_MAX, BatchError::TooManyHeaders)?;
        let data_len = reader.count(BATCH_BODY_BYTES_MAX, BatchError::TooManyBodyBytes)?;
        let ends = reader.ends(rows)?;
        let start = reader.offset;
        reader.take(data_len)?;
        let data = bytes.slice(start..reader.offset);
        let bodies = decode_bodies(data, ends, delimiter)?;
        let mut headers: Vec<HeaderColumn> = Vec::with_capacity(columns);
        for _ in 0..columns {
            let column = reader.column(rows)?;
            if headers.iter().any(|own| own.name == column.name) {
                return Err(BatchError::DuplicateHeader.into());
            }
            headers.push(column);
        }
        if reader.offset != bytes.len() {
            return Err(DecodeError::Trailing);
        }
        Ok(EventBatch {
            headers: headers.into(),
            ..EventBatch::from_bodies(bodies)
        })
    }
}

fn decode_bodies(
    data: Bytes,
    ends: Vec<u32>,
    delimiter: Option<u8>,
) -> Result<BodyColumn, DecodeError> {
    let Some(delimiter) = delimiter else {
        return Ok(BodyColumn::packed(data, ends)?);
    };
    let covered = ends.last().map_or(0, |end| u64::from(*end) + 1);
    if covered != data.len() as u64 {
        return Err(BatchError::Ends {
            row: row_number(ends.len().saturating_sub(1)),
        }
        .into());
    }
    Ok(BodyColumn::delimited(data, delimiter, ends)?)
}

/// Lengths in a batch are bounded far below `u32::MAX`.
fn put_u32(out: &mut impl BufMut, value: usize) {
    out.put_u32_le(row_number(value));
}

fn put_text(out: &mut impl BufMut, text: &str) {
    put_u32(out, text.len());
    out.put_slice(text.as_bytes());
}

/// Ends that are put at once: enough for the compiler to make vector instructions of them.
const ENDS_AT_ONCE: usize = 256;

/// Appends the ends of these stretches as they are when the stretches stand end to end.
fn put_ends<'a>(out: &mut impl BufMut, stretches: impl Iterator<Item = Stretch<'a>>) {
    let mut base = 0;
    let mut bytes = [[0; 4]; ENDS_AT_ONCE];
    for stretch in stretches {
        for ends in stretch.ends.chunks(ENDS_AT_ONCE) {
            for (slot, end) in bytes.iter_mut().zip(ends) {
                *slot = (end - stretch.base + base).to_le_bytes();
            }
            let filled = bytes.get(..ends.len()).unwrap_or_default();
            out.put_slice(filled.as_flattened());
        }
        base += row_number(stretch.data.len());
    }
}

struct Reader<'a> {
    bytes: &'a Bytes,
    offset: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.offset.checked_add(len).ok_or(DecodeError::Truncated)?;
        let taken = self
            .bytes
            .get(self.offset..end)
            .ok_or(DecodeError::Truncated)?;
        self.offset = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take(1)?.first().copied().ok_or(DecodeError::Truncated)
    }

    fn count(&mut self, max: usize, error: BatchError) -> Result<usize, DecodeError> {
        let (value, _) = self.take(4)?.as_chunks();
        let value = value.first().map_or(0, |value| u32::from_le_bytes(*value)) as usize;
        if value > max {
            return Err(error.into());
        }
        Ok(value)
    }

    /// Flags, delimiter and the reserved byte.
    fn delimiter(&mut self) -> Result<Option<u8>, DecodeError> {
        let offset = self.offset;
        let (flags, delimiter, reserved) = (self.byte()?, self.byte()?, self.byte()?);
        let unknown = |at| DecodeError::Unknown {
            offset: offset + at,
        };
        match (flags, delimiter, reserved) {
            (FLAG_DELIMITED, delimiter, 0) => Ok(Some(delimiter)),
            (0, 0, 0) => Ok(None),
            (0, 1.., _) => Err(unknown(1)),
            (0 | FLAG_DELIMITED, _, 1..) => Err(unknown(2)),
            _ => Err(unknown(0)),
        }
    }

    /// The bytes are there before room is made for them, so a lying count allocates nothing.
    fn ends(&mut self, rows: usize) -> Result<Vec<u32>, DecodeError> {
        let bytes = self.take(rows * 4)?;
        let (ends, _) = bytes.as_chunks();
        Ok(ends.iter().map(|end| u32::from_le_bytes(*end)).collect())
    }

    fn text(&mut self, len: usize, error: BatchError) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.take(len)?).map_err(|_| error.into())
    }

    fn column(&mut self, rows: usize) -> Result<HeaderColumn, DecodeError> {
        let name_len = self.count(HEADER_NAME_BYTES_MAX, BatchError::HeaderName)?;
        let name = HeaderName::new(self.text(name_len, BatchError::HeaderName)?)?;
        let kind_offset = self.offset;
        let values = match self.byte()? {
            COLUMN_CONSTANT => {
                let len = self.count(HEADER_VALUE_BYTES_MAX, BatchError::TooManyHeaderBytes)?;
                let value = self.text(len, BatchError::HeaderUtf8 { row: 0 })?;
                HeaderValues::Constant(value.into())
            }
            COLUMN_FULL => self.values(rows, None)?,
            COLUMN_SPARSE => {
                let (words, _) = self.take(rows.div_ceil(64) * 8)?.as_chunks();
                let words = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
                self.values(rows, Some(Presence::checked(words, rows)?))?
            }
            _ => {
                return Err(DecodeError::Unknown {
                    offset: kind_offset,
                });
            }
        };
        Ok(HeaderColumn { name, values })
    }

    fn values(
        &mut self,
        rows: usize,
        present: Option<Presence>,
    ) -> Result<HeaderValues, DecodeError> {
        let ends = self.ends(rows)?;
        let len = ends.last().map_or(0, |end| *end as usize);
        if len > HEADER_VALUE_BYTES_MAX {
            return Err(BatchError::TooManyHeaderBytes.into());
        }
        let column = TextColumn::checked(self.take(len)?, ends, present)?;
        Ok(HeaderValues::Column(Arc::new(column)))
    }
}
