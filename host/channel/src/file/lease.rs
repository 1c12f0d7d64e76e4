//! Taking: events under lease, and how a lease ends.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use flumen_core::channel::{Lease, TakeLimits};
use flumen_core::future::ready;
use flumen_core::{BoxFuture, Fault};
use flumen_wal::{AppendError, Appended};

use super::acks::Acks;
use super::core::Core;
use super::owner::{InFlight, Owner, RANGE_BYTES};
use super::payload;
use super::sending::{Sending, Settle};
use super::state::{ACK_RANGES_MAX, NoEvents, Stored, Taken};
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
pub(super) struct FileLease {
    owner: Arc<Owner>,
    taken: Option<Taken>,
}

impl FileLease {
    /// All events but those at these indices are delivered. With a record that is as durable as a
    /// put, in one step.
    pub(super) fn end(
        &mut self,
        kept: &[u32],
        record: Option<payload::Record>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        // Before the lease is over: events that cannot be acknowledged come again.
        let in_flight = match self.owner.admit(record.as_ref()) {
            Ok(in_flight) => in_flight,
            Err(fault) => return ready(Err(fault)),
        };
        let Some(taken) = self.taken.take() else {
            return ready(Ok(()));
        };
        let room = taken.room();
        let ranges = joined(taken.segments());
        let back = match kept {
            [] => Vec::new(),
            kept => Stored::kept(taken.into_segments(), kept),
        };
        let mut delivered = without(&ranges, &back);
        let mut ended = Ended {
            core: Arc::clone(self.owner.core()),
            _in_flight: in_flight,
            room,
            others_bytes: 0,
            delivered: back
                .iter()
                .fold(room, |left, stored| left.minus(stored.room())),
            back: Mutex::new(back),
        };
        if record.is_none() && (delivered.is_empty() || !self.owner.is_strict()) {
            ended.leave(delivered);
            return ready(Ok(()));
        }
        if let Some(record) = &record {
            // What the record stands for may have been acknowledged in several steps, some of them
            // at leisure. After a crash all of them are there with it.
            let own = (delivered.len() * RANGE_BYTES) as u64 + payload::record_bytes_max(record);
            let ranges_max = self.owner.ranges_beside(own).min(ACK_RANGES_MAX);
            let others = ended.core.with(|state, _| state.acks.take(ranges_max));
            delivered.extend(others.ranges);
            ended.others_bytes = others.size_bytes;
        }
        let size = ended.delivered.size + ended.others_bytes;
        match super::acknowledging(&self.owner, delivered, size, record.as_ref()) {
            Ok(record) => Box::pin(Sending::new(Arc::clone(&self.owner), ended, record)),
            Err(fault) => {
                let back = ended.take_back();
                let core = &ended.core;
                core.with(|state, outside| state.end_lease(room, back, outside));
                ready(Err(fault))
            }
        }
    }
}

/// The sequences of these events, in the fewest ranges.
fn joined<'a>(segments: impl Iterator<Item = &'a Stored>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for stored in segments {
        let range = stored.first_sequence..stored.end();
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    ranges
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
    _in_flight: InFlight,
    /// All of the lease.
    room: Room,
    /// Bytes of events whose acknowledgements ride with these.
    others_bytes: u64,
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
        self.core
            .acks_done(outcome, self.delivered.size + self.others_bytes);
        refused
    }
}

/// Writes the acknowledgements that wait, and waits for those that are on their way.
pub(super) fn flush(owner: &Arc<Owner>) -> BoxFuture<'static, Result<(), Fault>> {
    let ranges_max = owner.ranges_beside(payload::frame_bytes_max());
    let core = owner.core();
    let Acks { ranges, size_bytes } = core.with(|state, _| state.acks.take(ranges_max));
    // Without ranges too: the log answers in order, so what was sent before is answered.
    write_acks(owner, ranges, size_bytes)
}

/// Writes these acknowledgements, and waits until the log has them. When it takes them not they
/// wait to be written.
pub(super) fn write_acks(
    owner: &Arc<Owner>,
    ranges: Vec<Range<u64>>,
    size_bytes: u64,
) -> BoxFuture<'static, Result<(), Fault>> {
    let core = owner.core();
    match super::acknowledging(owner, ranges.clone(), size_bytes, None) {
        Ok(record) => {
            let flushed = Flushed {
                core: Arc::clone(core),
                size_bytes,
            };
            Box::pin(Sending::new(Arc::clone(owner), flushed, record))
        }
        Err(fault) => {
            core.with(|state, _| state.acks.put_back(Acks { ranges, size_bytes }));
            ready(Err(fault))
        }
    }
}

/// Acknowledgements that somebody waits for.
struct Flushed {
    core: Arc<Core>,
    size_bytes: u64,
}

impl Settle for Flushed {
    fn settle(&self, outcome: Result<Appended, AppendError>) -> Result<(), Fault> {
        let answer = match &outcome {
            Ok(_) => Ok(()),
            Err(refused) => Err(self.core.fault(&refused.refusal)),
        };
        self.core.acks_done(outcome, self.size_bytes);
        answer
    }
}
