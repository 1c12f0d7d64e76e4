//! The files of the checkpoint folder.

use super::FormatError;
use super::message::{Fields, array, delimited, required};
use super::record::FlumePointer;

/// Bytes of the file `checkpoint` before the ring.
pub const CHECKPOINT_HEAD_BYTES: u64 = 1029 * CHECKPOINT_SLOT_BYTES;

/// Bytes of one pointer in the ring.
pub const CHECKPOINT_SLOT_BYTES: u64 = 8;

/// Bytes of the MD5 before the pointers in flight.
const DIGEST_BYTES: usize = 16;

/// The first words of the file `checkpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointHead {
    /// The version of the format; 3 is the one that is read here.
    pub version: u64,
    /// What came before this place in the order of writing is in the checkpoint.
    pub write_order: u64,
    /// Whether it was written to its end.
    pub is_complete: bool,
}

impl CheckpointHead {
    /// Reads the first words; more bytes may follow.
    ///
    /// # Errors
    /// [`FormatError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut rest = bytes;
        let version = u64::from_be_bytes(array(&mut rest)?);
        let write_order = u64::from_be_bytes(array(&mut rest)?);
        let _unused: [u8; 16] = array(&mut rest)?;
        let marker = u64::from_be_bytes(array(&mut rest)?);
        Ok(Self {
            version,
            write_order,
            is_complete: marker == 0,
        })
    }
}

/// The file `checkpoint.meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointMeta {
    /// The version of the format.
    pub version: u32,
    /// That of the checkpoint it belongs to.
    pub write_order: u64,
    /// How many pointers the ring holds.
    pub queue_size: u32,
    /// The slot of the first one.
    pub queue_head: u32,
}

impl CheckpointMeta {
    /// Reads the contents of the file.
    ///
    /// # Errors
    /// [`FormatError`] when it is not what Flume writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut rest = bytes;
        let (mut version, mut write_order) = (None, None);
        let (mut queue_size, mut queue_head) = (None, None);
        let mut fields = Fields::new(delimited(&mut rest)?);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                1 => version = Some(value.fixed32()?),
                2 => write_order = Some(value.fixed64()?),
                3 => queue_size = Some(value.fixed32()?),
                4 => queue_head = Some(value.fixed32()?),
                5 => {
                    value.bytes()?;
                }
                _ => return Err(FormatError::BadField),
            }
        }
        Ok(Self {
            version: required(version)?,
            write_order: required(write_order)?,
            queue_size: required(queue_size)?,
            queue_head: required(queue_head)?,
        })
    }
}

/// One transaction of the file `inflighttakes`: what it had taken and not yet committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InflightTakes {
    /// The transaction.
    pub transaction: u64,
    /// What it took.
    pub pointers: Vec<FlumePointer>,
}

impl InflightTakes {
    /// Reads the contents of the file; an empty one has none. The digest is not checked: the caller
    /// compares the pointers with the logs, which finds what matters.
    ///
    /// # Errors
    /// [`FormatError`] when counts and length do not fit.
    pub fn parse(bytes: &[u8]) -> Result<Vec<Self>, FormatError> {
        let mut transactions = Vec::new();
        if bytes.is_empty() {
            return Ok(transactions);
        }
        let mut rest = bytes;
        let _digest: [u8; DIGEST_BYTES] = array(&mut rest)?;
        while !rest.is_empty() {
            let transaction = u64::from_be_bytes(array(&mut rest)?);
            let count = u64::from_be_bytes(array(&mut rest)?);
            if count > rest.len() as u64 / CHECKPOINT_SLOT_BYTES {
                return Err(FormatError::Truncated);
            }
            let mut pointers = Vec::new();
            for _ in 0..count {
                let word = u64::from_be_bytes(array(&mut rest)?);
                pointers.push(FlumePointer::from_word(word));
            }
            transactions.push(Self {
                transaction,
                pointers,
            });
        }
        Ok(transactions)
    }
}
