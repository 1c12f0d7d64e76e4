//! What the channel and everything that it gave out hold together, and the end of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use flumen_core::{Fault, FaultKind, Side};
use flumen_wal::Log;
use tracing::warn;

use super::core::Core;
use super::keeper::Keeper;
use super::kept::Kept;
use super::payload::KeptState;

/// Bytes of the states of all components together: some sources with large positions. They stand in
/// each snapshot, so they are part of what a new segment costs.
pub const STATES_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long the end of a channel waits for its log to be closed. A disk that takes longer is left
/// to the keeper; what was confirmed is safe.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// What the channel and everything that it gave out hold: with the last of them the log is closed.
pub(super) struct Owner {
    core: Arc<Core>,
    /// Before `ending`, so that the keeper's is the last hand on the log when it is told to end.
    log: Arc<Log>,
    kept: Kept,
    record_bytes_max: u64,
    strict: AtomicBool,
    /// Until the log is closed, the last thing that happens to it.
    _ending: Ending,
}

/// Tells the keeper to end, and waits until it has closed the log.
struct Ending {
    core: Arc<Core>,
    ended: Arc<Ended>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.core.with(|state, _| state.is_ending = true);
        if !self.ended.wait() {
            let seconds = CLOSE_DEADLINE.as_secs();
            warn!(
                channel = %self.core.name,
                "file channel is not closed after {seconds} s; it goes on in the background"
            );
        }
    }
}

/// Whether the keeper has closed the log.
#[derive(Default)]
struct Ended {
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Ended {
    fn tell(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.notify_all();
    }

    fn wait(&self) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .over
            .wait_timeout_while(is_over, CLOSE_DEADLINE, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Tells the end of the keeper, however it ends.
struct TellEnd(Arc<Ended>);

impl Drop for TellEnd {
    fn drop(&mut self) {
        self.0.tell();
    }
}

impl Owner {
    /// Begins the life of an open log as a channel.
    ///
    /// # Errors
    /// A transient fault when the system gives no thread for the keeper.
    pub(super) fn start(
        core: Arc<Core>,
        log: Log,
        kept: Kept,
        record_bytes_max: u64,
    ) -> Result<Owner, Fault> {
        let ended: Arc<Ended> = Arc::default();
        let owner = Owner {
            log: Arc::new(log),
            kept,
            record_bytes_max,
            strict: AtomicBool::new(false),
            _ending: Ending {
                core: Arc::clone(&core),
                ended: Arc::clone(&ended),
            },
            core,
        };
        owner.start_keeper(TellEnd(ended))?;
        Ok(owner)
    }

    /// Starts the keeper, which holds the log to its end.
    fn start_keeper(&self, end: TellEnd) -> Result<(), Fault> {
        let keeper = Keeper::new(Arc::clone(&self.core), Arc::clone(&self.log));
        let started = thread::Builder::new()
            .name("file-channel".to_owned())
            .spawn(move || {
                keeper.run();
                drop(end);
            });
        started.map(drop).map_err(|cause| {
            let message = format!("channel {}: no thread for its keeper", self.core.name);
            Fault::transient(Side::Machine, message).with_cause(cause)
        })
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Whether an acknowledgement waits until it is in the log.
    pub(super) fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Relaxed)
    }

    pub(super) fn set_strict(&self, strict: bool) {
        self.strict.store(strict, Ordering::Relaxed);
    }

    /// Bytes of the largest record.
    pub(super) fn record_bytes_max(&self) -> u64 {
        self.record_bytes_max
    }

    /// Ranges of acknowledgements for which there is room beside a payload of this size.
    pub(super) fn ranges_beside(&self, payload_bytes: u64) -> usize {
        let room = self.record_bytes_max.saturating_sub(payload_bytes);
        usize::try_from(room / RANGE_BYTES).unwrap_or(usize::MAX)
    }

    /// Whether the states fit a snapshot.
    pub(super) fn check_states(&self, states: &[KeptState]) -> Result<(), Fault> {
        if states.is_empty() {
            return Ok(());
        }
        let bytes = self.kept.states_bytes_with(states);
        let most = STATES_BYTES_MAX.min(self.record_bytes_max / 4);
        if bytes > most {
            let message = format!(
                "channel {}: the states of its sources and components take {bytes} bytes, more \
                 than the {most} that it keeps; let them keep less",
                self.core.name
            );
            return Err(Fault::new(FaultKind::Broken, Side::Component, message));
        }
        Ok(())
    }
}

/// Bytes of an acknowledged range in a record.
const RANGE_BYTES: u64 = 16;
