//! The bytes of a record of state in a durable channel.
//!
//! | size | what |
//! |---|---|
//! | 1 | the version of this layout, 1 |
//! | | entries to the end: |
//! | 1 | kind: 1 position of a source, 2 value of a guest's key, 3 the key is deleted |
//! | 4 | length of the name, little endian, as all lengths |
//! | | name of the source or component |
//! | 4, | kinds 2 and 3: length of the key, key |
//! | 4, | kinds 1 and 2: length of the value, value |

use std::fmt;
use std::sync::Arc;

use flumen_core::limits::STATE_RECORD_BYTES_MAX;
use flumen_core::state::StateWrite;
use flumen_core::{ComponentName, Fault};

/// The version of the layout above.
const VERSION: u8 = 1;

const CURSOR: u8 = 1;
const VALUE: u8 = 2;
const DELETED: u8 = 3;

/// One change, as a record tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Where a source stands.
    Cursor {
        /// The source.
        source: ComponentName,
        /// Its position.
        bytes: Arc<[u8]>,
    },
    /// What a guest keeps.
    Write {
        /// The guest.
        component: ComponentName,
        /// The key and its value.
        write: StateWrite,
    },
}

impl Change {
    /// Whose state it is. A source has one name for its position and one for what it keeps.
    pub(super) fn owner(&self) -> &ComponentName {
        match self {
            Change::Cursor { source, .. } => source,
            Change::Write { component, .. } => component,
        }
    }
}

/// The record of these changes.
fn encode(changes: &[Change]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    let field = |bytes: &mut Vec<u8>, field: &[u8]| {
        // Names, keys and values are far smaller than 32 bits hold; see the limits of states.
        let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
        bytes.extend(len.to_le_bytes());
        bytes.extend(field);
    };
    for change in changes {
        let (kind, key, value) = match change {
            Change::Cursor { bytes, .. } => (CURSOR, None, Some(&**bytes)),
            Change::Write { write, .. } => match &write.value {
                Some(value) => (VALUE, Some(&write.key), Some(&**value)),
                None => (DELETED, Some(&write.key), None),
            },
        };
        bytes.push(kind);
        field(&mut bytes, change.owner().as_str().as_bytes());
        if let Some(key) = key {
            field(&mut bytes, key.as_bytes());
        }
        if let Some(value) = value {
            field(&mut bytes, value);
        }
    }
    bytes
}

/// The record of these changes, for a durable channel; nothing of nothing.
///
/// # Errors
/// A configuration fault when it is larger than such a channel takes.
pub(crate) fn bounded(changes: &[Change], channel: &ComponentName) -> Result<Arc<[u8]>, Fault> {
    if changes.is_empty() {
        return Ok(Arc::default());
    }
    let bytes = encode(changes);
    if bytes.len() > STATE_RECORD_BYTES_MAX {
        return Err(Fault::configuration(format!(
            "{} bytes of state change at once, and channel {channel} keeps at most {STATE_RECORD_BYTES_MAX} with its events; lower limits.state_bytes of the guests",
            bytes.len()
        )));
    }
    Ok(bytes.into())
}

/// A record that cannot be read: of a newer flumen, or not of flumen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RecordError {
    /// A version that this flumen does not know.
    Version(u8),
    /// It ends in the middle, or says what cannot be.
    Malformed,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Version(version) => write!(
                f,
                "record of state is of version {version}, this flumen reads {VERSION}; use the flumen that wrote it or a newer one"
            ),
            RecordError::Malformed => f.write_str("record of state is malformed"),
        }
    }
}

impl std::error::Error for RecordError {}

/// The changes of a record.
///
/// # Errors
/// [`RecordError`]; none of it may be applied.
pub(crate) fn decode(record: &[u8]) -> Result<Vec<Change>, RecordError> {
    // A put that changes no state has a number and no bytes.
    let Some((version, mut rest)) = record.split_first() else {
        return Ok(Vec::new());
    };
    if *version != VERSION {
        return Err(RecordError::Version(*version));
    }
    let mut changes = Vec::new();
    while let Some((kind, behind)) = rest.split_first() {
        rest = behind;
        let owner = ComponentName::from(text(&mut rest)?);
        changes.push(match *kind {
            CURSOR => Change::Cursor {
                source: owner,
                bytes: field(&mut rest)?.into(),
            },
            VALUE | DELETED => {
                let key = text(&mut rest)?.to_owned();
                let value = match *kind {
                    VALUE => Some(field(&mut rest)?.to_vec()),
                    _ => None,
                };
                Change::Write {
                    component: owner,
                    write: StateWrite { key, value },
                }
            }
            _ => return Err(RecordError::Malformed),
        });
    }
    Ok(changes)
}

fn field<'r>(rest: &mut &'r [u8]) -> Result<&'r [u8], RecordError> {
    let (len, behind) = rest
        .split_first_chunk::<4>()
        .ok_or(RecordError::Malformed)?;
    let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| RecordError::Malformed)?;
    let (field, behind) = behind.split_at_checked(len).ok_or(RecordError::Malformed)?;
    *rest = behind;
    Ok(field)
}

fn text<'r>(rest: &mut &'r [u8]) -> Result<&'r str, RecordError> {
    std::str::from_utf8(field(rest)?).map_err(|_| RecordError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change() -> impl Strategy<Value = Change> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..20);
        let cursor = ("[a-z.]{1,9}", bytes()).prop_map(|(source, bytes)| Change::Cursor {
            source: ComponentName::from(source.as_str()),
            bytes: bytes.into(),
        });
        let write = ("[a-z.]{1,9}", ".{0,9}", prop::option::of(bytes()));
        let write = write.prop_map(|(component, key, value)| Change::Write {
            component: ComponentName::from(component.as_str()),
            write: StateWrite { key, value },
        });
        prop_oneof![cursor, write]
    }

    #[test]
    fn a_record_looks_as_it_is_documented() {
        let changes = [
            Change::Cursor {
                source: ComponentName::from("r1"),
                bytes: Arc::from(*b"7"),
            },
            Change::Write {
                component: ComponentName::from("c"),
                write: StateWrite {
                    key: "k".into(),
                    value: None,
                },
            },
        ];
        let bytes = b"\x01\x01\x02\0\0\0r1\x01\0\0\x007\x03\x01\0\0\0c\x01\0\0\0k";
        assert_eq!(encode(&changes), bytes);
        assert_eq!(decode(bytes).unwrap(), changes);
        assert_eq!(decode(b"").unwrap(), []);
        assert_eq!(decode(b"\x02"), Err(RecordError::Version(2)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_written_is_read(changes in prop::collection::vec(change(), 0..6)) {
            let bytes = encode(&changes);
            prop_assert_eq!(decode(&bytes).unwrap(), changes);
            for end in 0..bytes.len() {
                // A cut record is told or is a shorter one; never more than was written.
                if let Ok(read) = decode(&bytes[..end]) {
                    prop_assert!(encode(&read).len() <= end.max(1));
                }
            }
        }

        #[test]
        fn foreign_bytes_are_read_or_told(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }
}
