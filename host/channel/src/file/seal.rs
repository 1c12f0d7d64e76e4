//! Encryption at rest: batches and records sealed with AES-256-GCM before they go into the log.
//!
//! Each opening of a channel draws 32 random bytes, and with them its own key from the one in the
//! file (HKDF-SHA256). Under that key a counter numbers what is sealed, so that no number is used
//! twice under a key, whatever happened before the opening. What was sealed says with which key of
//! which opening, so that every key that is still configured opens what it sealed.
//!
//! It keeps what is written secret, and shows when a frame was changed. It does not hide how many
//! events there are and how large they are, and it does not show that whole frames were removed, put
//! back or changed places.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use bytes::Bytes;
use hkdf::Hkdf;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;

use super::head::{HEAD_BYTES, Head, KEY_NAME_BYTES_MAX, Seal, TAG_BYTES, encode_seal};
use super::payload::PayloadError;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// What the keys of openings are drawn for; another use of the same file gives other keys.
const PURPOSE: &[u8] = b"flumen file channel 1";

/// Ciphers of openings that are kept at hand. A backlog rarely spans more openings than that, and
/// making one again costs some microseconds.
const CIPHERS_MAX: usize = 64;

/// The keys of a channel: those that open what is sealed, and the one that seals. By default none.
#[derive(Default)]
pub struct Keyring {
    keys: BTreeMap<String, [u8; KEY_BYTES]>,
    active: Option<Active>,
    /// By salt and name. A plain mutex suffices: it is held for a look-up.
    ciphers: Mutex<BTreeMap<Opening, Arc<Aes256Gcm>>>,
}

/// Its salt, and the name of its key.
type Opening = ([u8; 32], String);

/// What this opening seals with.
struct Active {
    name: String,
    salt: [u8; 32],
    cipher: Aes256Gcm,
    counter: AtomicU64,
}

/// Why keys cannot be used.
#[derive(Debug)]
pub enum KeyError {
    /// The file of a key cannot be read.
    Unreadable {
        /// The name of the key.
        key: String,
        /// Its file.
        file: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file of a key holds something else.
    NoKey {
        /// The name of the key.
        key: String,
        /// Its file.
        file: PathBuf,
    },
    /// The name of a key is empty or too long.
    Name {
        /// The name.
        key: String,
    },
    /// The active key is not among the keys.
    NoActive {
        /// Its name.
        key: String,
    },
    /// The system gives no random bytes.
    NoRandomness(io::Error),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Unreadable { key, file, .. } => {
                write!(
                    f,
                    "the file {} of key {key:?} cannot be read",
                    file.display()
                )
            }
            KeyError::NoKey { key, file } => write!(
                f,
                "the file {} of key {key:?} holds neither 32 bytes nor 64 hexadecimal digits; make \
                 one with `head -c 32 /dev/urandom`",
                file.display()
            ),
            KeyError::Name { key } => write!(
                f,
                "key {key:?} has a name that is empty or longer than {KEY_NAME_BYTES_MAX} bytes"
            ),
            KeyError::NoActive { key } => write!(
                f,
                "encryption.activeKey names {key:?}, which is not among encryption.keyProvider.keys"
            ),
            KeyError::NoRandomness(_) => f.write_str("the system gives no random bytes"),
        }
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            KeyError::Unreadable { cause, .. } | KeyError::NoRandomness(cause) => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Debug for Keyring {
    /// Names, not keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("keys", &self.keys.keys())
            .field("active", &self.active.as_ref().map(|own| &own.name))
            .finish()
    }
}

impl Keyring {
    /// The keys of these names from their files, each 32 bytes or 64 hexadecimal digits, and the one
    /// that seals. Without that one nothing is sealed.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(
        files: impl IntoIterator<Item = (String, PathBuf)>,
        active: Option<&str>,
    ) -> Result<Keyring, KeyError> {
        let mut keys = BTreeMap::new();
        for (name, file) in files {
            if name.is_empty() || name.len() > KEY_NAME_BYTES_MAX {
                return Err(KeyError::Name { key: name });
            }
            let key = read_key(&name, &file)?;
            keys.insert(name, key);
        }
        let mut salt = [0; 32];
        fill_random(&mut salt).map_err(KeyError::NoRandomness)?;
        Self::with_salt(keys, active, salt)
    }

    fn with_salt(
        keys: BTreeMap<String, [u8; KEY_BYTES]>,
        active: Option<&str>,
        salt: [u8; 32],
    ) -> Result<Keyring, KeyError> {
        let active = active.map(|name| {
            let key = keys.get(name).ok_or_else(|| KeyError::NoActive {
                key: name.to_owned(),
            })?;
            Ok(Active {
                name: name.to_owned(),
                salt,
                cipher: cipher(key, &salt),
                counter: AtomicU64::new(0),
            })
        });
        Ok(Keyring {
            keys,
            active: active.transpose()?,
            ciphers: Mutex::default(),
        })
    }

    /// Whether a key of this name is at hand.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.keys.contains_key(name)
    }

    /// Seals a plain payload or snapshot; gives it back as it is when no key seals.
    ///
    /// # Errors
    /// When it is longer than the cipher or 32 bits allow.
    pub(crate) fn seal(&self, plain: Bytes, magic: [u8; 4]) -> Result<Bytes, PayloadError> {
        let Some(active) = &self.active else {
            return Ok(plain);
        };
        let head = Head::decode(&plain, magic)?;
        let counter = active.counter.fetch_add(2, Ordering::Relaxed);
        let tagged = |length: u32, is_there: bool| {
            let tag = if is_there { TAG_BYTES as u32 } else { 0 };
            length.checked_add(tag).ok_or(PayloadError::Length)
        };
        let sealed = Head {
            batch_length: tagged(head.batch_length, head.batch_length > 0)?,
            // Always there, so that each head is vouched for.
            records_length: tagged(head.records_length, true)?,
            key_name_length: Some(active.name.len() as u32),
            ..head
        };
        let mut out = Vec::with_capacity(sealed.records().end);
        out.extend_from_slice(&sealed.encode(magic));
        let seal = Seal {
            salt: active.salt,
            counter,
            key: &active.name,
        };
        encode_seal(&seal, &mut out);
        let body = out.len();
        if head.batch_length > 0 {
            let batch = plain.get(head.batch()).ok_or(PayloadError::Length)?;
            append_sealed(&active.cipher, counter, body, batch, &mut out)?;
        }
        let records = plain.get(head.records()).ok_or(PayloadError::Length)?;
        append_sealed(&active.cipher, counter + 1, body, records, &mut out)?;
        Ok(out.into())
    }

    /// The batch of a payload. Shares the bytes when they are plain.
    pub(crate) fn batch(&self, bytes: &Bytes, head: &Head) -> Result<Bytes, PayloadError> {
        let place = head.batch();
        match head.seal(bytes)? {
            None => Ok(bytes.slice(place)),
            Some(_) if place.is_empty() => Ok(Bytes::new()),
            Some(seal) => {
                let opened = self.open(bytes, head, &seal, seal.counter, place)?;
                Ok(opened.into())
            }
        }
    }

    /// The records of a payload. Shares the bytes when they are plain.
    pub(crate) fn records<'a>(
        &self,
        bytes: &'a [u8],
        head: &Head,
    ) -> Result<Cow<'a, [u8]>, PayloadError> {
        let place = head.records();
        match head.seal(bytes)? {
            None => bytes
                .get(place)
                .map(Cow::Borrowed)
                .ok_or(PayloadError::Length),
            Some(seal) => {
                let counter = seal.counter.wrapping_add(1);
                self.open(bytes, head, &seal, counter, place)
                    .map(Cow::Owned)
            }
        }
    }

    fn open(
        &self,
        bytes: &[u8],
        head: &Head,
        seal: &Seal<'_>,
        counter: u64,
        place: std::ops::Range<usize>,
    ) -> Result<Vec<u8>, PayloadError> {
        let cipher = self.cipher(seal)?;
        let sealed = bytes.get(place).ok_or(PayloadError::Length)?;
        let (text, tag) = sealed
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(PayloadError::Length)?;
        let head = bytes.get(..head.body()).ok_or(PayloadError::Length)?;
        let mut text = text.to_vec();
        cipher
            .decrypt_in_place_detached(&nonce(counter), head, &mut text, Tag::from_slice(tag))
            .map_err(|_| PayloadError::Unsealable(seal.key.to_owned()))?;
        Ok(text)
    }

    fn cipher(&self, seal: &Seal<'_>) -> Result<Arc<Aes256Gcm>, PayloadError> {
        let key = self.keys.get(seal.key);
        let key = key.ok_or_else(|| PayloadError::NoKey(seal.key.to_owned()))?;
        let mut ciphers = self.ciphers.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (seal.salt, seal.key.to_owned());
        if let Some(cipher) = ciphers.get(&place) {
            return Ok(Arc::clone(cipher));
        }
        if ciphers.len() >= CIPHERS_MAX {
            ciphers.clear();
        }
        let cipher = Arc::new(cipher(key, &seal.salt));
        ciphers.insert(place, Arc::clone(&cipher));
        Ok(cipher)
    }
}

/// The cipher of an opening.
fn cipher(key: &[u8; KEY_BYTES], salt: &[u8; 32]) -> Aes256Gcm {
    let mut own = [0; KEY_BYTES];
    // One block of output is far below the bound of HKDF.
    let expanded = Hkdf::<Sha256>::new(Some(salt), key).expand(PURPOSE, &mut own);
    debug_assert!(expanded.is_ok());
    Aes256Gcm::new(&own.into())
}

fn nonce(counter: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    if let Some(place) = nonce.last_chunk_mut() {
        *place = counter.to_le_bytes();
    }
    nonce.into()
}

/// Appends what is sealed, and its tag. The first `head` bytes of `out` are vouched for with it.
fn append_sealed(
    cipher: &Aes256Gcm,
    counter: u64,
    head: usize,
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), PayloadError> {
    let start = out.len();
    out.extend_from_slice(text);
    let (before, own) = out
        .split_at_mut_checked(start)
        .ok_or(PayloadError::Length)?;
    let head = before.get(..head).ok_or(PayloadError::Length)?;
    let tag = cipher
        .encrypt_in_place_detached(&nonce(counter), head, own)
        .map_err(|_| PayloadError::Length)?;
    out.extend_from_slice(&tag);
    Ok(())
}

fn read_key(key: &str, file: &Path) -> Result<[u8; KEY_BYTES], KeyError> {
    let bytes = fs::read(file).map_err(|cause| KeyError::Unreadable {
        key: key.to_owned(),
        file: file.to_owned(),
        cause,
    })?;
    parse_key(&bytes).ok_or_else(|| KeyError::NoKey {
        key: key.to_owned(),
        file: file.to_owned(),
    })
}

/// A key as 32 bytes, or as 64 hexadecimal digits with white space around them.
fn parse_key(bytes: &[u8]) -> Option<[u8; KEY_BYTES]> {
    if let Ok(key) = bytes.try_into() {
        return Some(key);
    }
    let (digits, []) = bytes.trim_ascii().as_chunks::<2>() else {
        return None;
    };
    let mut key = [0; KEY_BYTES];
    if digits.len() != key.len() {
        return None;
    }
    for (place, [high, low]) in key.iter_mut().zip(digits) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *place = (digit(*high)? * 16 + digit(*low)?) as u8;
    }
    Some(key)
}

fn fill_random(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let filled = match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            Err(rustix::io::Errno::INTR) => continue,
            filled => filled?,
        };
        bytes = bytes.get_mut(filled..).unwrap_or_default();
    }
    Ok(())
}

const _: () = assert!(
    HEAD_BYTES.is_multiple_of(8),
    "what follows the head is aligned"
);
