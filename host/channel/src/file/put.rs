//! Putting: a permit, and the commit of its events.

use std::sync::{Arc, Mutex, PoisonError};

use flumen_core::channel::{Permit, SourceState};
use flumen_core::future::ready;
use flumen_core::{BoxFuture, EventBatch, Fault, FaultKind, Side};
use flumen_wal::{AppendError, Appended, Record};

use super::acks::Acks;
use super::core::Core;
use super::owner::Owner;
use super::payload::{self, Head, KeptState, MAGIC, PayloadError};
use super::sending::{Sending, Settle};
use super::state::ACK_RANGES_MAX;
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

    fn commit(mut self, states: &[KeptState]) -> BoxFuture<'static, Result<(), Fault>> {
        let events = self.events.take().unwrap_or_default();
        let core = self.owner.core();
        if events.is_empty() && states.is_empty() {
            core.with(|state, outside| state.accounts.release_reserved(self.room, outside));
            return ready(Ok(()));
        }
        let frame = self.owner.check_states(states).and_then(|()| {
            let most = payload::encoded_bytes_max(&events, states);
            let ranges = self.owner.ranges_beside(most).min(ACK_RANGES_MAX);
            let acks = core.with(|state, _| state.acks.take_for_put(ranges));
            Frame::encode(&events, states, acks).map_err(|(acks, error)| {
                core.with(|state, _| state.acks.put_back(acks));
                let message = format!("channel {}: a batch cannot be written", core.name);
                Fault::new(FaultKind::Broken, Side::Component, message).with_cause(error)
            })
        });
        let frame = match frame {
            Ok(frame) => frame,
            Err(fault) => {
                core.with(|state, outside| state.accounts.release_reserved(self.room, outside));
                return ready(Err(fault));
            }
        };
        let put = Put {
            core: Arc::clone(core),
            room: self.room,
            released_bytes: frame.released_bytes,
            weight: frame.weight,
            events: Mutex::new(frame.events),
        };
        Box::pin(Sending::new(Arc::clone(&self.owner), put, frame.record))
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

/// See [`flumen_core::channel::Permit`].
pub(super) struct FilePermit(pub(super) Granted);

impl Permit for FilePermit {
    fn commit(
        self: Box<Self>,
        state: Option<SourceState>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        let states = state.map(|state| KeptState {
            component: state.source,
            generation: 0,
            bytes: state.bytes,
        });
        self.0.commit(states.as_slice())
    }
}

/// A frame that is ready to be written, and what of it stays in memory.
struct Frame {
    record: Record,
    events: EventBatch,
    weight: u64,
    released_bytes: u64,
}

impl Frame {
    /// Encodes events and states, and the acknowledgements that ride with them.
    fn encode(
        events: &EventBatch,
        states: &[KeptState],
        acks: Acks,
    ) -> Result<Frame, (Acks, PayloadError)> {
        let released_bytes = acks.size_bytes;
        let encoded = payload::encode(events, states, released_bytes).and_then(|bytes| {
            // The events are kept as they were written: in one buffer of their own size, instead
            // of as slices that keep buffers of sources alive. What is acknowledged was read once.
            let head = Head::decode(&bytes, MAGIC)?;
            let kept = payload::decode_events(&bytes, &head, events.len() as u32)?;
            Ok((bytes, kept))
        });
        let (payload, kept) = match encoded {
            Ok(encoded) => encoded,
            Err(error) => return Err((acks, error)),
        };
        let weight = super::weight(payload.len(), &kept);
        Ok(Frame {
            record: Record {
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

/// Events on their way into the log.
struct Put {
    core: Arc<Core>,
    room: Room,
    weight: u64,
    released_bytes: u64,
    /// Taken out when they are in the log.
    events: Mutex<EventBatch>,
}

impl Settle for Put {
    fn settle(&self, outcome: Result<Appended, AppendError>) -> Result<(), Fault> {
        match outcome {
            Ok(appended) => {
                let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
                let events = std::mem::take(&mut *events);
                self.core.with(|state, outside| {
                    let first = appended.first_item;
                    state.commit(first, events, self.room, self.weight, outside);
                    state.log_moved(outside);
                });
                self.core.counters.event_put_success.add(self.room.events);
                Ok(())
            }
            Err(refused) => {
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
