//! A guest as a sink.

use std::sync::Arc;

use flumen_core::channel::{Segment, TakeLimits};
use flumen_core::future::{BoxFuture, ready};
use flumen_core::sink::{Outcome, Sink, SinkContext};
use flumen_core::state::{PendingState, StateWrite};
use flumen_core::{ComponentName, EventBatch, Fault, FaultKind, Side};
use wasmtime::component::Resource;

use crate::answer;
use crate::bindings::sink::Sink as SinkWorld;
use crate::bindings::types::Segment as GuestSegment;
use crate::instance::{Instance, Maker};
use crate::limits::DELIVERY_BYTES_MAX;
use crate::store::GuestParts;

const DELIVER: &str = "deliver";
const FLUSH: &str = "flush";

/// A sink whose events are delivered by one instance of a guest.
///
/// State that the guest writes counts when the events are acknowledged; the agent asks for it after
/// the delivery, or after the flush for what was buffered. An instance that breaks, or whose delivery is cut off, is dropped; the
/// next delivery makes a new one. What the dropped one had in its buffer is then reported as not
/// delivered, by a fault of the next call.
pub struct GuestSink {
    maker: Maker<SinkWorld>,
    batch_events: usize,
    instance: Option<Instance<SinkWorld>>,
    /// Whether the guest has events in its buffer that were not flushed.
    buffered: bool,
    /// What it wrote of events that are delivered and were not asked for yet.
    pending: Vec<StateWrite>,
}

impl GuestSink {
    pub(crate) fn new(maker: Maker<SinkWorld>, batch_events: usize) -> Self {
        Self {
            maker,
            batch_events,
            instance: None,
            buffered: false,
            pending: Vec::new(),
        }
    }

    /// Takes the instance out, so that a call that does not end well leaves none behind.
    async fn take_instance(&mut self) -> Result<Instance<SinkWorld>, Fault> {
        match self.instance.take() {
            Some(instance) => Ok(instance),
            None if self.buffered => {
                self.buffered = false;
                let name = &self.maker.parts.name;
                Err(Fault::transient(
                    Side::Component,
                    format!("guest {name} was replaced while events were in its buffer"),
                ))
            }
            None => self.maker.make().await,
        }
    }

    /// Puts the instance back, unless the fault says that it is broken.
    fn put_back<T>(&mut self, mut instance: Instance<SinkWorld>, result: &Result<T, Fault>) {
        match result {
            Err(fault) => {
                instance.store.data_mut().forget();
                // The agent gives back everything that it holds for this sink, so the guest may not
                // keep it either: a new instance has an empty buffer.
                let buffered = std::mem::take(&mut self.buffered);
                if fault.kind() != FaultKind::Broken && !buffered {
                    self.instance = Some(instance);
                }
            }
            // The next delivery makes another. What is in a buffer is delivered first.
            Ok(_) if instance.is_worn() && !self.buffered => instance.retire_worn(),
            Ok(_) => self.instance = Some(instance),
        }
    }

    async fn deliver_all(&mut self, events: &[Segment]) -> Result<Outcome, Fault> {
        let mut instance = self.take_instance().await?;
        let result = delivery(&mut instance, events).await;
        let result = result.and_then(|outcome| {
            match outcome {
                Outcome::Buffered => self.buffered = true,
                // What is written beside a full buffer counts together with it.
                _ if self.buffered => {}
                _ => self.keep(&mut instance),
            }
            Ok(outcome)
        });
        self.put_back(instance, &result);
        result
    }

    /// What the guest wrote of events that are delivered now waits for their acknowledgement.
    fn keep(&mut self, instance: &mut Instance<SinkWorld>) {
        let staged = &mut instance.store.data_mut().staged;
        if !staged.is_empty() {
            self.pending.append(&mut staged.take());
        }
    }

    async fn flush_buffer(&mut self) -> Result<(), Fault> {
        if !self.buffered {
            return Ok(());
        }
        let mut instance = self.take_instance().await?;
        let result = flush(&mut instance).await;
        if result.is_ok() {
            self.keep(&mut instance);
        }
        self.buffered &= result.is_err();
        self.put_back(instance, &result);
        self.buffered = false;
        result
    }
}

/// What a guest wrote of events that are delivered.
struct Pending {
    parts: Arc<GuestParts>,
    writes: Vec<StateWrite>,
}

impl PendingState for Pending {
    fn component(&self) -> &ComponentName {
        &self.parts.name
    }

    fn writes(&self) -> Vec<StateWrite> {
        self.writes.clone()
    }

    fn commit(self: Box<Self>) -> Result<(), Fault> {
        let Self { parts, writes } = *self;
        parts.states.apply(&parts.name, writes)
    }
}

async fn delivery(
    instance: &mut Instance<SinkWorld>,
    events: &[Segment],
) -> Result<Outcome, Fault> {
    let len: usize = events.iter().map(|segment| segment.events.len()).sum();
    let segments: Vec<GuestSegment> = events.iter().map(guest_segment).collect();
    let parts: Vec<EventBatch> = events
        .iter()
        .map(|segment| segment.events.clone())
        .collect();
    let lent = instance.lend(parts)?;
    let borrowed = Resource::new_borrow(lent.rep());
    let answer = instance
        .call(DELIVER, move |world, store| {
            Box::pin(async move {
                let api = world.flumen_plugin_sink_api();
                api.call_deliver(store, borrowed, &segments).await
            })
        })
        .await?;
    instance.take_back(lent);
    match answer {
        Err(error) => Err(instance.refusal(DELIVER, error)),
        Ok(outcome) => answer::outcome(outcome, len).map_err(|rule| instance.lied(DELIVER, rule)),
    }
}

async fn flush(instance: &mut Instance<SinkWorld>) -> Result<(), Fault> {
    let flushed = instance
        .call(FLUSH, |world, store| {
            Box::pin(world.flumen_plugin_sink_api().call_flush(store))
        })
        .await?;
    flushed.map_err(|error| instance.refusal(FLUSH, error))
}

fn guest_segment(segment: &Segment) -> GuestSegment {
    GuestSegment {
        // A batch has far fewer events than 32 bits hold.
        events: u32::try_from(segment.events.len()).unwrap_or(u32::MAX),
        first_sequence: segment.first_sequence,
        redeliveries: segment.redeliveries,
    }
}

impl Sink for GuestSink {
    fn demand(&self) -> TakeLimits {
        TakeLimits {
            events: self.batch_events,
            bytes: DELIVERY_BYTES_MAX,
        }
    }

    fn start(&mut self, _context: SinkContext) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            if self.instance.is_none() {
                self.instance = Some(self.maker.make().await?);
                self.buffered = false;
            }
            Ok(())
        })
    }

    fn deliver<'a>(&'a mut self, events: &'a [Segment]) -> BoxFuture<'a, Result<Outcome, Fault>> {
        Box::pin(self.deliver_all(events))
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.flush_buffer())
    }

    fn pending_state(&mut self) -> Option<Box<dyn PendingState>> {
        let writes = std::mem::take(&mut self.pending);
        let parts = &self.maker.parts;
        (!writes.is_empty()).then(|| {
            let pending = Pending {
                parts: Arc::clone(parts),
                writes,
            };
            Box::new(pending) as Box<dyn PendingState>
        })
    }

    fn tick(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        ready(Ok(()))
    }

    fn stop(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            self.buffered = false;
            if let Some(mut instance) = self.instance.take() {
                // What was not flushed does not count.
                instance.store.data_mut().forget();
                instance.shut_down().await;
            }
            Ok(())
        })
    }
}

impl Drop for GuestSink {
    fn drop(&mut self) {
        if let Some(mut instance) = self.instance.take() {
            instance.store.data_mut().forget();
            instance.retire();
        }
    }
}
