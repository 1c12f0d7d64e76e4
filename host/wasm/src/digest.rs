//! The identity of a component: the SHA-256 of its file.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes. Shown in full by `{}` and by its first twelve digits by
/// [`Digest::short`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; Digest::BYTES]);

impl Digest {
    /// Bytes of a digest.
    pub const BYTES: usize = 32;

    /// Hexadecimal digits of the short form: enough to tell the versions of one component apart.
    const SHORT_DIGITS: usize = 12;

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of whatever a value feeds to a hasher, which unlike that of the standard hashers
    /// is the same from release to release.
    pub(crate) fn of_hash(value: impl std::hash::Hash) -> Self {
        let mut hasher = HashBytes(Sha256::new());
        value.hash(&mut hasher);
        Self(hasher.0.finalize().into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The first digits, for logs and messages.
    pub fn short(&self) -> String {
        self.to_string().chars().take(Self::SHORT_DIGITS).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct HashBytes(Sha256);

impl std::hash::Hasher for HashBytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks for it: the digest is taken from the hasher itself.
    fn finish(&self) -> u64 {
        0
    }
}
