//! The state of a memory channel: a plain value with no lock, no timer and no task in it.

use std::task::{Poll, Waker};

use flumen_core::EventBatch;
use flumen_core::channel::{ChannelFill, TakeLimits};

use super::room::{Slots, bytes};
use crate::bounded::{Accounts, Bounds, Nothing, Outside, Room, Ticket};

pub(super) type Stored = crate::bounded::Stored<Slots>;
pub(super) type Taken = crate::bounded::Taken<Slots>;
type Queue = crate::bounded::Queue<Slots>;

#[derive(Debug)]
pub(super) struct State {
    pub(super) accounts: Accounts,
    queue: Queue,
    next_sequence: u64,
}

impl State {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            accounts: Accounts::new(bounds),
            queue: Queue::default(),
            next_sequence: 0,
        }
    }

    pub(super) fn fill(&self) -> ChannelFill {
        let leased = self.accounts.leased();
        let held = self.accounts.queued().plus(leased);
        ChannelFill {
            events: held.events,
            leased_events: leased.events,
            bytes: bytes(held.size),
            set_aside_events: 0,
        }
    }

    /// Events take the place in the queue of a permit's room.
    pub(super) fn commit(&mut self, events: EventBatch, room: Room, outside: &mut Outside) {
        self.accounts.queue_reserved(room, room.events);
        if !events.is_empty() {
            let stored = Stored::new(self.next_sequence, room.size, events);
            self.queue.push_back(stored);
            self.next_sequence += room.events;
        }
        self.accounts.serve(outside);
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
    ) -> Result<Taken, Nothing> {
        let answer = self.take(limits);
        self.accounts.leave_takers(ticket, outside);
        answer
    }

    /// The taker is gone; if it had been woken, the next one is.
    pub(super) fn withdraw_take(&mut self, ticket: Ticket, outside: &mut Outside) {
        self.accounts.leave_takers(Some(ticket), outside);
    }

    /// Takes the oldest events that nobody holds.
    fn take(&mut self, limits: TakeLimits) -> Result<Taken, Nothing> {
        let events = self.accounts.event_bound(limits);
        let Some(taken) = self.queue.take(events, limits.bytes, u64::MAX) else {
            return Err(self.accounts.nothing());
        };
        self.accounts.lease(taken.room());
        Ok(taken)
    }

    /// A lease ended: its events leave the channel, save those in `back`, which return to their
    /// places.
    pub(super) fn end_lease(&mut self, room: Room, back: Vec<Stored>, outside: &mut Outside) {
        let back = self.queue.put_back(back);
        self.accounts.end_lease(room, back);
        self.accounts.serve(outside);
    }
}
