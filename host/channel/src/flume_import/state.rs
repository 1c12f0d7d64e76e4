//! How far an import is, as it stands in the channel beside the events.

use flumen_core::ComponentName;

/// What the name of an import's state begins with; the fingerprint of the backlog follows.
const NAME_BEGIN: &str = "flume-import-";

/// The version of the bytes.
const VERSION: u8 = 1;

/// How far an import is.
///
/// ```text
/// u8 version 1 | u64 done | u64 total | the folders, UTF-8, to the end      (little endian)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportState {
    /// Events of the backlog that are over: in the channel, or found to be damaged.
    pub done: u64,
    /// Events of the backlog.
    pub total: u64,
    /// The folders as the operator named them.
    pub folders: String,
}

impl ImportState {
    /// The name under which the state of the import of a backlog stands in the channel.
    pub fn name(fingerprint: u64) -> ComponentName {
        ComponentName::new(format!("{NAME_BEGIN}{fingerprint:016x}"))
    }

    /// Whether the state of this name is one of an import.
    pub fn is_name(name: &ComponentName) -> bool {
        name.as_str().starts_with(NAME_BEGIN)
    }

    /// Whether nothing is left to import.
    pub fn is_complete(&self) -> bool {
        self.done >= self.total
    }

    /// The bytes that go into the channel.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.done.to_le_bytes());
        bytes.extend_from_slice(&self.total.to_le_bytes());
        bytes.extend_from_slice(self.folders.as_bytes());
        bytes
    }

    /// Reads them; `None` when they are of another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (done, rest) = rest.split_first_chunk::<8>()?;
        let (total, folders) = rest.split_first_chunk::<8>()?;
        (*version == VERSION).then_some(())?;
        Some(Self {
            done: u64::from_le_bytes(*done),
            total: u64::from_le_bytes(*total),
            folders: str::from_utf8(folders).ok()?.to_owned(),
        })
    }
}
