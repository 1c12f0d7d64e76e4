//! The bytes that the file channel puts into a frame of its log: a batch, a record of the states that
//! changed with it, and what acknowledged events took. The specification, byte by byte, is `docs/spec/file-channel.md`;
//! this file follows it.
//!
//! Reading trusts nothing: a frame that is whole may still have been written by a newer build.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use flumen_core::batch::DecodeError;
use flumen_core::state::StateRecord;
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

/// Bytes of a record beside the name of its decider and its own bytes.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 32;

/// A record of state, and the put or acknowledgement that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRecord {
    /// The record.
    pub record: StateRecord,
    /// The channel that decides whether the put counts; `None` when it does.
    pub decider: Option<ComponentName>,
    /// The events of its put, by sequence. In a frame it is none, because the frame has only these;
    /// or else the record says that the prepared put of these events is withdrawn.
    pub items: Range<u64>,
}

impl KeptRecord {
    /// A record as it goes into the frame of its put or acknowledgement.
    pub(crate) fn new(record: StateRecord, decider: Option<ComponentName>) -> Self {
        Self {
            record,
            decider,
            items: 0..0,
        }
    }

    /// Says that the prepared put of these events does not count.
    pub(crate) fn withdrawal(generation: u64, items: Range<u64>) -> Self {
        Self {
            record: StateRecord {
                generation,
                bytes: Arc::default(),
            },
            decider: None,
            items,
        }
    }

    /// Bytes that it takes in a frame and in a snapshot.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        let name = self.decider.as_ref().map_or(0, |name| name.as_str().len());
        (RECORD_OVERHEAD_BYTES + name + self.record.bytes.len()) as u64
    }
}

/// What stands in one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The events; none in a frame that only acknowledges or only carries states.
    pub events: EventBatch,
    /// The record of state that belongs to these events, or to the acknowledgements of the frame.
    pub records: Vec<KeptRecord>,
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

/// Bytes that a payload takes at most.
pub(crate) fn encoded_bytes_max(events: &EventBatch, records: &[KeptRecord]) -> u64 {
    HEAD_BYTES as u64 + events.encoded_bytes_max() + records_bytes(records)
}

fn records_bytes(records: &[KeptRecord]) -> u64 {
    match records {
        [] => 0,
        records => 4 + records.iter().map(KeptRecord::encoded_bytes).sum::<u64>(),
    }
}

impl Payload {
    /// The bytes of the payload: a few copies, whatever the number of events.
    ///
    /// # Errors
    /// When lengths do not fit 32 bits, or the batch cannot be encoded.
    pub fn encode(&self) -> Result<Bytes, PayloadError> {
        encode(
            &self.events,
            &self.records,
            self.released_bytes,
            self.forgotten,
        )
    }

    /// Reads a payload; `items` is what the frame says of the number of events. The bodies share
    /// `bytes`.
    ///
    /// # Errors
    /// [`PayloadError`] for anything that is not a payload by the specification.
    pub fn decode(bytes: &Bytes, items: u32) -> Result<Payload, PayloadError> {
        let head = Head::decode(bytes, MAGIC)?;
        let events = decode_events(bytes, &head, items)?;
        let records = bytes.get(head.records()).ok_or(PayloadError::Length)?;
        Ok(Payload {
            events,
            records: decode_records(records)?,
            released_bytes: head.released_bytes,
            forgotten: head.forgotten,
        })
    }
}

/// See [`Payload::encode`].
pub(crate) fn encode(
    events: &EventBatch,
    records: &[KeptRecord],
    released_bytes: u64,
    forgotten: u64,
) -> Result<Bytes, PayloadError> {
    let most = encoded_bytes_max(events, records);
    let most = usize::try_from(most).map_err(|_| PayloadError::Length)?;
    let mut bytes = Vec::with_capacity(most);
    let mut head = Head {
        size_bytes: events.body_bytes(),
        released_bytes,
        forgotten,
        ..Head::default()
    };
    bytes.resize(HEAD_BYTES, 0);
    if !events.is_empty() {
        let encoded = events.encode(&mut bytes);
        encoded.map_err(|error| PayloadError::Batch(error.into()))?;
    }
    head.batch_length = length(bytes.len() - HEAD_BYTES)?;
    let before = bytes.len();
    encode_records(records.iter(), &mut bytes)?;
    head.records_length = length(bytes.len() - before)?;
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

/// The fixed part of a payload, and of the channel's part of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of bodies in the batch; in a snapshot, of all events in the channel.
    pub(crate) size_bytes: u64,
    pub(crate) released_bytes: u64,
    /// Records up to this generation are of no use any more.
    pub(crate) forgotten: u64,
    batch_length: u32,
    records_length: u32,
}

impl Head {
    fn encode(&self, magic: [u8; 4]) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let [m0, m1, m2, m3] = magic;
        let fixed = [m0, m1, m2, m3, VERSION, PLAIN, 0, 0];
        let fields = [
            fixed,
            self.size_bytes.to_le_bytes(),
            self.released_bytes.to_le_bytes(),
            self.forgotten.to_le_bytes(),
            (u64::from(self.records_length) << 32 | u64::from(self.batch_length)).to_le_bytes(),
        ];
        for (place, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
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
            released_bytes: u64::from_le_bytes(released),
            forgotten: u64::from_le_bytes(forgotten),
            batch_length: (lengths & u64::from(u32::MAX)) as u32,
            records_length: (lengths >> 32) as u32,
        };
        if head.records().end != bytes.len() {
            return Err(PayloadError::Length);
        }
        Ok(head)
    }

    fn batch(&self) -> Range<usize> {
        HEAD_BYTES..HEAD_BYTES + self.batch_length as usize
    }

    /// Where the records stand.
    pub(crate) fn records(&self) -> Range<usize> {
        let start = self.batch().end;
        start..start + self.records_length as usize
    }
}

/// The channel's part of a snapshot.
pub(crate) fn encode_snapshot<'a>(
    size_bytes: u64,
    forgotten: u64,
    records: impl ExactSizeIterator<Item = &'a KeptRecord>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.resize(start + HEAD_BYTES, 0);
    // Their sum is bounded far below what 32 bits count.
    let encoded = encode_records(records, out);
    let records_length = length(out.len() - start - HEAD_BYTES).unwrap_or_default();
    debug_assert!(encoded.is_ok());
    let head = Head {
        size_bytes,
        forgotten,
        records_length,
        ..Head::default()
    };
    let place = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut);
    if let Some(place) = place {
        *place = head.encode(SNAPSHOT_MAGIC);
    }
}

/// The head of a snapshot, with the bytes of all events in the channel, and its records.
pub(crate) fn decode_snapshot(bytes: &[u8]) -> Result<(Head, Vec<KeptRecord>), PayloadError> {
    let head = Head::decode(bytes, SNAPSHOT_MAGIC)?;
    if head.released_bytes != 0 || head.batch_length != 0 {
        return Err(PayloadError::Contradiction("events in a snapshot"));
    }
    let records = bytes.get(head.records()).ok_or(PayloadError::Length)?;
    Ok((head, decode_records(records)?))
}

fn encode_records<'a>(
    records: impl ExactSizeIterator<Item = &'a KeptRecord>,
    out: &mut Vec<u8>,
) -> Result<(), PayloadError> {
    if records.len() == 0 {
        return Ok(());
    }
    out.extend_from_slice(&length(records.len())?.to_le_bytes());
    for own in records {
        let decider = own.decider.as_ref().map_or("", ComponentName::as_str);
        let bytes = &own.record.bytes;
        out.extend_from_slice(&own.record.generation.to_le_bytes());
        out.extend_from_slice(&own.items.start.to_le_bytes());
        out.extend_from_slice(&own.items.end.to_le_bytes());
        out.extend_from_slice(&length(decider.len())?.to_le_bytes());
        out.extend_from_slice(&length(bytes.len())?.to_le_bytes());
        out.extend_from_slice(decider.as_bytes());
        out.extend_from_slice(bytes);
    }
    Ok(())
}

/// Reads records that fill the bytes exactly. Allocates no more than there are bytes for.
pub(crate) fn decode_records(bytes: &[u8]) -> Result<Vec<KeptRecord>, PayloadError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (count, mut rest) = bytes.split_first_chunk().ok_or(PayloadError::Length)?;
    let count = u32::from_le_bytes(*count) as usize;
    if count == 0 || count > rest.len() / RECORD_OVERHEAD_BYTES {
        return Err(PayloadError::Length);
    }
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let (fixed, after) = rest
            .split_first_chunk::<RECORD_OVERHEAD_BYTES>()
            .ok_or(PayloadError::Length)?;
        let [generation, start, end, lengths] = *fixed.as_chunks::<8>().0 else {
            return Err(PayloadError::Length);
        };
        let lengths = u64::from_le_bytes(lengths);
        let decider_length = (lengths & u64::from(u32::MAX)) as usize;
        let (decider, after) = after
            .split_at_checked(decider_length)
            .ok_or(PayloadError::Length)?;
        let (own, after) = after
            .split_at_checked((lengths >> 32) as usize)
            .ok_or(PayloadError::Length)?;
        let decider = std::str::from_utf8(decider)
            .map_err(|_| PayloadError::Contradiction("a name of a channel that is no text"))?;
        records.push(KeptRecord {
            record: StateRecord {
                generation: u64::from_le_bytes(generation),
                bytes: Arc::from(own),
            },
            decider: (!decider.is_empty()).then(|| ComponentName::new(decider)),
            items: u64::from_le_bytes(start)..u64::from_le_bytes(end),
        });
        rest = after;
    }
    match rest {
        [] => Ok(records),
        _ => Err(PayloadError::Length),
    }
}

fn length(bytes: usize) -> Result<u32, PayloadError> {
    u32::try_from(bytes).map_err(|_| PayloadError::Length)
}
