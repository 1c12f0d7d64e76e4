//! The contract's words for the file channel.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flumen_core::channel::{
    Channel, ChannelFill, ChannelLimits, Lease, LeaseOwner, Permit, PreparedPut, ReserveError,
    TakeError, TakeLimits,
};
use flumen_core::metric::ChannelCounters;
use flumen_core::settings::Settings;
use flumen_core::state::{Recovered, RecoveredRecord, StateRecord};
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, FaultKind, Side};

use super::lease::{EventWait, FileLease};
use super::options::Setup;
use super::payload::Record;
use super::put::{Granted, Prepared};
use super::state::NoEvents;
use super::{FileChannel, now_ms, options};
use crate::bounded::{Nothing, Refusal, RoomWait, TimeLimit};

impl Permit for Granted {
    fn commit(
        self: Box<Self>,
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        Granted::commit(*self, record.map(counting))
    }

    fn prepare(
        self: Box<Self>,
        record: StateRecord,
        decider: ComponentName,
    ) -> BoxFuture<'static, Result<Box<dyn PreparedPut>, Fault>> {
        let record = Record {
            decider: Some(decider),
            ..counting(record)
        };
        let prepared = Granted::prepare(*self, record);
        Box::pin(async move {
            let prepared = prepared.await?;
            Ok(Box::new(prepared) as Box<dyn PreparedPut>)
        })
    }
}

impl PreparedPut for Prepared {
    fn publish(self: Box<Self>) {
        Prepared::publish(*self);
    }

    fn withdraw(self: Box<Self>) -> BoxFuture<'static, Result<(), Fault>> {
        Prepared::withdraw(*self)
    }
}

/// A record of a put or an acknowledgement that counts.
fn counting(record: StateRecord) -> Record {
    Record {
        generation: record.generation,
        decider: None,
        bytes: record.bytes,
    }
}

impl LeaseOwner for FileLease {
    fn ack(
        mut self: Box<Self>,
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.end(&[], record.map(counting))
    }

    fn ack_except(
        mut self: Box<Self>,
        kept: Vec<u32>,
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.end(&kept, record.map(counting))
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl Channel for FileChannel {
    fn name(&self) -> &ComponentName {
        &self.owner.core().name
    }

    fn figures(&self) -> Vec<(&'static str, u64)> {
        self.own_figures()
    }

    fn limits(&self) -> ChannelLimits {
        let bounds = self.owner.core().with(|state, _| state.accounts.bounds());
        options::limits(&bounds)
    }

    fn fill(&self) -> ChannelFill {
        self.owner.core().with(|state, _| state.fill())
    }

    fn counters(&self) -> &Arc<ChannelCounters> {
        &self.owner.core().counters
    }

    fn try_reserve(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError> {
        let need = self.need(batch)?;
        let core = self.owner.core();
        let answer = core.with(|state, _| state.accounts.try_reserve(need));
        // A put that finds no room goes on to wait for it, and is counted there.
        if answer != Err(Refusal::Full) {
            self.count_put_attempt(need);
        }
        match answer {
            Ok(()) => Ok(Box::new(self.granted(need, batch))),
            Err(refusal) => Err(self.refused(refusal, need, Duration::ZERO)),
        }
    }

    fn reserve<'a>(
        &'a self,
        batch: &'a EventBatch,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Permit>, ReserveError>> {
        Box::pin(async move {
            let need = self.need(batch)?;
            self.count_put_attempt(need);
            let mut room = RoomWait::new(&**self.owner.core(), need);
            let mut time = TimeLimit::new(wait);
            let answer = poll_fn(|context| match room.poll(context) {
                Poll::Pending => time.poll(context).map(|()| room.expire()),
                ready => ready,
            });
            match answer.await {
                Ok(()) => Ok(Box::new(self.granted(need, batch)) as Box<dyn Permit>),
                Err(refusal) => Err(self.refused(refusal, need, time.waited())),
            }
        })
    }

    fn take(&self, limits: TakeLimits, wait: Duration) -> BoxFuture<'_, Result<Lease, TakeError>> {
        Box::pin(async move {
            let core = self.owner.core();
            core.counters.event_take_attempt.add(1);
            let mut events = EventWait::new(&self.owner, limits);
            let mut time = TimeLimit::new(wait);
            let answer = poll_fn(|context| match events.poll(context) {
                Poll::Pending => time.poll(context).map(|()| events.expire()),
                ready => ready,
            });
            answer.await.map_err(|none| match none {
                NoEvents::Nothing(Nothing::Empty) => TakeError::Empty,
                NoEvents::Nothing(Nothing::Closed) => TakeError::Closed,
                NoEvents::Unreadable(why) => {
                    core.troubles.take_errors.add(1);
                    let message = format!("channel {}: {}", core.name, why.message);
                    TakeError::Failed(match why.may_pass {
                        true => Fault::transient(Side::Machine, message),
                        false => Fault::new(FaultKind::Broken, Side::Machine, message),
                    })
                }
            })
        })
    }

    fn close(&self) {
        let core = self.owner.core();
        core.with(|state, outside| state.accounts.close(outside));
        core.counters.stop_time.set(now_ms(&*self.clock));
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn recovered(&self) -> Recovered {
        let (forgotten, records) = FileChannel::recovered(self);
        let records = records.into_iter().map(|own| RecoveredRecord {
            record: StateRecord {
                generation: own.generation,
                bytes: own.bytes,
            },
            decider: own.decider,
        });
        Recovered {
            forgotten,
            records: records.collect(),
        }
    }

    fn settle<'a>(&'a self, withdrawn: &'a [u64]) -> BoxFuture<'a, Result<(), Fault>> {
        self.settle_recovery(withdrawn)
    }

    fn forget(&self, generation: u64) {
        FileChannel::forget(self, generation);
    }

    fn kept_record_bytes(&self) -> u64 {
        FileChannel::kept_record_bytes(self)
    }

    fn release(&self) -> BoxFuture<'_, Result<(), Fault>> {
        self.owner.release()
    }

    fn reconfigure(&self, settings: &Settings) -> Result<bool, Fault> {
        self.change_to(&Setup::read(self.name(), settings)?)
    }
}
