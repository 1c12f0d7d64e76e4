//! The state of a memory channel: a plain value with no lock, no timer and no task in it.
//!
//! Whatever changes the state ends in [`State::serve`], so that between two changes nobody waits
//! for what is there: that is the whole argument for "no lost wake-up".

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use flumen_core::EventBatch;
use flumen_core::channel::{ChannelFill, TakeLimits};

use super::line::{Outside, PutLine, Refusal, Standing, TakeLine, Ticket};
use super::options::Bounds;
use super::room::Room;
use super::segment::Stored;

/// Why a take found nothing, now or ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// Not yet.
    Empty,
    /// Closed, and neither queue, permit nor lease holds anything that could still come.
    Closed,
}

/// Events that were taken: in order, not empty. The first stands apart so that the usual take,
/// which cuts one segment, allocates nothing under the lock.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) first: Stored,
    pub(super) rest: Vec<Stored>,
}

impl Taken {
    pub(super) fn room(&self) -> Room {
        self.rest
            .iter()
            .fold(self.first.room(), |sum, stored| sum.plus(stored.room()))
    }

    pub(super) fn into_segments(self) -> Vec<Stored> {
        let mut segments = Vec::with_capacity(1 + self.rest.len());
        segments.push(self.first);
        segments.extend(self.rest);
        segments
    }
}

#[derive(Debug)]
pub(super) struct State {
    bounds: Bounds,
    /// By sequence, without overlap; holes are events that are leased or gone.
    segments: VecDeque<Stored>,
    next_sequence: u64,
    queued: Room,
    reserved: Room,
    leased: Room,
    closed: bool,
    putters: PutLine,
    takers: TakeLine,
}

impl State {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            segments: VecDeque::new(),
            next_sequence: 0,
            queued: Room::default(),
            reserved: Room::default(),
            leased: Room::default(),
            closed: false,
            putters: PutLine::default(),
            takers: TakeLine::default(),
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(super) fn fill(&self) -> ChannelFill {
        let held = self.queued.plus(self.leased);
        ChannelFill {
            events: held.events,
            leased_events: self.leased.events,
            bytes: held.bytes(),
        }
    }

    /// Reserves room unless others wait for it.
    pub(super) fn try_reserve(&mut self, need: Room) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if let Some(refusal) = never_fits(&self.bounds, need) {
            return Err(refusal);
        }
        if !self.putters.is_empty() || !self.has_room(need) {
            return Err(Refusal::Full);
        }
        self.reserved = self.reserved.plus(need);
        Ok(())
    }

    /// One poll of a wait for room. The ticket is `Some` as long as the wait goes on.
    pub(super) fn poll_reserve(
        &mut self,
        need: Room,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        outside: &mut Outside,
    ) -> Poll<Result<(), Refusal>> {
        let Some(own) = *ticket else {
            return match self.try_reserve(need) {
                Err(Refusal::Full) => {
                    *ticket = Some(self.putters.join(need, waker));
                    Poll::Pending
                }
                other => Poll::Ready(other),
            };
        };
        let answer = match self.putters.standing(own, waker, outside) {
            Standing::Waiting => return Poll::Pending,
            Standing::Granted => Ok(()),
            Standing::Refused(refusal) => Err(refusal),
        };
        *ticket = None;
        Poll::Ready(answer)
    }

    /// The wait is over: what was settled until now counts.
    pub(super) fn expire_reserve(
        &mut self,
        ticket: Ticket,
        outside: &mut Outside,
    ) -> Result<(), Refusal> {
        match self.putters.leave(ticket, outside) {
            Some((_, settled)) => settled,
            None => {
                // It may have been the one that held up those behind it.
                self.serve(outside);
                Err(Refusal::Full)
            }
        }
    }

    /// The waiter is gone: room that it was granted is free again.
    pub(super) fn withdraw_reserve(&mut self, ticket: Ticket, outside: &mut Outside) {
        if let Some((need, Ok(()))) = self.putters.leave(ticket, outside) {
            self.reserved = self.reserved.minus(need);
        }
        self.serve(outside);
    }

    /// A permit was dropped.
    pub(super) fn release_reserved(&mut self, room: Room, outside: &mut Outside) {
        self.reserved = self.reserved.minus(room);
        self.serve(outside);
    }

    /// Events take the place in the queue of a permit's room.
    pub(super) fn commit(&mut self, events: EventBatch, room: Room, outside: &mut Outside) {
        self.reserved = self.reserved.minus(room);
        if !events.is_empty() {
            self.queued = self.queued.plus(room);
            self.segments.push_back(Stored {
                first_sequence: self.next_sequence,
                redeliveries: 0,
                slots: room.slots,
                events,
            });
            self.next_sequence += room.events;
        }
        self.serve(outside);
    }

    /// One poll of a take. The ticket is `Some` as long as the wait goes on.
    pub(super) fn poll_take(
        &mut self,
        limits: TakeLimits,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        outside: &mut Outside,
    ) -> Poll<Result<Taken, Nothing>> {
        match self.take(limits) {
            Err(Nothing::Empty) => {
                match *ticket {
                    Some(own) => self.takers.stay(own, waker, outside),
                    None => {
                        let want = self.event_bound(limits) as u64;
                        *ticket = Some(self.takers.join(want, waker));
                    }
                }
                Poll::Pending
            }
            answer => {
                self.leave_takers(ticket.take(), outside);
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
    ) -> Result<Taken, Nothing> {
        let answer = self.take(limits);
        self.leave_takers(ticket, outside);
        answer
    }

    /// The taker is gone; if it had been woken, the next one is.
    pub(super) fn withdraw_take(&mut self, ticket: Ticket, outside: &mut Outside) {
        self.leave_takers(Some(ticket), outside);
    }

    fn leave_takers(&mut self, ticket: Option<Ticket>, outside: &mut Outside) {
        if let Some(ticket) = ticket {
            self.takers.leave(ticket, outside);
        }
        self.serve(outside);
    }

    /// Takes the oldest events that nobody holds, over holes: what stands in a hole is with
    /// another taker, and comes back to its own place or not at all.
    fn take(&mut self, limits: TakeLimits) -> Result<Taken, Nothing> {
        let mut events = self.event_bound(limits);
        let Some(first) = self.cut_front(events, limits.bytes, true) else {
            return Err(self.nothing());
        };
        events -= first.events.len();
        let mut bytes = limits.bytes.saturating_sub(first.events.body_bytes());
        let mut rest = Vec::new();
        while let Some(stored) = self.cut_front(events, bytes, false) {
            events -= stored.events.len();
            bytes = bytes.saturating_sub(stored.events.body_bytes());
            rest.push(stored);
        }
        let taken = Taken { first, rest };
        let room = taken.room();
        self.queued = self.queued.minus(room);
        self.leased = self.leased.plus(room);
        Ok(taken)
    }

    /// Cuts up to that many events and bytes off the first segment, `None` when not one fits.
    /// The first event of a take fits whatever its size.
    fn cut_front(&mut self, events: usize, bytes: u64, is_first: bool) -> Option<Stored> {
        let front = self.segments.front_mut()?;
        let count = front.fitting(events, bytes).max(usize::from(is_first));
        if count == 0 {
            return None;
        }
        if count >= front.events.len() {
            return self.segments.pop_front();
        }
        Some(front.split_front(count))
    }

    /// A lease ended: its events leave the channel, save those in `back`, which return to their
    /// places.
    pub(super) fn end_lease(&mut self, room: Room, back: Vec<Stored>, outside: &mut Outside) {
        self.leased = self.leased.minus(room);
        // From the last to the first: events come back to the head as a rule, and then each is
        // pushed in front of all others.
        for stored in back.into_iter().rev() {
            self.queued = self.queued.plus(stored.room());
            let place = self
                .segments
                .partition_point(|own| own.first_sequence < stored.first_sequence);
            self.segments.insert(place, stored);
        }
        self.serve(outside);
    }

    /// Takes no more puts.
    pub(super) fn close(&mut self, outside: &mut Outside) {
        self.closed = true;
        self.putters.refuse(outside, |_| Some(Refusal::Closed));
        self.serve(outside);
    }

    /// New bounds, with all events kept. Who waits for room that can never be there any more is
    /// refused, and would hold up the line for ever otherwise.
    pub(super) fn set_bounds(&mut self, bounds: Bounds, outside: &mut Outside) {
        self.bounds = bounds;
        self.putters
            .refuse(outside, |need| never_fits(&bounds, need));
        self.serve(outside);
    }

    /// Gives waiters what is there for them.
    fn serve(&mut self, outside: &mut Outside) {
        while let Some(need) = self.putters.first_need() {
            if !self.has_room(need) {
                break;
            }
            self.reserved = self.reserved.plus(need);
            self.putters.grant_first(outside);
        }
        self.takers.wake(self.queued.events, outside);
        if self.nothing() == Nothing::Closed {
            self.takers.wake_all(outside);
        }
    }

    fn has_room(&self, need: Room) -> bool {
        self.queued
            .plus(self.leased)
            .plus(self.reserved)
            .plus(need)
            .is_within(self.bounds.capacity)
    }

    fn event_bound(&self, limits: TakeLimits) -> usize {
        limits.events.min(self.bounds.transaction_events).max(1)
    }

    fn nothing(&self) -> Nothing {
        let held = self.queued.plus(self.leased).plus(self.reserved);
        if self.closed && held.events == 0 {
            Nothing::Closed
        } else {
            Nothing::Empty
        }
    }
}

fn never_fits(bounds: &Bounds, need: Room) -> Option<Refusal> {
    if need.events > bounds.transaction_events as u64 {
        let bound = bounds.transaction_events;
        return Some(Refusal::TooManyEvents { bound });
    }
    if need.slots > bounds.capacity.slots {
        let bound = bounds.capacity.slots;
        return Some(Refusal::TooManySlots { bound });
    }
    None
}
