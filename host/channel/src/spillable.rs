//! The spillable memory channel, Flume's `SPILLABLEMEMORY`: memory first, and a file channel as
//! overflow when memory stays full.
//!
//! Guarantees
//! * The contract of [`flumen_core::channel::Channel`], each promise of which the conformance suite
//!   checks, with events in memory, in the overflow, and in both in turns.
//! * Order holds across memory and overflow, however often puts change from one to the other. Puts
//!   that are committed at the same time stand in some order.
//! * What lies in the overflow survives as in the file channel, with its sequences. A crash loses
//!   what lies in memory and nothing else.
//! * The folder is a file channel's own: a channel whose type changes from `file` to this one
//!   delivers what is there.
//!
//! Not guaranteed
//! * Durability: a commit into memory is answered like one into the overflow. So the states of
//!   sources are not kept here.
//! * A put is never parted: it is in memory or in the overflow as a whole.
//! * After a change back to type `file`, what waits has one more header, by which this channel
//!   knows its events.
//!
//! Limits: memory as the memory channel, and what the file channel takes for itself; the overflow
//! has room for what was granted, so that files may hold events that memory had room for.
//!
//! ```text
//! spillable  the channel as the contract wants it
//! options    Flume's options
//! put        where events go, permits and commits
//! take       from where events come, and how a lease ends
//! shared     the lock
//! state      what is where, and in which order it leaves: a plain value
//! ranges     a set of sequences
//! identity   sequences that travel with the events, and epochs
//! ```

mod identity;
mod options;
mod put;
mod ranges;
mod shared;
mod state;
mod take;
#[cfg(test)]
#[cfg(not(feature = "loom"))]
mod tests;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use flumen_core::channel::{
    Channel, ChannelFill, ChannelLimits, Lease, Permit, ReserveError, TakeError, TakeLimits,
};
use flumen_core::clock::Clock;
use flumen_core::metric::ChannelCounters;
use flumen_core::settings::Settings;
use flumen_core::state::StateRecord;
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, Side};

pub use options::ROW;

use crate::bounded::{Refusal, Room};
use crate::change::Change;
use crate::file::{self, Beside, FileChannel};
use options::Setup;
use shared::Shared;
use state::State;

/// Opens a spillable memory channel and the file channel beneath. Works on files, so it blocks.
///
/// # Errors
/// A configuration fault when settings contradict each other or the folder cannot be used; a
/// transient one when the disk refuses.
pub fn build(
    name: &ComponentName,
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    let setup = Setup::read(name, settings)?;
    // Without an overflow there is still what an earlier one left.
    let log = file::log_folder(name, &setup.overflow)?;
    let overflow = match setup.policy.may_spill || log.exists() {
        true => Some(Overflow::open(name, &setup, &clock)?),
        false => None,
    };
    Ok(Arc::new(SpillableChannel::new(
        name, setup, overflow, clock,
    )))
}

/// How a channel of the first settings gets the second. Touches no file.
///
/// # Errors
/// A configuration fault when settings contradict each other.
pub fn change(name: &ComponentName, old: &Settings, new: &Settings) -> Result<Change, Fault> {
    let (old, new) = (Setup::read(name, old)?, Setup::read(name, new)?);
    let begins_to_spill = new.policy.may_spill && !old.policy.may_spill;
    Ok(match file::change(name, &old.overflow, &new.overflow)? {
        Change::InPlace if begins_to_spill => Change::NewChannel,
        change => change,
    })
}

/// A channel to spill into, and where the sequences begin.
struct Overflow {
    channel: Arc<dyn Channel>,
    epoch: u64,
}

impl Overflow {
    fn open(name: &ComponentName, setup: &Setup, clock: &Arc<dyn Clock>) -> Result<Self, Fault> {
        let clock = Arc::clone(clock);
        let channel = FileChannel::open(name, &setup.overflow, clock, Beside::Nothing)?;
        // Puts that were prepared when the folder belonged to a file channel count.
        block_on(channel.settle(&[]))?;
        let (forgotten, kept) = channel.recovered();
        let kept = kept.iter().map(|own| own.generation).max();
        let epoch = identity::next_epoch(kept.unwrap_or(0).max(forgotten));
        let channel = Arc::new(channel);
        channel.reconfigure(&setup.overflow_without_bounds())?;
        begin_epoch(&*channel, epoch)?;
        Ok(Self { channel, epoch })
    }
}

/// Keeps the epoch in the overflow before an event of it can be there.
fn begin_epoch(overflow: &dyn Channel, epoch: u64) -> Result<(), Fault> {
    let permit = overflow
        .try_reserve(&EventBatch::empty())
        .map_err(|error| {
            let message = "the overflow takes nothing, not even the beginning of an epoch";
            Fault::transient(Side::Machine, message).with_cause(error)
        })?;
    let record = StateRecord {
        generation: epoch,
        bytes: Arc::default(),
    };
    block_on(permit.commit(Some(record)))?;
    overflow.forget(epoch.saturating_sub(1));
    Ok(())
}

/// Waits on this thread, which may block: a channel is opened where that is allowed.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}

struct SpillableChannel {
    shared: Arc<Shared>,
    /// A plain mutex suffices: it is held for a copy. A reload changes it.
    setup: Mutex<Setup>,
    clock: Arc<dyn Clock>,
}

impl SpillableChannel {
    fn new(
        name: &ComponentName,
        setup: Setup,
        overflow: Option<Overflow>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (overflow, epoch) = match overflow {
            Some(Overflow { channel, epoch }) => (Some(channel), epoch),
            None => (None, 1),
        };
        let earlier = overflow.as_ref().map(|overflow| overflow.fill());
        let earlier = earlier.map_or_else(Room::default, |fill| Room {
            events: fill.events,
            size: fill.bytes,
        });
        let first = identity::first_sequence(epoch);
        let state = State::new(setup.total, setup.memory, setup.policy, first, earlier);
        let shared = Shared::new(name.clone(), state, overflow);
        shared.counters.start_time.set(now_ms(&*clock));
        Self {
            shared: Arc::new(shared),
            setup: Mutex::new(setup),
            clock,
        }
    }

    fn with_setup<T>(&self, act: impl FnOnce(&mut Setup) -> T) -> T {
        act(&mut self.setup.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn may_spill(&self) -> bool {
        self.with_setup(|setup| setup.policy.may_spill)
    }

    fn overflow_timeout(&self) -> Duration {
        self.with_setup(|setup| setup.overflow_timeout)
    }

    fn count_put_attempt(&self, need: Room) {
        self.shared.counters.event_put_attempt.add(need.events);
    }

    /// A refusal in the words of the contract.
    fn refused(&self, refusal: Refusal, need: Room, waited: Duration) -> ReserveError {
        refusal.told(&self.shared.name, need, waited, |bound| {
            format!(
                "{} bytes are more than the {bound} that byteCapacity and capacity_bytes leave; \
                 raise them or lower the batch size of the source",
                need.size
            )
        })
    }
}

fn now_ms(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now_ms()).unwrap_or(0)
}

impl Channel for SpillableChannel {
    fn name(&self) -> &ComponentName {
        &self.shared.name
    }

    fn limits(&self) -> ChannelLimits {
        Setup::limits(&self.shared.with(|state, _| state.total.bounds()))
    }

    fn fill(&self) -> ChannelFill {
        self.shared.with(|state, _| state.fill())
    }

    fn counters(&self) -> &Arc<ChannelCounters> {
        &self.shared.counters
    }

    fn try_reserve(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError> {
        self.try_permit(batch)
    }

    fn reserve<'a>(
        &'a self,
        batch: &'a EventBatch,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Permit>, ReserveError>> {
        Box::pin(self.wait_for_permit(batch, wait))
    }

    fn take(&self, limits: TakeLimits, wait: Duration) -> BoxFuture<'_, Result<Lease, TakeError>> {
        Box::pin(self.take_lease(limits, wait))
    }

    fn close(&self) {
        self.shared.with(|state, outside| {
            state.memory.close(outside);
            state.total.close(outside);
        });
        self.shared.counters.stop_time.set(now_ms(&*self.clock));
    }

    fn release(&self) -> BoxFuture<'_, Result<(), Fault>> {
        match &self.shared.overflow {
            Some(overflow) => overflow.release(),
            None => flumen_core::future::ready(Ok(())),
        }
    }

    fn reconfigure(&self, settings: &Settings) -> Result<bool, Fault> {
        let setup = Setup::read(&self.shared.name, settings)?;
        match &self.shared.overflow {
            Some(overflow) if !overflow.reconfigure(&setup.overflow_without_bounds())? => {
                return Ok(false);
            }
            None if setup.policy.may_spill => return Ok(false),
            _ => {}
        }
        let (total, memory, policy) = (setup.total, setup.memory, setup.policy);
        self.with_setup(|own| *own = setup);
        self.shared
            .with(|state, outside| state.set_bounds(total, memory, policy, outside));
        Ok(true)
    }
}
