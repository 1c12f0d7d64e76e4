//! The checked plan of one agent: what to run, in typed values. Behind it nobody knows two dialects.

use std::collections::BTreeMap;

use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;
use flumen_core::{AgentName, ComponentName, Place};

/// A component of the plan: its type's row, its settings with all defaults filled in, and where it
/// stands. Two components are equal when type and settings are; the place is no difference.
#[derive(Clone, Debug)]
pub struct Component {
    /// The row of its type.
    pub row: &'static ComponentRow,
    /// Its checked settings.
    pub settings: Settings,
    /// Where its type was named (or the component that implies it).
    pub place: Place,
}

impl PartialEq for Component {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.row, other.row) && self.settings == other.settings
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
