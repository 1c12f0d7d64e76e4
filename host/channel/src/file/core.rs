//! The state behind its lock, and what the log's writer tells it. Knows the log only by what it
//! answers, so that the writer's thread never holds the last hand on the log itself.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flumen_core::metric::ChannelCounters;
use flumen_core::{ComponentName, Fault, FaultKind, Side};
use flumen_wal::{AppendError, Appended, Failure, Refusal as LogRefusal};
use tracing::error;

use super::acks::Acks;
use super::figures::Troubles;
use super::seal::Keyring;
use super::state::State;
use crate::bounded::{Accounted, Accounts, Outside};

/// How long a log that has no room is left alone, unless an acknowledgement frees some: the time
/// in which an operator may have freed space.
const FULL_PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What the channel, its keeper and everything that it gave out share.
pub(super) struct Core {
    pub(super) name: ComponentName,
    pub(super) counters: Arc<ChannelCounters>,
    pub(super) troubles: Troubles,
    pub(super) keyring: Arc<Keyring>,
    /// A plain mutex suffices: it is held for a few pointer moves per batch, never over an await,
    /// a read or a write, and never while foreign code runs.
    state: Mutex<State>,
    /// The keeper has work.
    work: Condvar,
}

impl Core {
    pub(super) fn new(name: ComponentName, keyring: Arc<Keyring>, state: State) -> Self {
        Self {
            name,
            counters: Arc::default(),
            troubles: Troubles::default(),
            keyring,
            state: Mutex::new(state),
            work: Condvar::new(),
        }
    }

    /// Acts on the state, then wakes whom the act served.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, &mut Outside) -> T) -> T {
        let mut outside = Outside::default();
        let (value, calls_keeper) = {
            // Nothing under the lock panics, and every step leaves the state whole; should it
            // happen after all, the events are worth more than the suspicion.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let value = act(&mut state, &mut outside);
            (value, state.calls_keeper())
        };
        if calls_keeper {
            self.work.notify_one();
        }
        outside.run();
        value
    }

    /// Lets the keeper sleep until `look` finds something to do. `look` says until when at most
    /// when it finds nothing.
    pub(super) fn keeper_waits<T>(
        &self,
        mut look: impl FnMut(&mut State) -> Result<T, Option<Instant>>,
    ) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            state.keeper_wakes();
            let until = match look(&mut state) {
                Ok(found) => return found,
                Err(until) => until,
            };
            state.keeper_sleeps(until);
            state = match until {
                Some(until) => {
                    let time = until.saturating_duration_since(Instant::now());
                    let waited = self.work.wait_timeout(state, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Acknowledgements went into the log, or did not and wait again.
    pub(super) fn acks_done(&self, outcome: Result<Appended, AppendError>, size_bytes: u64) {
        match outcome {
            Ok(_) => self.with(|state, outside| {
                state.acks.set_scattered(false);
                // They may have freed a segment.
                if state.accounts.is_held() {
                    state.set_full(None, outside);
                }
                state.log_moved(outside);
            }),
            Err(refused) => {
                let ranges = refused.record.acknowledged;
                self.acks_refused(Acks { ranges, size_bytes }, &refused.refusal);
            }
        }
    }

    /// Acknowledgements did not get into the log.
    pub(super) fn acks_refused(&self, acks: Acks, refusal: &LogRefusal) {
        let is_new = self.with(|state, outside| {
            if !acks.ranges.is_empty() && matches!(refusal, LogRefusal::Scattered { .. }) {
                state.acks.set_scattered(true);
            }
            state.acks.put_back(acks);
            state.log_moved(outside);
            self.take_refusal(refusal, state, outside)
        });
        self.tell_failure(is_new.as_deref());
    }

    /// Events did not get into the log.
    pub(super) fn put_refused(&self, refusal: &LogRefusal) -> Fault {
        self.troubles.put_errors.add(1);
        let is_new = self.with(|state, outside| self.take_refusal(refusal, state, outside));
        self.tell_failure(is_new.as_deref());
        self.fault(refusal)
    }

    /// What a refusal says of the log as a whole. Gives its failure the first time.
    fn take_refusal(
        &self,
        refusal: &LogRefusal,
        state: &mut State,
        outside: &mut Outside,
    ) -> Option<Arc<Failure>> {
        match refusal {
            LogRefusal::Full => {
                state.set_full(Some(Instant::now() + FULL_PROBE_INTERVAL), outside);
                None
            }
            LogRefusal::Failed(failure) | LogRefusal::Unknown(failure) => state
                .fail(Arc::clone(failure), outside)
                .then(|| Arc::clone(failure)),
            _ => None,
        }
    }

    /// Once, because every put after it says so too.
    fn tell_failure(&self, failure: Option<&Failure>) {
        if let Some(failure) = failure {
            error!(
                channel = %self.name,
                "file channel takes no more events, those in it are still delivered: {failure}"
            );
        }
    }

    /// A refusal in the words of the contract.
    pub(super) fn fault(&self, refusal: &LogRefusal) -> Fault {
        let name = &self.name;
        match refusal {
            LogRefusal::Full => Fault::transient(
                Side::Machine,
                format!(
                    "channel {name}: no space for more events on its disk (minimumRequiredSpace is \
                     kept free); free space, or wait until its sink has delivered some"
                ),
            ),
            LogRefusal::TooLarge { bytes, most } => Fault::new(
                FaultKind::Poison,
                Side::Data,
                format!(
                    "channel {name}: a batch takes {bytes} bytes, more than the {most} of a \
                     transaction; lower the batch size of the source"
                ),
            ),
            LogRefusal::Failed(failure) => self.failed(failure),
            LogRefusal::Unknown(failure) => self.failed(failure).uncertain(),
            LogRefusal::NotThere { .. } => {
                Fault::new(FaultKind::Broken, Side::Component, self.message(refusal))
            }
            _ => Fault::transient(Side::Machine, self.message(refusal)),
        }
    }

    /// The log has failed.
    pub(super) fn failed(&self, failure: &Arc<Failure>) -> Fault {
        Fault::transient(Side::Machine, self.message(failure))
    }

    fn message(&self, what: &dyn std::fmt::Display) -> String {
        format!("channel {}: {what}", self.name)
    }
}

impl Accounted for Core {
    fn with_accounts<T>(&self, act: impl FnOnce(&mut Accounts, &mut Outside) -> T) -> T {
        self.with(|state, outside| act(&mut state.accounts, outside))
    }
}
