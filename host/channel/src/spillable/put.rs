//! Putting: where events go, permits, and commits.

use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

use flumen_core::channel::{Permit, ReserveError};
use flumen_core::future::ready;
use flumen_core::state::StateRecord;
use flumen_core::{BoxFuture, EventBatch, Fault, FaultKind, Side};

use super::SpillableChannel;
use super::identity;
use super::shared::{Held, Memory, Shared};
use super::state::{Bodies, Place};
use crate::bounded::{Refusal, Room, RoomWait, TimeLimit};

impl SpillableChannel {
    pub(super) fn try_permit(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError> {
        let need = Room::of::<Bodies>(batch);
        let shared = &self.shared;
        let answer = shared.with(|state, _| state.total.try_reserve(need));
        let refused = |refusal| Err(self.refused(refusal, need, Duration::ZERO));
        if let Err(refusal) = answer {
            // A put that finds no room goes on to wait for it, and is counted there.
            if refusal != Refusal::Full {
                self.count_put_attempt(need);
            }
            return refused(refusal);
        }
        let held = Held::granted(shared, need, batch);
        match shared.with(|state, _| state.place(need)) {
            Ok(Place::Memory) => {
                self.count_put_attempt(need);
                Ok(Box::new(InMemory::granted(held)))
            }
            Ok(Place::Overflow) => {
                self.count_put_attempt(need);
                self.overflow_permit(held, batch, Duration::ZERO)
            }
            Ok(Place::Wait) => refused(Refusal::Full),
            Err(refusal) => refused(refusal),
        }
    }

    pub(super) async fn wait_for_permit(
        &self,
        batch: &EventBatch,
        wait: Duration,
    ) -> Result<Box<dyn Permit>, ReserveError> {
        let need = Room::of::<Bodies>(batch);
        self.count_put_attempt(need);
        let shared = &self.shared;
        let mut room = RoomWait::new(&**shared, need);
        let mut time = TimeLimit::new(wait);
        let answer = std::future::poll_fn(|context| match room.poll(context) {
            Poll::Pending => time.poll(context).map(|()| room.expire()),
            ready => ready,
        });
        if let Err(refusal) = answer.await {
            return Err(self.refused(refusal, need, time.waited()));
        }
        let held = Held::granted(shared, need, batch);
        let mut place = shared.with(|state, _| state.place(need));
        let mut waited = time.waited();
        if place == Ok(Place::Wait) {
            let memory_wait = match self.may_spill() {
                true => self.overflow_timeout(),
                false => wait.saturating_sub(waited),
            };
            let memory = Memory(shared);
            let mut room = RoomWait::new(&memory, need);
            let mut time = TimeLimit::new(memory_wait);
            let answer = std::future::poll_fn(|context| match room.poll(context) {
                Poll::Pending => time.poll(context).map(|()| room.expire()),
                ready => ready,
            });
            place = match answer.await {
                Ok(()) => Ok(Place::Memory),
                Err(Refusal::Full) => Ok(shared.with(|state, _| state.spill())),
                Err(refusal) => Err(refusal),
            };
            waited += time.waited();
        }
        match place {
            Ok(Place::Memory) => Ok(Box::new(InMemory::granted(held))),
            Ok(Place::Overflow) => self.overflow_permit(held, batch, waited),
            Ok(Place::Wait) => Err(self.refused(Refusal::Full, need, waited)),
            Err(refusal) => Err(self.refused(refusal, need, waited)),
        }
    }

    /// Asks the overflow whether it would take the events, which may be a question of its disk. When
    /// it would not, memory is tried once more.
    fn overflow_permit(
        &self,
        held: Held,
        batch: &EventBatch,
        waited: Duration,
    ) -> Result<Box<dyn Permit>, ReserveError> {
        let channel = || self.shared.name.clone();
        let refused = match &self.shared.overflow {
            Some(_) if !identity::fits(batch) => ReserveError::TooLarge {
                channel: channel(),
                reason: "its events have as many header names as a batch may have, and the \
                         overflow needs one more; set fewer headers"
                    .to_owned(),
            },
            Some(overflow) => {
                // The sequence is not known before the commit; with any other it is as large.
                let probe = identity::tagged(batch, 0).map_err(|error| ReserveError::Failed {
                    channel: channel(),
                    fault: unwritable(error),
                })?;
                match overflow.try_reserve(&probe) {
                    Ok(probe) => return Ok(Box::new(Spilled { held, probe })),
                    Err(refused) => refused,
                }
            }
            None => ReserveError::Full {
                channel: channel(),
                waited,
            },
        };
        let room = held.room;
        let memory = self.shared.with(|state, _| state.memory.try_reserve(room));
        match (memory, refused) {
            (Ok(()), _) => Ok(Box::new(InMemory::granted(held))),
            (Err(_), ReserveError::Full { channel, .. }) => {
                Err(ReserveError::Full { channel, waited })
            }
            (Err(_), refused) => Err(refused),
        }
    }
}

fn unwritable(error: flumen_core::batch::BatchError) -> Fault {
    let message = "a batch cannot be written to the overflow";
    Fault::new(FaultKind::Poison, Side::Data, message).with_cause(error)
}

/// Room in memory, and in the whole.
struct InMemory {
    held: Option<Held>,
}

impl InMemory {
    fn granted(held: Held) -> Self {
        Self { held: Some(held) }
    }
}

impl Permit for InMemory {
    fn commit(
        mut self: Box<Self>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        if let Some(held) = self.held.take() {
            let (shared, room) = (Arc::clone(&held.shared), held.room);
            let events = held.take();
            shared.with(|state, outside| state.commit(events, room, outside));
            shared.counters.event_put_success.add(room.events);
        }
        ready(Ok(()))
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            let room = held.room;
            held.shared
                .with(|state, outside| state.memory.release_reserved(room, outside));
        }
    }
}

/// Room in the whole, and the overflow's word that it takes events of this size.
struct Spilled {
    held: Held,
    probe: Box<dyn Permit>,
}

impl Permit for Spilled {
    fn commit(
        self: Box<Self>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        let Self { held, probe } = *self;
        let shared = Arc::clone(&held.shared);
        let Some(overflow) = shared.overflow.clone() else {
            return ready(Ok(()));
        };
        let room = held.room;
        let events = held.take();
        let order = shared
            .spilling
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let first = shared.with(|state, _| state.begin_spill(room.events));
        let flight = InFlight {
            shared: Arc::clone(&shared),
            first,
            room,
            is_there: true,
        };
        // The room that the probe holds is what the events take now.
        drop(probe);
        let permit = identity::tagged(&events, first)
            .map_err(unwritable)
            .and_then(|tagged| overflow.try_reserve(&tagged).map_err(no_longer));
        let written = permit.map(|permit| permit.commit(None));
        drop(order);
        match written {
            Ok(written) => Box::pin(async move {
                let result = written.await;
                flight.landed(result.is_ok());
                result
            }),
            Err(fault) => {
                flight.landed(false);
                ready(Err(fault))
            }
        }
    }
}

/// The overflow took its word back: its disk filled meanwhile.
fn no_longer(error: ReserveError) -> Fault {
    let message = "the overflow takes no events any more";
    Fault::transient(Side::Machine, message).with_cause(error)
}

/// Events on their way into the overflow. When it is dropped before their end is known, they are
/// taken to be there: if they are not, the take that looks for them finds that out.
struct InFlight {
    shared: Arc<Shared>,
    first: u64,
    room: Room,
    is_there: bool,
}

impl InFlight {
    fn landed(mut self, is_there: bool) {
        self.is_there = is_there;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Self {
            first,
            room,
            is_there,
            ..
        } = *self;
        if is_there {
            self.shared.counters.event_put_success.add(room.events);
        }
        self.shared
            .with(|state, outside| state.end_spill(first, room, is_there, outside));
    }
}
