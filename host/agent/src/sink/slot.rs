//! One sink with its channel, and one attempt to deliver to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_core::channel::{Channel, Lease, TakeError};
use flumen_core::clock::Clock;
use flumen_core::metric::SinkCounters;
use flumen_core::sink::{Outcome, Rejected, Sink, SinkContext};
use flumen_core::sink_processor::Attempt;
use flumen_core::source::StopSignal;
use flumen_core::{ComponentName, Fault, FaultKind, Side};
use tracing::{error, info, warn};

use crate::back_off::BackOff;
use crate::state::{ComponentState, StateCell};
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
    pub(crate) make: MakeSink,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) state: Arc<StateCell>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A sink at work. The instance is `None` after it broke, until the next attempt makes another.
pub(crate) struct SinkSlot {
    parts: SlotParts,
    sink: Option<Box<dyn Sink>>,
    back_off: BackOff,
    retry_at: Option<Instant>,
    last_tick: Instant,
    // Leases of events that are in the sink's own buffer.
    held: Vec<Lease>,
}

impl SinkSlot {
    /// A slot whose first attempt makes and starts the sink.
    pub(crate) fn new(parts: SlotParts) -> Self {
        Self {
            parts,
            sink: None,
            back_off: BackOff::default(),
            retry_at: None,
            last_tick: Instant::now(),
            held: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &ComponentName {
        &self.parts.name
    }

    pub(crate) fn set_channel(&mut self, channel: Arc<dyn Channel>) {
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
        let mut sink = (self.parts.make)()?;
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
        self.parts.state.set(ComponentState::Running);
        self.sink = Some(sink);
        Ok(())
    }

    /// Takes what the channel has and delivers it; waits at most `wait` for the first event. `None`
    /// when the stop came while it waited: a stop never cuts a delivery short.
    pub(crate) async fn attempt(&mut self, wait: Duration, stop: &Stop) -> Option<Attempt> {
        if let Err(fault) = self.start().await {
            self.fault(fault, true);
            return Some(Attempt::Failed);
        }
        let demand = self.sink.as_ref()?.demand();
        let channel = Arc::clone(&self.parts.channel);
        let taken = tokio::select! {
            biased;
            taken = channel.take(demand, wait) => taken,
            _ = stop.stopped() => return None,
        };
        Some(match taken {
            Ok(lease) => self.deliver(lease, demand.events).await,
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
        let settled = match sink.deliver(lease.segments()).await {
            Ok(Outcome::Delivered) => lease.ack().await.map(|()| events),
            Ok(Outcome::Partial { retry, rejected }) => {
                self.settle_partly(lease, retry, rejected).await
            }
            Ok(Outcome::Buffered) => {
                self.held.push(lease);
                let held: usize = self.held.iter().map(Lease::len).sum();
                match held >= HELD_EVENTS_MAX {
                    true => self.flush().await.map(|()| 0),
                    false => Ok(0),
                }
            }
            Err(fault) => Err(fault),
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
            Err(fault) => {
                self.parts.counters.event_write_fail.add(1);
                self.fault(fault, true);
                Attempt::Failed
            }
        }
    }

    /// Acknowledges what was delivered and gives the rest back. Rejected events stay in the channel
    /// too: there is no dead-letter channel to put them into, so they block it, loudly.
    async fn settle_partly(
        &mut self,
        lease: Lease,
        retry: Vec<u32>,
        rejected: Vec<Rejected>,
    ) -> Result<usize, Fault> {
        let events = lease.len();
        let mut kept = retry;
        if let Some(first) = rejected.first() {
            error!(
                sink = %self.parts.name,
                events = rejected.len(),
                reason = %first.reason,
                "events that can never be delivered block the channel; change the sink or its configuration"
            );
            kept.extend(rejected.iter().map(|event| event.index));
            kept.sort_unstable();
        }
        let back = kept.len();
        lease.ack_except(kept).await?;
        self.parts
            .counters
            .event_drain_success
            .add((events - back.min(events)) as u64);
        match back {
            0 => Ok(0),
            back => Err(Fault::transient(
                Side::Peer,
                format!("{back} of {events} events were not delivered"),
            )),
        }
    }

    /// Has the sink deliver its own buffer and acknowledges what was in it.
    pub(crate) async fn flush(&mut self) -> Result<(), Fault> {
        let Some(sink) = self.sink.as_mut() else {
            return Ok(());
        };
        if self.held.is_empty() {
            return Ok(());
        }
        let flushed = sink.flush().await;
        let held = std::mem::take(&mut self.held);
        // After a fault none of the buffered events counts: dropping the leases gives them back.
        flushed?;
        for lease in held {
            let events = lease.len();
            lease.ack().await?;
            self.parts.counters.event_drain_success.add(events as u64);
        }
        Ok(())
    }

    async fn idle(&mut self) -> Attempt {
        if let Err(fault) = self.flush().await {
            self.fault(fault, true);
            return Attempt::Failed;
        }
        match self.tick().await {
            Attempt::Failed => Attempt::Failed,
            _ => Attempt::Idle,
        }
    }

    async fn tick_if_due(&mut self) -> Attempt {
        if self.last_tick.elapsed() < TICK_INTERVAL {
            return Attempt::Delivered;
        }
        self.tick().await
    }

    async fn tick(&mut self) -> Attempt {
        self.last_tick = Instant::now();
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
            self.parts.state.set(ComponentState::Running);
        }
        self.retry_at = None;
    }

    /// Notes a fault: what is held goes back, and the next attempt waits.
    fn fault(&mut self, fault: Fault, of_the_sink: bool) {
        while let Some(lease) = self.held.pop() {
            lease.give_back();
        }
        let name = &self.parts.name;
        if fault.kind() == FaultKind::Configuration {
            error!(sink = %name, side = %fault.side(), "sink cannot run: {fault}");
            self.sink = None;
            self.parts.state.set(ComponentState::Failed {
                reason: fault.to_string(),
            });
            return;
        }
        if of_the_sink && fault.kind() == FaultKind::Broken {
            self.sink = None;
        }
        let now = Instant::now();
        let wait = self.back_off.failed(now, fault.retry_after());
        self.retry_at = Some(now + wait);
        let failures = self.back_off.failures();
        // Repeats are counted in the state, not printed each time.
        if failures.is_power_of_two() {
            warn!(
                sink = %name, side = %fault.side(), failures, wait_ms = wait.as_millis() as u64,
                "sink failed, its events stay in the channel: {fault}"
            );
        }
        self.parts.state.set(ComponentState::Retrying {
            reason: fault.to_string(),
            failures,
        });
    }

    /// Notes that the sink panicked: its lease is back already, and another instance is made.
    pub(crate) fn panicked(&mut self) {
        self.parts.counters.event_write_fail.add(1);
        let message = "sink panicked; this is a defect of the sink";
        self.fault(
            Fault::new(FaultKind::Broken, Side::Component, message),
            true,
        );
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
