//! What is told of one guest: what its host counts, what the agent does about its failures, and what
//! it counts itself.

use std::sync::{Mutex, PoisonError};

use flumen_core::metric::Counter;
use flumen_wasm::GuestReport;

use super::{ComponentMetrics, MetricKind, MetricValue};
use crate::state::ComponentState;

/// What only guests have.
#[derive(Clone, Debug, PartialEq)]
pub struct GuestMetrics {
    /// Which version runs: the SHA-256 of its file, 64 hexadecimal digits. While one version follows
    /// another, that of the later one; the figures are of both.
    pub digest: String,
    /// What it calls itself; `None` before its first instance is made. At most 128 bytes, without
    /// control characters.
    pub name: Option<String>,
    /// The version that it says it is of; bounded in the same way.
    pub version: Option<String>,
    /// The counters that it registered, by name: at most 64 together with the gauges, their names
    /// at most 128 bytes without control characters. Nothing else is sure of a name.
    pub counters: Vec<(String, u64)>,
    /// The gauges that it registered. Any float: also infinite, also not a number.
    pub gauges: Vec<(String, f64)>,
}

/// What the agent counts when a component cannot handle an event, or fails as a new version.
#[derive(Debug, Default)]
pub(crate) struct PoisonCounters {
    /// Events that the component could not handle, found by themselves.
    pub(crate) poison: Counter,
    /// Of these, events that were committed to the dead-letter channel.
    pub(crate) dead_lettered: Counter,
    /// Of these, events that were dropped by configuration.
    pub(crate) dropped: Counter,
    /// New versions that were taken back.
    pub(crate) rolled_back: Counter,
    // A plain mutex: held for a copy only.
    state: Mutex<Option<ComponentState>>,
}

impl PoisonCounters {
    /// Tells the state of a component that has no other place for it, an interceptor. `None` when
    /// there is nothing to tell any more.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "for the handling of failures, which is not merged yet"
        )
    )]
    pub(crate) fn tell_state(&self, state: Option<ComponentState>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The state that was told last.
    pub(crate) fn state(&self) -> Option<ComponentState> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }
}

pub(super) fn picture(
    report: GuestReport,
    poison: Option<&PoisonCounters>,
    state: Option<ComponentState>,
) -> ComponentMetrics {
    let (name, version) = match report.info {
        Some(info) => (Some(info.name), Some(info.version)),
        None => (None, None),
    };
    let counted = |counter: fn(&PoisonCounters) -> &Counter| {
        // What nobody counts has not happened.
        poison.map_or(0, |counters| counter(counters).get())
    };
    let mut attributes = vec![
        ("CallCount", report.calls),
        ("DeadLetterCount", counted(|of| &of.dead_lettered)),
        ("DroppedPoisonCount", counted(|of| &of.dropped)),
        ("InstanceCount", report.instances),
        ("LogLinesSuppressed", report.log_lines_suppressed),
        ("MemoryBytes", report.memory_bytes),
        ("OwnRefusedCount", report.own_refused),
        ("PoisonCount", counted(|of| &of.poison)),
        ("RetiredCount", report.retired),
        ("RolledBackCount", counted(|of| &of.rolled_back)),
        ("StrikeCount", report.strikes),
    ];
    attributes.extend(report.state_bytes.map(|bytes| ("StateBytes", bytes)));
    attributes.sort_by_key(|(name, _)| *name);
    ComponentMetrics {
        kind: MetricKind::Guest,
        name: report.component,
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name, MetricValue::Number(value)))
            .collect(),
        state,
        guest: Some(GuestMetrics {
            digest: report.digest.to_string(),
            name,
            version,
            counters: report.counters,
            gauges: report.gauges,
        }),
    }
}
