//! What the channel and everything that it gave out hold together, and the end of it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use flumen_core::{BoxFuture, Fault, Side};
use flumen_wal::{Buffers, Log};
use tracing::warn;

use super::core::Core;
use super::keeper::{Keeper, Reading};
use super::kept::{self, Kept};
use super::payload::Record;

/// How long the end of a channel waits for its log to be closed. A disk that takes longer is left
/// to the keeper; what was confirmed is safe.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// What the channel and everything that it gave out hold: with the last of them the log is closed.
pub(super) struct Owner {
    core: Arc<Core>,
    /// Nothing once it was released. A plain mutex suffices: it is held for a copy of the pointer.
    /// Before `ending`, so that the keeper's is the last hand on the log when it is told to end.
    log: Mutex<Option<Arc<Log>>>,
    /// The log's memory for payloads.
    buffers: Arc<Buffers>,
    kept: Kept,
    in_flight: Arc<AtomicU64>,
    bounds: LogBounds,
    strict: AtomicBool,
    ended: Arc<Ended>,
    /// Until the log is closed, the last thing that happens to it.
    _ending: Ending,
}

/// What the log takes at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogBounds {
    /// Bytes of one record of the log.
    pub(super) record_bytes_max: u64,
    /// Bytes of all records of state in a snapshot.
    pub(super) states_bytes_max: u64,
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
    end: Mutex<End>,
    over: Condvar,
}

#[derive(Default)]
struct End {
    is_over: bool,
    is_well: bool,
    wakers: Vec<Waker>,
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, is_well: bool) {
        let mut end = self.lock();
        end.is_over = true;
        end.is_well = is_well;
        let wakers = std::mem::take(&mut end.wakers);
        drop(end);
        self.over.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wait(&self) -> bool {
        let waited = self
            .over
            .wait_timeout_while(self.lock(), CLOSE_DEADLINE, |end| !end.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }

    /// Whether it ended well, once it has.
    fn poll(&self, context: &Context<'_>) -> Poll<bool> {
        let mut end = self.lock();
        if end.is_over {
            return Poll::Ready(end.is_well);
        }
        end.wakers.push(context.waker().clone());
        Poll::Pending
    }
}

/// Tells the end of the keeper, however it ends.
struct TellEnd {
    ended: Arc<Ended>,
    is_well: bool,
}

impl Drop for TellEnd {
    fn drop(&mut self) {
        self.ended.tell(self.is_well);
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
        bounds: LogBounds,
        reading: Reading,
    ) -> Result<Owner, Fault> {
        let ended: Arc<Ended> = Arc::default();
        let log = Arc::new(log);
        let buffers = Arc::clone(log.buffers());
        let keeper = Keeper::new(Arc::clone(&core), Arc::clone(&log), reading);
        let owner = Owner {
            log: Mutex::new(Some(log)),
            buffers,
            kept,
            in_flight: Arc::default(),
            bounds,
            strict: AtomicBool::new(false),
            ended: Arc::clone(&ended),
            _ending: Ending {
                core: Arc::clone(&core),
                ended: Arc::clone(&ended),
            },
            core,
        };
        let end = TellEnd {
            ended,
            is_well: false,
        };
        owner.start_keeper(keeper, end)?;
        Ok(owner)
    }

    /// Starts the keeper, which holds the log to its end.
    fn start_keeper(&self, keeper: Keeper, mut end: TellEnd) -> Result<(), Fault> {
        let started = thread::Builder::new()
            .name("file-channel".to_owned())
            .spawn(move || {
                end.is_well = keeper.run();
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

    pub(super) fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    /// The log; nothing once it was released.
    pub(super) fn log(&self) -> Option<Arc<Log>> {
        self.lock_log().clone()
    }

    fn lock_log(&self) -> MutexGuard<'_, Option<Arc<Log>>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an acknowledgement waits until it is in the log.
    pub(super) fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Relaxed)
    }

    pub(super) fn set_strict(&self, strict: bool) {
        self.strict.store(strict, Ordering::Relaxed);
    }

    /// Bytes of the largest batch: a record of the log, less what a record of state may take.
    pub(super) fn batch_bytes_max(&self) -> u64 {
        let record = self.bounds.record_bytes_max;
        record - STATE_BYTES_BESIDE.min(record / 8)
    }

    /// Ranges of acknowledgements for which there is room beside a payload of this size.
    pub(super) fn ranges_beside(&self, payload_bytes: u64) -> usize {
        let room = self.bounds.record_bytes_max.saturating_sub(payload_bytes);
        usize::try_from(room / RANGE_BYTES as u64).unwrap_or(usize::MAX)
    }

    /// Lets a record pass if it fits the next snapshot beside those that are there and under way.
    ///
    /// # Errors
    /// A transient fault when it does not: some have to be forgotten first.
    pub(super) fn admit(&self, record: Option<&Record>) -> Result<InFlight, Fault> {
        let bytes = record.map_or(0, kept::bytes_of);
        let in_flight = InFlight::new(&self.in_flight, bytes);
        if bytes == 0 {
            return Ok(in_flight);
        }
        let kept = self.kept.records_bytes();
        if kept + self.in_flight.load(Ordering::Relaxed) <= self.bounds.states_bytes_max {
            return Ok(in_flight);
        }
        self.forget_soon();
        let message = format!(
            "channel {}: it keeps {kept} bytes of states that the state folder has not written, \
             and has no room for more; make room where the state folder is",
            self.core.name
        );
        Err(Fault::transient(Side::Machine, message))
    }

    /// Records up to this generation are of no use any more.
    pub(super) fn forget(&self, generation: u64) {
        self.core.with(|state, _| state.forget(generation));
        if self.kept.records_bytes() > FORGET_BYTES {
            self.forget_soon();
        }
    }

    /// Has the log told what is forgotten, also when no frame comes that could say so.
    fn forget_soon(&self) {
        self.core.with(|state, _| {
            if state.forgotten() > self.kept.forgotten() {
                state.set_forget_due();
            }
        });
    }

    /// The records and how far they were forgotten.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Ends the keeper, which closes the log. Ready when it has.
    pub(super) fn release(&self) -> BoxFuture<'static, Result<(), Fault>> {
        drop(self.lock_log().take());
        self.core.with(|state, _| state.is_ending = true);
        let (core, ended) = (Arc::clone(&self.core), Arc::clone(&self.ended));
        Box::pin(async move {
            match poll_fn(|context| ended.poll(context)).await {
                true => Ok(()),
                false => {
                    let message = format!("channel {}: its log was not closed well", core.name);
                    Err(Fault::transient(Side::Machine, message))
                }
            }
        })
    }
}

/// Bytes of records on their way into the log; counts them out when it is dropped.
pub(super) struct InFlight {
    all: Arc<AtomicU64>,
    bytes: u64,
}

impl InFlight {
    fn new(all: &Arc<AtomicU64>, bytes: u64) -> Self {
        all.fetch_add(bytes, Ordering::Relaxed);
        Self {
            all: Arc::clone(all),
            bytes,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes of records from which on the log is told at once what may be forgotten. The agent puts no
/// further records into a channel that keeps some megabytes of them.
const FORGET_BYTES: u64 = 256 * 1024;

/// Bytes that are kept for a record of state beside a batch: the largest that the agent writes.
const STATE_BYTES_BESIDE: u64 = 2 * 1024 * 1024;

/// Bytes of an acknowledged range in a record.
pub(super) const RANGE_BYTES: usize = 16;
