//! What the agent counts, and a picture of it for the outside.

mod guests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use flumen_core::ComponentName;
use flumen_core::channel::Channel;
use flumen_core::metric::{Counter, SinkCounters, SourceCounters};
use flumen_wasm::GuestReport;

use crate::state::{ComponentState, StateCell};

pub use guests::GuestMetrics;
pub(crate) use guests::PoisonCounters;

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
    /// What it is doing; channels have no state of their own, and neither has a guest that is an
    /// interceptor, unless it was rolled back. The state of a guest that is a source or a sink is
    /// that of the source or sink.
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

/// All components that run. Plain mutexes: changed at a reload, copied for a picture, never held
/// over an await.
pub(crate) struct Registry {
    entries: Mutex<Entries>,
    guest_reports: Box<dyn Fn() -> Vec<GuestReport> + Send + Sync>,
    poison: Mutex<BTreeMap<ComponentName, Weak<PoisonCounters>>>,
}

impl Registry {
    /// Without components; the guests tell of themselves by `guest_reports`, oldest first, where a
    /// later version of a component hides an earlier one.
    pub(crate) fn new(
        guest_reports: impl Fn() -> Vec<GuestReport> + Send + Sync + 'static,
    ) -> Self {
        Self {
            entries: Mutex::default(),
            guest_reports: Box::new(guest_reports),
            poison: Mutex::default(),
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

    /// The counters of what is done about the poison events of a component, by its qualified name
    /// (`sinks.k1`, `sources.r1.interceptors.i1`). All who ask while somebody holds them get the
    /// same ones, so they go on from version to version and end with the last holder.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "for the handling of failures, which is not merged yet"
        )
    )]
    pub(crate) fn poison_counters(&self, name: &ComponentName) -> Arc<PoisonCounters> {
        let mut poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = poison.get(name).and_then(Weak::upgrade) {
            return known;
        }
        poison.retain(|_, counters| counters.strong_count() > 0);
        let counters = Arc::default();
        poison.insert(name.clone(), Arc::downgrade(&counters));
        counters
    }

    /// A picture of all components, by kind and name.
    pub(crate) fn snapshot(&self) -> Vec<ComponentMetrics> {
        let entries = self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut components = self.guests(&entries);
        let natives = entries
            .into_iter()
            .map(|((kind, name), entry)| picture(kind, name, &entry));
        components.extend(natives);
        components.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        components
    }

    fn guests(&self, entries: &Entries) -> Vec<ComponentMetrics> {
        // Of two versions that follow one another the later one stays.
        let reports: BTreeMap<_, _> = (self.guest_reports)()
            .into_iter()
            .map(|report| (report.component.clone(), report))
            .collect();
        let poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner);
        reports
            .into_values()
            .map(|report| {
                let counters = poison.get(&report.component).and_then(Weak::upgrade);
                let own_state = counters.as_ref().and_then(|counters| counters.state());
                let state = own_state.or_else(|| state_of_guest(&report.component, entries));
                guests::picture(report, counters.as_deref(), state)
            })
            .collect()
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
    attributes
}

#[cfg(test)]
mod tests;
