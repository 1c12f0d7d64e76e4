//! What a run tells at its end.

use std::time::Duration;

use flumen_core::Fault;
use flumen_wasm::{GuestReport, GuestTrap};

use super::GuestKind;

/// Failures that are kept with their words; of those behind them only the number. A component that
/// fails on every batch says the same each time.
pub(super) const FAILURES_KEPT_MAX: usize = 10;

/// Rows that a sink refused for good, of which the reasons are kept.
pub(super) const REJECTIONS_KEPT_MAX: usize = 10;

/// How an instance was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureTrap {
    /// A word for machines, such as `unreachable` or `cpu-limit`.
    pub code: &'static str,
    /// What it means.
    pub cause: String,
    /// The functions that were active, innermost first.
    pub backtrace: Vec<String>,
    /// The end of what the call wrote to standard error: a panic message. May be empty.
    pub last_words: String,
}

/// A call that did not succeed. The run goes on with the next batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of the first event of the batch, counted from 1 over the run; 0 when no event is
    /// concerned.
    pub first_event: u64,
    /// How many events the batch has.
    pub events: u64,
    /// What went wrong, with its causes.
    pub message: String,
    /// How the instance was ended, when it was.
    pub trap: Option<FailureTrap>,
}

impl Failure {
    pub(super) fn of(fault: &Fault, first_event: u64, events: u64) -> Self {
        let trap = GuestTrap::of(fault).map(|trap| FailureTrap {
            code: trap.cause.code(),
            cause: trap.cause.to_string(),
            backtrace: trap.backtrace.clone(),
            last_words: trap.last_words.clone(),
        });
        // The trap says the rest by itself.
        let message = match trap {
            Some(_) => fault.message().to_owned(),
            None => fault.to_string(),
        };
        Self {
            first_event,
            events,
            message,
            trap,
        }
    }
}

/// What a component did with some events.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// What it was run as.
    pub kind: GuestKind,
    /// Events handed in, those of failed calls included.
    pub events_in: u64,
    /// Events that came out: of a source or an interceptor, or delivered by a sink.
    pub events_out: u64,
    /// Events of failed calls.
    pub events_failed: u64,
    /// Events that a sink wants delivered again.
    pub events_to_retry: u64,
    /// Events that a sink refused for good.
    pub events_rejected: u64,
    /// The reasons of the first of those, with the numbers of the events.
    pub rejections: Vec<(u64, String)>,
    /// Time inside the component's calls, those of its start and end not counted.
    pub time_in_calls: Duration,
    /// How often it was called for that: once for each batch, poll and flush.
    pub calls: u64,
    /// Instances that were made.
    pub instances: u64,
    /// Calls that ended an instance.
    pub strikes: u64,
    /// Log lines that were left out.
    pub log_lines_suppressed: u64,
    /// Counters of its own, by name.
    pub counters: Vec<(String, u64)>,
    /// Gauges of its own, by name.
    pub gauges: Vec<(String, f64)>,
    /// Failed calls.
    pub failures: u64,
    /// The first of those with their words; at most ten.
    pub first_failures: Vec<Failure>,
}

impl RunReport {
    pub(super) fn new(kind: GuestKind) -> Self {
        Self {
            kind,
            events_in: 0,
            events_out: 0,
            events_failed: 0,
            events_to_retry: 0,
            events_rejected: 0,
            rejections: Vec::new(),
            time_in_calls: Duration::ZERO,
            calls: 0,
            instances: 0,
            strikes: 0,
            log_lines_suppressed: 0,
            counters: Vec::new(),
            gauges: Vec::new(),
            failures: 0,
            first_failures: Vec::new(),
        }
    }

    /// Nanoseconds inside calls for each event: handed in, or given by a source. `None` without
    /// events.
    pub fn cost_ns(&self) -> Option<f64> {
        let events = match self.kind {
            GuestKind::Source => self.events_out,
            GuestKind::Interceptor | GuestKind::Sink => self.events_in,
        };
        // An average for people: what a float cannot hold does not show.
        (events > 0).then(|| self.time_in_calls.as_nanos() as f64 / events as f64)
    }

    pub(super) fn failed(&mut self, fault: &Fault, first_event: u64, events: u64) {
        self.failures += 1;
        self.events_failed += events;
        if self.first_failures.len() < FAILURES_KEPT_MAX {
            let failure = Failure::of(fault, first_event, events);
            self.first_failures.push(failure);
        }
    }

    pub(super) fn rejected(&mut self, event: u64, reason: String) {
        self.events_rejected += 1;
        if self.rejections.len() < REJECTIONS_KEPT_MAX {
            self.rejections.push((event, reason));
        }
    }

    pub(super) fn add_figures(&mut self, figures: GuestReport) {
        self.instances = figures.instances;
        self.strikes = figures.strikes;
        self.log_lines_suppressed = figures.log_lines_suppressed;
        self.counters = figures.counters;
        self.gauges = figures.gauges;
    }
}
