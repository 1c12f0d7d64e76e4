//! What the channel knows without asking the database: a plain value with no lock in it.
//!
//! The oldest events are in memory, as far as there is room for them; all that are younger than the
//! youngest of those are the backlog, and only in the database. So order needs no thought: a take
//! cuts from memory, a page that is read goes behind what is in memory, and a put goes behind the
//! page, or into the backlog when there is one.

use std::task::{Poll, Waker};

use flumen_core::channel::{ChannelFill, TakeLimits};
use flumen_core::{EventBatch, Fault};

use super::page::Page;
use crate::bounded::{Accounts, Bounds, Measure, Nothing, Outside, Room, Ticket};

/// Bytes of bodies and headers that wait in memory. Enough for the takes of some tens of
/// milliseconds at the pace of the database, so that a sink that keeps up never waits for a read.
pub(super) const MEMORY_BYTES_MAX: u64 = 16 << 20;

/// What an event takes in memory beside its bytes, about.
const EVENT_BYTES: u64 = 64;

/// Counts the bytes of bodies.
#[derive(Debug)]
pub(super) struct BodyBytes;

impl Measure for BodyBytes {
    fn size(events: &EventBatch) -> u64 {
        events.body_bytes()
    }
}

pub(super) type Stored = crate::bounded::Stored<BodyBytes>;
pub(super) type Taken = crate::bounded::Taken<BodyBytes>;
type Queue = crate::bounded::Queue<BodyBytes>;

/// Committed events that are only in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backlog {
    /// All of them have sequences from here on, below `to`. There may be holes.
    pub(super) from: u64,
    pub(super) to: u64,
    /// What they take.
    pub(super) room: Room,
}

/// A page that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadRequest {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Events that were written.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) stored: Stored,
    pub(super) header_bytes: u64,
}

/// Why a take has nothing.
#[derive(Debug)]
pub(super) enum NotTaken {
    Nothing(Nothing),
    /// The backlog could not be read. Told to one taker; the next take reads again.
    Failed(Fault),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) accounts: Accounts,
    queue: Queue,
    /// Events of the queue, and what they take of memory, about.
    ready: u64,
    memory_bytes: u64,
    memory_bytes_max: u64,
    backlog: Option<Backlog>,
    is_reading: bool,
    failed: Option<Fault>,
}

impl State {
    pub(super) fn new(bounds: Bounds, backlog: Option<Backlog>, memory_bytes_max: u64) -> Self {
        let mut accounts = Accounts::new(bounds);
        if let Some(backlog) = backlog {
            accounts.queue_more(backlog.room, 0);
        }
        Self {
            accounts,
            queue: Queue::default(),
            ready: 0,
            memory_bytes: 0,
            memory_bytes_max,
            backlog,
            is_reading: false,
            failed: None,
        }
    }

    pub(super) fn fill(&self) -> ChannelFill {
        let leased = self.accounts.leased();
        let held = self.accounts.queued().plus(leased);
        ChannelFill {
            events: held.events,
            leased_events: leased.events,
            bytes: held.size,
        }
    }

    /// Events are in the database and take the place in the queue of a permit's room.
    pub(super) fn committed(&mut self, put: Put, outside: &mut Outside) {
        let room = put.stored.room();
        let memory = room.size + put.header_bytes + room.events * EVENT_BYTES;
        match &mut self.backlog {
            Some(backlog) => {
                backlog.to = put.stored.first_sequence + room.events;
                backlog.room = backlog.room.plus(room);
                self.accounts.queue_reserved(room, 0);
            }
            None if self.memory_bytes + memory > self.memory_bytes_max && self.ready > 0 => {
                let from = put.stored.first_sequence;
                let to = from + room.events;
                self.backlog = Some(Backlog { from, to, room });
                self.accounts.queue_reserved(room, 0);
            }
            None => {
                self.queue.push_back(put.stored);
                self.ready += room.events;
                self.memory_bytes += memory;
                self.accounts.queue_reserved(room, room.events);
            }
        }
        self.accounts.serve(outside);
    }

    /// The page that shall be read now, once: when less than half of what may be in memory is.
    pub(super) fn read_request(&mut self) -> Option<ReadRequest> {
        let backlog = self.backlog.as_ref()?;
        let is_due = self.ready == 0 || self.memory_bytes < self.memory_bytes_max / 2;
        // After a failure the next take decides when to try again.
        if self.is_reading || self.failed.is_some() || !is_due {
            return None;
        }
        self.is_reading = true;
        let Backlog { from, to, .. } = *backlog;
        Some(ReadRequest { from, to })
    }

    /// A page was read. Gives what the backlog was said to take and did not hold.
    pub(super) fn page_read(&mut self, page: Page, outside: &mut Outside) -> Room {
        self.is_reading = false;
        let Some(mut backlog) = self.backlog.take() else {
            return Room::default();
        };
        self.memory_bytes += page.bytes;
        for stored in page.stored {
            let room = stored.room();
            backlog.room = backlog.room.minus(room);
            self.ready += room.events;
            self.accounts.now_ready(room.events);
            self.memory_bytes += room.events * EVENT_BYTES;
            self.queue.push_back(stored);
        }
        backlog.from = page.next;
        let mut missing = Room::default();
        if backlog.from < backlog.to {
            self.backlog = Some(backlog);
        } else {
            missing = backlog.room;
            self.accounts.unqueue(missing);
        }
        self.accounts.serve(outside);
        missing
    }

    /// The backlog cannot be read for now. Takers are woken, and one of them is told.
    pub(super) fn read_failed(&mut self, fault: Fault, outside: &mut Outside) {
        self.is_reading = false;
        self.failed = Some(fault);
        self.accounts.wake_takers(outside);
    }

    /// One poll of a take. The ticket is `Some` as long as the wait goes on.
    pub(super) fn poll_take(
        &mut self,
        limits: TakeLimits,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        outside: &mut Outside,
    ) -> Poll<Result<Taken, NotTaken>> {
        match self.take(limits) {
            Err(NotTaken::Nothing(Nothing::Empty)) => {
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

    /// The wait is over: what is there now is taken. What is in the database only is there as well,
    /// so a take waits for its page.
    pub(super) fn expire_take(
        &mut self,
        limits: TakeLimits,
        ticket: &mut Option<Ticket>,
        outside: &mut Outside,
    ) -> Poll<Result<Taken, NotTaken>> {
        let answer = self.take(limits);
        let is_empty = matches!(answer, Err(NotTaken::Nothing(Nothing::Empty)));
        if is_empty && self.backlog.is_some() {
            return Poll::Pending;
        }
        self.accounts.leave_takers(ticket.take(), outside);
        Poll::Ready(answer)
    }

    /// The taker is gone; if it had been woken, the next one is.
    pub(super) fn withdraw_take(&mut self, ticket: Ticket, outside: &mut Outside) {
        self.accounts.leave_takers(Some(ticket), outside);
    }

    /// Takes the oldest events that nobody holds.
    fn take(&mut self, limits: TakeLimits) -> Result<Taken, NotTaken> {
        let events = self.accounts.event_bound(limits);
        let Some(taken) = self.queue.take(events, limits.bytes, u64::MAX) else {
            return Err(match self.failed.take() {
                Some(fault) => NotTaken::Failed(fault),
                None => NotTaken::Nothing(self.accounts.nothing()),
            });
        };
        let room = taken.room();
        self.accounts.lease(room);
        // Headers are not counted one by one: each event is taken for the average.
        let share = u128::from(self.memory_bytes) * u128::from(room.events);
        let share = share.checked_div(u128::from(self.ready)).unwrap_or(0);
        self.ready = self.ready.saturating_sub(room.events);
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        self.memory_bytes = self.memory_bytes.saturating_sub(share);
        Ok(taken)
    }

    /// A lease ended: its events leave the channel, save those in `back`, which return to their
    /// places.
    pub(super) fn end_lease(&mut self, room: Room, back: Vec<Stored>, outside: &mut Outside) {
        let back = self.queue.put_back(back);
        self.ready += back.events;
        self.memory_bytes += back.size + back.events * EVENT_BYTES;
        self.accounts.end_lease(room, back);
        self.accounts.serve(outside);
    }
}
