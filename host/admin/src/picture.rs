//! What all pages are made from.

use flumen_agent::{ComponentMetrics, Handle};

/// An agent and its components at one moment.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The agent's name.
    pub agent: String,
    /// Its components.
    pub components: Vec<ComponentMetrics>,
}

impl Picture {
    /// A picture of a running agent.
    pub fn of(handle: &Handle) -> Self {
        Self {
            agent: handle.plan().agent.to_string(),
            components: handle.metrics(),
        }
    }
}

/// Hand-made components for the tests of the pages.
#[cfg(test)]
pub(crate) mod samples {
    use flumen_agent::{ComponentMetrics, ComponentState, GuestMetrics, MetricKind, MetricValue};

    use super::Picture;

    pub(crate) fn component(
        kind: MetricKind,
        name: &str,
        attributes: &[(&'static str, MetricValue)],
        state: Option<ComponentState>,
    ) -> ComponentMetrics {
        ComponentMetrics {
            kind,
            name: name.into(),
            attributes: attributes.to_vec(),
            state,
            guest: None,
        }
    }

    /// A guest that is a sink, with figures of its own.
    pub(crate) fn guest(counters: &[(&str, u64)], gauges: &[(&str, f64)]) -> ComponentMetrics {
        let owned = |name: &str| name.to_owned();
        ComponentMetrics {
            guest: Some(GuestMetrics {
                digest: "00ff".to_owned(),
                name: Some(owned("digest")),
                version: Some(owned("0.1.0")),
                counters: counters.iter().map(|(name, n)| (owned(name), *n)).collect(),
                gauges: gauges.iter().map(|(name, n)| (owned(name), *n)).collect(),
            }),
            ..component(
                MetricKind::Guest,
                "sinks.k1",
                &[("StrikeCount", MetricValue::Number(2))],
                Some(ComponentState::RolledBack {
                    reason: "it trapped".to_owned(),
                }),
            )
        }
    }

    /// One flow with a channel of unknown capacity beside it.
    pub(crate) fn picture() -> Picture {
        use MetricValue::{Number, Percent};
        Picture {
            agent: "a1".to_owned(),
            components: vec![
                component(
                    MetricKind::Channel,
                    "c1",
                    &[
                        ("ChannelCapacity", Number(1000)),
                        ("ChannelFillPercentage", Percent(12.5)),
                        ("ChannelSize", Number(125)),
                        ("StartTime", Number(1_700_000_000_123)),
                    ],
                    None,
                ),
                component(
                    MetricKind::Channel,
                    "c2",
                    &[("ChannelFillPercentage", Percent(f64::MAX))],
                    None,
                ),
                component(
                    MetricKind::Sink,
                    "k1",
                    &[("EventDrainSuccessCount", Number(41))],
                    Some(ComponentState::Retrying {
                        reason: "disk \"full\"".to_owned(),
                        failures: 3,
                    }),
                ),
                component(
                    MetricKind::Source,
                    "r1",
                    &[
                        ("EventReceivedCount", Number(u64::MAX)),
                        ("OpenConnectionCount", Number(2)),
                    ],
                    Some(ComponentState::Running),
                ),
            ],
        }
    }
}
