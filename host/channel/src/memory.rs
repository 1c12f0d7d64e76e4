//! The memory channel: Flume's options and arithmetic, a queue of whole batches.
//!
//! Guarantees
//! * The contract of [`flumen_core::channel::Channel`], each promise of which the conformance suite
//!   checks.
//! * A put, a take and their ends cost a lock each and no work per event, but for one look at the
//!   lengths of the bodies when room is reserved or a batch is cut.
//! * A put shares the batch; a take that is smaller than a put shares a slice of it.
//! * Waiters for room are handed it under the lock, in order of arrival: nobody overtakes, and a
//!   large batch is served in its turn.
//!
//! Not guaranteed
//! * Nothing outlives the process. Source state is accepted and not kept: after a crash neither
//!   cursor nor events are there, so they agree.
//! * Memory: bodies are counted as Flume counts them, in slots of 100 bytes. Headers, and the rest
//!   of a large buffer that a small batch was cut from, are not counted.
//! * No fairness between takers that compete.
//!
//! Limits: capacity and transaction capacity up to 2 147 483 647 events, 214 GB of bodies.
//!
//! ```text
//! memory    the channel as the contract wants it
//! timed     waits with their time limit
//! shared    the lock, and guards for room, waits and leases; loom starts here
//! state     queue and accounts, a plain value
//! ```

#[cfg(test)]
#[cfg(feature = "loom")]
mod loom_tests;
mod options;
mod room;
mod shared;
mod state;
#[cfg(test)]
#[cfg(not(feature = "loom"))]
mod tests;
mod timed;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use flumen_core::channel::{
    Channel, ChannelFill, ChannelLimits, Lease, LeaseOwner, Permit, ReserveError, Segment,
    TakeError, TakeLimits,
};
use flumen_core::clock::Clock;
use flumen_core::metric::ChannelCounters;
use flumen_core::settings::Settings;
use flumen_core::state::StateRecord;
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault};

pub use options::ROW;

use crate::bounded::{Refusal, Room, SharedPointer};
use crate::change::Change;
use room::Slots;
use shared::{Held, LeasedEvents, Shared};
use timed::{Reserve, Take};

/// Makes a memory channel, open and empty.
///
/// # Errors
/// A configuration fault when `transactionCapacity` is above `capacity`, when `byteCapacity` leaves
/// no room for one event, or when a setting is missing.
pub fn build(
    name: &ComponentName,
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    let shared = Shared::new(options::read(name, settings)?);
    shared.counters.start_time.set(now_ms(&*clock));
    Ok(Arc::new(MemoryChannel {
        name: name.clone(),
        shared: SharedPointer::new(shared),
        clock,
    }))
}

/// All settings of a memory channel change in place.
///
/// # Errors
/// As [`build`], of the new settings.
pub fn change(name: &ComponentName, _old: &Settings, new: &Settings) -> Result<Change, Fault> {
    options::read(name, new).map(|_| Change::InPlace)
}

fn now_ms(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now_ms()).unwrap_or(0)
}

struct MemoryChannel {
    name: ComponentName,
    shared: SharedPointer<Shared>,
    clock: Arc<dyn Clock>,
}

impl MemoryChannel {
    fn count_put_attempt(&self, need: Room) {
        self.shared.counters.event_put_attempt.add(need.events);
    }
}

impl Channel for MemoryChannel {
    fn name(&self) -> &ComponentName {
        &self.name
    }

    fn limits(&self) -> ChannelLimits {
        let bounds = self.shared.with(|state, _| state.accounts.bounds());
        options::limits(&bounds)
    }

    fn fill(&self) -> ChannelFill {
        self.shared.with(|state, _| state.fill())
    }

    fn counters(&self) -> &Arc<ChannelCounters> {
        &self.shared.counters
    }

    fn try_reserve(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError> {
        let need = Room::of::<Slots>(batch);
        let answer = self
            .shared
            .with(|state, _| state.accounts.try_reserve(need));
        // A put that finds no room goes on to wait for it, and is counted there.
        if answer != Err(Refusal::Full) {
            self.count_put_attempt(need);
        }
        match answer {
            Ok(()) => Ok(permit(Held::granted(&self.shared, need, batch.clone()))),
            Err(refusal) => Err(self.refused(refusal, need, Duration::ZERO)),
        }
    }

    fn reserve<'a>(
        &'a self,
        batch: &'a EventBatch,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Permit>, ReserveError>> {
        Box::pin(Reserve::new(self, batch, wait))
    }

    fn take(&self, limits: TakeLimits, wait: Duration) -> BoxFuture<'_, Result<Lease, TakeError>> {
        Box::pin(Take::new(self, limits, wait))
    }

    fn close(&self) {
        self.shared
            .with(|state, outside| state.accounts.close(outside));
        self.shared.counters.stop_time.set(now_ms(&*self.clock));
    }

    fn reconfigure(&self, settings: &Settings) -> Result<bool, Fault> {
        let bounds = options::read(&self.name, settings)?;
        self.shared
            .with(|state, outside| state.accounts.set_bounds(bounds, outside));
        Ok(true)
    }
}

fn permit(held: Held) -> Box<dyn Permit> {
    Box::new(MemoryPermit(held))
}

struct MemoryPermit(Held);

impl Permit for MemoryPermit {
    fn commit(
        self: Box<Self>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.0.commit();
        Box::pin(Done)
    }
}

fn lease(segments: Vec<Segment>, events: LeasedEvents) -> Lease {
    Lease::new(segments, Box::new(MemoryLease(events)))
}

struct MemoryLease(LeasedEvents);

impl LeaseOwner for MemoryLease {
    fn ack(self: Box<Self>, _record: Option<StateRecord>) -> BoxFuture<'static, Result<(), Fault>> {
        self.0.ack();
        Box::pin(Done)
    }

    fn ack_except(
        self: Box<Self>,
        kept: Vec<u32>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.0.ack_except(&kept);
        Box::pin(Done)
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

/// Success at once. A type without a size: its box costs no allocation.
struct Done;

impl Future for Done {
    type Output = Result<(), Fault>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}
