//! What the channel keeps for the agent: records of state, until it is told to forget them, and the
//! prepared puts that it found and that nobody has decided yet.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flumen_core::state::{Recovered, RecoveredRecord, StateRecord};

use super::store::{FoundRecord, Prepared};

/// See the module's text.
pub(super) struct Records(Mutex<Kept>);

/// A plain mutex around it suffices: it is held for a few moves, never while the disk is asked.
struct Kept {
    forgotten: u64,
    found: Vec<RecoveredRecord>,
    undecided: Vec<Prepared>,
    /// Bytes of the records of each generation.
    bytes: BTreeMap<u64, u64>,
}

impl Records {
    /// Those that were found when the channel was opened.
    pub(super) fn found(forgotten: u64, records: Vec<FoundRecord>) -> Self {
        let mut kept = Kept {
            forgotten,
            found: Vec::with_capacity(records.len()),
            undecided: Vec::new(),
            bytes: BTreeMap::new(),
        };
        for FoundRecord { record, prepared } in records {
            kept.count(&record);
            kept.found.push(RecoveredRecord {
                record,
                decider: prepared.as_ref().map(|prepared| prepared.decider.clone()),
            });
            kept.undecided.extend(prepared);
        }
        Self(Mutex::new(kept))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recovered(&self) -> Recovered {
        let kept = self.lock();
        Recovered {
            forgotten: kept.forgotten,
            records: kept.found.clone(),
        }
    }

    /// A record was written.
    pub(super) fn keep(&self, record: &StateRecord) {
        self.lock().count(record);
    }

    pub(super) fn forget(&self, generation: u64) {
        let mut kept = self.lock();
        kept.forgotten = kept.forgotten.max(generation);
        let forgotten = kept.forgotten;
        kept.bytes.retain(|generation, _| *generation > forgotten);
        kept.found
            .retain(|found| found.record.generation > forgotten);
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes.values().sum()
    }

    /// The prepared puts that were found, until they are settled.
    pub(super) fn undecided(&self) -> Vec<Prepared> {
        self.lock().undecided.clone()
    }

    /// They are decided, and the database knows.
    pub(super) fn settled(&self) {
        self.lock().undecided.clear();
    }
}

impl Kept {
    fn count(&mut self, record: &StateRecord) {
        let bytes = self.bytes.entry(record.generation).or_default();
        *bytes += record.bytes.len() as u64;
    }
}
