//! The fixed part of what the channel writes, and what stands where behind it.

use std::ops::Range;

use super::payload::PayloadError;

/// The version that is written, and the only one that is read.
pub const VERSION: u8 = 1;

/// Batch and records stand there as they are.
const PLAIN: u8 = 0;

/// Batch and records are sealed with AES-256-GCM.
const SEALED: u8 = 1;

/// Bytes before the batch.
pub(crate) const HEAD_BYTES: usize = 40;

/// Bytes behind the head of what is sealed, beside the name of the key.
pub(crate) const SEAL_BYTES: usize = 48;

/// Bytes of the name of a key.
pub(crate) const KEY_NAME_BYTES_MAX: usize = 255;

/// Bytes of the tag behind what is sealed.
pub(crate) const TAG_BYTES: usize = 16;

/// What sealing adds at most: to a frame, and to a snapshot.
pub(crate) const SEAL_BYTES_MAX: usize = SEAL_BYTES + KEY_NAME_BYTES_MAX + 2 * TAG_BYTES;

/// The fixed part of a payload, and of the channel's part of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of bodies in the batch; in a snapshot, of all events in the channel.
    pub(crate) size_bytes: u64,
    pub(crate) tail: Tail,
    pub(crate) batch_length: u32,
    pub(crate) records_length: u32,
    /// Bytes of the name of the key, when it is sealed.
    pub(crate) key_name_length: Option<u32>,
}

/// What a frame says beside what is put with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) released_bytes: u64,
    pub(crate) forgotten: u64,
}

/// With what a payload is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal<'a> {
    pub(crate) salt: [u8; 32],
    pub(crate) counter: u64,
    pub(crate) key: &'a str,
}

impl Head {
    pub(crate) fn encode(&self, magic: [u8; 4]) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let [m0, m1, m2, m3] = magic;
        let lengths = u64::from(self.records_length) << 32 | u64::from(self.batch_length);
        let form = self.key_name_length.map_or(PLAIN, |_| SEALED);
        let fields = [
            [m0, m1, m2, m3, VERSION, form, 0, 0],
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
        if !matches!(form, PLAIN | SEALED) || reserved != [0, 0] {
            return Err(PayloadError::Form(form));
        }
        let key_name_length = match form {
            SEALED => Some(key_name_length(bytes)?),
            _ => None,
        };
        let lengths = u64::from_le_bytes(lengths);
        let head = Head {
            size_bytes: u64::from_le_bytes(size),
            tail: Tail {
                released_bytes: u64::from_le_bytes(released),
                forgotten: u64::from_le_bytes(forgotten),
            },
            batch_length: (lengths & u64::from(u32::MAX)) as u32,
            records_length: (lengths >> 32) as u32,
            key_name_length,
        };
        if head.records().end != bytes.len() {
            return Err(PayloadError::Length);
        }
        Ok(head)
    }

    /// Where the batch begins.
    pub(crate) fn body(&self) -> usize {
        let seal = |name: u32| SEAL_BYTES + name as usize;
        HEAD_BYTES + self.key_name_length.map_or(0, seal)
    }

    /// Where the batch stands, its tag included.
    pub(crate) fn batch(&self) -> Range<usize> {
        let start = self.body();
        start..start + self.batch_length as usize
    }

    /// With what the bytes of this head are sealed; nothing when they are plain.
    pub(crate) fn seal<'a>(&self, bytes: &'a [u8]) -> Result<Option<Seal<'a>>, PayloadError> {
        if self.key_name_length.is_none() {
            return Ok(None);
        }
        let seal = bytes.get(HEAD_BYTES..self.body());
        let (fixed, name) = seal
            .and_then(<[u8]>::split_first_chunk::<SEAL_BYTES>)
            .ok_or(PayloadError::Length)?;
        let (salt, numbers) = fixed.split_first_chunk().ok_or(PayloadError::Length)?;
        let counter = numbers.first_chunk().ok_or(PayloadError::Length)?;
        let key = std::str::from_utf8(name)
            .map_err(|_| PayloadError::Contradiction("a name of a key that is no text"))?;
        Ok(Some(Seal {
            salt: *salt,
            counter: u64::from_le_bytes(*counter),
            key,
        }))
    }

    /// Where the records stand, their tag included.
    pub(crate) fn records(&self) -> Range<usize> {
        let start = self.batch().end;
        start..start + self.records_length as usize
    }
}

/// The length of a key's name in bytes that are sealed.
fn key_name_length(bytes: &[u8]) -> Result<u32, PayloadError> {
    let seal = bytes.get(HEAD_BYTES..HEAD_BYTES + SEAL_BYTES);
    let (name_length, reserved) = seal
        .and_then(<[u8]>::last_chunk::<8>)
        .and_then(|last| last.split_first_chunk::<4>())
        .ok_or(PayloadError::Length)?;
    let name_length = u32::from_le_bytes(*name_length);
    if reserved != [0; 4] || name_length as usize > KEY_NAME_BYTES_MAX {
        return Err(PayloadError::Contradiction("a seal of no form"));
    }
    Ok(name_length)
}

/// The fixed part of a seal.
pub(crate) fn encode_seal(seal: &Seal<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&seal.salt);
    out.extend_from_slice(&seal.counter.to_le_bytes());
    // A name is at most 255 bytes.
    out.extend_from_slice(&(seal.key.len() as u64).to_le_bytes());
    out.extend_from_slice(seal.key.as_bytes());
}
