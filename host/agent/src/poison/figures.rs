//! How often components failed for good, by their qualified names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flumen_core::ComponentName;
use flumen_core::metric::Counter;

/// What is counted of one component. Kept across reloads for as long as its name is in the plan.
#[derive(Debug, Default)]
pub(crate) struct PoisonCounters {
    /// Events that were found to be poison; those that a policy lets block count once.
    pub(crate) poison: Counter,
    /// Events that were put into the dead-letter channel.
    pub(crate) dead_lettered: Counter,
    /// Events that the policy dropped.
    pub(crate) dropped: Counter,
    /// Versions that failed on their first batches and were taken back.
    pub(crate) rolled_back: Counter,
    /// Why the last version was taken back, until another one is at work. A plain mutex: held for a
    /// copy.
    rolled_back_because: Mutex<Option<String>>,
}

impl PoisonCounters {
    /// A version was taken back.
    pub(crate) fn rolled_back(&self, reason: String) {
        self.rolled_back.add(1);
        *self.because() = Some(reason);
    }

    /// Another version is at work.
    pub(crate) fn goes_on(&self) {
        *self.because() = None;
    }

    fn because(&self) -> MutexGuard<'_, Option<String>> {
        self.rolled_back_because
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The figures of one component at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoisonCounts {
    /// Events that were found to be poison.
    pub poison: u64,
    /// Events that were put into the dead-letter channel.
    pub dead_lettered: u64,
    /// Events that the policy dropped.
    pub dropped: u64,
    /// Versions that failed on their first batches and were taken back.
    pub rolled_back: u64,
    /// Why the version that the plan names does not run, when it was taken back.
    pub rolled_back_because: Option<String>,
}

/// The figures of all components that handle events. A plain mutex: held for a look-up or a copy.
#[derive(Debug, Default)]
pub(crate) struct PoisonFigures(Mutex<BTreeMap<ComponentName, Arc<PoisonCounters>>>);

impl PoisonFigures {
    /// The counters of a component: `sinks.k1`, `sources.r1`, `sources.r1.interceptors.i1`.
    pub(crate) fn of(&self, component: &ComponentName) -> Arc<PoisonCounters> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(component.clone()).or_default())
    }

    /// Forgets the components that are not in the plan any more.
    pub(crate) fn keep(&self, mut is_in_plan: impl FnMut(&ComponentName) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|component, _| is_in_plan(component));
    }

    /// All figures now.
    pub(crate) fn counts(&self) -> BTreeMap<ComponentName, PoisonCounts> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |counters: &PoisonCounters| PoisonCounts {
            poison: counters.poison.get(),
            dead_lettered: counters.dead_lettered.get(),
            dropped: counters.dropped.get(),
            rolled_back: counters.rolled_back.get(),
            rolled_back_because: counters.because().clone(),
        };
        all.iter()
            .map(|(component, counters)| (component.clone(), counts(counters)))
            .collect()
    }
}
