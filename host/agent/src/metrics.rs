//! What the agent counts, and a picture of it for the outside.

mod guests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use flumen_core::ComponentName;
use flumen_core::channel::Channel;
use flumen_core::metric::{Counter, SinkCounters, SourceCounters};

use crate::state::{ComponentState, StateCell};

pub(crate) use guests::GuestFigures;
pub use guests::GuestMetrics;

/// What a source's way into its channels counts beyond Flume's attributes.
#[derive(Debug, Default)]
pub(crate) struct FlowCounters {
    /// Events that the selector sent nowhere, by configuration.
    pub(crate) unrouted: Counter,
    /// Events that an optional channel had no room for.
    pub(crate) optional_refused: Counter,
}

/// The kind of a metric's component, in Flume's words where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricKind {
    /// `CHANNEL`.
    Channel,
    /// `GUEST`: a WebAssembly component, beside the source or sink that it is, or inside of a source
    /// as an interceptor. Flume has no such kind.
    Guest,
    /// `SINK`.
    Sink,
    /// `SOURCE`.
    Source,
}

impl MetricKind {
    /// The word before the name.
    pub fn word(self) -> &'static str {
        match self {
            MetricKind::Channel => "CHANNEL",
            MetricKind::Guest => "GUEST",
            MetricKind::Sink => "SINK",
            MetricKind::Source => "SOURCE",
        }
    }
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricValue {
    /// A count or a gauge.
    Number(u64),
    /// A share, in percent.
    Percent(f64),
}

/// One component at one moment.
#[derive(Clone, Debug)]
pub struct ComponentMetrics {
    /// Its kind.
    pub kind: MetricKind,
    /// Its name; that of a guest says where it stands: `sources.r1`, `sinks.k1`,
    /// `sources.r1.interceptors.i1`.
    pub name: ComponentName,
    /// Flume's attribute names (and a few of flumen's own) with their values.
    pub attributes: Vec<(&'static str, MetricValue)>,
    /// What it is doing; channels and interceptors have no state of their own. That of a guest is
    /// that of the source or sink that it is.
    pub state: Option<ComponentState>,
    /// What only guests have.
    pub guest: Option<GuestMetrics>,
}

#[derive(Clone)]
enum Entry {
    Source {
        counters: Arc<SourceCounters>,
        flow: Arc<FlowCounters>,
        state: Arc<StateCell>,
    },
    Channel(Arc<dyn Channel>),
    Sink {
        counters: Arc<SinkCounters>,
        state: Arc<StateCell>,
    },
}

type Entries = BTreeMap<(MetricKind, ComponentName), Entry>;

/// All components that run. A plain mutex: changed at a reload, copied for a picture, never held
/// over an await.
pub(crate) struct Registry {
    entries: Mutex<Entries>,
    guests: GuestFigures,
}

impl Registry {
    /// Without components; the guests tell of themselves.
    pub(crate) fn new(guests: GuestFigures) -> Self {
        Self {
            entries: Mutex::default(),
            guests,
        }
    }

    pub(crate) fn add_source(
        &self,
        name: &ComponentName,
        counters: &Arc<SourceCounters>,
        flow: &Arc<FlowCounters>,
        state: &Arc<StateCell>,
    ) {
        let entry = Entry::Source {
            counters: Arc::clone(counters),
            flow: Arc::clone(flow),
            state: Arc::clone(state),
        };
        self.insert(MetricKind::Source, name, entry);
    }

    pub(crate) fn add_channel(&self, channel: &Arc<dyn Channel>) {
        let entry = Entry::Channel(Arc::clone(channel));
        self.insert(MetricKind::Channel, channel.name(), entry);
    }

    pub(crate) fn add_sink(
        &self,
        name: &ComponentName,
        counters: &Arc<SinkCounters>,
        state: &Arc<StateCell>,
    ) {
        let entry = Entry::Sink {
            counters: Arc::clone(counters),
            state: Arc::clone(state),
        };
        self.insert(MetricKind::Sink, name, entry);
    }

    fn insert(&self, kind: MetricKind, name: &ComponentName, entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert((kind, name.clone()), entry);
    }

    pub(crate) fn remove(&self, kind: MetricKind, name: &ComponentName) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&(kind, name.clone()));
    }

    /// A picture of all components, by kind and name.
    pub(crate) fn snapshot(&self) -> Vec<ComponentMetrics> {
        let entries = self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut components = self
            .guests
            .pictures(|guest| state_of_guest(guest, &entries));
        let natives = entries
            .into_iter()
            .map(|((kind, name), entry)| picture(kind, name, &entry));
        components.extend(natives);
        components.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        components
    }
}

/// The state of the source or sink that a guest is; `None` for an interceptor.
fn state_of_guest(qualified: &ComponentName, entries: &Entries) -> Option<ComponentState> {
    let of = |prefix, kind| {
        let name = qualified.as_str().strip_prefix(prefix)?;
        entries.get(&(kind, ComponentName::new(name)))
    };
    let entry = of("sources.", MetricKind::Source).or_else(|| of("sinks.", MetricKind::Sink));
    match entry? {
        Entry::Source { state, .. } | Entry::Sink { state, .. } => Some(state.get()),
        Entry::Channel(_) => None,
    }
}

fn picture(kind: MetricKind, name: ComponentName, entry: &Entry) -> ComponentMetrics {
    let (mut attributes, state) = match entry {
        Entry::Source {
            counters,
            flow,
            state,
        } => {
            let mut attributes = numbers(counters.attributes());
            attributes.push(("UnroutedCount", MetricValue::Number(flow.unrouted.get())));
            attributes.push((
                "OptionalRefusedCount",
                MetricValue::Number(flow.optional_refused.get()),
            ));
            (attributes, Some(state.get()))
        }
        Entry::Channel(channel) => (channel_attributes(channel.as_ref()), None),
        Entry::Sink { counters, state } => (numbers(counters.attributes()), Some(state.get())),
    };
    attributes.sort_by_key(|(name, _)| *name);
    ComponentMetrics {
        kind,
        name,
        attributes,
        state,
        guest: None,
    }
}

fn numbers(attributes: Vec<(&'static str, u64)>) -> Vec<(&'static str, MetricValue)> {
    let number = |(name, value)| (name, MetricValue::Number(value));
    attributes.into_iter().map(number).collect()
}

fn channel_attributes(channel: &dyn Channel) -> Vec<(&'static str, MetricValue)> {
    let mut attributes = numbers(channel.counters().attributes());
    let fill = channel.fill();
    let capacity = channel.limits().capacity_events;
    attributes.push(("ChannelSize", MetricValue::Number(fill.events)));
    attributes.push(("ChannelCapacity", MetricValue::Number(capacity)));
    let percent = match capacity {
        // Flume's own value for an unknown capacity.
        0 => f64::MAX,
        capacity => fill.events as f64 * 100.0 / capacity as f64,
    };
    attributes.push(("ChannelFillPercentage", MetricValue::Percent(percent)));
    attributes.extend(numbers(channel.figures()));
    attributes
}

#[cfg(test)]
mod tests;
