//! The channel's part of a snapshot: what it has to know after a restart of what stands before.

use bytes::Bytes;

use super::head::{HEAD_BYTES, Head, Tail};
use super::payload::{PayloadError, Reader, Record, encode_record, length};
use super::seal::Keyring;

/// The first bytes of the channel's part of a snapshot.
pub(super) const SNAPSHOT_MAGIC: [u8; 4] = *b"FLFS";

/// Bytes of a record in a snapshot beside its decider's name and its own bytes.
const KEPT_OVERHEAD_BYTES: usize = 48;

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

/// What a snapshot has of the channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Bytes of the bodies of all events that are not acknowledged.
    pub(crate) size_bytes: u64,
    pub(crate) forgotten: u64,
    pub(crate) records: Vec<KeptRecord>,
    /// The keys that frames are sealed with, each with the item behind the last of them.
    pub(crate) keys: Vec<(String, u64)>,
}

/// Bytes that a record takes in a snapshot.
pub(crate) fn kept_bytes(record: &Record) -> u64 {
    let decider = record.decider.as_ref().map_or(0, |own| own.as_str().len());
    (KEPT_OVERHEAD_BYTES + decider + record.bytes.len()) as u64
}

/// The channel's part of a snapshot, plain.
pub(crate) fn encode_snapshot<'a>(
    size_bytes: u64,
    forgotten: u64,
    records: impl Iterator<Item = &'a KeptRecord>,
    keys: impl Iterator<Item = (&'a str, u64)>,
) -> Vec<u8> {
    let mut out = vec![0; HEAD_BYTES];
    for (name, item) in keys {
        out.extend_from_slice(&item.to_le_bytes());
        out.extend_from_slice(&(name.len() as u64).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
    }
    let keys_end = out.len();
    for kept in records {
        let before = out.len();
        out.extend_from_slice(&kept.sequence.to_le_bytes());
        out.extend_from_slice(&kept.first_item.to_le_bytes());
        out.extend_from_slice(&kept.size_bytes.to_le_bytes());
        out.extend_from_slice(&u64::from(kept.items).to_le_bytes());
        if encode_record(&kept.record, &mut out).is_err() {
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
        batch_length: length(keys_end - HEAD_BYTES).unwrap_or_default(),
        records_length: length(out.len() - keys_end).unwrap_or_default(),
        key_name_length: None,
    };
    if let Some(place) = out.first_chunk_mut() {
        *place = head.encode(SNAPSHOT_MAGIC);
    }
    out
}

/// Reads the channel's part of a snapshot.
pub(crate) fn decode_snapshot(keyring: &Keyring, bytes: &[u8]) -> Result<Snapshot, PayloadError> {
    let head = Head::decode(bytes, SNAPSHOT_MAGIC)?;
    if head.tail.released_bytes != 0 {
        return Err(PayloadError::Contradiction("a release in a snapshot"));
    }
    let batch = keyring.batch(&Bytes::copy_from_slice(bytes), &head)?;
    let mut reader = Reader { rest: &batch };
    let mut keys = Vec::new();
    while !reader.rest.is_empty() {
        let item = reader.number()?;
        let name_length = u32::try_from(reader.number()?).map_err(|_| PayloadError::Length)?;
        let name = std::str::from_utf8(reader.take(name_length)?)
            .map_err(|_| PayloadError::Contradiction("a name of a key that is no text"))?;
        keys.push((name.to_owned(), item));
    }
    let plain = keyring.records(bytes, &head)?;
    let mut reader = Reader { rest: &plain };
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
        keys,
    })
}
