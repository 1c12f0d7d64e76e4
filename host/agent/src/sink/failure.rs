//! What a slot does when its sink fails: back-off, a new instance, the search for poison events and
//! what becomes of them, and the way back to the version before.

use std::time::Duration;

use flumen_core::channel::{Lease, Segment};
use flumen_core::sink::Rejected;
use flumen_core::sink_processor::Attempt;
use flumen_core::{Fault, FaultKind, Side};
use tracing::{error, warn};

use super::slot::SinkSlot;
use crate::back_off::{LONGEST_WAIT, now};
use crate::poison::{Blame, Policy, Stretch, Verdict, may_be_of_the_events};
use crate::state::ComponentState;

/// The wait between two tries of a search. Short, because what failed is known to fail and the rest
/// of the channel waits; not none, so that an instance that takes time to make is not all that runs.
const SEARCH_WAIT: Duration = Duration::from_millis(2);

/// A poison event that waits to be disposed of, because the dead-letter channel had no room. The
/// sink is not given it again.
pub(crate) struct Condemned {
    sequence: u64,
    blame: Blame,
}

/// Why an answered delivery could not be settled.
pub(super) enum Unsettled {
    /// Some events come again, by the sink's answer.
    ByTheSink(Fault),
    /// A channel, its own or that of the dead letters, or the policy. No reason for another
    /// instance or version of the sink.
    ByTheChannel(Fault),
}

/// The fault of a sink that panicked.
pub(super) fn panicked() -> Fault {
    let message = "sink panicked; this is a defect of the sink";
    Fault::new(FaultKind::Broken, Side::Component, message)
}

impl SinkSlot {
    /// The events of this lease, and all in the sink's buffer, are not delivered.
    pub(super) async fn undelivered(
        &mut self,
        lease: Option<Lease>,
        call: &'static str,
        fault: Fault,
    ) -> Attempt {
        self.parts.counters.event_write_fail.add(1);
        let searches = self.parts.poison.is_some() && may_be_of_the_events(&fault);
        let stretch = Stretch::over(self.held.iter().chain(&lease)).filter(|_| searches);
        let Some(stretch) = stretch else {
            drop(lease);
            self.fault(fault, true);
            return Attempt::Failed;
        };
        if self.takes_back(&fault) {
            return Attempt::Failed;
        }
        let was_narrowing = self.search.is_narrowing();
        match self.search.failed(stretch, fault.kind()) {
            Verdict::TryAgain => {
                drop(lease);
                self.fault(fault, true);
                Attempt::Failed
            }
            Verdict::Narrow => {
                drop(lease);
                self.narrow(stretch, &fault, was_narrowing);
                Attempt::Failed
            }
            Verdict::Poison => match lease.or_else(|| self.held.pop()) {
                Some(lease) => self.condemn(lease, call, fault).await,
                None => Attempt::Failed,
            },
        }
    }

    fn narrow(&mut self, stretch: Stretch, fault: &Fault, was_narrowing: bool) {
        self.held.clear();
        if fault.kind() == FaultKind::Broken {
            self.sink = None;
        }
        if !was_narrowing {
            warn!(
                sink = %self.parts.name, side = %fault.side(), events = stretch.events,
                "sink fails on these events, and the one that it fails on is looked for: {fault}"
            );
        }
        self.parts.state.set(ComponentState::Retrying {
            reason: fault.to_string(),
            failures: self.back_off.failures().max(1),
        });
        let rest = fault.retry_after().unwrap_or_default();
        self.retry_at = Some(now() + rest.clamp(SEARCH_WAIT, LONGEST_WAIT));
    }

    /// The one event of this lease is poison.
    async fn condemn(&mut self, lease: Lease, call: &'static str, fault: Fault) -> Attempt {
        if fault.kind() == FaultKind::Broken {
            self.sink = None;
        }
        let first = lease.segments().first();
        let (Some(handler), Some(first)) = (&self.parts.poison, first) else {
            return Attempt::Failed;
        };
        let sequence = first.first_sequence;
        match handler.policy() {
            Policy::DeadLetter(_) | Policy::Drop if handler.left_in_the_row() > 0 => {
                let blame = Blame::of(&fault, call, self.version.digest.clone());
                return self.dispose(Condemned { sequence, blame }, lease).await;
            }
            Policy::Stop => {
                handler.found();
                drop(lease);
                let what = "stopped by its policy after an event that it cannot deliver";
                self.fault(Fault::configuration(what).with_cause(fault), false);
            }
            Policy::Block if self.blocked_by != Some(sequence) => {
                handler.found();
                self.blocked_by = Some(sequence);
                error!(
                    sink = %self.parts.name,
                    "one event that can never be delivered blocks the channel; change the sink or its configuration: {fault}"
                );
                drop(lease);
                self.fault(fault, true);
            }
            Policy::DeadLetter(_) | Policy::Drop | Policy::Block => {
                drop(lease);
                self.fault(fault, true);
            }
        }
        Attempt::Failed
    }

    /// Takes a condemned event out of the flow: first into the dead-letter channel, then out of its
    /// own. Without room there it stays in its own.
    async fn dispose(&mut self, condemned: Condemned, lease: Lease) -> Attempt {
        let Some(handler) = &self.parts.poison else {
            return Attempt::Failed;
        };
        let blames = std::slice::from_ref(&condemned.blame);
        let (_, disposed) = handler.dispose(lease.segments(), &[0], blames).await;
        if let Err(fault) = disposed {
            self.condemned = Some(condemned);
            drop(lease);
            self.fault(fault, false);
            return Attempt::Failed;
        }
        handler.in_a_row(1);
        if let Err(fault) = lease.ack().await {
            self.fault(fault, false);
            return Attempt::Failed;
        }
        self.search.passed(condemned.sequence.saturating_add(1));
        self.back_off.succeeded();
        self.retry_at = None;
        self.at_work();
        Attempt::Delivered
    }

    /// The next event while one is condemned: that one as a rule, another one when another sink of
    /// the channel had it meanwhile.
    pub(super) async fn condemned_again(&mut self, condemned: Condemned, lease: Lease) -> Attempt {
        let first = lease.segments().first();
        if first.is_some_and(|first| first.first_sequence == condemned.sequence) {
            return self.dispose(condemned, lease).await;
        }
        self.retry_at = None;
        Attempt::Failed
    }

    /// Acknowledges what was delivered, gives back what is to be tried again, and follows the
    /// policy with what the sink rejects. Where that is to block, rejected events stay too.
    pub(super) async fn settle_partly(
        &mut self,
        lease: Lease,
        retry: Vec<u32>,
        rejected: Vec<Rejected>,
    ) -> Result<usize, Unsettled> {
        let events = lease.len();
        let any_delivered = retry.len() + rejected.len() < events;
        if any_delivered {
            self.passed(None);
        }
        let (disposed, result) = match rejected.is_empty() {
            true => (0, Ok(())),
            false => {
                self.reject(lease.segments(), &rejected, any_delivered)
                    .await
            }
        };
        let mut kept = retry;
        kept.extend(rejected.iter().skip(disposed).map(|event| event.index));
        kept.sort_unstable();
        let back = kept.len();
        let end = Stretch::over([&lease]);
        let acknowledged = self.acknowledge(lease, kept).await;
        // An answer that names events wrongly is refused here too.
        acknowledged.map_err(Unsettled::ByTheSink)?;
        let delivered = events.saturating_sub(back + disposed);
        self.parts
            .counters
            .event_drain_success
            .add(delivered as u64);
        if let (0, Some(end)) = (back, end) {
            self.search.passed(end.end);
        }
        result.map_err(Unsettled::ByTheChannel)?;
        if back > 0 {
            let message = format!("{back} of {events} events were not delivered");
            let fault = Fault::transient(Side::Peer, message);
            return Err(Unsettled::ByTheSink(fault));
        }
        Ok(0)
    }

    /// Follows the policy with rejected events. Tells how many of them are disposed of, the first
    /// ones, and why not all.
    async fn reject(
        &mut self,
        segments: &[Segment],
        rejected: &[Rejected],
        any_delivered: bool,
    ) -> (usize, Result<(), Fault>) {
        let reason = rejected.first().map_or("", |first| &first.reason);
        let handler = self.parts.poison.as_ref();
        let handler = handler.filter(|handler| *handler.policy() != Policy::Block);
        let Some(handler) = handler else {
            error!(
                sink = %self.parts.name, events = rejected.len(), reason,
                "events that can never be delivered block the channel; change the sink or its configuration"
            );
            return (0, Ok(()));
        };
        if *handler.policy() == Policy::Stop {
            handler.found();
            let what = format!("stopped by its policy after an event that it rejects: {reason}");
            return (0, Err(Fault::configuration(what)));
        }
        let allowed = match any_delivered {
            true => rejected.len(),
            false => rejected.len().min(handler.left_in_the_row() as usize),
        };
        let rejected = rejected.iter().take(allowed);
        let (indices, blames): (Vec<u32>, Vec<Blame>) = rejected
            .map(|event| {
                let blame = Blame::rejected(&event.reason, self.version.digest.clone());
                (event.index, blame)
            })
            .unzip();
        let (disposed, result) = handler.dispose(segments, &indices, &blames).await;
        if !any_delivered {
            handler.in_a_row(u32::try_from(disposed).unwrap_or(u32::MAX));
        }
        (disposed, result)
    }

    /// Notes a fault: what is held goes back, and the next attempt waits.
    pub(super) fn fault(&mut self, fault: Fault, of_the_sink: bool) {
        if of_the_sink && self.takes_back(&fault) {
            return;
        }
        self.held.clear();
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
        let now = now();
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

    /// Notes that the sink panicked outside a delivery: another instance is made.
    pub(crate) fn panicked(&mut self) {
        self.parts.counters.event_write_fail.add(1);
        self.fault(panicked(), true);
    }

    /// Goes back to the version before when this fault is the end of the new one's probation: its
    /// events are given back, and the next attempt makes the old one for them.
    fn takes_back(&mut self, fault: &Fault) -> bool {
        if !self.parts.versions.failed(&self.version, fault) {
            return false;
        }
        self.held.clear();
        self.sink = None;
        self.search = Default::default();
        self.back_off.succeeded();
        self.retry_at = None;
        self.at_work();
        true
    }

    /// Sets the state of a sink that does its work.
    pub(super) fn at_work(&self) {
        let state = match self.parts.versions.rolled_back() {
            Some(reason) => ComponentState::RolledBack { reason },
            None => ComponentState::Running,
        };
        self.parts.state.set(state);
    }
}
