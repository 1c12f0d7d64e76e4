//! Sink groups of a plan, a sink without a group counting as a group of one.

use std::collections::BTreeMap;
use std::fmt;

use flumen_config::plan::{Component, Plan};
use flumen_core::ComponentName;

/// What names a group's task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupKey {
    /// A sink without a group.
    Sink(ComponentName),
    /// A sink group.
    Group(ComponentName),
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupKey::Sink(name) => write!(f, "sink {name}"),
            GroupKey::Group(name) => write!(f, "sink group {name}"),
        }
    }
}

/// What one group's task serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupSpec {
    /// The sinks in order.
    pub(super) sinks: Vec<ComponentName>,
    /// The processor; `None` stands for the default one.
    pub(super) processor: Option<Component>,
}

pub(super) fn groups_of(plan: &Plan) -> BTreeMap<GroupKey, GroupSpec> {
    let mut groups = BTreeMap::new();
    for (name, group) in &plan.sink_groups {
        let spec = GroupSpec {
            sinks: group.sinks.clone(),
            processor: Some(group.processor.clone()),
        };
        groups.insert(GroupKey::Group(name.clone()), spec);
    }
    let grouped = |sink| {
        plan.sink_groups
            .values()
            .any(|group| group.sinks.contains(sink))
    };
    for sink in plan.sinks.keys().filter(|sink| !grouped(sink)) {
        let spec = GroupSpec {
            sinks: vec![sink.clone()],
            processor: None,
        };
        groups.insert(GroupKey::Sink(sink.clone()), spec);
    }
    groups
}
