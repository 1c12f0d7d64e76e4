//! Versions of a component: a new one that a reload put in place of one that ran is on probation, and
//! taken back when it fails on its first batches.
//!
//! Guarantees:
//! * While a version is on probation the one before it is kept, ready to be made or called again.
//! * A fault that says that the new one is broken, or cannot run as it is configured, puts the old
//!   one back at once; whoever met the fault handles the very batch with the old one.
//! * Probation ends after [`PROBATION_BATCHES`] batches that went well, or [`PROBATION_TIME`] after
//!   the first batch began; the old version is dropped then.
//!
//! States: proven; on probation (next: proven, rolled back); rolled back, until a reload brings
//! another version. The plan goes on naming the version that was taken back.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use flumen_core::{ComponentName, Fault, FaultKind};
use flumen_wasm::Digest;
use tokio::time::Instant;
use tracing::{error, info};

use crate::poison::PoisonCounters;

/// Batches that a new version has to handle well. A component that is wrong in itself fails on the
/// first; sixteen leave room for one that fails now and then.
pub(crate) const PROBATION_BATCHES: u32 = 16;

/// How long after its first batch a new version may be taken back. What goes wrong later has another
/// cause than the change, and the old version costs memory for as long as it is kept.
pub(crate) const PROBATION_TIME: Duration = Duration::from_secs(60);

/// One version of a component: what it is, or what makes its instances.
pub(crate) struct Version<T> {
    pub(crate) made: T,
    /// The SHA-256 of its file; `None` for what is built in.
    pub(crate) digest: Option<Arc<str>>,
}

impl<T> Version<T> {
    /// A version of what is built in.
    pub(crate) fn built_in(made: T) -> Self {
        Self { made, digest: None }
    }

    /// A version of a guest.
    pub(crate) fn of_guest(made: T, digest: Digest) -> Self {
        Self {
            made,
            digest: Some(digest.to_string().into()),
        }
    }

    /// The first digits of the digest, for logs.
    fn shown(&self) -> &str {
        const SHORT_DIGITS: usize = 12;
        match &self.digest {
            Some(digest) => digest.get(..SHORT_DIGITS).unwrap_or(digest),
            None => "built in",
        }
    }
}

impl<T> fmt::Debug for Version<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Version").field(&self.shown()).finish()
    }
}

/// The versions of one component that its plan names once.
#[derive(Debug)]
pub(crate) struct Versions<T> {
    component: ComponentName,
    counters: Arc<PoisonCounters>,
    current: ArcSwap<Version<T>>,
    /// Changed under the lock, after `current`: who reads false finds the version that stays.
    on_probation: AtomicBool,
    // A plain mutex: held for a look, never over an await.
    phase: Mutex<Phase<T>>,
}

#[derive(Debug)]
enum Phase<T> {
    Proven,
    OnProbation {
        old: Arc<Version<T>>,
        batches: u32,
        since: Option<Instant>,
    },
    RolledBack {
        reason: String,
    },
}

impl<T: Send + Sync + 'static> Versions<T> {
    /// A component whose version has nothing before it.
    pub(crate) fn first(
        component: ComponentName,
        version: Version<T>,
        counters: Arc<PoisonCounters>,
    ) -> Arc<Self> {
        Self::of(component, version, counters, Phase::Proven)
    }

    /// A component whose version follows `old`, which runs.
    pub(crate) fn after(
        old: Arc<Version<T>>,
        component: ComponentName,
        version: Version<T>,
        counters: Arc<PoisonCounters>,
    ) -> Arc<Self> {
        let phase = Phase::OnProbation {
            old,
            batches: 0,
            since: None,
        };
        Self::of(component, version, counters, phase)
    }

    fn of(
        component: ComponentName,
        version: Version<T>,
        counters: Arc<PoisonCounters>,
        phase: Phase<T>,
    ) -> Arc<Self> {
        Arc::new(Self {
            component,
            counters,
            current: ArcSwap::from_pointee(version),
            on_probation: AtomicBool::new(matches!(phase, Phase::OnProbation { .. })),
            phase: Mutex::new(phase),
        })
    }

    /// The version that handles batches now.
    pub(crate) fn current(&self) -> Arc<Version<T>> {
        self.current.load_full()
    }

    /// The version that a successor falls back to: the last that was not on probation.
    pub(crate) fn proven(&self) -> Arc<Version<T>> {
        match &*self.phase() {
            Phase::OnProbation { old, .. } => Arc::clone(old),
            Phase::Proven | Phase::RolledBack { .. } => self.current(),
        }
    }

    /// Whether the current version may still be taken back.
    pub(crate) fn is_on_probation(&self) -> bool {
        self.on_probation.load(Ordering::Acquire)
    }

    /// Why the version that the plan names was taken back, if it was.
    pub(crate) fn rolled_back(&self) -> Option<String> {
        match &*self.phase() {
            Phase::RolledBack { reason } => Some(reason.clone()),
            Phase::Proven | Phase::OnProbation { .. } => None,
        }
    }

    /// The current version is about to handle a batch.
    pub(crate) fn begins(&self) {
        if !self.is_on_probation() {
            return;
        }
        let mut phase = self.phase();
        if let Phase::OnProbation { since, .. } = &mut *phase {
            let now = Instant::now();
            if since.is_none() {
                self.counters.goes_on();
            }
            let since = *since.get_or_insert(now);
            if now.saturating_duration_since(since) >= PROBATION_TIME {
                self.pass(&mut phase);
            }
        }
    }

    /// The current version has handled a batch.
    pub(crate) fn handled(&self) {
        if !self.is_on_probation() {
            return;
        }
        let mut phase = self.phase();
        if let Phase::OnProbation { batches, .. } = &mut *phase {
            *batches += 1;
            if *batches >= PROBATION_BATCHES {
                self.pass(&mut phase);
            }
        }
    }

    /// `version` met a fault. True when another version is to handle what it failed on: this fault
    /// took it back, or one of another batch had done so meanwhile.
    pub(crate) fn failed(&self, version: &Arc<Version<T>>, fault: &Fault) -> bool {
        let mut phase = self.phase();
        if !Arc::ptr_eq(version, &self.current()) {
            return true;
        }
        let is_its_own = matches!(fault.kind(), FaultKind::Broken | FaultKind::Configuration);
        let Phase::OnProbation { old, .. } = &*phase else {
            return false;
        };
        if !is_its_own {
            return false;
        }
        error!(
            component = %self.component, old = old.shown(), new = version.shown(),
            "new version failed on its first batches and the old one is back: {fault}"
        );
        self.current.store(Arc::clone(old));
        self.counters.rolled_back(fault.to_string());
        *phase = Phase::RolledBack {
            reason: fault.to_string(),
        };
        self.on_probation.store(false, Ordering::Release);
        true
    }

    fn pass(&self, phase: &mut Phase<T>) {
        let passed = std::mem::replace(phase, Phase::Proven);
        self.on_probation.store(false, Ordering::Release);
        info!(component = %self.component, "new version has passed its first batches");
        // Freeing instances and code takes time that the flow need not wait for.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { drop(passed) });
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase<T>> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_core::Side;

    fn version(made: u32) -> Version<u32> {
        Version::built_in(made)
    }

    fn successor() -> Arc<Versions<u32>> {
        let old = Arc::new(version(1));
        let name = ComponentName::from("sinks.k1");
        Versions::after(old, name, version(2), Arc::default())
    }

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, Side::Component, "told to fail")
    }

    #[tokio::test]
    async fn a_version_that_breaks_on_probation_is_taken_back() {
        for kind in [FaultKind::Broken, FaultKind::Configuration] {
            let versions = successor();
            let new = versions.current();
            versions.begins();
            assert!(!versions.failed(&new, &fault(FaultKind::Transient)));
            assert!(!versions.failed(&new, &fault(FaultKind::Poison)));
            assert!(versions.failed(&new, &fault(kind)));
            assert_eq!(versions.current().made, 1);
            assert_eq!(versions.rolled_back().as_deref(), Some("told to fail"));
            assert_eq!(versions.counters.rolled_back.get(), 1);
            // A batch that was with the new one is the old one's too; the old one's faults are its
            // own.
            assert!(versions.failed(&new, &fault(FaultKind::Broken)));
            assert!(!versions.failed(&versions.current(), &fault(FaultKind::Broken)));
            assert_eq!(versions.counters.rolled_back.get(), 1);
            assert_eq!(versions.proven().made, 1);
        }
    }

    #[tokio::test]
    async fn enough_batches_end_the_probation() {
        let versions = successor();
        assert_eq!(versions.proven().made, 1);
        for _ in 0..PROBATION_BATCHES {
            assert!(versions.is_on_probation());
            versions.begins();
            versions.handled();
        }
        assert!(!versions.is_on_probation());
        assert_eq!(versions.proven().made, 2);
        assert!(!versions.failed(&versions.current(), &fault(FaultKind::Broken)));
        assert_eq!(versions.current().made, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_probation_begins_with_the_first_batch() {
        let versions = successor();
        tokio::time::advance(2 * PROBATION_TIME).await;
        versions.begins();
        assert!(versions.is_on_probation());
        tokio::time::advance(PROBATION_TIME).await;
        versions.begins();
        assert!(!versions.is_on_probation());
    }
}
