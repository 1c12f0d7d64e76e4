//! The state behind its lock, the threads, and what is held against the channel: room, waits and
//! leases, each of which gives back what it holds when it is dropped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use flumen_clients::sqlite::{JobQueue, Worker};
use flumen_core::channel::TakeLimits;
use flumen_core::clock::Clock;
use flumen_core::metric::ChannelCounters;
use flumen_core::state::StateRecord;
use flumen_core::{ComponentName, EventBatch, Fault, Side};

use super::prepared::Preparing;
use super::reader::ReadJob;
use super::records::Records;
use super::state::{NotTaken, State, Stored, Taken};
use super::writer::{Answer, End, Job};
use crate::bounded::{Accounted, Accounts, Outside, Room, Ticket};

/// What the channel's threads have of it.
pub(super) struct Inner {
    pub(super) name: ComponentName,
    /// A plain mutex suffices: it is held for a few pointer moves per batch, never over an await,
    /// never while foreign code runs and never while the disk is asked.
    state: Mutex<State>,
    pub(super) counters: Arc<ChannelCounters>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) space: Space,
    pub(super) records: Records,
    pub(super) writes: JobQueue<Job>,
    pub(super) reads: JobQueue<ReadJob>,
}

/// What the channel and everything that it gave out share. The last one ends the threads and lets
/// go of the database.
pub(super) struct Shared {
    pub(super) inner: Arc<Inner>,
    pub(super) _writer: Worker<Job>,
    pub(super) _reader: Worker<ReadJob>,
}

impl Inner {
    pub(super) fn new(
        name: ComponentName,
        state: State,
        clock: Arc<dyn Clock>,
        space: Space,
        records: Records,
    ) -> Self {
        Self {
            name,
            state: Mutex::new(state),
            counters: Arc::default(),
            clock,
            space,
            records,
            writes: JobQueue::new(),
            reads: JobQueue::new(),
        }
    }

    /// Acts on the state, then wakes whom the act served and has read what it left to read.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, &mut Outside) -> T) -> T {
        let mut outside = Outside::default();
        let (value, request) = {
            // Nothing under the lock panics, and every step leaves the state whole; should it
            // happen after all, the events are worth more than the suspicion.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let value = act(&mut state, &mut outside);
            (value, state.read_request())
        };
        if let Some(request) = request {
            self.reads.submit(ReadJob::Page(request));
        }
        outside.run();
        value
    }
}

impl Accounted for Shared {
    fn with_accounts<T>(&self, act: impl FnOnce(&mut Accounts, &mut Outside) -> T) -> T {
        self.inner
            .with(|state, outside| act(&mut state.accounts, outside))
    }
}

/// Room on the disk. Acknowledgements need some too, so puts leave a part of it alone: a channel
/// on a full disk can still be emptied.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) folder: PathBuf,
    pub(super) free_bytes_min: AtomicU64,
    /// A put was refused for want of space; reservations look again before they are granted.
    is_short: AtomicBool,
}

impl Space {
    pub(super) fn new(folder: PathBuf, free_bytes_min: u64) -> Self {
        Self {
            folder,
            free_bytes_min: AtomicU64::new(free_bytes_min),
            is_short: AtomicBool::new(false),
        }
    }

    /// Whether events may be written. A folder that cannot be asked is no reason to refuse: the
    /// write will tell.
    pub(super) fn check(&self) -> Result<(), Shortage<'_>> {
        let free_bytes_min = self.free_bytes_min.load(Ordering::Relaxed);
        let free_bytes = rustix::fs::statvfs(&self.folder)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let is_short = free_bytes < free_bytes_min;
        self.is_short.store(is_short, Ordering::Relaxed);
        if !is_short {
            return Ok(());
        }
        Err(Shortage {
            folder: &self.folder,
            free_bytes,
            free_bytes_min,
        })
    }

    /// The same, asked of the disk only when it was short before.
    pub(super) fn check_again(&self) -> Result<(), Shortage<'_>> {
        match self.is_short.load(Ordering::Relaxed) {
            true => self.check(),
            false => Ok(()),
        }
    }
}

/// There is too little room on the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortage<'a> {
    folder: &'a Path,
    free_bytes: u64,
    free_bytes_min: u64,
}

impl Shortage<'_> {
    pub(super) fn fault(&self) -> Fault {
        Fault::transient(
            Side::Machine,
            format!(
                "the disk of {} has {} bytes free, and minimum_free_bytes is {}; make room on it, \
                 or let the sink catch up",
                self.folder.display(),
                self.free_bytes,
                self.free_bytes_min,
            ),
        )
    }
}

/// Reserved room with the events that it is for.
pub(super) struct Held {
    shared: Arc<Shared>,
    room: Room,
    events: Option<EventBatch>,
}

impl Held {
    /// Room that the state has just granted.
    pub(super) fn granted(shared: &Arc<Shared>, room: Room, events: EventBatch) -> Self {
        Self {
            shared: Arc::clone(shared),
            room,
            events: Some(events),
        }
    }

    /// Hands the events to the writer, who has the room from then on. `None` when there is nothing
    /// to write.
    pub(super) fn commit(mut self, record: Option<StateRecord>) -> Option<Answer> {
        let events = self
            .events
            .take_if(|events| !events.is_empty() || record.is_some())?;
        let (job, answer) = Job::put(events, self.room, record);
        self.shared.inner.writes.submit(job);
        Some(answer)
    }

    /// The same for a put that another channel decides.
    pub(super) fn prepare(mut self, record: StateRecord, decider: ComponentName) -> Preparing {
        let events = self.events.take().unwrap_or_default();
        let (room, generation) = (self.room, record.generation);
        let (job, answer) = Job::prepare(events.clone(), room, record, decider);
        self.shared.inner.writes.submit(job);
        Preparing {
            shared: Arc::clone(&self.shared),
            events,
            room,
            generation,
            answer,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.events.take().is_some() {
            let room = self.room;
            self.shared
                .with_accounts(|accounts, outside| accounts.release_reserved(room, outside));
        }
    }
}

/// A wait for events. Dropping it leaves the line; if it had been woken, the next one is.
pub(super) struct EventWait<'a> {
    shared: &'a Arc<Shared>,
    limits: TakeLimits,
    ticket: Option<Ticket>,
}

impl<'a> EventWait<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, limits: TakeLimits) -> Self {
        Self {
            shared,
            limits,
            ticket: None,
        }
    }

    /// Ready when there are events, or never will be.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<Result<LeasedEvents, NotTaken>> {
        let Self {
            shared,
            limits,
            ticket,
        } = self;
        let polled = shared
            .inner
            .with(|state, outside| state.poll_take(*limits, ticket, context.waker(), outside));
        polled.map_ok(|taken| LeasedEvents::new(shared, taken))
    }

    /// Ends the wait, unless there are events that are on their way from the disk.
    pub(super) fn expire(&mut self) -> Poll<Result<LeasedEvents, NotTaken>> {
        let Self {
            shared,
            limits,
            ticket,
        } = self;
        let answer = shared
            .inner
            .with(|state, outside| state.expire_take(*limits, ticket, outside));
        answer.map_ok(|taken| LeasedEvents::new(shared, taken))
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared
                .inner
                .with(|state, outside| state.withdraw_take(ticket, outside));
        }
    }
}

/// Events under lease. Dropping them gives them back.
pub(super) struct LeasedEvents {
    shared: Arc<Shared>,
    taken: Option<Taken>,
}

impl LeasedEvents {
    fn new(shared: &Arc<Shared>, taken: Taken) -> Self {
        Self {
            shared: Arc::clone(shared),
            taken: Some(taken),
        }
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &Stored> {
        self.taken.iter().flat_map(Taken::segments)
    }

    /// The events leave the channel, save those at these indices, once that is written. `None` when
    /// there is nothing to write.
    pub(super) fn end(mut self, kept: Vec<u32>, record: Option<StateRecord>) -> Option<Answer> {
        let taken = self.taken.take()?;
        let room = taken.room();
        if kept.len() as u64 == room.events && record.is_none() {
            self.taken = Some(taken);
            return None;
        }
        let end = End {
            segments: taken.into_segments(),
            room,
            kept,
        };
        let (job, answer) = Job::end(end, record);
        self.shared.inner.writes.submit(job);
        Some(answer)
    }
}

impl Drop for LeasedEvents {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            let room = taken.room();
            let back = redelivered(taken.into_segments());
            self.shared
                .inner
                .with(|state, outside| state.end_lease(room, back, outside));
        }
    }
}

/// Events that go back as a whole: each was delivered once more.
pub(super) fn redelivered(mut segments: Vec<Stored>) -> Vec<Stored> {
    for stored in &mut segments {
        stored.redeliveries = stored.redeliveries.saturating_add(1);
    }
    segments
}
