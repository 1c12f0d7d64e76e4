//! What is where, and in which order it leaves: a plain value with no lock, no timer and no task.
//!
//! Two accounts stand side by side. `total` is the channel as others see it: it bounds memory and
//! overflow together, and its lines are where putters and takers wait. `memory` bounds the part in
//! memory alone. The overflow has bounds of its own, wide enough never to refuse what `total` has
//! granted; only its disk may.
//!
//! Order is by sequence. Memory and overflow each give their oldest first, so the oldest of all is
//! the older of their two first ones; Flume's queue of the drain order comes to the same.

use std::collections::BTreeSet;
use std::ops::Range;
use std::task::{Poll, Waker};

use flumen_core::EventBatch;
use flumen_core::channel::{ChannelFill, TakeLimits};

use super::ranges::Ranges;
use crate::bounded::{Accounts, Bounds, Measure, Nothing, Outside, Refusal, Room, Ticket};

/// Counts the bytes of bodies.
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

/// When puts go to the overflow, and when not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// Whether they may.
    pub(super) may_spill: bool,
    /// Whether a put waits for room in memory before the first one goes there.
    pub(super) waits: bool,
    /// Free room in memory, in percent, at which they go to memory again.
    pub(super) free_percent: u64,
}

/// Where the events of a put go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Room in memory is reserved.
    Memory,
    Overflow,
    /// Memory may have room in a moment.
    Wait,
}

/// What a taker does.
#[derive(Debug)]
pub(super) enum Step {
    /// Events of memory, under lease now.
    Memory(Taken),
    /// Takes this many events from the overflow. Nobody else does until it has said what it got.
    Overflow(u64),
    Nothing(Nothing),
}

/// Events in the overflow, known by their sequences.
#[derive(Debug, Default)]
struct Overflow {
    /// Those that nobody holds.
    waiting: Ranges,
    /// Those from before this opening that were not seen yet. They are older than all others.
    earlier: u64,
    /// What all of them take.
    queued: Room,
    /// The first sequences of puts that are being written: what is younger has to wait until it is
    /// known what becomes of them.
    in_flight: BTreeSet<u64>,
    is_taking: bool,
}

impl Overflow {
    fn first(&self) -> Option<u64> {
        match self.earlier {
            0 => self.waiting.first(),
            _ => Some(0),
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) total: Accounts,
    pub(super) memory: Accounts,
    policy: Policy,
    is_spilling: bool,
    queue: Queue,
    overflow: Overflow,
    next_sequence: u64,
}

impl State {
    /// A channel whose overflow holds this already.
    pub(super) fn new(
        total: Bounds,
        memory: Bounds,
        policy: Policy,
        next_sequence: u64,
        earlier: Room,
    ) -> Self {
        let mut total = Accounts::new(total);
        total.queue_more(earlier, earlier.events);
        Self {
            total,
            memory: Accounts::new(memory),
            policy,
            is_spilling: false,
            queue: Queue::default(),
            overflow: Overflow {
                earlier: earlier.events,
                queued: earlier,
                ..Overflow::default()
            },
            next_sequence,
        }
    }

    pub(super) fn fill(&self) -> ChannelFill {
        let leased = self.total.leased();
        let held = self.total.queued().plus(leased);
        ChannelFill {
            events: held.events,
            leased_events: leased.events,
            bytes: held.size,
            set_aside_events: 0,
        }
    }

    pub(super) fn set_bounds(
        &mut self,
        total: Bounds,
        memory: Bounds,
        policy: Policy,
        outside: &mut Outside,
    ) {
        self.policy = policy;
        self.memory.set_bounds(memory, outside);
        self.total.set_bounds(total, outside);
    }

    /// Where events go for which there is room in the whole.
    pub(super) fn place(&mut self, need: Room) -> Result<Place, Refusal> {
        if need.events == 0 {
            // It takes no room, so it need not stand in line for some.
            return Ok(Place::Memory);
        }
        let memory = self.memory.bounds().capacity;
        if !need.is_within(memory) && self.policy.may_spill {
            return Ok(Place::Overflow);
        }
        if self.is_spilling && self.policy.may_spill {
            let held = self.memory.queued().plus(self.memory.leased()).events;
            let free = memory.events.saturating_sub(held);
            let is_enough = u128::from(free) * 100
                >= u128::from(memory.events) * u128::from(self.policy.free_percent);
            if !is_enough || free == 0 {
                return Ok(Place::Overflow);
            }
            self.is_spilling = false;
        }
        match self.memory.try_reserve(need) {
            Ok(()) => Ok(Place::Memory),
            Err(Refusal::Full) if !self.policy.may_spill || self.policy.waits => Ok(Place::Wait),
            Err(Refusal::Full) => Ok(self.spill()),
            Err(refusal) => Err(refusal),
        }
    }

    /// The wait for memory is over.
    pub(super) fn spill(&mut self) -> Place {
        match self.policy.may_spill {
            true => {
                self.is_spilling = true;
                Place::Overflow
            }
            false => Place::Wait,
        }
    }

    /// Events go into memory, in both rooms that were reserved for them.
    pub(super) fn commit(&mut self, events: EventBatch, room: Room, outside: &mut Outside) {
        self.memory.queue_reserved(room, 0);
        self.total.queue_reserved(room, room.events);
        if !events.is_empty() {
            let stored = Stored::new(self.next_sequence, room.size, events);
            self.queue.push_back(stored);
            self.next_sequence += room.events;
        }
        self.total.serve(outside);
    }

    /// Events are about to be written to the overflow. Gives the sequence of the first.
    pub(super) fn begin_spill(&mut self, events: u64) -> u64 {
        let first = self.next_sequence;
        self.next_sequence += events;
        self.overflow.in_flight.insert(first);
        first
    }

    /// They are there, or may be; or they are not.
    pub(super) fn end_spill(
        &mut self,
        first: u64,
        room: Room,
        is_there: bool,
        outside: &mut Outside,
    ) {
        self.overflow.in_flight.remove(&first);
        if is_there {
            self.overflow.waiting.insert(first..first + room.events);
            self.overflow.queued = self.overflow.queued.plus(room);
            self.total.queue_reserved(room, room.events);
            self.total.serve(outside);
        } else {
            self.total.release_reserved(room, outside);
        }
        // Those who wait behind it may have been woken for events that were not theirs yet.
        self.total.wake_takers(outside);
    }

    /// One poll of a take. The ticket is `Some` as long as the wait goes on.
    pub(super) fn poll_take(
        &mut self,
        limits: TakeLimits,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        outside: &mut Outside,
    ) -> Poll<Step> {
        let step = self.step(limits);
        if matches!(step, None | Some(Step::Nothing(Nothing::Empty))) {
            self.total.wait_for_events(limits, ticket, waker, outside);
            return Poll::Pending;
        }
        self.total.leave_takers(ticket.take(), outside);
        step.map_or(Poll::Pending, Poll::Ready)
    }

    /// The wait is over: what is there now is taken. Events that another taker or a putter is just
    /// bringing are there as well, so the take waits for them.
    pub(super) fn expire_take(
        &mut self,
        limits: TakeLimits,
        ticket: &mut Option<Ticket>,
        outside: &mut Outside,
    ) -> Poll<Step> {
        match self.step(limits) {
            None => Poll::Pending,
            Some(step) => {
                self.total.leave_takers(ticket.take(), outside);
                Poll::Ready(step)
            }
        }
    }

    /// What comes next; `None` when that is not known for a moment.
    fn step(&mut self, limits: TakeLimits) -> Option<Step> {
        let events = self.total.event_bound(limits);
        let in_flight = self.overflow.in_flight.first().copied();
        let in_flight = in_flight.unwrap_or(u64::MAX);
        let memory = self.queue.first_sequence_at(0).unwrap_or(u64::MAX);
        let overflow = self.overflow.first().unwrap_or(u64::MAX);
        if memory == u64::MAX && overflow == u64::MAX {
            return Some(Step::Nothing(self.total.nothing()));
        }
        if memory.min(overflow) >= in_flight {
            return None;
        }
        if memory < overflow {
            let before = overflow.min(in_flight);
            let taken = self.queue.take(events, limits.bytes, before)?;
            self.memory.lease(taken.room());
            self.total.lease(taken.room());
            return Some(Step::Memory(taken));
        }
        if std::mem::replace(&mut self.overflow.is_taking, true) {
            return None;
        }
        let enough = events as u64;
        let waiting = &self.overflow.waiting;
        let below = waiting.count_below(memory.min(in_flight), enough);
        Some(Step::Overflow(
            enough.min(self.overflow.earlier.saturating_add(below)),
        ))
    }

    /// A taker got these events from the overflow: they are under lease.
    pub(super) fn overflow_taken(&mut self, taken: &[Stored]) -> Room {
        let mut room = Room::default();
        for stored in taken {
            let known = self
                .overflow
                .waiting
                .remove(stored.first_sequence..stored.end());
            let unknown = stored.room().events.saturating_sub(known);
            let earlier = unknown.min(self.overflow.earlier);
            self.overflow.earlier -= earlier;
            if unknown > earlier {
                // Written by a put of which nobody waited for the end.
                let found = Room {
                    events: unknown - earlier,
                    size: if known == 0 { stored.size } else { 0 },
                };
                self.overflow.queued = self.overflow.queued.plus(found);
                self.total.queue_more(found, found.events);
            }
            room = room.plus(stored.room());
        }
        self.overflow.queued = self.overflow.queued.minus(room);
        self.total.lease(room);
        self.drop_leftover();
        room
    }

    /// The overflow has nothing of what it should have: it was damaged, or a put whose end nobody
    /// waited for failed. Gives how many events that are.
    pub(super) fn overflow_is_empty(&mut self) -> u64 {
        let missing = self.overflow.queued.events;
        self.overflow.waiting.clear();
        self.overflow.earlier = 0;
        self.drop_leftover();
        missing
    }

    /// An overflow without events takes no room.
    fn drop_leftover(&mut self) {
        if self.overflow.first().is_none() {
            let leftover = std::mem::take(&mut self.overflow.queued);
            self.total.unqueue(leftover);
            self.total.unready(leftover.events);
        }
    }

    /// A taker is done with the overflow, with events or without.
    pub(super) fn end_taking(&mut self, outside: &mut Outside) {
        self.overflow.is_taking = false;
        self.total.serve(outside);
        self.total.wake_takers(outside);
    }

    /// A lease of memory's events ended: they leave, save those in `back`.
    pub(super) fn end_lease(&mut self, room: Room, back: Vec<Stored>, outside: &mut Outside) {
        let back = self.queue.put_back(back);
        self.memory.end_lease(room, back);
        self.total.end_lease(room, back);
        self.memory.serve(outside);
        self.total.serve(outside);
    }

    /// A lease of the overflow's events ended: they left, save those of these sequences.
    pub(super) fn end_overflow_lease(
        &mut self,
        room: Room,
        back: impl IntoIterator<Item = (Range<u64>, Room)>,
        outside: &mut Outside,
    ) {
        let mut returned = Room::default();
        for (sequences, room) in back {
            self.overflow.waiting.insert(sequences);
            returned = returned.plus(room);
        }
        self.overflow.queued = self.overflow.queued.plus(returned);
        self.total.end_lease(room, returned);
        self.total.serve(outside);
    }
}

#[cfg(test)]
mod tests;
