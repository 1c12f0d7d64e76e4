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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadRequest {
    pub(super) from: u64,
    pub(super) to: u64,
    /// First and last sequence of events that are there and not to be read.
    pub(super) without: Vec<(u64, u64)>,
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
    /// Where the page ends that is being read.
    reading_to: Option<u64>,
    /// First and last sequence of events that are in the database and not the reader's business:
    /// they do not count yet, or were published into memory while a page was read over them. As many
    /// as there are puts that wait for another channel's word.
    apart: Vec<(u64, u64)>,
    /// Puts were found that nobody has decided yet. The reader waits for that: it never comes back to
    /// what it has passed.
    is_undecided: bool,
    /// Behind the youngest event that ever was in memory. What is older may be under lease.
    memory_end: u64,
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
            reading_to: None,
            apart: Vec::new(),
            is_undecided: false,
            memory_end: 0,
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
            set_aside_events: 0,
        }
    }

    /// Events are in the database and take the place in the queue of a permit's room.
    pub(super) fn committed(&mut self, put: Put, outside: &mut Outside) {
        let room = put.stored.room();
        let memory = room.size + put.header_bytes + room.events * EVENT_BYTES;
        match &mut self.backlog {
            Some(backlog) => {
                backlog.to = backlog.to.max(put.stored.end());
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
                self.remember(put);
                self.accounts.queue_reserved(room, room.events);
            }
        }
        self.accounts.serve(outside);
    }

    /// Events are in the database and do not count yet.
    pub(super) fn prepared(&mut self, range: (u64, u64)) {
        self.apart.push(range);
    }

    /// Puts were found that do not count yet: their events are part of the backlog as it was given,
    /// and are taken out of it.
    pub(super) fn prepared_found(&mut self, range: (u64, u64), room: Room) {
        self.is_undecided = true;
        self.apart.push(range);
        self.accounts.unqueue(room);
        if let Some(backlog) = &mut self.backlog {
            backlog.room = backlog.room.minus(room);
        }
    }

    /// They count now, although nobody has them in memory: before the first take.
    pub(super) fn settled(&mut self, range: (u64, u64), room: Room, outside: &mut Outside) {
        self.apart.retain(|own| *own != range);
        if let Some(backlog) = &mut self.backlog {
            backlog.room = backlog.room.plus(room);
            self.accounts.queue_more(room, 0);
        }
        self.accounts.serve(outside);
    }

    /// They do not count, and are not in the database any more.
    pub(super) fn withdrawn_found(&mut self, range: (u64, u64)) {
        self.apart.retain(|own| *own != range);
    }

    /// All puts that were found are decided.
    pub(super) fn decided(&mut self) {
        self.is_undecided = false;
    }

    /// They were withdrawn, and are not in the database any more if `are_gone`.
    pub(super) fn withdrawn(
        &mut self,
        range: Option<(u64, u64)>,
        room: Room,
        are_gone: bool,
        outside: &mut Outside,
    ) {
        if are_gone {
            self.apart.retain(|own| Some(*own) != range);
        }
        self.accounts.release_reserved(room, outside);
    }

    /// Events that were prepared count now.
    pub(super) fn published(&mut self, put: Put, outside: &mut Outside) {
        let first = put.stored.first_sequence;
        let range = (first, put.stored.end() - 1);
        let room = put.stored.room();
        let is_passed = match &self.backlog {
            // What is being read is read without them.
            Some(backlog) => first < backlog.from || self.reading_to.is_some_and(|to| first < to),
            None => first < self.memory_end,
        };
        if !is_passed {
            self.apart.retain(|own| *own != range);
            return self.committed(put, outside);
        }
        let from = self
            .backlog
            .as_ref()
            .map_or(u64::MAX, |backlog| backlog.from);
        if range.1 < from {
            self.apart.retain(|own| *own != range);
        }
        self.remember(put);
        self.accounts.queue_reserved(room, room.events);
        self.accounts.serve(outside);
    }

    /// Events that can be taken from memory from now on.
    fn remember(&mut self, put: Put) {
        let room = put.stored.room();
        self.ready += room.events;
        self.memory_bytes += room.size + put.header_bytes + room.events * EVENT_BYTES;
        self.memory_end = self.memory_end.max(put.stored.end());
        self.queue.put_back(vec![put.stored]);
    }

    /// The reader does not come back to what it has passed.
    fn forget_passed(&mut self, backlog: &Backlog) {
        self.apart.retain(|(_, last)| *last >= backlog.from);
    }

    /// The page that shall be read now, once: when less than half of what may be in memory is.
    pub(super) fn read_request(&mut self) -> Option<ReadRequest> {
        let Backlog { from, to, .. } = *self.backlog.as_ref()?;
        let first = self.queue.first_sequence_at(0);
        let is_due = first.is_none_or(|first| first >= from)
            || self.memory_bytes < self.memory_bytes_max / 2;
        // After a failure the next take decides when to try again.
        let waits = self.reading_to.is_some() || self.failed.is_some() || self.is_undecided;
        if waits || !is_due {
            return None;
        }
        self.reading_to = Some(to);
        // What the reader has passed is nobody's business any more.
        let without = self.apart.iter().filter(|(_, last)| *last >= from);
        let without = without.copied().collect();
        Some(ReadRequest { from, to, without })
    }

    /// A page was read. Gives what the backlog was said to take and did not hold.
    pub(super) fn page_read(&mut self, page: Page, outside: &mut Outside) -> Room {
        self.reading_to = None;
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
            self.memory_end = self.memory_end.max(stored.end());
            // As a rule behind all others; what was published meanwhile may be younger.
            self.queue.put_back(vec![stored]);
        }
        backlog.from = page.next;
        self.forget_passed(&backlog);
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
        self.reading_to = None;
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
        let before = self
            .backlog
            .as_ref()
            .map_or(u64::MAX, |backlog| backlog.from);
        let Some(taken) = self.queue.take(events, limits.bytes, before) else {
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

#[cfg(test)]
mod tests;
