//! Putting: room that was granted, the commit of its events, and puts that another channel decides.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flumen_core::future::ready;
use flumen_core::{BoxFuture, EventBatch, Fault, FaultKind, Side};
use flumen_wal::{AppendError, Appended, Buffers};

use super::acks::Acks;
use super::core::Core;
use super::head::{Head, Tail};
use super::owner::{InFlight, Owner};
use super::payload::{self, MAGIC, PayloadError, Record};
use super::seal::Keyring;
use super::sending::{Sending, Settle};
use super::state::{ACK_RANGES_MAX, Stored};
use crate::bounded::Room;

/// Reserved room with the events that it is for. Dropping it releases the room.
pub(super) struct Granted {
    owner: Arc<Owner>,
    room: Room,
    events: Option<EventBatch>,
}

impl Granted {
    /// Room that the state has just granted.
    pub(super) fn new(owner: &Arc<Owner>, room: Room, events: EventBatch) -> Self {
        Self {
            owner: Arc::clone(owner),
            room,
            events: Some(events),
        }
    }

    /// Puts the events, with the record that belongs to them.
    pub(super) fn commit(self, record: Option<Record>) -> BoxFuture<'static, Result<(), Fault>> {
        let is_empty = self.events.as_ref().is_none_or(EventBatch::is_empty);
        if is_empty && record.is_none() {
            return ready(Ok(()));
        }
        match self.send(record, false) {
            Ok((sending, _)) => Box::pin(sending),
            Err(fault) => ready(Err(fault)),
        }
    }

    /// Writes the events of a put that counts once the record's decider has it.
    pub(super) fn prepare(self, record: Record) -> BoxFuture<'static, Result<Prepared, Fault>> {
        let owner = Arc::clone(&self.owner);
        match self.send(Some(record), true) {
            Ok((sending, put)) => {
                // Made before the wait: whoever drops the wait withdraws the put.
                let prepared = Prepared { owner, put };
                Box::pin(async move { sending.await.map(|()| prepared) })
            }
            Err(fault) => ready(Err(fault)),
        }
    }

    fn send(
        mut self,
        record: Option<Record>,
        is_prepared: bool,
    ) -> Result<(Sending<Arc<Put>>, Arc<Put>), Fault> {
        let owner = Arc::clone(&self.owner);
        let core = owner.core();
        let in_flight = owner.admit(record.as_ref())?;
        let events = self.events.as_ref().cloned().unwrap_or_default();
        let most = payload::encoded_bytes_max(&events, record.as_ref());
        let ranges = owner.ranges_beside(most).min(ACK_RANGES_MAX);
        let (acks, forgotten) =
            core.with(|state, _| (state.acks.take_for_put(ranges), state.forgotten()));
        let memory = Memory {
            keys: &core.keyring,
            buffers: owner.buffers(),
        };
        let frame = Frame::encode(memory, &events, record.as_ref(), acks, forgotten);
        let frame = frame.map_err(|(acks, error)| {
            core.with(|state, _| state.acks.put_back(acks));
            let message = format!("channel {}: a batch cannot be written", core.name);
            Fault::new(FaultKind::Broken, Side::Component, message).with_cause(error)
        })?;
        // From here on the put owns the room.
        self.events = None;
        let put = Arc::new(Put {
            core: Arc::clone(core),
            _in_flight: in_flight,
            room: self.room,
            released_bytes: frame.released_bytes,
            weight: frame.weight,
            is_prepared,
            stage: Mutex::new(Stage::Writing(frame.events)),
        });
        let sending = Sending::new(owner, Arc::clone(&put), frame.record);
        Ok((sending, put))
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if self.events.take().is_some() {
            let room = self.room;
            let core = self.owner.core();
            core.with(|state, outside| state.accounts.release_reserved(room, outside));
        }
    }
}

/// A frame that is ready to be written, and what of it stays in memory.
struct Frame {
    record: flumen_wal::Record,
    events: EventBatch,
    weight: u64,
    released_bytes: u64,
}

/// Where payloads are encoded, and what they are sealed with.
struct Memory<'a> {
    keys: &'a Keyring,
    buffers: &'a Arc<Buffers>,
}

impl Frame {
    /// Encodes events and their record, and the acknowledgements that ride with them.
    fn encode(
        memory: Memory<'_>,
        events: &EventBatch,
        record: Option<&Record>,
        acks: Acks,
        forgotten: u64,
    ) -> Result<Frame, (Acks, PayloadError)> {
        let released_bytes = acks.size_bytes;
        let tail = Tail {
            released_bytes,
            forgotten,
        };
        let Memory { keys, buffers } = memory;
        let encoded = payload::encode_in(buffers, events, record, tail).and_then(|bytes| {
            // The events are kept as they were written: in one buffer of their own size, instead
            // of as slices that keep buffers of sources alive. What is acknowledged was read once.
            let head = Head::decode(&bytes, MAGIC)?;
            let kept = payload::decode_events(keys, &bytes, &head, events.len() as u32)?;
            Ok((keys.seal(bytes, MAGIC)?, kept))
        });
        let (payload, kept) = match encoded {
            Ok(encoded) => encoded,
            Err(error) => return Err((acks, error)),
        };
        let weight = super::weight(payload.len(), &kept);
        Ok(Frame {
            record: flumen_wal::Record {
                items: kept.len() as u32,
                acknowledged: acks.ranges,
                payload,
            },
            events: kept,
            weight,
            released_bytes,
        })
    }
}

/// Events on their way into the log, or in it and not yet decided.
struct Put {
    core: Arc<Core>,
    _in_flight: InFlight,
    room: Room,
    weight: u64,
    released_bytes: u64,
    is_prepared: bool,
    stage: Mutex<Stage>,
}

/// Where a put stands.
enum Stage {
    /// To `Over`, or for a prepared one to `Written`; to `Abandoned` when nobody wants it.
    Writing(EventBatch),
    /// In the log and not decided. To `Over`.
    Written(u64, EventBatch),
    /// Withdrawn before the log has answered. To `Over`.
    Abandoned,
    /// It counts, or does not.
    Over,
}

impl Put {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self, first: u64) {
        let mut stage = self.lock();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Writing(events) if self.is_prepared => {
                self.hide(first);
                *stage = Stage::Written(first, events);
            }
            Stage::Writing(events) => {
                self.core.with(|state, outside| {
                    state.commit(first, events, self.room, self.weight, outside);
                    state.log_moved(outside);
                });
                self.core.counters.event_put_success.add(self.room.events);
            }
            Stage::Abandoned => {
                self.hide(first);
                self.leave(first);
            }
            over => *stage = over,
        }
    }

    fn hide(&self, first: u64) {
        let frame = first..first + self.room.events;
        self.core.with(|state, outside| {
            state.hide(frame);
            state.log_moved(outside);
        });
    }

    /// The events leave the channel, as acknowledged ones do.
    fn leave(&self, first: u64) {
        let range = first..first + self.room.events;
        self.core.with(|state, outside| {
            state.acks.add(range, self.room.size);
            state.accounts.release_reserved(self.room, outside);
        });
    }
}

impl Settle for Arc<Put> {
    fn settle(&self, outcome: Result<Appended, AppendError>) -> Result<(), Fault> {
        match outcome {
            Ok(appended) => {
                self.written(appended.first_item);
                Ok(())
            }
            Err(refused) => {
                *self.lock() = Stage::Over;
                let acks = Acks {
                    ranges: refused.record.acknowledged,
                    size_bytes: self.released_bytes,
                };
                self.core.acks_refused(acks, &refused.refusal);
                let room = self.room;
                self.core
                    .with(|state, outside| state.accounts.release_reserved(room, outside));
                Err(self.core.put_refused(&refused.refusal))
            }
        }
    }
}

/// A put that is written and does not count yet. Dropping it withdraws it without waiting.
pub(super) struct Prepared {
    owner: Arc<Owner>,
    put: Arc<Put>,
}

impl Prepared {
    /// It counts: the events can be taken.
    pub(super) fn publish(self) {
        let mut stage = self.put.lock();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Written(first, events) => {
                let (room, weight) = (self.put.room, self.put.weight);
                let stored = Stored::new(first, room.size, events);
                let core = &self.put.core;
                core.with(|state, outside| state.publish(stored, room, weight, outside));
                core.counters.event_put_success.add(room.events);
            }
            other => *stage = other,
        }
    }

    /// It does not count: the events leave the channel for good.
    pub(super) fn withdraw(self) -> BoxFuture<'static, Result<(), Fault>> {
        let owner = Arc::clone(&self.owner);
        drop(self);
        // Waits for the disk, whatever is usual for acknowledgements: once the put is given again
        // under another number nobody could tell any more that this one does not count.
        super::lease::flush(&owner)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let mut stage = self.put.lock();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Writing(_) => *stage = Stage::Abandoned,
            Stage::Written(first, _) => self.put.leave(first),
            other => *stage = other,
        }
    }
}
