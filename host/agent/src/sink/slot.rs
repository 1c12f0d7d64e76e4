//! One sink with its channel, and one attempt to deliver to it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_core::channel::{Channel, Lease, TakeError, TakeLimits};
use flumen_core::clock::Clock;
use flumen_core::metric::SinkCounters;
use flumen_core::sink::{Outcome, Sink, SinkContext};
use flumen_core::sink_processor::Attempt;
use flumen_core::source::StopSignal;
use flumen_core::{ComponentName, Fault};
use futures_util::FutureExt;
use tracing::{info, warn};

use super::failure::{Condemned, Unsettled, panicked};
use crate::back_off::{BackOff, now};
use crate::poison::{PoisonHandler, Search, Stretch};
use crate::probation::{Version, Versions};
use crate::state::{ComponentState, StateCell};
use crate::state_folder::StateFolder;
use crate::stop::Stop;

/// How often a sink that is kept busy is told the time.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Events that a sink may keep in its own buffer before it is told to flush: as many as a sink
/// that buffers may lose time on after a crash, and a bound on leases held open.
const HELD_EVENTS_MAX: usize = 100_000;

/// Makes another instance of a sink from the settings of the plan.
pub(crate) type MakeSink = Arc<dyn Fn() -> Result<Box<dyn Sink>, Fault> + Send + Sync>;

/// What a slot is made of.
pub(crate) struct SlotParts {
    pub(crate) name: ComponentName,
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) versions: Arc<Versions<MakeSink>>,
    /// What becomes of events that it never can deliver; `None` for a type that has no such option.
    pub(crate) poison: Option<PoisonHandler>,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) state: Arc<StateCell>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where its state is kept.
    pub(crate) states: Arc<StateFolder>,
}

/// A sink at work. The instance is `None` after it broke, until the next attempt makes another.
pub(crate) struct SinkSlot {
    pub(super) parts: SlotParts,
    pub(super) sink: Option<Box<dyn Sink>>,
    /// The version that the instance is of, or was of last.
    pub(super) version: Arc<Version<MakeSink>>,
    pub(super) back_off: BackOff,
    pub(super) retry_at: Option<Instant>,
    last_tick: Instant,
    // Leases of events that are in the sink's own buffer.
    pub(super) held: Vec<Lease>,
    pub(super) search: Search,
    /// The event that was found and is not disposed of yet.
    pub(super) condemned: Option<Condemned>,
    /// The event that was last told to block the channel.
    pub(super) blocked_by: Option<u64>,
}

impl SinkSlot {
    /// A slot whose first attempt makes and starts the sink.
    pub(crate) fn new(parts: SlotParts) -> Self {
        Self {
            version: parts.versions.current(),
            parts,
            sink: None,
            back_off: BackOff::default(),
            retry_at: None,
            last_tick: now(),
            held: Vec::new(),
            search: Search::default(),
            condemned: None,
            blocked_by: None,
        }
    }

    pub(crate) fn name(&self) -> &ComponentName {
        &self.parts.name
    }

    pub(crate) fn set_channel(&mut self, channel: Arc<dyn Channel>) {
        if !Arc::ptr_eq(&self.parts.channel, &channel) {
            // Another channel has sequences of its own.
            self.search = Search::default();
            self.condemned = None;
            self.blocked_by = None;
        }
        self.parts.channel = channel;
    }

    /// When the sink may be tried again; `None` when it may be tried now.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether the sink waits for a new configuration.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.parts.state.get(), ComponentState::Failed { .. })
    }

    /// Makes and starts the sink if it is not there.
    pub(crate) async fn start(&mut self) -> Result<(), Fault> {
        if self.sink.is_some() {
            return Ok(());
        }
        self.version = self.parts.versions.current();
        let mut sink = (self.version.made)()?;
        let context = SinkContext {
            name: self.parts.name.clone(),
            counters: Arc::clone(&self.parts.counters),
            clock: Arc::clone(&self.parts.clock),
        };
        sink.start(context).await?;
        let now_ms = self.parts.clock.now_ms();
        self.parts
            .counters
            .start_time
            .set(u64::try_from(now_ms).unwrap_or(0));
        self.at_work();
        self.sink = Some(sink);
        Ok(())
    }

    /// Takes what the channel has and delivers it; waits at most `wait` for the first event. `None`
    /// when the stop came while it waited: a stop never cuts a delivery short.
    pub(crate) async fn attempt(&mut self, wait: Duration, stop: &Stop) -> Option<Attempt> {
        if self.condemned.is_none()
            && let Err(fault) = self.start().await
        {
            self.fault(fault, true);
            return Some(Attempt::Failed);
        }
        let demand = self.demand()?;
        let channel = Arc::clone(&self.parts.channel);
        let taken = tokio::select! {
            biased;
            taken = channel.take(demand, wait) => taken,
            _ = stop.stopped() => return None,
        };
        Some(match taken {
            Ok(lease) => match self.condemned.take() {
                Some(condemned) => self.condemned_again(condemned, lease).await,
                None => self.deliver(lease, demand.events).await,
            },
            Err(TakeError::Empty | TakeError::Closed) => {
                self.parts.counters.batch_empty.add(1);
                self.idle().await
            }
            Err(TakeError::Failed(fault)) => {
                self.parts.counters.channel_read_fail.add(1);
                self.fault(fault, false);
                Attempt::Failed
            }
        })
    }

    /// How much the next take asks for: what the sink wants, cut to what a search tries.
    fn demand(&self) -> Option<TakeLimits> {
        if self.condemned.is_some() {
            return Some(TakeLimits {
                events: 1,
                bytes: u64::MAX,
            });
        }
        let demand = self.sink.as_ref()?.demand();
        let events_max = self.search.events_max().unwrap_or(usize::MAX);
        Some(TakeLimits {
            events: demand.events.min(events_max),
            ..demand
        })
    }

    async fn deliver(&mut self, lease: Lease, wanted: usize) -> Attempt {
        let Some(sink) = self.sink.as_mut() else {
            return Attempt::Failed;
        };
        let events = lease.len();
        let counters = &self.parts.counters;
        counters.event_drain_attempt.add(events as u64);
        match events >= wanted {
            true => counters.batch_complete.add(1),
            false => counters.batch_underflow.add(1),
        }
        self.parts.versions.begins();
        let delivery = AssertUnwindSafe(sink.deliver(lease.segments()));
        let outcome = delivery.catch_unwind().await;
        let settled = match outcome.unwrap_or_else(|_| Err(panicked())) {
            Ok(Outcome::Delivered) => {
                let stretch = Stretch::over([&lease]);
                match self.acknowledge(lease, Vec::new()).await {
                    Ok(()) => {
                        self.passed(stretch);
                        Ok(events)
                    }
                    Err(fault) => Err(Unsettled::ByTheChannel(fault)),
                }
            }
            Ok(Outcome::Partial { retry, rejected }) => {
                self.settle_partly(lease, retry, rejected).await
            }
            Ok(Outcome::Buffered) => {
                self.held.push(lease);
                let held: usize = self.held.iter().map(Lease::len).sum();
                // A search has to know at once which events went through.
                if (held >= HELD_EVENTS_MAX || self.search.is_narrowing())
                    && let Err(fault) = self.flush().await
                {
                    return self.undelivered(None, "flush", fault).await;
                }
                Ok(0)
            }
            Err(fault) => return self.undelivered(Some(lease), "deliver", fault).await,
        };
        match settled {
            Ok(delivered) => {
                self.parts
                    .counters
                    .event_drain_success
                    .add(delivered as u64);
                self.delivered();
                self.tick_if_due().await
            }
            Err(unsettled) => {
                self.parts.counters.event_write_fail.add(1);
                match unsettled {
                    Unsettled::ByTheSink(fault) => self.fault(fault, true),
                    Unsettled::ByTheChannel(fault) => self.fault(fault, false),
                }
                Attempt::Failed
            }
        }
    }

    /// Events are out.
    pub(super) fn passed(&mut self, stretch: Option<Stretch>) {
        if let Some(stretch) = stretch {
            self.search.passed(stretch.end);
        }
        if let Some(handler) = &self.parts.poison {
            handler.handled();
        }
        self.parts.versions.handled();
    }

    /// Has the sink deliver its own buffer and acknowledges what was in it. After a fault none of the
    /// buffered events counts, and their leases are still held.
    pub(crate) async fn flush(&mut self) -> Result<(), Fault> {
        let Some(sink) = self.sink.as_mut() else {
            return Ok(());
        };
        if self.held.is_empty() {
            return Ok(());
        }
        let flushed = AssertUnwindSafe(sink.flush()).catch_unwind().await;
        flushed.unwrap_or_else(|_| Err(panicked()))?;
        let held = std::mem::take(&mut self.held);
        let stretch = Stretch::over(&held);
        let leases = held.len();
        for (place, lease) in (1..).zip(held) {
            let events = lease.len();
            // The state goes with the last one, which takes along what waits of the others.
            match place == leases {
                true => self.acknowledge(lease, Vec::new()).await?,
                false => lease.ack().await?,
            }
            self.parts.counters.event_drain_success.add(events as u64);
        }
        self.passed(stretch);
        Ok(())
    }

    async fn idle(&mut self) -> Attempt {
        if let Err(fault) = self.flush().await {
            return self.undelivered(None, "flush", fault).await;
        }
        match self.tick().await {
            Attempt::Failed => Attempt::Failed,
            _ => Attempt::Idle,
        }
    }

    async fn tick_if_due(&mut self) -> Attempt {
        if now().saturating_duration_since(self.last_tick) < TICK_INTERVAL {
            return Attempt::Delivered;
        }
        self.tick().await
    }

    async fn tick(&mut self) -> Attempt {
        self.last_tick = now();
        let Some(sink) = self.sink.as_mut() else {
            return Attempt::Failed;
        };
        match sink.tick().await {
            Ok(()) => Attempt::Delivered,
            Err(fault) => {
                self.fault(fault, true);
                Attempt::Failed
            }
        }
    }

    fn delivered(&mut self) {
        if self.back_off.failures() > 0 {
            info!(sink = %self.parts.name, "sink delivers again");
            self.back_off.succeeded();
        }
        // Set by every failure.
        if self.retry_at.is_some() {
            self.at_work();
        }
        self.retry_at = None;
    }

    /// Flushes and closes the sink.
    pub(crate) async fn stop(mut self) {
        if let Err(fault) = self.flush().await {
            warn!(sink = %self.parts.name, "sink could not flush at its end: {fault}");
        }
        if let Some(sink) = self.sink.as_mut()
            && let Err(fault) = sink.stop().await
        {
            warn!(sink = %self.parts.name, side = %fault.side(), "sink did not close cleanly: {fault}");
        }
        let now_ms = self.parts.clock.now_ms();
        self.parts
            .counters
            .stop_time
            .set(u64::try_from(now_ms).unwrap_or(0));
        self.parts.state.set(ComponentState::Stopped);
    }
}
