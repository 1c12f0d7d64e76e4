//! Taking: events under lease, and how a lease ends.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use flumen_core::channel::{Lease, LeaseOwner, TakeLimits};
use flumen_core::future::ready;
use flumen_core::{BoxFuture, Fault, FaultKind, Side};
use flumen_wal::{AppendError, Appended, Record};

use super::acks::Acks;
use super::core::Core;
use super::owner::Owner;
use super::payload;
use super::sending::{Sending, Settle};
use super::state::{NoEvents, Stored, Taken};
use crate::bounded::{Room, Ticket};

/// A wait for events. Dropping it leaves the line; if it had been woken, the next one is.
pub(super) struct EventWait<'a> {
    owner: &'a Arc<Owner>,
    limits: TakeLimits,
    ticket: Option<Ticket>,
}

impl<'a> EventWait<'a> {
    pub(super) fn new(owner: &'a Arc<Owner>, limits: TakeLimits) -> Self {
        Self {
            owner,
            limits,
            ticket: None,
        }
    }

    /// Ready when there are events, never will be, or they cannot be read.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Lease, NoEvents>> {
        let Self {
            owner,
            limits,
            ticket,
        } = self;
        let polled = owner
            .core()
            .with(|state, outside| state.poll_take(*limits, ticket, context.waker(), outside));
        polled.map_ok(|taken| lease(owner, taken))
    }

    /// Ends the wait.
    pub(super) fn expire(&mut self) -> Result<Lease, NoEvents> {
        let (limits, ticket) = (self.limits, self.ticket.take());
        let taken = self
            .owner
            .core()
            .with(|state, outside| state.expire_take(limits, ticket, outside));
        taken.map(|taken| lease(self.owner, taken))
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let core = self.owner.core();
            core.with(|state, outside| state.accounts.leave_takers(Some(ticket), outside));
        }
    }
}

fn lease(owner: &Arc<Owner>, taken: Taken) -> Lease {
    let segments = taken.segments().map(Stored::shown).collect();
    let owner = FileLease {
        owner: Arc::clone(owner),
        taken: Some(taken),
    };
    Lease::new(segments, Box::new(owner))
}

/// Events under lease. Dropping them gives them back.
struct FileLease {
    owner: Arc<Owner>,
    taken: Option<Taken>,
}

impl FileLease {
    fn end(&mut self, kept: &[u32]) -> BoxFuture<'static, Result<(), Fault>> {
        let Some(taken) = self.taken.take() else {
            return ready(Ok(()));
        };
        let room = taken.room();
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for stored in taken.segments() {
            let range = stored.first_sequence..stored.end();
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        let back = match kept {
            [] => Vec::new(),
            kept => Stored::kept(taken.into_segments(), kept),
        };
        let delivered = without(&ranges, &back);
        let ended = Ended {
            core: Arc::clone(self.owner.core()),
            room,
            delivered: back
                .iter()
                .fold(room, |left, stored| left.minus(stored.room())),
            back: Mutex::new(back),
        };
        if delivered.is_empty() {
            ended.leave(Vec::new());
            return ready(Ok(()));
        }
        if !self.owner.is_strict() {
            ended.leave(delivered);
            return ready(Ok(()));
        }
        match payload::encode(&Default::default(), &[], ended.delivered.size) {
            Ok(payload) => {
                let record = Record {
                    items: 0,
                    acknowledged: delivered,
                    payload,
                };
                Box::pin(Sending::new(Arc::clone(&self.owner), ended, record))
            }
            // Nothing in it could fail; the lazy way is the one that is left.
            Err(_) => {
                ended.leave(delivered);
                ready(Ok(()))
            }
        }
    }
}

impl LeaseOwner for FileLease {
    fn ack(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Fault>> {
        self.end(&[])
    }

    fn ack_except(mut self: Box<Self>, kept: Vec<u32>) -> BoxFuture<'static, Result<(), Fault>> {
        self.end(&kept)
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl Drop for FileLease {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            let room = taken.room();
            let mut back = taken.into_segments();
            for stored in &mut back {
                stored.redeliveries = stored.redeliveries.saturating_add(1);
            }
            let core = self.owner.core();
            core.with(|state, outside| state.end_lease(room, back, outside));
        }
    }
}

/// These ranges without the events of `back`, which are parts of them in order.
fn without(ranges: &[Range<u64>], back: &[Stored]) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    let mut back = back.iter().peekable();
    for range in ranges {
        let mut start = range.start;
        while let Some(stored) = back.next_if(|stored| stored.first_sequence < range.end) {
            if start < stored.first_sequence {
                left.push(start..stored.first_sequence);
            }
            start = stored.end();
        }
        if start < range.end {
            left.push(start..range.end);
        }
    }
    left
}

/// A lease that ends with events delivered.
struct Ended {
    core: Arc<Core>,
    /// All of the lease.
    room: Room,
    delivered: Room,
    /// What returns to its place.
    back: Mutex<Vec<Stored>>,
}

impl Ended {
    /// The events leave the channel, and these acknowledgements wait to get into the log.
    fn leave(&self, acks: Vec<Range<u64>>) {
        self.core.with(|state, outside| {
            let uncertain = state.end_lease(self.room, self.take_back(), outside);
            let mut size = self.delivered.size + uncertain;
            for range in acks {
                state.acks.add(range, std::mem::take(&mut size));
            }
        });
        self.count();
    }

    fn take_back(&self) -> Vec<Stored> {
        std::mem::take(&mut *self.back.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self) {
        let delivered = self.delivered.events;
        self.core.counters.event_take_success.add(delivered);
    }
}

impl Settle for Ended {
    fn settle(&self, outcome: Result<Appended, AppendError>) -> Result<(), Fault> {
        let refused = match &outcome {
            Ok(_) => Ok(()),
            Err(refused) => Err(self.core.fault(&refused.refusal)),
        };
        // The events were delivered, whatever the log says: here they are gone. When it did not
        // take the acknowledgement, that is tried again, and a restart may deliver them again.
        self.core.with(|state, outside| {
            let uncertain = state.end_lease(self.room, self.take_back(), outside);
            state.acks.add(0..0, uncertain);
        });
        self.count();
        self.core.acks_done(outcome, self.delivered.size);
        refused
    }
}

/// Writes the acknowledgements that wait, and waits for those that are on their way.
pub(super) fn settle(owner: &Arc<Owner>) -> BoxFuture<'static, Result<(), Fault>> {
    let core = owner.core();
    let ranges_max = owner.ranges_beside(payload::HEAD_BYTES as u64);
    let Acks { ranges, size_bytes } = core.with(|state, _| state.acks.take(ranges_max));
    match payload::encode(&Default::default(), &[], size_bytes) {
        // Without ranges too: the log answers in order, so what was sent before is answered.
        Ok(payload) => {
            let record = Record {
                items: 0,
                acknowledged: ranges,
                payload,
            };
            let settled = Settled {
                core: Arc::clone(core),
                size_bytes,
            };
            Box::pin(Sending::new(Arc::clone(owner), settled, record))
        }
        Err(error) => {
            core.with(|state, _| state.acks.put_back(Acks { ranges, size_bytes }));
            let message = format!("channel {}: acknowledgements cannot be written", core.name);
            let fault = Fault::new(FaultKind::Broken, Side::Component, message);
            ready(Err(fault.with_cause(error)))
        }
    }
}

/// Acknowledgements that nothing waits for but the end.
struct Settled {
    core: Arc<Core>,
    size_bytes: u64,
}

impl Settle for Settled {
    fn settle(&self, outcome: Result<Appended, AppendError>) -> Result<(), Fault> {
        let answer = match &outcome {
            Ok(_) => Ok(()),
            Err(refused) => Err(self.core.fault(&refused.refusal)),
        };
        self.core.acks_done(outcome, self.size_bytes);
        answer
    }
}
