//! What is told of one guest: what its host counts, what the agent does about its failures, and what
//! it counts itself.

use std::collections::BTreeMap;

use flumen_core::ComponentName;
use flumen_wasm::GuestReport;

use super::{ComponentMetrics, MetricKind, MetricValue};
use crate::poison::PoisonCounts;
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

/// Where the figures of guests come from. Both are asked for each picture, and by nobody else.
pub(crate) struct GuestFigures {
    /// The reports of all guests, oldest first: a later version of a component hides an earlier one.
    pub(crate) reports: Box<dyn Fn() -> Vec<GuestReport> + Send + Sync>,
    /// By qualified name. A component that is not there has had no failure.
    pub(crate) poison: Box<dyn Fn() -> BTreeMap<ComponentName, PoisonCounts> + Send + Sync>,
}

impl GuestFigures {
    /// One picture of each guest, whatever the number of its versions, by name.
    pub(super) fn pictures(
        &self,
        state_of: impl Fn(&ComponentName) -> Option<ComponentState>,
    ) -> Vec<ComponentMetrics> {
        let reports: BTreeMap<_, _> = (self.reports)()
            .into_iter()
            .map(|report| (report.component.clone(), report))
            .collect();
        if reports.is_empty() {
            return Vec::new();
        }
        let poison = (self.poison)();
        reports
            .into_values()
            .map(|report| {
                let poison = poison.get(&report.component).cloned().unwrap_or_default();
                // An interceptor has no task, and so no state of its own.
                let state = state_of(&report.component).unwrap_or_else(|| state(&poison));
                picture(report, &poison, state)
            })
            .collect()
    }
}

fn state(poison: &PoisonCounts) -> ComponentState {
    match &poison.rolled_back_because {
        Some(reason) => ComponentState::RolledBack {
            reason: reason.clone(),
        },
        None => ComponentState::Running,
    }
}

fn picture(report: GuestReport, poison: &PoisonCounts, state: ComponentState) -> ComponentMetrics {
    let (name, version) = match report.info {
        Some(info) => (Some(info.name), Some(info.version)),
        None => (None, None),
    };
    let mut attributes = vec![
        ("CallCount", report.calls),
        ("DeadLetterCount", poison.dead_lettered),
        ("DroppedPoisonCount", poison.dropped),
        ("InstanceCount", report.instances),
        ("LogLinesSuppressed", report.log_lines_suppressed),
        ("MemoryBytes", report.memory_bytes),
        ("OwnRefusedCount", report.own_refused),
        ("PoisonCount", poison.poison),
        ("RetiredCount", report.retired),
        ("RolledBackCount", poison.rolled_back),
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
        state: Some(state),
        guest: Some(GuestMetrics {
            digest: report.digest.to_string(),
            name,
            version,
            counters: report.counters,
            gauges: report.gauges,
        }),
    }
}
