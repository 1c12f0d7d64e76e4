//! The bytes that the file channel puts into a frame of its log: a batch, a record of state, and what
//! acknowledged events took. The specification, byte by byte, is `docs/spec/file-channel.md`;
//! this file follows it.
//!
//! Reading trusts nothing: a frame that is whole may still have been written by a newer build.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use flumen_core::batch::DecodeError;
use flumen_core::{ComponentName, EventBatch};
use flumen_wal::Buffers;

use super::head::{HEAD_BYTES, Head, SEAL_BYTES_MAX, Tail};
pub(crate) use super::snapshot::KeptRecord;

pub use super::head::VERSION;
pub use super::seal::{KeyError, Keyring};

/// The first bytes of a payload.
pub const MAGIC: [u8; 4] = *b"FLFC";

/// Bytes of a record in a frame beside its decider's name and its own bytes.
const RECORD_OVERHEAD_BYTES: usize = 16;

/// A record of state, of which the channel knows no more than its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number among all records of the agent.
    pub generation: u64,
    /// The channel that decides whether the put counts; `None`: it counts.
    pub decider: Option<ComponentName>,
    /// The changes of state. May be empty.
    pub bytes: Arc<[u8]>,
}

/// What stands in one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The events; none in a frame that only acknowledges or only carries a record.
    pub events: EventBatch,
    /// The record that belongs to the events, or to what the frame acknowledges.
    pub record: Option<Record>,
    /// What the events that the frame acknowledges took of the channel's bytes.
    pub released_bytes: u64,
    /// Records up to this generation are of no use any more.
    pub forgotten: u64,
}

/// Why bytes are not a payload. Nothing was built from them.
#[derive(Debug)]
#[non_exhaustive]
pub enum PayloadError {
    /// The bytes do not begin with the magic: they are none of the file channel's.
    Magic,
    /// A version that this build does not read.
    Version(u8),
    /// A form (such as an encryption) that this build does not read.
    Form(u8),
    /// The bytes end before what they promise, or go on behind it.
    Length,
    /// A number that contradicts the rest.
    Contradiction(&'static str),
    /// The batch is none.
    Batch(DecodeError),
    /// It is sealed with a key of this name, which is not at hand.
    NoKey(String),
    /// It is sealed with a key of this name, and either that is another key or the bytes are not
    /// those that were sealed.
    Unsealable(String),
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::Magic => f.write_str(
                "not written by a file channel; give the channel the folder that is its own",
            ),
            PayloadError::Version(version) => write!(
                f,
                "payload version {version} of a file channel, but this build reads version \
                 {VERSION} only: use the release that wrote it"
            ),
            PayloadError::Form(form) => write!(
                f,
                "payload form {form} of a file channel, which this build does not know: use the \
                 release that wrote it"
            ),
            PayloadError::Length => f.write_str("a payload that ends too early or too late"),
            PayloadError::Contradiction(what) => write!(f, "a payload with {what}"),
            PayloadError::Batch(_) => f.write_str("a payload whose batch cannot be read"),
            PayloadError::NoKey(key) => write!(
                f,
                "sealed with the key {key:?}; name it in encryption.keyProvider.keys, with its file"
            ),
            PayloadError::Unsealable(key) => write!(
                f,
                "sealed with a key {key:?} that is not the one in its file, or changed since; put \
                 the file of the key back that was in use"
            ),
        }
    }
}

impl std::error::Error for PayloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PayloadError::Batch(error) => Some(error),
            _ => None,
        }
    }
}

/// Bytes that a frame takes with neither events nor a record.
pub(crate) fn frame_bytes_max() -> u64 {
    encoded_bytes_max(&EventBatch::empty(), None)
}

/// Bytes that a frame with a record and no events takes.
pub(crate) fn record_bytes_max(record: &Record) -> u64 {
    encoded_bytes_max(&EventBatch::empty(), Some(record))
}

/// Bytes that a payload takes at most.
pub(crate) fn encoded_bytes_max(events: &EventBatch, record: Option<&Record>) -> u64 {
    let record = record.map_or(0, |record| {
        let decider = record.decider.as_ref().map_or(0, |own| own.as_str().len());
        (RECORD_OVERHEAD_BYTES + decider + record.bytes.len()) as u64
    });
    (HEAD_BYTES + SEAL_BYTES_MAX) as u64 + events.encoded_bytes_max() + record
}

impl Payload {
    /// The bytes of the payload: a few copies, whatever the number of events.
    ///
    /// # Errors
    /// When lengths do not fit 32 bits, or the batch cannot be encoded.
    pub fn encode(&self) -> Result<Bytes, PayloadError> {
        let tail = Tail {
            released_bytes: self.released_bytes,
            forgotten: self.forgotten,
        };
        encode(&self.events, self.record.as_ref(), tail)
    }

    /// Reads a payload that is not sealed; `items` is what the frame says of the number of events.
    /// The bodies share `bytes`.
    ///
    /// # Errors
    /// [`PayloadError`] for anything that is not a payload by the specification.
    pub fn decode(bytes: &Bytes, items: u32) -> Result<Payload, PayloadError> {
        Self::decode_with(&Keyring::default(), bytes, items)
    }

    /// The same with keys for what is sealed.
    ///
    /// # Errors
    /// As [`Payload::decode`], and when the right key is not among them.
    pub fn decode_with(keys: &Keyring, bytes: &Bytes, items: u32) -> Result<Payload, PayloadError> {
        let head = Head::decode(bytes, MAGIC)?;
        Ok(Payload {
            events: decode_events(keys, bytes, &head, items)?,
            record: decode_record(keys, bytes, &head)?,
            released_bytes: head.tail.released_bytes,
            forgotten: head.tail.forgotten,
        })
    }
}

/// See [`Payload::encode`]. The bytes are plain.
pub(crate) fn encode(
    events: &EventBatch,
    record: Option<&Record>,
    tail: Tail,
) -> Result<Bytes, PayloadError> {
    let mut memory = vec![0; encoded_length_max(events, record)?];
    let length = encode_into(&mut memory, events, record, tail)?;
    memory.truncate(length);
    Ok(memory.into())
}

/// The same in memory that is used again.
pub(crate) fn encode_in(
    buffers: &Arc<Buffers>,
    events: &EventBatch,
    record: Option<&Record>,
    tail: Tail,
) -> Result<Bytes, PayloadError> {
    let mut buffer = buffers.take(encoded_length_max(events, record)?);
    let length = encode_into(buffer.memory(), events, record, tail)?;
    Ok(buffer.filled(length))
}

fn encoded_length_max(events: &EventBatch, record: Option<&Record>) -> Result<usize, PayloadError> {
    let most = encoded_bytes_max(events, record);
    usize::try_from(most).map_err(|_| PayloadError::Length)
}

/// Encodes from the start of the memory, and says how much of it that takes.
fn encode_into(
    memory: &mut [u8],
    events: &EventBatch,
    record: Option<&Record>,
    tail: Tail,
) -> Result<usize, PayloadError> {
    let (place, mut rest) = memory
        .split_first_chunk_mut::<HEAD_BYTES>()
        .ok_or(PayloadError::Length)?;
    let room = rest.len();
    if !events.is_empty() {
        let encoded = events.encode(&mut rest);
        encoded.map_err(|error| PayloadError::Batch(error.into()))?;
    }
    let batch = room - rest.len();
    if let Some(record) = record {
        encode_record(record, &mut rest)?;
    }
    let both = room - rest.len();
    let head = Head {
        size_bytes: events.body_bytes(),
        tail,
        batch_length: length(batch)?,
        records_length: length(both - batch)?,
        ..Head::default()
    };
    *place = head.encode(MAGIC);
    Ok(HEAD_BYTES + both)
}

/// The events of a payload; the bodies share `bytes` where it is plain.
pub(crate) fn decode_events(
    keys: &Keyring,
    bytes: &Bytes,
    head: &Head,
    items: u32,
) -> Result<EventBatch, PayloadError> {
    let batch = keys.batch(bytes, head)?;
    let events = match batch.len() {
        0 => EventBatch::empty(),
        _ => EventBatch::decode(&batch).map_err(PayloadError::Batch)?,
    };
    if events.len() != items as usize {
        return Err(PayloadError::Contradiction(
            "another number of events than its frame",
        ));
    }
    if events.body_bytes() != head.size_bytes {
        return Err(PayloadError::Contradiction(
            "another number of bytes than its head",
        ));
    }
    Ok(events)
}

/// The record of a payload, if it has one. Of a sealed payload this is what shows that its head was
/// not changed.
pub(crate) fn decode_record(
    keys: &Keyring,
    bytes: &[u8],
    head: &Head,
) -> Result<Option<Record>, PayloadError> {
    let records = keys.records(bytes, head)?;
    let mut reader = Reader { rest: &records };
    if reader.rest.is_empty() {
        return Ok(None);
    }
    let record = reader.record()?;
    reader.end(record).map(Some)
}

pub(super) fn encode_record(record: &Record, out: &mut impl BufMut) -> Result<(), PayloadError> {
    let decider = record.decider.as_ref().map_or("", ComponentName::as_str);
    let (decider_length, bytes_length) = (length(decider.len())?, length(record.bytes.len())?);
    let bytes = RECORD_OVERHEAD_BYTES + decider.len() + record.bytes.len();
    if out.remaining_mut() < bytes {
        return Err(PayloadError::Length);
    }
    out.put_u64_le(record.generation);
    out.put_u32_le(decider_length);
    out.put_u32_le(bytes_length);
    out.put_slice(decider.as_bytes());
    out.put_slice(&record.bytes);
    Ok(())
}

/// Reads records. Allocates no more than there are bytes for.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], PayloadError> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(PayloadError::Length)?;
        self.rest = rest;
        Ok(*chunk)
    }

    pub(super) fn number(&mut self) -> Result<u64, PayloadError> {
        Ok(u64::from_le_bytes(self.chunk()?))
    }

    pub(super) fn take(&mut self, length: u32) -> Result<&'a [u8], PayloadError> {
        let taken = self.rest.split_at_checked(length as usize);
        let (taken, rest) = taken.ok_or(PayloadError::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn record(&mut self) -> Result<Record, PayloadError> {
        let generation = self.number()?;
        let decider_length = u32::from_le_bytes(self.chunk()?);
        let bytes_length = u32::from_le_bytes(self.chunk()?);
        let decider = std::str::from_utf8(self.take(decider_length)?)
            .map_err(|_| PayloadError::Contradiction("a name of a channel that is no text"))?;
        Ok(Record {
            generation,
            decider: (!decider.is_empty()).then(|| ComponentName::new(decider)),
            bytes: Arc::from(self.take(bytes_length)?),
        })
    }

    fn end<T>(self, read: T) -> Result<T, PayloadError> {
        match self.rest {
            [] => Ok(read),
            _ => Err(PayloadError::Length),
        }
    }
}

pub(super) fn length(bytes: usize) -> Result<u32, PayloadError> {
    u32::try_from(bytes).map_err(|_| PayloadError::Length)
}
