//! The bytes that the file channel puts into a frame of its log: a batch, states of components, and
//! what acknowledged events took. The specification, byte by byte, is `docs/spec/file-channel.md`;
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

/// Batch and states stand there as they are.
const PLAIN: u8 = 0;

/// Bytes before the batch.
pub(crate) const HEAD_BYTES: usize = 32;

/// Bytes of a state beside its name and its own bytes.
pub(crate) const STATE_OVERHEAD_BYTES: usize = 16;

/// The state of a component, as of the events that it was put with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptState {
    /// The component, as the agent names it.
    pub component: ComponentName,
    /// Which life of the component wrote it; the channel only keeps it.
    pub generation: u64,
    /// At most [`flumen_core::limits::SOURCE_STATE_BYTES_MAX`] bytes.
    pub bytes: Arc<[u8]>,
}

/// What stands in one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The events; none in a frame that only acknowledges or only carries states.
    pub events: EventBatch,
    /// States of components after these events.
    pub states: Vec<KeptState>,
    /// What the events that the frame acknowledges took of the channel's bytes.
    pub released_bytes: u64,
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
pub(crate) fn encoded_bytes_max(events: &EventBatch, states: &[KeptState]) -> u64 {
    HEAD_BYTES as u64 + events.encoded_bytes_max() + states_bytes(states)
}

fn states_bytes(states: &[KeptState]) -> u64 {
    let bytes = |state: &KeptState| {
        STATE_OVERHEAD_BYTES + state.component.as_str().len() + state.bytes.len()
    };
    match states {
        [] => 0,
        states => 4 + states.iter().map(bytes).sum::<usize>() as u64,
    }
}

impl Payload {
    /// The bytes of the payload: a few copies, whatever the number of events.
    ///
    /// # Errors
    /// When lengths do not fit 32 bits, or the batch cannot be encoded.
    pub fn encode(&self) -> Result<Bytes, PayloadError> {
        encode(&self.events, &self.states, self.released_bytes)
    }

    /// Reads a payload; `items` is what the frame says of the number of events. The bodies share
    /// `bytes`.
    ///
    /// # Errors
    /// [`PayloadError`] for anything that is not a payload by the specification.
    pub fn decode(bytes: &Bytes, items: u32) -> Result<Payload, PayloadError> {
        let head = Head::decode(bytes, MAGIC)?;
        let events = decode_events(bytes, &head, items)?;
        let states = bytes.get(head.states()).ok_or(PayloadError::Length)?;
        Ok(Payload {
            events,
            states: decode_states(states)?,
            released_bytes: head.released_bytes,
        })
    }
}

/// See [`Payload::encode`].
pub(crate) fn encode(
    events: &EventBatch,
    states: &[KeptState],
    released_bytes: u64,
) -> Result<Bytes, PayloadError> {
    let most = encoded_bytes_max(events, states);
    let most = usize::try_from(most).map_err(|_| PayloadError::Length)?;
    let mut bytes = Vec::with_capacity(most);
    let mut head = Head {
        size_bytes: events.body_bytes(),
        released_bytes,
        ..Head::default()
    };
    bytes.resize(HEAD_BYTES, 0);
    if !events.is_empty() {
        let encoded = events.encode(&mut bytes);
        encoded.map_err(|error| PayloadError::Batch(error.into()))?;
    }
    head.batch_length = length(bytes.len() - HEAD_BYTES)?;
    let before = bytes.len();
    encode_states(states.iter(), &mut bytes)?;
    head.states_length = length(bytes.len() - before)?;
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
    batch_length: u32,
    states_length: u32,
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
            (u64::from(self.states_length) << 32 | u64::from(self.batch_length)).to_le_bytes(),
        ];
        for (place, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *place = field;
        }
        bytes
    }

    /// Reads the head of bytes that the batch and the states fill exactly.
    pub(crate) fn decode(bytes: &[u8], magic: [u8; 4]) -> Result<Head, PayloadError> {
        let head: &[u8; HEAD_BYTES] = bytes.first_chunk().ok_or(PayloadError::Length)?;
        let (words, _) = head.as_chunks::<8>();
        let [fixed, size, released, lengths] = *words else {
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
            batch_length: (lengths & u64::from(u32::MAX)) as u32,
            states_length: (lengths >> 32) as u32,
        };
        if head.states().end != bytes.len() {
            return Err(PayloadError::Length);
        }
        Ok(head)
    }

    fn batch(&self) -> std::ops::Range<usize> {
        HEAD_BYTES..HEAD_BYTES + self.batch_length as usize
    }

    /// Where the states stand.
    pub(crate) fn states(&self) -> std::ops::Range<usize> {
        let start = self.batch().end;
        start..start + self.states_length as usize
    }
}

/// The channel's part of a snapshot.
pub(crate) fn encode_snapshot<'a>(
    size_bytes: u64,
    states: impl ExactSizeIterator<Item = &'a KeptState>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.resize(start + HEAD_BYTES, 0);
    // Their sum is bounded far below what 32 bits count.
    let encoded = encode_states(states, out);
    let states_length = length(out.len() - start - HEAD_BYTES).unwrap_or_default();
    debug_assert!(encoded.is_ok());
    let head = Head {
        size_bytes,
        states_length,
        ..Head::default()
    };
    let place = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut);
    if let Some(place) = place {
        *place = head.encode(SNAPSHOT_MAGIC);
    }
}

/// The bytes of all events in the channel, and the states, of a snapshot.
pub(crate) fn decode_snapshot(bytes: &[u8]) -> Result<(u64, Vec<KeptState>), PayloadError> {
    let head = Head::decode(bytes, SNAPSHOT_MAGIC)?;
    if head.released_bytes != 0 || head.batch_length != 0 {
        return Err(PayloadError::Contradiction("events in a snapshot"));
    }
    let states = bytes.get(head.states()).ok_or(PayloadError::Length)?;
    Ok((head.size_bytes, decode_states(states)?))
}

fn encode_states<'a>(
    states: impl ExactSizeIterator<Item = &'a KeptState>,
    out: &mut Vec<u8>,
) -> Result<(), PayloadError> {
    if states.len() == 0 {
        return Ok(());
    }
    out.extend_from_slice(&length(states.len())?.to_le_bytes());
    for state in states {
        let name = state.component.as_str();
        out.extend_from_slice(&state.generation.to_le_bytes());
        out.extend_from_slice(&length(name.len())?.to_le_bytes());
        out.extend_from_slice(&length(state.bytes.len())?.to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&state.bytes);
    }
    Ok(())
}

/// Reads states that fill the bytes exactly. Allocates no more than there are bytes for.
pub(crate) fn decode_states(bytes: &[u8]) -> Result<Vec<KeptState>, PayloadError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (count, mut rest) = bytes.split_first_chunk().ok_or(PayloadError::Length)?;
    let count = u32::from_le_bytes(*count) as usize;
    if count == 0 || count > rest.len() / STATE_OVERHEAD_BYTES {
        return Err(PayloadError::Length);
    }
    let mut states = Vec::with_capacity(count);
    for _ in 0..count {
        let (generation, after) = rest.split_first_chunk().ok_or(PayloadError::Length)?;
        let (name_length, after) = after.split_first_chunk().ok_or(PayloadError::Length)?;
        let (length, after) = after.split_first_chunk().ok_or(PayloadError::Length)?;
        let name_length = u32::from_le_bytes(*name_length) as usize;
        let (name, after) = after
            .split_at_checked(name_length)
            .ok_or(PayloadError::Length)?;
        let (state, after) = after
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or(PayloadError::Length)?;
        let name = std::str::from_utf8(name)
            .map_err(|_| PayloadError::Contradiction("a name of a component that is no text"))?;
        states.push(KeptState {
            component: ComponentName::new(name),
            generation: u64::from_le_bytes(*generation),
            bytes: Arc::from(state),
        });
        rest = after;
    }
    match rest {
        [] => Ok(states),
        _ => Err(PayloadError::Length),
    }
}

fn length(bytes: usize) -> Result<u32, PayloadError> {
    u32::try_from(bytes).map_err(|_| PayloadError::Length)
}
