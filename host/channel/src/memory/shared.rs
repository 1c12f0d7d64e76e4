//! The state behind its lock, and what is held against it: room, waits and leases, each of which
//! gives back what it holds when it is dropped. No timer is here, so that loom drives all of it.

use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use flumen_core::channel::TakeLimits;
use flumen_core::{EventBatch, metric};

use super::state::{State, Stored, Taken};
use crate::bounded::{
    Accounted, Accounts, Bounds, Mutex, Nothing, Outside, Room, SharedPointer, Ticket,
};

/// What the channel and everything that it gave out share.
pub(super) struct Shared {
    /// A plain mutex suffices: it is held for a few pointer moves per batch, never over an await
    /// and never while foreign code runs.
    state: Mutex<State>,
    pub(super) counters: Arc<metric::ChannelCounters>,
}

impl Shared {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            state: Mutex::new(State::new(bounds)),
            counters: Arc::default(),
        }
    }

    /// Acts on the state, then wakes whom the act served.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, &mut Outside) -> T) -> T {
        let mut outside = Outside::default();
        let value = {
            // Nothing under the lock panics, and every step leaves the state whole; should it
            // happen after all, the events are worth more than the suspicion.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            act(&mut state, &mut outside)
        };
        outside.run();
        value
    }
}

impl Accounted for Shared {
    fn with_accounts<T>(&self, act: impl FnOnce(&mut Accounts, &mut Outside) -> T) -> T {
        self.with(|state, outside| act(&mut state.accounts, outside))
    }
}

/// Reserved room with the events that it is for.
pub(super) struct Held {
    shared: SharedPointer<Shared>,
    room: Room,
    events: Option<EventBatch>,
}

impl Held {
    /// Room that the state has just granted.
    pub(super) fn granted(shared: &SharedPointer<Shared>, room: Room, events: EventBatch) -> Self {
        Self {
            shared: SharedPointer::clone(shared),
            room,
            events: Some(events),
        }
    }

    pub(super) fn commit(mut self) {
        let Some(events) = self.events.take() else {
            return;
        };
        let room = self.room;
        self.shared
            .with(|state, outside| state.commit(events, room, outside));
        self.shared.counters.event_put_success.add(room.events);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.events.take().is_some() {
            let room = self.room;
            self.shared
                .with(|state, outside| state.accounts.release_reserved(room, outside));
        }
    }
}

/// A wait for events. Dropping it leaves the line; if it had been woken, the next one is.
pub(super) struct EventWait<'a> {
    shared: &'a SharedPointer<Shared>,
    limits: TakeLimits,
    ticket: Option<Ticket>,
}

impl<'a> EventWait<'a> {
    pub(super) fn new(shared: &'a SharedPointer<Shared>, limits: TakeLimits) -> Self {
        Self {
            shared,
            limits,
            ticket: None,
        }
    }

    /// Ready when there are events, or never will be.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<Result<LeasedEvents, Nothing>> {
        let Self {
            shared,
            limits,
            ticket,
        } = self;
        let polled = shared
            .with(|state, outside| state.poll_take(*limits, ticket, context.waker(), outside));
        polled.map_ok(|taken| LeasedEvents::new(shared, taken))
    }

    /// Ends the wait.
    pub(super) fn expire(&mut self) -> Result<LeasedEvents, Nothing> {
        let (limits, ticket) = (self.limits, self.ticket.take());
        self.shared
            .with(|state, outside| state.expire_take(limits, ticket, outside))
            .map(|taken| LeasedEvents::new(self.shared, taken))
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared
                .with(|state, outside| state.withdraw_take(ticket, outside));
        }
    }
}

/// Events under lease. Dropping them gives them back.
pub(super) struct LeasedEvents {
    shared: SharedPointer<Shared>,
    taken: Option<Taken>,
}

impl LeasedEvents {
    fn new(shared: &SharedPointer<Shared>, taken: Taken) -> Self {
        Self {
            shared: SharedPointer::clone(shared),
            taken: Some(taken),
        }
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &Stored> {
        self.taken.iter().flat_map(Taken::segments)
    }

    /// The events leave the channel.
    pub(super) fn ack(mut self) {
        if let Some(taken) = self.taken.take() {
            self.end(taken.room(), Vec::new());
        }
    }

    /// The events leave the channel, save those at these indices.
    pub(super) fn ack_except(mut self, kept: &[u32]) {
        if let Some(taken) = self.taken.take() {
            let room = taken.room();
            self.end(room, Stored::kept(taken.into_segments(), kept));
        }
    }

    fn end(&self, room: Room, back: Vec<Stored>) {
        let kept: u64 = back.iter().map(|stored| stored.room().events).sum();
        self.shared
            .with(|state, outside| state.end_lease(room, back, outside));
        let delivered = room.events.saturating_sub(kept);
        self.shared.counters.event_take_success.add(delivered);
    }
}

impl Drop for LeasedEvents {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            let room = taken.room();
            let mut back = taken.into_segments();
            for stored in &mut back {
                stored.redeliveries = stored.redeliveries.saturating_add(1);
            }
            self.end(room, back);
        }
    }
}
