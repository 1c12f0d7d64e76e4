//! One record: what a transaction did.

use std::fmt;

use super::FormatError;
use super::checksum::crc32;
use super::message::{Fields, delimited, required};

/// Where a put stands: a log file and the offset of its record there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlumePointer {
    /// The number in the name of the log file.
    pub file: u32,
    /// The offset of the record's first byte.
    pub offset: u32,
}

impl FlumePointer {
    /// From the form in which checkpoints hold it.
    pub fn from_word(word: u64) -> Self {
        Self {
            file: (word >> 32) as u32,
            offset: (word & u64::from(u32::MAX)) as u32,
        }
    }

    /// The form in which checkpoints hold it.
    pub fn word(self) -> u64 {
        u64::from(self.file) << 32 | u64::from(self.offset)
    }
}

impl fmt::Display for FlumePointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log-{} at offset {}", self.file, self.offset)
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// An event came in; it counts with its transaction's commit.
    Put(PutEvent<'a>),
    /// The event of this put went out; it is gone with its transaction's commit.
    Take(FlumePointer),
    /// The transaction is undone.
    Rollback,
    /// The puts of the transaction count.
    CommitPuts,
    /// The takes of the transaction count.
    CommitTakes,
}

/// A record of a log file.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The transaction; never used again by Flume.
    pub transaction: u64,
    /// The place among all records of all log files of a channel; rising.
    pub write_order: u64,
    /// What it did.
    pub operation: Operation<'a>,
}

impl<'a> Record<'a> {
    /// Reads what stands behind the length of a record.
    ///
    /// # Errors
    /// [`FormatError`] when it is not exactly what Flume writes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut rest = bytes;
        let (kind, transaction, write_order) = header(delimited(&mut rest)?)?;
        let body = delimited(&mut rest)?;
        let operation = match kind {
            PUT => Operation::Put(PutEvent::parse(body)?),
            TAKE => Operation::Take(take(body)?),
            ROLLBACK => rollback(body)?,
            COMMIT => commit(body)?,
            _ => return Err(FormatError::BadValue),
        };
        let footer = delimited(&mut rest)?;
        if !footer.is_empty() || !rest.is_empty() {
            return Err(FormatError::TrailingBytes);
        }
        Ok(Self {
            transaction,
            write_order,
            operation,
        })
    }
}

const PUT: u32 = 1;
const TAKE: u32 = 2;
const ROLLBACK: u32 = 3;
const COMMIT: u32 = 4;

fn header(message: &[u8]) -> Result<(u32, u64, u64), FormatError> {
    let (mut kind, mut transaction, mut write_order) = (None, None, None);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => kind = Some(value.fixed32()?),
            2 => transaction = Some(value.fixed64()?),
            3 => write_order = Some(value.fixed64()?),
            _ => return Err(FormatError::BadField),
        }
    }
    Ok((
        required(kind)?,
        required(transaction)?,
        required(write_order)?,
    ))
}

fn take(message: &[u8]) -> Result<FlumePointer, FormatError> {
    let (mut file, mut offset) = (None, None);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => file = Some(value.fixed32()?),
            2 => offset = Some(value.fixed32()?),
            _ => return Err(FormatError::BadField),
        }
    }
    Ok(FlumePointer {
        file: required(file)?,
        offset: required(offset)?,
    })
}

fn rollback(message: &[u8]) -> Result<Operation<'_>, FormatError> {
    match message.is_empty() {
        true => Ok(Operation::Rollback),
        false => Err(FormatError::BadField),
    }
}

fn commit(message: &[u8]) -> Result<Operation<'_>, FormatError> {
    let mut kind = None;
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => kind = Some(value.fixed32()?),
            _ => return Err(FormatError::BadField),
        }
    }
    match required(kind)? {
        PUT => Ok(Operation::CommitPuts),
        TAKE => Ok(Operation::CommitTakes),
        _ => Err(FormatError::BadValue),
    }
}

/// An event as it was put. Every header of it has been read once, so that reading it again cannot
/// fail.
#[derive(Clone, Copy, Debug)]
pub struct PutEvent<'a> {
    /// The body; its checksum was right, when there was one.
    pub body: &'a [u8],
    headers: Fields<'a>,
}

impl<'a> PutEvent<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, FormatError> {
        let (mut event, mut checksum) = (None, None);
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                1 => event = Some(value.bytes()?),
                2 => checksum = Some(value.fixed64()?),
                _ => return Err(FormatError::BadField),
            }
        }
        let event = Self::event(required(event)?)?;
        match checksum {
            // Flume 1.4 wrote none.
            None => Ok(event),
            Some(checksum) if checksum == u64::from(crc32(event.body)) => Ok(event),
            Some(_) => Err(FormatError::Checksum),
        }
    }

    fn event(message: &'a [u8]) -> Result<Self, FormatError> {
        let mut body = None;
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                1 => {
                    header_of_event(value.bytes()?)?;
                }
                2 => body = Some(value.bytes()?),
                _ => return Err(FormatError::BadField),
            }
        }
        Ok(Self {
            body: required(body)?,
            headers: Fields::new(message),
        })
    }

    /// The names and values of the headers as they stand. A name may come twice; Flume lets the
    /// last one win. A value that Java had as `null` is empty, as Flume gives it back.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut fields = self.headers;
        std::iter::from_fn(move || {
            while let Ok(Some((number, value))) = fields.next_field() {
                if number == 1 {
                    return value.bytes().and_then(header_of_event).ok();
                }
            }
            None
        })
    }
}

fn header_of_event(message: &[u8]) -> Result<(&str, &str), FormatError> {
    let (mut name, mut text) = (None, "");
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => name = Some(value.text()?),
            2 => text = value.text()?,
            _ => return Err(FormatError::BadField),
        }
    }
    Ok((required(name)?, text))
}
