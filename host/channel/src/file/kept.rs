//! What the channel has to know after a restart without reading the whole log: a fold over its
//! frames, which the log writes into each segment and hands back.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flumen_core::ComponentName;
use flumen_wal::{LogState, Passing};

use super::payload::{
    Head, KeptState, MAGIC, PayloadError, STATE_OVERHEAD_BYTES, decode_snapshot, decode_states,
    encode_snapshot,
};

/// The fold. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// A plain mutex suffices: the log's writer holds it for the head of one frame.
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Bytes of the bodies of all events that are not acknowledged.
    size_bytes: u64,
    states: BTreeMap<ComponentName, KeptState>,
    /// Why a frame could not be taken in, the first time.
    problem: Option<PayloadError>,
}

impl Kept {
    /// Bytes of all events that are not acknowledged. After damage this may be more than there
    /// are, until the channel was empty once.
    pub(super) fn size_bytes(&self) -> u64 {
        self.lock().size_bytes
    }

    /// The newest state of each component.
    pub(super) fn states(&self) -> Vec<KeptState> {
        self.lock().states.values().cloned().collect()
    }

    /// Bytes that the states take in a snapshot when these are the newest of their components.
    pub(super) fn states_bytes_with(&self, new: &[KeptState]) -> u64 {
        let bytes = |state: &KeptState| {
            let name = state.component.as_str().len();
            (STATE_OVERHEAD_BYTES + name + state.bytes.len()) as u64
        };
        let inner = self.lock();
        let stay = |state: &&KeptState| new.iter().all(|own| own.component != state.component);
        inner
            .states
            .values()
            .filter(stay)
            .chain(new)
            .map(bytes)
            .sum()
    }

    /// Why a frame that is whole could not be taken in.
    pub(super) fn take_problem(&self) -> Option<PayloadError> {
        self.lock().problem.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take_in(&mut self, payload: &[u8]) -> Result<(), PayloadError> {
        let head = Head::decode(payload, MAGIC)?;
        let states = payload.get(head.states()).ok_or(PayloadError::Length)?;
        for state in decode_states(states)? {
            self.states.insert(state.component.clone(), state);
        }
        let size = self.size_bytes.saturating_add(head.size_bytes);
        self.size_bytes = size.saturating_sub(head.released_bytes);
        Ok(())
    }
}

impl LogState for Kept {
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (size_bytes, states) = decode_snapshot(snapshot)?;
        let mut inner = self.lock();
        inner.size_bytes = size_bytes;
        inner.states = states
            .into_iter()
            .map(|state| (state.component.clone(), state))
            .collect();
        Ok(())
    }

    fn apply(&mut self, frame: Passing<'_>) {
        let mut inner = self.lock();
        if let Err(error) = inner.take_in(frame.payload) {
            inner.problem.get_or_insert(error);
        }
    }

    fn lost(&mut self, _items: Range<u64>) {
        // What they took is not known. The next acknowledgement that empties the channel says so.
    }

    fn snapshot(&self, bytes: &mut Vec<u8>) {
        let inner = self.lock();
        encode_snapshot(inner.size_bytes, inner.states.values(), bytes);
    }
}
