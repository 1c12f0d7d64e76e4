//! Putting: a permit, and the commit of its events.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use flumen_core::channel::{Permit, PreparedPut};
use flumen_core::future::ready;
use flumen_core::state::StateRecord;
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, FaultKind, Side};
use flumen_wal::{AppendError, Appended, Record};

use super::acks::Acks;
use super::core::Core;
use super::owner::Owner;
use super::payload::{self, Head, KeptRecord, MAGIC, PayloadError};
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

    fn commit(mut self, record: Option<StateRecord>) -> BoxFuture<'static, Result<(), Fault>> {
        let records: Vec<_> = record
            .map(|own| KeptRecord::new(own, None))
            .into_iter()
            .collect();
        if records.is_empty() && self.events.as_ref().is_some_and(EventBatch::is_empty) {
            return ready(Ok(()));
        }
        match self.frame(&records) {
            Ok((put, record)) => Box::pin(Sending::new(Arc::clone(&self.owner), put, record)),
            Err(fault) => ready(Err(fault)),
        }
    }

    fn prepare(
        mut self,
        record: StateRecord,
        decider: ComponentName,
    ) -> BoxFuture<'static, Result<Box<dyn PreparedPut>, Fault>> {
        let generation = record.generation;
        let frame = self.frame(&[KeptRecord::new(record, Some(decider))]);
        let (mut put, record) = match frame {
            Ok(frame) => frame,
            Err(fault) => return ready(Err(fault)),
        };
        let place = Arc::new(Place::default());
        put.prepared = Some(Arc::clone(&place));
        let owner = Arc::clone(&self.owner);
        let items = put.room.events;
        let sending = Sending::new(Arc::clone(&owner), put, record);
        Box::pin(async move {
            // From here on until it is settled: who drops this future withdraws the put.
            let prepared = FilePrepared {
                owner,
                generation,
                place,
                items,
                settled: false,
            };
            sending.await?;
            Ok(Box::new(prepared) as Box<dyn PreparedPut>)
        })
    }

    /// The record of the events with these records, and what the log's answer settles. Without one
    /// the room is released when this is dropped.
    fn frame(&mut self, records: &[KeptRecord]) -> Result<(Put, Record), Fault> {
        let core = self.owner.core();
        self.owner.check_records(records)?;
        let events = self
            .events
            .as_ref()
            .map_or_else(EventBatch::empty, Clone::clone);
        let most = payload::encoded_bytes_max(&events, records);
        let ranges = self.owner.ranges_beside(most).min(ACK_RANGES_MAX);
        let acks = core.with(|state, _| state.acks.take_for_put(ranges));
        let frame = Frame::encode(&events, records, acks, self.owner.forgotten());
        let frame = frame.map_err(|(acks, error)| {
            core.with(|state, _| state.acks.put_back(acks));
            let message = format!("channel {}: a batch cannot be written", core.name);
            Fault::new(FaultKind::Broken, Side::Component, message).with_cause(error)
        })?;
        let put = Put {
            core: Arc::clone(core),
            room: self.room,
            released_bytes: frame.released_bytes,
            weight: frame.weight,
            events: Mutex::new(frame.events),
            prepared: None,
        };
        self.events = None;
        Ok((put, frame.record))
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
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        self.0.commit(record)
    }

    fn prepare(
        self: Box<Self>,
        record: StateRecord,
        decider: ComponentName,
    ) -> BoxFuture<'static, Result<Box<dyn PreparedPut>, Fault>> {
        self.0.prepare(record, decider)
    }
}

/// Where a prepared put came to stand. Written and read under the lock of the state.
#[derive(Default)]
struct Place {
    /// Its first sequence, once it is in the log.
    first: OnceLock<u64>,
    /// Nobody waits for it any more: what comes to be in the log counts, as with a commit that
    /// nobody waits for.
    abandoned: AtomicBool,
}

/// Events that are in the log and do not count yet. Dropping it withdraws them.
struct FilePrepared {
    owner: Arc<Owner>,
    generation: u64,
    place: Arc<Place>,
    items: u64,
    settled: bool,
}

impl FilePrepared {
    /// Takes the events out of what is held, and writes that they do not count.
    fn end(&mut self) -> Option<Sending<Withdrawn>> {
        if std::mem::replace(&mut self.settled, true) {
            return None;
        }
        let first = self.owner.core().with(|_, _| {
            let first = self.place.first.get();
            if first.is_none() {
                self.place.abandoned.store(true, Ordering::Relaxed);
            }
            first.copied()
        })?;
        let items = first..first + self.items;
        let withdrawn = [(self.generation, items)];
        Some(withdraw(&self.owner, &withdrawn))
    }
}

impl PreparedPut for FilePrepared {
    fn publish(mut self: Box<Self>) {
        self.settled = true;
        if let Some(first) = self.place.first.get() {
            let core = self.owner.core();
            core.with(|state, outside| state.publish(*first, outside));
        }
    }

    fn withdraw(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Fault>> {
        match self.end() {
            Some(sending) => Box::pin(sending),
            None => ready(Ok(())),
        }
    }
}

impl Drop for FilePrepared {
    fn drop(&mut self) {
        // Sent, and not waited for.
        drop(self.end());
    }
}

/// Withdraws prepared puts: each a generation and its events.
pub(super) fn withdraw(owner: &Arc<Owner>, puts: &[(u64, Range<u64>)]) -> Sending<Withdrawn> {
    let core = owner.core();
    let mut acks = Acks::default();
    core.with(|state, outside| {
        for (_, items) in puts {
            acks.size_bytes += state.withdraw(items.clone(), outside);
            acks.ranges.push(items.clone());
        }
    });
    acks.ranges.sort_unstable_by_key(|range| range.start);
    let records: Vec<_> = puts
        .iter()
        .map(|(generation, items)| KeptRecord::withdrawal(*generation, items.clone()))
        .collect();
    let payload = payload::encode(
        &EventBatch::empty(),
        &records,
        acks.size_bytes,
        owner.forgotten(),
    );
    let record = Record {
        items: 0,
        acknowledged: acks.ranges,
        // Only lengths could be wrong, and there are none beyond 32 bits.
        payload: payload.unwrap_or_default(),
    };
    let withdrawn = Withdrawn {
        core: Arc::clone(core),
        size_bytes: acks.size_bytes,
    };
    Sending::new(Arc::clone(owner), withdrawn, record)
}

/// A withdrawal on its way into the log.
pub(super) struct Withdrawn {
    core: Arc<Core>,
    size_bytes: u64,
}

impl Settle for Withdrawn {
    fn settle(&self, outcome: Result<Appended, AppendError>) -> Result<(), Fault> {
        let answer = match &outcome {
            Ok(_) => Ok(()),
            Err(refused) => Err(self.core.fault(&refused.refusal)),
        };
        // What the log did not take is an acknowledgement that waits: after a restart it is decided
        // again.
        self.core.acks_done(outcome, self.size_bytes);
        answer
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
    /// Encodes events and records, and the acknowledgements that ride with them.
    fn encode(
        events: &EventBatch,
        records: &[KeptRecord],
        acks: Acks,
        forgotten: u64,
    ) -> Result<Frame, (Acks, PayloadError)> {
        let released_bytes = acks.size_bytes;
        let encoded = payload::encode(events, records, released_bytes, forgotten);
        let encoded = encoded.and_then(|bytes| {
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
    /// Of a put that does not count yet.
    prepared: Option<Arc<Place>>,
}

impl Settle for Put {
    fn settle(&self, outcome: Result<Appended, AppendError>) -> Result<(), Fault> {
        match outcome {
            Ok(appended) => {
                let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
                let events = std::mem::take(&mut *events);
                self.core.with(|state, outside| {
                    let first = appended.first_item;
                    let waits = |place: &&Arc<Place>| !place.abandoned.load(Ordering::Relaxed);
                    match self.prepared.as_ref().filter(waits) {
                        None => state.commit(first, events, self.room, self.weight, outside),
                        Some(place) => {
                            state.hold(first, events, self.room, self.weight);
                            // Told once, by the one answer of the log.
                            let _ = place.first.set(first);
                        }
                    }
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
