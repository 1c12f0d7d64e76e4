//! The checked plan of one agent: what to run, in typed values. Behind it nobody knows two dialects.

use std::collections::BTreeMap;

use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;
use flumen_core::{AgentName, ComponentName, Place};

/// A component of the plan: its type's row, its settings with all defaults filled in, and where it
/// stands. Two components are equal when type, settings and content are; the place is no difference.
#[derive(Clone, Debug)]
pub struct Component {
    /// The row of its type.
    pub row: &'static ComponentRow,
    /// Its checked settings.
    pub settings: Settings,
    /// What identifies the content of the file that is the component, when there is one: the digest
    /// of a Wasm component. Whoever reads files fills it in; text alone does not know it.
    pub content: Option<String>,
    /// Where its type was named (or the component that implies it).
    pub place: Place,
}

impl PartialEq for Component {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.row, other.row)
            && self.settings == other.settings
            && self.content == other.content
    }
}

impl Eq for Component {}

/// A named interceptor in its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterceptorPlan {
    /// Its name in the chain.
    pub name: ComponentName,
    /// Its type and settings.
    pub component: Component,
}

/// A source with all that stands between it and its channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlan {
    /// Its type and settings.
    pub component: Component,
    /// Its channels in the order of the file, each once; never empty.
    pub channels: Vec<ComponentName>,
    /// The channel selector; `replicating` where none is named. Its settings are relative to
    /// `selector.` (`optional`, `header`, `mapping.<value>`, `default`).
    pub selector: Component,
    /// The interceptors in order.
    pub interceptors: Vec<InterceptorPlan>,
}

/// A sink and the channel that it takes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkPlan {
    /// Its type and settings.
    pub component: Component,
    /// Its channel.
    pub channel: ComponentName,
}

/// A group of sinks that one sink processor serves. A sink without a group is served by the
/// default processor alone and has no entry here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkGroupPlan {
    /// The sinks in order; each is in one group at most.
    pub sinks: Vec<ComponentName>,
    /// The processor; its settings are relative to `processor.`.
    pub processor: Component,
}

/// What one agent runs. Every name that is referred to exists, and every component is of a type
/// that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The agent's name.
    pub agent: AgentName,
    /// The sources by name.
    pub sources: BTreeMap<ComponentName, SourcePlan>,
    /// The channels by name.
    pub channels: BTreeMap<ComponentName, Component>,
    /// The sinks by name.
    pub sinks: BTreeMap<ComponentName, SinkPlan>,
    /// The sink groups by name.
    pub sink_groups: BTreeMap<ComponentName, SinkGroupPlan>,
}

impl Plan {
    /// All components that are built from a type, interceptors, selectors and processors included.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        let sources = self.sources.values().flat_map(|source| {
            let own = [&source.component, &source.selector];
            let interceptors = source.interceptors.iter().map(|own| &own.component);
            own.into_iter().chain(interceptors)
        });
        let sinks = self.sinks.values().map(|sink| &sink.component);
        let groups = self.sink_groups.values().map(|group| &group.processor);
        sources
            .chain(self.channels.values())
            .chain(sinks)
            .chain(groups)
    }

    /// The same, to fill in what only whoever reads files knows.
    pub fn components_mut(&mut self) -> impl Iterator<Item = &mut Component> {
        let sources = self.sources.values_mut().flat_map(|source| {
            let own = [&mut source.component, &mut source.selector];
            let interceptors = source.interceptors.iter_mut().map(|own| &mut own.component);
            own.into_iter().chain(interceptors)
        });
        let sinks = self.sinks.values_mut().map(|sink| &mut sink.component);
        let groups = self.sink_groups.values_mut();
        sources
            .chain(self.channels.values_mut())
            .chain(sinks)
            .chain(groups.map(|group| &mut group.processor))
    }
}
