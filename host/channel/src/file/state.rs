//! The state of a file channel: a plain value with no lock, no file and no task in it.
//!
//! ```text
//! sequence ──▶   gone or leased │ head: in memory │ gap: in the log only │ tail: in memory
//!                               taken from here     read into the head     what was put last
//! ```
//!
//! Events are put at the end, and stay in memory as long as the window has room. When it has none
//! a gap is begun; takes come from before the gap, and the keeper reads what is in it. The tail
//! keeps the newest events, so that a gap that was read up has them at hand.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

use flumen_core::EventBatch;
use flumen_core::channel::{ChannelFill, TakeLimits};
use flumen_wal::Failure;

mod aside;
mod calls;
mod undecided;

use super::acks::PendingAcks;
use super::window::{Frame, Frames, Window};
use crate::bounded::{Accounts, Bounds, Measure, Nothing, Outside, Room, Ticket};

/// The size of events is the bytes of their bodies.
#[derive(Debug)]
pub(super) struct Bodies;

impl Measure for Bodies {
    fn size(events: &EventBatch) -> u64 {
        events.body_bytes()
    }
}

pub(super) type Stored = crate::bounded::Stored<Bodies>;
pub(super) type Taken = crate::bounded::Taken<Bodies>;
type Queue = crate::bounded::Queue<Bodies>;

/// Pending ranges at which acknowledgements do not wait any longer: 64 KiB of them in a frame.
pub(super) const ACK_RANGES_MAX: usize = 4096;

/// Why takes from the log do not go on.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub(super) message: String,
    /// Whether trying again may help.
    pub(super) may_pass: bool,
}

/// Events that were read from the log, or what is there in their place.
#[derive(Debug)]
pub(super) enum Filled {
    /// What is not acknowledged of a frame; nothing when all is.
    Events {
        stored: Vec<Stored>,
        frame: Range<u64>,
        weight: u64,
    },
    /// These cannot be read any more; `missing` of them were not acknowledged.
    Lost { items: Range<u64>, missing: u64 },
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) accounts: Accounts,
    pub(super) acks: PendingAcks,
    /// The log takes no more records.
    pub(super) failure: Option<Arc<Failure>>,
    pub(super) unreadable: Option<Unreadable>,
    /// The same, kept while it is tried again, so that it is told once.
    pub(super) was_unreadable: Option<bool>,
    /// Events that were lost to damage since the channel was opened.
    pub(super) lost_events: u64,
    queue: Queue,
    window: Window,
    head: Frames,
    tail: Frames,
    /// Queued events of the tail.
    tail_events: u64,
    gap: Range<u64>,
    /// Frames behind the start of the gap that are in the log and must not be shown: prepared, or
    /// withdrawn. First sequence to the one behind the last.
    hidden: BTreeMap<u64, u64>,
    /// Whether it is known which of the puts in the log count.
    is_settled: bool,
    /// Behind the newest event that was ever taken. Older frames may have parts under lease.
    taken_until: u64,
    /// Records up to this generation are of no use any more.
    forgotten: u64,
    /// Somebody waits for the log to know that.
    forget_due: bool,
    /// Those who wait for the log to take their record.
    busy: Vec<Waker>,
    keeper: calls::Keeper,
    /// When it is tried again whether the log has room.
    pub(super) probe_at: Option<Instant>,
    /// When it is tried again to read.
    pub(super) retry_at: Option<Instant>,
    /// The channel is gone; the keeper ends.
    pub(super) is_ending: bool,
}

impl State {
    /// A channel in whose log these sequences stand, `waiting` of their events not acknowledged.
    pub(super) fn new(bounds: Bounds, window: Window, log: Range<u64>, waiting: Room) -> Self {
        let mut accounts = Accounts::new(bounds);
        accounts.queue_more(waiting, 0);
        Self {
            accounts,
            acks: PendingAcks::default(),
            failure: None,
            unreadable: None,
            was_unreadable: None,
            lost_events: 0,
            queue: Queue::default(),
            window,
            head: Frames::default(),
            tail: Frames::default(),
            tail_events: 0,
            hidden: BTreeMap::new(),
            is_settled: false,
            taken_until: 0,
            forgotten: 0,
            forget_due: false,
            busy: Vec::new(),
            keeper: calls::Keeper::Awake,
            probe_at: None,
            retry_at: None,
            is_ending: false,
            gap: match waiting.events {
                0 => log.end..log.end,
                _ => log,
            },
        }
    }

    pub(super) fn fill(&self) -> ChannelFill {
        let leased = self.accounts.leased();
        let held = self.accounts.queued().plus(leased);
        ChannelFill {
            events: held.events,
            leased_events: leased.events,
            bytes: held.size,
            set_aside_events: self.accounts.aside().events,
        }
    }

    /// Bytes of memory that the events of the window take.
    pub(super) fn window_bytes(&self) -> u64 {
        self.head.weight() + self.tail.weight()
    }

    /// Events that were put stand in the log from this sequence on.
    pub(super) fn commit(
        &mut self,
        first_sequence: u64,
        events: EventBatch,
        room: Room,
        weight: u64,
        outside: &mut Outside,
    ) {
        let end = first_sequence + room.events;
        if events.is_empty() {
            self.accounts.queue_reserved(room, 0);
        } else {
            let frame = Frame {
                first: first_sequence,
                end,
                weight,
            };
            let stored = Stored::new(first_sequence, room.size, events);
            self.queue.push_back(stored);
            if self.gap.is_empty() {
                self.accounts.queue_reserved(room, room.events);
                self.head.push(frame);
            } else {
                self.accounts.queue_reserved(room, 0);
                self.tail_events += room.events;
                self.tail.push(frame);
            }
            self.evict();
        }
        self.accounts.serve(outside);
    }

    /// Makes the window fit: what is evicted can be read from the log again.
    fn evict(&mut self) {
        while self.head.weight() + self.tail.weight() > self.window.bytes_max {
            if !self.gap.is_empty() {
                // Next to the gap, which grows by it.
                let Some(frame) = self.tail.pop_front() else {
                    return;
                };
                self.tail_events -= self.drop_frame(frame);
                self.gap.end = frame.end;
            } else if !self.head.is_one() {
                // The newest, which is needed last, unless something of it was taken.
                let Some(frame) = self.head.pop_back_from(self.taken_until) else {
                    return;
                };
                let dropped = self.drop_frame(frame);
                self.accounts.unready(dropped);
                self.gap = frame.first..frame.end;
            } else {
                return;
            }
        }
    }

    /// Drops the events of a frame from memory, and says how many.
    fn drop_frame(&mut self, frame: Frame) -> u64 {
        let mut dropped = 0;
        let place = self.queue.place_of(frame.first);
        while self
            .queue
            .first_sequence_at(place)
            .is_some_and(|first| first < frame.end)
        {
            let Some(stored) = self.queue.remove(place) else {
                break;
            };
            dropped += stored.events.len() as u64;
        }
        dropped
    }

    /// What the keeper reads next: the first sequence of the gap, when there is room for it.
    pub(super) fn wanted(&self) -> Option<u64> {
        let is_wanted = self.is_settled
            && !self.gap.is_empty()
            && self.unreadable.is_none()
            && (self.head.weight() < self.window.read_ahead_bytes || self.accounts.ready() == 0);
        is_wanted.then_some(self.gap.start)
    }

    /// Waits until the log has done something.
    pub(super) fn wait_for_log(&mut self, waker: &Waker) {
        self.busy.push(waker.clone());
    }

    /// The log has done something: who waits for that tries again.
    pub(super) fn log_moved(&mut self, outside: &mut Outside) {
        outside.wake(self.busy.drain(..));
    }

    /// The log has no room for events, now or as of this time.
    pub(super) fn set_full(&mut self, probe_at: Option<Instant>, outside: &mut Outside) {
        self.accounts.hold(probe_at.is_some());
        self.probe_at = probe_at;
        if probe_at.is_none() {
            self.accounts.serve(outside);
        }
    }

    /// The gap.
    pub(super) fn gap(&self) -> Range<u64> {
        self.gap.clone()
    }

    /// Fills the gap from its start. Gives how many events a loss took out of the channel.
    pub(super) fn fill_gap(&mut self, filled: Filled, outside: &mut Outside) -> u64 {
        self.was_unreadable = None;
        let mut lost = 0;
        let end = match filled {
            Filled::Events {
                stored,
                frame,
                weight,
            } => {
                // A frame weighs until its last event that waits is taken.
                if let Some(last) = stored.last() {
                    self.head.push(Frame {
                        first: frame.start,
                        end: last.end(),
                        weight,
                    });
                }
                let room = self.queue.put_back(stored);
                self.accounts.now_ready(room.events);
                frame.end
            }
            Filled::Lost { items, missing } => {
                let gone = self.lose(missing);
                self.acks.add(items.clone(), gone.size);
                lost = gone.events;
                items.end
            }
        };
        self.gap.start = end.clamp(self.gap.start, self.gap.end);
        if self.gap.is_empty() {
            self.close_gap();
        }
        self.accounts.serve(outside);
        lost
    }

    /// Nothing of the gap stands in the log before this sequence.
    pub(super) fn skip_gap(&mut self, to: u64, outside: &mut Outside) {
        self.gap.start = to.clamp(self.gap.start, self.gap.end);
        if self.gap.is_empty() {
            self.close_gap();
            self.accounts.serve(outside);
        }
    }

    /// Up to which generation records are of no use any more.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn forget(&mut self, generation: u64) {
        self.forgotten = self.forgotten.max(generation);
    }

    /// The log has to know soon what may be forgotten.
    pub(super) fn set_forget_due(&mut self) {
        self.forget_due = true;
    }

    pub(super) fn take_forget_due(&mut self) -> bool {
        std::mem::take(&mut self.forget_due)
    }

    /// The tail is the head from now on.
    fn close_gap(&mut self) {
        self.accounts
            .now_ready(std::mem::take(&mut self.tail_events));
        while let Some(frame) = self.tail.pop_front() {
            self.head.push(frame);
        }
    }

    /// Takes events out of the accounts that nobody can ever take. Their bytes are a share: the
    /// log tells how many they were, not how large.
    fn lose(&mut self, missing: u64) -> Room {
        let queued = self.accounts.queued();
        let events = missing.min(queued.events);
        let size = match events == queued.events {
            true => queued.size,
            false => queued.size / queued.events.max(1) * events,
        };
        let lost = Room { events, size };
        self.accounts.unqueue(lost);
        self.lost_events += events;
        lost
    }

    /// One poll of a take. The ticket is `Some` as long as the wait goes on.
    pub(super) fn poll_take(
        &mut self,
        limits: TakeLimits,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        outside: &mut Outside,
    ) -> Poll<Result<Taken, NoEvents>> {
        match self.take(limits) {
            Err(NoEvents::Nothing(Nothing::Empty)) => {
                self.accounts
                    .wait_for_events(limits, ticket, waker, outside);
                Poll::Pending
            }
            answer => {
                self.accounts.leave_takers(ticket.take(), outside);
                Poll::Ready(answer)
            }
        }
    }

    /// The wait is over: what is there now is taken.
    pub(super) fn expire_take(
        &mut self,
        limits: TakeLimits,
        ticket: Option<Ticket>,
        outside: &mut Outside,
    ) -> Result<Taken, NoEvents> {
        let answer = self.take(limits);
        self.accounts.leave_takers(ticket, outside);
        answer
    }

    fn take(&mut self, limits: TakeLimits) -> Result<Taken, NoEvents> {
        let events = self.accounts.event_bound(limits);
        let before = match self.gap.is_empty() {
            true => u64::MAX,
            false => self.gap.start,
        };
        let Some(taken) = self.queue.take(events, limits.bytes, before) else {
            return Err(match &self.unreadable {
                Some(unreadable) if !self.gap.is_empty() => {
                    NoEvents::Unreadable(unreadable.clone())
                }
                _ => NoEvents::Nothing(self.accounts.nothing()),
            });
        };
        self.accounts.lease(taken.room());
        // All below the last event that was taken are taken, so their frames leave the window.
        self.head.pass(taken.end());
        self.taken_until = self.taken_until.max(taken.end());
        Ok(taken)
    }

    /// A lease ended: its events leave the channel, save those in `back`, which return to their
    /// places. Says how much room was released beyond that of the events: when the channel is
    /// empty nothing is left of what damage made uncertain.
    pub(super) fn end_lease(
        &mut self,
        room: Room,
        back: Vec<Stored>,
        outside: &mut Outside,
    ) -> u64 {
        let back = self.queue.put_back(back);
        self.accounts.end_lease(room, back);
        let queued = self.accounts.queued();
        let mut uncertain = 0;
        if queued.events + self.accounts.leased().events == 0 {
            uncertain = queued.size;
            self.accounts.unqueue(queued);
        }
        self.accounts.serve(outside);
        uncertain
    }

    /// The log has failed: nothing more can be put, what is there can be taken.
    pub(super) fn fail(&mut self, failure: Arc<Failure>, outside: &mut Outside) -> bool {
        let is_new = self.failure.is_none();
        self.failure.get_or_insert(failure);
        self.accounts.fail(outside);
        is_new
    }
}

/// Why a take found nothing.
#[derive(Clone, Debug)]
pub(super) enum NoEvents {
    Nothing(Nothing),
    /// There are events, and they cannot be read now.
    Unreadable(Unreadable),
}
