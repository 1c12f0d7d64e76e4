//! Taking: from memory or from the overflow, and how a lease ends.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use flumen_core::channel::{Channel, Lease, LeaseOwner, TakeError, TakeLimits};
use flumen_core::future::ready;
use flumen_core::state::StateRecord;
use flumen_core::{BoxFuture, Fault};
use tracing::warn;

use super::SpillableChannel;
use super::identity;
use super::shared::Shared;
use super::state::{Step, Stored, Taken};
use crate::bounded::{Nothing, Room, Ticket, TimeLimit};

/// The longest wait for events that the overflow has. It reads them from a disk, so a second is
/// long; after that it is asked what it has.
const OVERFLOW_WAIT: Duration = Duration::from_secs(1);

impl SpillableChannel {
    pub(super) async fn take_lease(
        &self,
        limits: TakeLimits,
        wait: Duration,
    ) -> Result<Lease, TakeError> {
        let shared = &self.shared;
        shared.counters.event_take_attempt.add(1);
        let mut time = TimeLimit::new(wait);
        loop {
            let mut events = EventWait {
                shared,
                limits,
                ticket: None,
            };
            let step = poll_fn(|context| match events.poll(context) {
                Poll::Pending => match time.poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => events.expire(),
                },
                ready => ready,
            });
            match step.await {
                Step::Memory(taken) => return Ok(from_memory(shared, taken)),
                Step::Nothing(Nothing::Empty) => return Err(TakeError::Empty),
                Step::Nothing(Nothing::Closed) => return Err(TakeError::Closed),
                Step::Overflow(most) => {
                    let _taking = Taking(shared);
                    let limits = TakeLimits {
                        events: usize::try_from(most)
                            .unwrap_or(usize::MAX)
                            .min(limits.events)
                            .max(1),
                        bytes: limits.bytes,
                    };
                    if let Some(lease) = from_overflow(shared, limits).await? {
                        return Ok(lease);
                    }
                }
            }
        }
    }
}

/// A wait for events. Dropping it leaves the line; if it had been woken, the next one is.
struct EventWait<'a> {
    shared: &'a Arc<Shared>,
    limits: TakeLimits,
    ticket: Option<Ticket>,
}

impl EventWait<'_> {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Step> {
        let (limits, ticket) = (self.limits, &mut self.ticket);
        self.shared
            .with(|state, outside| state.poll_take(limits, ticket, context.waker(), outside))
    }

    fn expire(&mut self) -> Poll<Step> {
        let (limits, ticket) = (self.limits, &mut self.ticket);
        self.shared
            .with(|state, outside| state.expire_take(limits, ticket, outside))
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared
                .with(|state, outside| state.total.leave_takers(Some(ticket), outside));
        }
    }
}

/// The right to take from the overflow, which one taker has at a time.
struct Taking<'a>(&'a Arc<Shared>);

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.0.with(|state, outside| state.end_taking(outside));
    }
}

fn from_memory(shared: &Arc<Shared>, taken: Taken) -> Lease {
    let segments = taken.segments().map(Stored::shown).collect();
    let owner = MemoryLease {
        shared: Arc::clone(shared),
        taken: Some(taken),
    };
    Lease::new(segments, Box::new(owner))
}

/// Events of the overflow; `None` when it has none after all.
async fn from_overflow(
    shared: &Arc<Shared>,
    limits: TakeLimits,
) -> Result<Option<Lease>, TakeError> {
    let Some(overflow) = &shared.overflow else {
        shared.with(|state, _| state.overflow_is_empty());
        return Ok(None);
    };
    match overflow.take(limits, OVERFLOW_WAIT).await {
        Ok(lease) => {
            let taken: Vec<Stored> = lease
                .segments()
                .iter()
                .flat_map(identity::untagged)
                .collect();
            let room = shared.with(|state, _| state.overflow_taken(&taken));
            let segments = taken.iter().map(Stored::shown).collect();
            let owner = OverflowLease(Some(Spilled {
                shared: Arc::clone(shared),
                lease: Some(lease),
                taken,
                room,
            }));
            Ok(Some(Lease::new(segments, Box::new(owner))))
        }
        Err(TakeError::Failed(fault)) => Err(TakeError::Failed(fault)),
        Err(TakeError::Empty | TakeError::Closed) => {
            look_again(shared, &**overflow);
            Ok(None)
        }
    }
}

/// The overflow gave nothing, and should have something.
fn look_again(shared: &Arc<Shared>, overflow: &dyn Channel) {
    let fill = overflow.fill();
    if fill.moving_events() > fill.leased_events {
        // It is slow. The caller asks again.
        return;
    }
    let missing = shared.with(|state, _| state.overflow_is_empty());
    if missing > 0 {
        warn!(
            channel = %shared.name,
            "{missing} events that should be in the overflow are not there, or its disk does not give them"
        );
    }
}

struct MemoryLease {
    shared: Arc<Shared>,
    taken: Option<Taken>,
}

impl MemoryLease {
    fn end(&mut self, kept: &[u32]) {
        if let Some(taken) = self.taken.take() {
            let room = taken.room();
            let back = Stored::kept(taken.into_segments(), kept);
            let delivered = room.events.saturating_sub(kept.len() as u64);
            self.shared
                .with(|state, outside| state.end_lease(room, back, outside));
            self.shared.counters.event_take_success.add(delivered);
        }
    }
}

impl LeaseOwner for MemoryLease {
    fn ack(
        mut self: Box<Self>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.end(&[]);
        ready(Ok(()))
    }

    fn ack_except(
        mut self: Box<Self>,
        kept: Vec<u32>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.end(&kept);
        ready(Ok(()))
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            let room = taken.room();
            let mut back = taken.into_segments();
            for stored in &mut back {
                stored.redeliveries = stored.redeliveries.saturating_add(1);
            }
            self.shared
                .with(|state, outside| state.end_lease(room, back, outside));
        }
    }
}

struct OverflowLease(Option<Spilled>);

impl OverflowLease {
    fn end(&mut self, kept: Vec<u32>) -> BoxFuture<'static, Result<(), Fault>> {
        let Some(mut spilled) = self.0.take() else {
            return ready(Ok(()));
        };
        let Some(lease) = spilled.lease.take() else {
            return ready(Ok(()));
        };
        Box::pin(async move {
            let result = match kept.as_slice() {
                [] => lease.ack().await,
                _ => lease.ack_except(kept.clone()).await,
            };
            if result.is_ok() {
                spilled.ended(&kept);
            }
            result
        })
    }
}

impl LeaseOwner for OverflowLease {
    fn ack(
        mut self: Box<Self>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.end(Vec::new())
    }

    fn ack_except(
        mut self: Box<Self>,
        kept: Vec<u32>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.end(kept)
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

/// Events of the overflow under lease. Dropped before their end, all of them are back: the overflow
/// has them again, or if not, the take that looks for them finds that out.
struct Spilled {
    shared: Arc<Shared>,
    lease: Option<Lease>,
    taken: Vec<Stored>,
    room: Room,
}

impl Spilled {
    fn ended(mut self, kept: &[u32]) {
        let taken = std::mem::take(&mut self.taken);
        let back = Stored::kept(taken, kept);
        let delivered = self.room.events.saturating_sub(kept.len() as u64);
        let room = std::mem::take(&mut self.room);
        self.shared.with(|state, outside| {
            state.end_overflow_lease(room, back.iter().map(place), outside);
        });
        self.shared.counters.event_take_success.add(delivered);
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        // First the overflow, so that whoever is woken finds them.
        drop(self.lease.take());
        let (taken, room) = (std::mem::take(&mut self.taken), self.room);
        if !taken.is_empty() {
            self.shared.with(|state, outside| {
                state.end_overflow_lease(room, taken.iter().map(place), outside);
            });
        }
    }
}

fn place(stored: &Stored) -> (Range<u64>, Room) {
    (stored.first_sequence..stored.end(), stored.room())
}
