//! The bytes that the file channel puts into a frame of its log: a batch, a record of state, and what
//! acknowledged events took. The specification, byte by byte, is `docs/spec/file-channel.md`;
//! this file follows it.
//!
//! Reading trusts nothing: a frame that is whole may still have been written by a newer build.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use flumen_core::batch::DecodeError;
use flumen_core::{ComponentName, EventBatch};

/// The first bytes of a payload.
pub const MAGIC: [u8; 4] = *b"FLFC";

/// The first bytes of the channel's part of a snapshot.
pub const SNAPSHOT_MAGIC: [u8; 4] = *b"FLFS";

/// The version that is written, and the only one that is read.
pub const VERSION: u8 = 1;

/// Batch and records stand there as they are.
const PLAIN: u8 = 0;

/// Bytes before the batch.
pub(crate) const HEAD_BYTES: usize = 40;

/// Bytes of a record in a frame beside its decider's name and its own bytes.
const RECORD_OVERHEAD_BYTES: usize = 16;

/// The same in a snapshot.
const KEPT_OVERHEAD_BYTES: usize = 48;

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

/// A record that is kept until it is forgotten, with the frame that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptRecord {
    pub(crate) record: Record,
    /// The number of the frame.
    pub(crate) sequence: u64,
    pub(crate) first_item: u64,
    pub(crate) items: u32,
    /// Bytes of the bodies of the frame's events.
    pub(crate) size_bytes: u64,
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
    HEAD_BYTES as u64 + events.encoded_bytes_max() + record
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

    /// Reads a payload; `items` is what the frame says of the number of events. The bodies share
    /// `bytes`.
    ///
    /// # Errors
    /// [`PayloadError`] for anything that is not a payload by the specification.
    pub fn decode(bytes: &Bytes, items: u32) -> Result<Payload, PayloadError> {
        let head = Head::decode(bytes, MAGIC)?;
        Ok(Payload {
            events: decode_events(bytes, &head, items)?,
            record: decode_record(bytes, &head)?,
            released_bytes: head.tail.released_bytes,
            forgotten: head.tail.forgotten,
        })
    }
}

/// What a frame says beside what is put with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) released_bytes: u64,
    pub(crate) forgotten: u64,
}

/// See [`Payload::encode`].
pub(crate) fn encode(
    events: &EventBatch,
    record: Option<&Record>,
    tail: Tail,
) -> Result<Bytes, PayloadError> {
    let most = encoded_bytes_max(events, record);
    let most = usize::try_from(most).map_err(|_| PayloadError::Length)?;
    let mut bytes = Vec::with_capacity(most);
    let mut head = Head {
        size_bytes: events.body_bytes(),
        tail,
        ..Head::default()
    };
    bytes.resize(HEAD_BYTES, 0);
    if !events.is_empty() {
        let encoded = events.encode(&mut bytes);
        encoded.map_err(|error| PayloadError::Batch(error.into()))?;
    }
    head.batch_length = length(bytes.len() - HEAD_BYTES)?;
    if let Some(record) = record {
        let before = bytes.len();
        encode_record(record, &mut bytes)?;
        head.records_length = length(bytes.len() - before)?;
    }
    if let Some(place) = bytes.first_chunk_mut() {
        *place = head.encode(MAGIC);
    }
    Ok(bytes.into())
}

/// The events of a payload; the bodies share `bytes`.
pub(crate) fn decode_events(
    bytes: &Bytes,
    head: &Head,
    items: u32,
) -> Result<EventBatch, PayloadError> {
    let batch = head.batch();
    let events = match batch.len() {
        0 => EventBatch::empty(),
        _ => EventBatch::decode(&bytes.slice(batch)).map_err(PayloadError::Batch)?,
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

/// The record of a payload, if it has one.
pub(crate) fn decode_record(bytes: &[u8], head: &Head) -> Result<Option<Record>, PayloadError> {
    let mut reader = Reader {
        rest: bytes.get(head.records()).ok_or(PayloadError::Length)?,
    };
    if reader.rest.is_empty() {
        return Ok(None);
    }
    let record = reader.record()?;
    reader.end(record).map(Some)
}

/// The fixed part of a payload, and of the channel's part of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of bodies in the batch; in a snapshot, of all events in the channel.
    pub(crate) size_bytes: u64,
    pub(crate) tail: Tail,
    batch_length: u32,
    records_length: u32,
}

impl Head {
    fn encode(&self, magic: [u8; 4]) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let [m0, m1, m2, m3] = magic;
        let lengths = u64::from(self.records_length) << 32 | u64::from(self.batch_length);
        let fields = [
            [m0, m1, m2, m3, VERSION, PLAIN, 0, 0],
            self.size_bytes.to_le_bytes(),
            self.tail.released_bytes.to_le_bytes(),
            self.tail.forgotten.to_le_bytes(),
            lengths.to_le_bytes(),
        ];
        for (place, field) in bytes.as_chunks_mut().0.iter_mut().zip(fields) {
            *place = field;
        }
        bytes
    }

    /// Reads the head of bytes that the batch and the records fill exactly.
    pub(crate) fn decode(bytes: &[u8], magic: [u8; 4]) -> Result<Head, PayloadError> {
        let head: &[u8; HEAD_BYTES] = bytes.first_chunk().ok_or(PayloadError::Length)?;
        let (words, _) = head.as_chunks::<8>();
        let [fixed, size, released, forgotten, lengths] = *words else {
            return Err(PayloadError::Length);
        };
        let [m0, m1, m2, m3, version, form, reserved @ ..] = fixed;
        if [m0, m1, m2, m3] != magic {
            return Err(PayloadError::Magic);
        }
        if version != VERSION {
            return Err(PayloadError::Version(version));
        }
        if form != PLAIN || reserved != [0, 0] {
            return Err(PayloadError::Form(form));
        }
        let lengths = u64::from_le_bytes(lengths);
        let head = Head {
            size_bytes: u64::from_le_bytes(size),
            tail: Tail {
                released_bytes: u64::from_le_bytes(released),
                forgotten: u64::from_le_bytes(forgotten),
            },
            batch_length: (lengths & u64::from(u32::MAX)) as u32,
            records_length: (lengths >> 32) as u32,
        };
        if head.records().end != bytes.len() {
            return Err(PayloadError::Length);
        }
        Ok(head)
    }

    fn batch(&self) -> std::ops::Range<usize> {
        HEAD_BYTES..HEAD_BYTES + self.batch_length as usize
    }

    /// Where the records stand.
    fn records(&self) -> std::ops::Range<usize> {
        let start = self.batch().end;
        start..start + self.records_length as usize
    }
}

/// What a snapshot has of the channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Bytes of the bodies of all events that are not acknowledged.
    pub(crate) size_bytes: u64,
    pub(crate) forgotten: u64,
    pub(crate) records: Vec<KeptRecord>,
}

/// Bytes that a record takes in a snapshot.
pub(crate) fn kept_bytes(record: &Record) -> u64 {
    let decider = record.decider.as_ref().map_or(0, |own| own.as_str().len());
    (KEPT_OVERHEAD_BYTES + decider + record.bytes.len()) as u64
}

/// The channel's part of a snapshot.
pub(crate) fn encode_snapshot<'a>(
    size_bytes: u64,
    forgotten: u64,
    records: impl Iterator<Item = &'a KeptRecord>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.resize(start + HEAD_BYTES, 0);
    for kept in records {
        let before = out.len();
        out.extend_from_slice(&kept.sequence.to_le_bytes());
        out.extend_from_slice(&kept.first_item.to_le_bytes());
        out.extend_from_slice(&kept.size_bytes.to_le_bytes());
        out.extend_from_slice(&u64::from(kept.items).to_le_bytes());
        if encode_record(&kept.record, out).is_err() {
            // It stood in a frame, so its lengths fit.
            out.truncate(before);
        }
    }
    let head = Head {
        size_bytes,
        tail: Tail {
            released_bytes: 0,
            forgotten,
        },
        batch_length: 0,
        records_length: length(out.len() - start - HEAD_BYTES).unwrap_or_default(),
    };
    let place = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut);
    if let Some(place) = place {
        *place = head.encode(SNAPSHOT_MAGIC);
    }
}

/// Reads the channel's part of a snapshot.
pub(crate) fn decode_snapshot(bytes: &[u8]) -> Result<Snapshot, PayloadError> {
    let head = Head::decode(bytes, SNAPSHOT_MAGIC)?;
    if head.tail.released_bytes != 0 || head.batch_length != 0 {
        return Err(PayloadError::Contradiction("events in a snapshot"));
    }
    let mut reader = Reader {
        rest: bytes.get(head.records()).ok_or(PayloadError::Length)?,
    };
    let mut records = Vec::new();
    while !reader.rest.is_empty() {
        let sequence = reader.number()?;
        let first_item = reader.number()?;
        let size_bytes = reader.number()?;
        let items = u32::try_from(reader.number()?)
            .map_err(|_| PayloadError::Contradiction("a frame of too many events"))?;
        records.push(KeptRecord {
            record: reader.record()?,
            sequence,
            first_item,
            items,
            size_bytes,
        });
    }
    Ok(Snapshot {
        size_bytes: head.size_bytes,
        forgotten: head.tail.forgotten,
        records,
    })
}

fn encode_record(record: &Record, out: &mut Vec<u8>) -> Result<(), PayloadError> {
    let decider = record.decider.as_ref().map_or("", ComponentName::as_str);
    let (decider_length, bytes_length) = (length(decider.len())?, length(record.bytes.len())?);
    out.extend_from_slice(&record.generation.to_le_bytes());
    out.extend_from_slice(&decider_length.to_le_bytes());
    out.extend_from_slice(&bytes_length.to_le_bytes());
    out.extend_from_slice(decider.as_bytes());
    out.extend_from_slice(&record.bytes);
    Ok(())
}

/// Reads records. Allocates no more than there are bytes for.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], PayloadError> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(PayloadError::Length)?;
        self.rest = rest;
        Ok(*chunk)
    }

    fn number(&mut self) -> Result<u64, PayloadError> {
        Ok(u64::from_le_bytes(self.chunk()?))
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], PayloadError> {
        let taken = self.rest.split_at_checked(length as usize);
        let (taken, rest) = taken.ok_or(PayloadError::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    fn record(&mut self) -> Result<Record, PayloadError> {
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

fn length(bytes: usize) -> Result<u32, PayloadError> {
    u32::try_from(bytes).map_err(|_| PayloadError::Length)
}
