//! The accounts of a bounded channel: a plain value with no lock, no timer and no task in it.
//!
//! Whatever changes them ends in [`Accounts::serve`], so that between two changes nobody waits for
//! what is there: that is the whole argument for "no lost wake-up".

use std::task::{Poll, Waker};

use flumen_core::channel::TakeLimits;

use super::line::{Outside, PutLine, Refusal, Standing, TakeLine, Ticket};
use super::room::{Bounds, Room};

/// Why a take found nothing, now or ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// Not yet.
    Empty,
    /// Closed, and neither queue, permit nor lease holds anything that could still come.
    Closed,
}

/// What is queued, reserved and leased, and the lines of those who wait.
#[derive(Debug)]
pub(crate) struct Accounts {
    bounds: Bounds,
    queued: Room,
    /// What of the queue nobody can take any more in this life of the channel.
    aside: Room,
    /// Events of the queue that a take finds at once. A channel that keeps events elsewhere too
    /// has fewer of them than are queued.
    ready: u64,
    reserved: Room,
    leased: Room,
    closed: bool,
    /// The store takes no events for now, whatever room there is.
    held: bool,
    /// The store takes no events any more.
    failed: bool,
    putters: PutLine,
    takers: TakeLine,
}

impl Accounts {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            queued: Room::default(),
            aside: Room::default(),
            ready: 0,
            reserved: Room::default(),
            leased: Room::default(),
            closed: false,
            held: false,
            failed: false,
            putters: PutLine::default(),
            takers: TakeLine::default(),
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(crate) fn queued(&self) -> Room {
        self.queued
    }

    pub(crate) fn aside(&self) -> Room {
        self.aside
    }

    pub(crate) fn ready(&self) -> u64 {
        self.ready
    }

    pub(crate) fn leased(&self) -> Room {
        self.leased
    }

    /// Reserves room unless others wait for it.
    pub(crate) fn try_reserve(&mut self, need: Room) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.failed {
            return Err(Refusal::Failed);
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
    pub(crate) fn poll_reserve(
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
    pub(crate) fn expire_reserve(
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
    pub(crate) fn withdraw_reserve(&mut self, ticket: Ticket, outside: &mut Outside) {
        if let Some((need, Ok(()))) = self.putters.leave(ticket, outside) {
            self.reserved = self.reserved.minus(need);
        }
        self.serve(outside);
    }

    /// A permit was dropped.
    pub(crate) fn release_reserved(&mut self, room: Room, outside: &mut Outside) {
        self.reserved = self.reserved.minus(room);
        self.serve(outside);
    }

    /// Events take the place in the queue of a permit's room; `ready` of them are found by a take.
    pub(crate) fn queue_reserved(&mut self, room: Room, ready: u64) {
        self.reserved = self.reserved.minus(room);
        self.queue_more(room, ready);
    }

    /// Events are in the queue without a permit: found at the start.
    pub(crate) fn queue_more(&mut self, room: Room, ready: u64) {
        self.queued = self.queued.plus(room);
        self.ready += ready;
    }

    /// Queued events can be found by a take from now on.
    pub(crate) fn now_ready(&mut self, events: u64) {
        self.ready += events;
    }

    /// Queued events cannot be found by a take any more.
    pub(crate) fn unready(&mut self, events: u64) {
        self.ready = self.ready.saturating_sub(events);
    }

    /// Queued events are gone without having been taken.
    pub(crate) fn unqueue(&mut self, room: Room) {
        self.queued = self.queued.minus(room);
    }

    /// Queued events that were not ready never will be. They stay in the queue, and count neither
    /// against the bounds nor as something that could still come.
    pub(crate) fn set_aside(&mut self, room: Room) {
        self.aside = self.aside.plus(room);
    }

    /// Queued events that were ready are under lease.
    pub(crate) fn lease(&mut self, room: Room) {
        self.queued = self.queued.minus(room);
        self.leased = self.leased.plus(room);
        self.ready = self.ready.saturating_sub(room.events);
    }

    /// A lease ended; of its events these return to the queue.
    pub(crate) fn end_lease(&mut self, room: Room, back: Room) {
        self.leased = self.leased.minus(room);
        self.queue_more(back, back.events);
    }

    /// What a take may have at most.
    pub(crate) fn event_bound(&self, limits: TakeLimits) -> usize {
        limits.events.min(self.bounds.transaction_events).max(1)
    }

    /// A take found nothing and waits.
    pub(crate) fn wait_for_events(
        &mut self,
        limits: TakeLimits,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        outside: &mut Outside,
    ) {
        match *ticket {
            Some(own) => self.takers.stay(own, waker, outside),
            None => {
                let want = self.event_bound(limits) as u64;
                *ticket = Some(self.takers.join(want, waker));
            }
        }
    }

    /// A taker has what it wants or is gone; if it had been woken, the next one is.
    pub(crate) fn leave_takers(&mut self, ticket: Option<Ticket>, outside: &mut Outside) {
        if let Some(ticket) = ticket {
            self.takers.leave(ticket, outside);
        }
        self.serve(outside);
    }

    /// Wakes every taker: the channel has something to tell them.
    pub(crate) fn wake_takers(&mut self, outside: &mut Outside) {
        self.takers.wake_all(outside);
    }

    /// Takes no more puts.
    pub(crate) fn close(&mut self, outside: &mut Outside) {
        self.closed = true;
        self.putters.refuse(outside, |_| Some(Refusal::Closed));
        self.serve(outside);
    }

    /// New bounds, with all events kept. Who waits for room that can never be there any more is
    /// refused, and would hold up the line for ever otherwise.
    pub(crate) fn set_bounds(&mut self, bounds: Bounds, outside: &mut Outside) {
        self.bounds = bounds;
        self.putters
            .refuse(outside, |need| never_fits(&bounds, need));
        self.serve(outside);
    }

    /// The store takes no events for now, or takes them again.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// The store takes no events any more, for good.
    pub(crate) fn fail(&mut self, outside: &mut Outside) {
        self.failed = true;
        self.putters.refuse(outside, |_| Some(Refusal::Failed));
    }

    /// Gives waiters what is there for them.
    pub(crate) fn serve(&mut self, outside: &mut Outside) {
        while let Some(need) = self.putters.first_need() {
            if !self.has_room(need) {
                break;
            }
            self.reserved = self.reserved.plus(need);
            self.putters.grant_first(outside);
        }
        self.takers.wake(self.ready, outside);
        if self.nothing() == Nothing::Closed {
            self.takers.wake_all(outside);
        }
    }

    /// What a take that found nothing is told.
    pub(crate) fn nothing(&self) -> Nothing {
        let held = self.held_room();
        if self.closed && held.events == 0 {
            Nothing::Closed
        } else {
            Nothing::Empty
        }
    }

    fn has_room(&self, need: Room) -> bool {
        // What holds no events is taken by a store that is full as well.
        (!self.held || need.events == 0)
            && self.held_room().plus(need).is_within(self.bounds.capacity)
    }

    /// All that is in use and moves.
    fn held_room(&self) -> Room {
        let moving = self.queued.minus(self.aside);
        moving.plus(self.leased).plus(self.reserved)
    }
}

fn never_fits(bounds: &Bounds, need: Room) -> Option<Refusal> {
    if need.events > bounds.transaction_events as u64 {
        let bound = bounds.transaction_events;
        return Some(Refusal::TooManyEvents { bound });
    }
    if need.size > bounds.capacity.size {
        let bound = bounds.capacity.size;
        return Some(Refusal::TooLarge { bound });
    }
    None
}
