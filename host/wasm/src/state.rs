//! The small state that a guest keeps, apart for each component name.
//!
//! What a guest writes during a call is staged in its instance and applied only when the outcome
//! of the call counts: for a sink when the events are delivered (or its flush succeeded), for a
//! source when the events are committed, for an interceptor when its answer was accepted. What a
//! failed call wrote is forgotten.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use flumen_core::state::StateWrite;
use flumen_core::{ComponentName, Fault};

use crate::limits::STATE_ENTRY_BYTES;

/// Where the states of all components live.
///
/// # Contract
/// `apply` is all or nothing, and what it has applied is seen by every later `get`. Components do
/// not see one another's keys. A store outlives the instances: a component that is made anew or
/// replaced by another version under the same name goes on with its state. All methods may be
/// called from any thread and return soon.
pub trait StateStore: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// A fault of the store.
    fn get(&self, component: &ComponentName, key: &str) -> Result<Option<Vec<u8>>, Fault>;

    /// The size of a component's state: its keys, its values, and [`STATE_ENTRY_BYTES`] for each.
    ///
    /// # Errors
    /// A fault of the store.
    fn bytes(&self, component: &ComponentName) -> Result<u64, Fault>;

    /// Applies changes, all or none.
    ///
    /// # Errors
    /// A fault of the store; nothing was applied.
    fn apply(&self, component: &ComponentName, writes: Vec<StateWrite>) -> Result<(), Fault>;
}

/// A state that lives as long as the agent.
#[derive(Debug, Default)]
pub struct MemoryState {
    components: Mutex<BTreeMap<ComponentName, Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    values: BTreeMap<String, Vec<u8>>,
    bytes: u64,
}

impl MemoryState {
    /// A store without any state.
    pub fn new() -> Self {
        Self::default()
    }

    /// A short lock: held for one look-up or one commit, never over an await.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ComponentName, Entries>> {
        self.components
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for MemoryState {
    fn get(&self, component: &ComponentName, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        let components = self.lock();
        let entries = components.get(component);
        Ok(entries.and_then(|entries| entries.values.get(key).cloned()))
    }

    fn bytes(&self, component: &ComponentName) -> Result<u64, Fault> {
        Ok(self
            .lock()
            .get(component)
            .map_or(0, |entries| entries.bytes))
    }

    fn apply(&self, component: &ComponentName, writes: Vec<StateWrite>) -> Result<(), Fault> {
        let mut components = self.lock();
        let entries = components.entry(component.clone()).or_default();
        for StateWrite { key, value } in writes {
            let key_bytes = key.len();
            let new = value
                .as_ref()
                .map_or(0, |value| entry_bytes(key_bytes, value.len()));
            let old = match value {
                Some(value) => entries.values.insert(key, value),
                None => entries.values.remove(&key),
            };
            let old = old.map_or(0, |old| entry_bytes(key_bytes, old.len()));
            entries.bytes = (entries.bytes + new).saturating_sub(old);
        }
        Ok(())
    }
}

/// What one entry counts.
pub(crate) fn entry_bytes(key_bytes: usize, value_bytes: usize) -> u64 {
    STATE_ENTRY_BYTES + key_bytes as u64 + value_bytes as u64
}

/// The changes of calls whose outcome does not count yet, on top of what is stored.
#[derive(Debug, Default)]
pub(crate) struct StagedState {
    writes: BTreeMap<String, Staged>,
    /// By how much the state grows when all of it is applied; kept up to date, because a guest may
    /// write very many keys.
    grown_bytes: i64,
}

#[derive(Debug)]
struct Staged {
    value: Option<Vec<u8>>,
    stored_bytes: u64,
}

impl StagedState {
    /// The staged value of a key: `None` when the key was not written, `Some(None)` when it was
    /// deleted.
    pub(crate) fn get(&self, key: &str) -> Option<Option<&Vec<u8>>> {
        self.writes.get(key).map(|staged| staged.value.as_ref())
    }

    /// Stages a change, unless the state would then be larger than `bytes_max` and larger than it
    /// is. Gives whether it was staged.
    ///
    /// # Errors
    /// A fault of the store beneath.
    pub(crate) fn write(
        &mut self,
        store: &dyn StateStore,
        component: &ComponentName,
        write: StateWrite,
        bytes_max: u64,
    ) -> Result<bool, Fault> {
        let StateWrite { key, value } = write;
        let size =
            |value: Option<&Vec<u8>>| value.map_or(0, |value| entry_bytes(key.len(), value.len()));
        let (stored_bytes, old) = match self.writes.get(&key) {
            Some(staged) => (staged.stored_bytes, size(staged.value.as_ref())),
            None => {
                let stored = size(store.get(component, &key)?.as_ref());
                (stored, stored)
            }
        };
        let new = size(value.as_ref());
        let grown_bytes = self.grown_bytes + new.cast_signed() - old.cast_signed();
        let total = store.bytes(component)?.saturating_add_signed(grown_bytes);
        if new > old && total > bytes_max {
            return Ok(false);
        }
        self.grown_bytes = grown_bytes;
        let staged = Staged {
            value,
            stored_bytes,
        };
        self.writes.insert(key, staged);
        Ok(true)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The changes; nothing is applied or forgotten.
    pub(crate) fn writes(&self) -> Vec<StateWrite> {
        let writes = self.writes.iter().map(|(key, staged)| StateWrite {
            key: key.clone(),
            value: staged.value.clone(),
        });
        writes.collect()
    }

    pub(crate) fn take(&mut self) -> Vec<StateWrite> {
        std::mem::take(self)
            .writes
            .into_iter()
            .map(|(key, staged)| StateWrite {
                key,
                value: staged.value,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str, value: Option<&[u8]>) -> StateWrite {
        StateWrite {
            key: key.into(),
            value: value.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn components_are_apart_and_sizes_follow_every_change() {
        let store = MemoryState::new();
        let (a, b) = (ComponentName::from("a"), ComponentName::from("b"));
        store.apply(&a, vec![write("key", Some(b"12345"))]).unwrap();
        assert_eq!(store.get(&a, "key").unwrap(), Some(b"12345".to_vec()));
        assert_eq!(store.get(&b, "key").unwrap(), None);
        assert_eq!(store.bytes(&a).unwrap(), STATE_ENTRY_BYTES + 8);
        store.apply(&a, vec![write("key", Some(b"1"))]).unwrap();
        assert_eq!(store.bytes(&a).unwrap(), STATE_ENTRY_BYTES + 4);
        let writes = vec![write("key", None), write("none", None)];
        store.apply(&a, writes).unwrap();
        assert_eq!(store.bytes(&a).unwrap(), 0);
    }

    #[test]
    fn staged_changes_are_bounded_by_what_they_lead_to() {
        let store = MemoryState::new();
        let name = ComponentName::from("a");
        store
            .apply(&name, vec![write("key", Some(b"12345"))])
            .unwrap();
        let mut staged = StagedState::default();
        let max = 2 * STATE_ENTRY_BYTES + 16;
        let mut put = |key: &str, value: Option<&[u8]>| {
            staged.write(&store, &name, write(key, value), max).unwrap()
        };
        assert!(put("new", Some(b"12345")));
        assert!(!put("new", Some(b"123456")), "one byte more");
        assert!(put("key", None));
        assert!(put("new", Some(&[0; 60])));
        assert!(!put("key", Some(b"")), "no room for it now");
        assert_eq!(staged.get("key"), Some(None));
        assert_eq!(staged.get("other"), None);
        store.apply(&name, staged.take()).unwrap();
        assert_eq!(store.bytes(&name).unwrap(), STATE_ENTRY_BYTES + 63);
    }
}
