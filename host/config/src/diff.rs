//! The difference of two plans of one agent: what a reload has to touch, and nothing else.
//!
//! A line that moved, a default that was written out and an alias in the place of a class name are
//! no differences. The printed form has one line per change, sorted by kind and name:
//!
//! ```text
//! + sink k2 (file_roll) on c1
//! - channel c2 (memory)
//! ~ source r1: max-line-length 512 -> 1024
//! ```

use std::collections::BTreeMap;
use std::fmt;

use flumen_core::ComponentName;
use flumen_core::settings::{Settings, Value};

use crate::plan::{Component, Plan, SinkGroupPlan, SinkPlan, SourcePlan};

/// Characters of what identifies a content that a line shows: enough to tell two versions apart.
const CONTENT_SHOWN_CHARS: usize = 12;

/// What changed about a component's own type and settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentChange {
    /// Whether it is of another type now.
    pub is_other_type: bool,
    /// Whether the content of its file is another one.
    pub is_other_content: bool,
    /// The names of the options whose values differ, by name.
    pub options: Vec<String>,
}

/// What changed about a source. At least one part did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceChange {
    /// Its type or its own settings.
    pub component: Option<ComponentChange>,
    /// Its channels, or their order.
    pub channels: bool,
    /// Its channel selector.
    pub selector: bool,
    /// Its interceptors, or their order.
    pub interceptors: bool,
}

/// What changed about a sink. At least one part did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkChange {
    /// Its type or its own settings.
    pub component: Option<ComponentChange>,
    /// The channel that it takes from.
    pub channel: bool,
}

/// What changed about a sink group. At least one part did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkGroupChange {
    /// Its sinks, or their order.
    pub sinks: bool,
    /// Its processor's type or settings.
    pub processor: bool,
}

/// The names of one kind that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameDiff<C> {
    /// In the new plan only.
    pub added: Vec<ComponentName>,
    /// In the old plan only.
    pub removed: Vec<ComponentName>,
    /// In both, and different.
    pub changed: BTreeMap<ComponentName, C>,
}

impl<C> NameDiff<C> {
    /// Whether nothing of this kind differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn between<P>(
        old: &BTreeMap<ComponentName, P>,
        new: &BTreeMap<ComponentName, P>,
        change: impl Fn(&P, &P) -> Option<C>,
    ) -> Self {
        let only_in = |some: &BTreeMap<ComponentName, P>, other: &BTreeMap<ComponentName, P>| {
            some.keys()
                .filter(|name| !other.contains_key(*name))
                .cloned()
                .collect()
        };
        let changed =
            |(name, new): (&ComponentName, &P)| Some((name.clone(), change(old.get(name)?, new)?));
        Self {
            added: only_in(new, old),
            removed: only_in(old, new),
            changed: new.iter().filter_map(changed).collect(),
        }
    }
}

/// The difference of two plans of one agent. A value: printing it does not need the plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDiff {
    /// The channels that differ.
    pub channels: NameDiff<ComponentChange>,
    /// The sources that differ.
    pub sources: NameDiff<SourceChange>,
    /// The sinks that differ.
    pub sinks: NameDiff<SinkChange>,
    /// The sink groups that differ.
    pub sink_groups: NameDiff<SinkGroupChange>,
    lines: Vec<String>,
}

impl PlanDiff {
    /// What leads from the old plan to the new one. The agents' names are not compared.
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let mut diff = Self {
            channels: NameDiff::between(&old.channels, &new.channels, component_change),
            sources: NameDiff::between(&old.sources, &new.sources, source_change),
            sinks: NameDiff::between(&old.sinks, &new.sinks, sink_change),
            sink_groups: NameDiff::between(&old.sink_groups, &new.sink_groups, group_change),
            lines: Vec::new(),
        };
        diff.lines = lines(old, new, &diff);
        diff
    }

    /// Whether the plans are the same, so that a reload has nothing to do.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
            && self.sources.is_empty()
            && self.sinks.is_empty()
            && self.sink_groups.is_empty()
    }

    /// The printed lines, one per change. Secrets never show.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for PlanDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

fn component_change(old: &Component, new: &Component) -> Option<ComponentChange> {
    if old == new {
        return None;
    }
    Some(ComponentChange {
        is_other_type: !std::ptr::eq(old.row, new.row),
        is_other_content: old.content != new.content,
        options: changed_options(&old.settings, &new.settings),
    })
}

fn changed_options(old: &Settings, new: &Settings) -> Vec<String> {
    let value = |settings: &Settings, name: &str| value(settings, name).cloned();
    let mut names: Vec<&str> = old.iter().chain(new.iter()).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| value(old, name) != value(new, name));
    names.into_iter().map(str::to_owned).collect()
}

fn value<'s>(settings: &'s Settings, name: &str) -> Option<&'s Value> {
    settings
        .iter()
        .find(|(own, _)| *own == name)
        .map(|(_, setting)| &setting.value)
}

fn source_change(old: &SourcePlan, new: &SourcePlan) -> Option<SourceChange> {
    let change = SourceChange {
        component: component_change(&old.component, &new.component),
        channels: old.channels != new.channels,
        selector: old.selector != new.selector,
        interceptors: old.interceptors != new.interceptors,
    };
    (change != SourceChange::default()).then_some(change)
}

fn sink_change(old: &SinkPlan, new: &SinkPlan) -> Option<SinkChange> {
    let change = SinkChange {
        component: component_change(&old.component, &new.component),
        channel: old.channel != new.channel,
    };
    (change != SinkChange::default()).then_some(change)
}

fn group_change(old: &SinkGroupPlan, new: &SinkGroupPlan) -> Option<SinkGroupChange> {
    let change = SinkGroupChange {
        sinks: old.sinks != new.sinks,
        processor: old.processor != new.processor,
    };
    (change != SinkGroupChange::default()).then_some(change)
}

fn lines(old: &Plan, new: &Plan, diff: &PlanDiff) -> Vec<String> {
    let mut lines = Vec::new();
    let channel = |channel: &Component| format!("({})", channel.row.name);
    kind_lines(
        &mut lines,
        "channel",
        (&old.channels, &new.channels),
        &diff.channels,
        channel,
        |lines, old, new| {
            component_lines(lines, "", old, new);
        },
    );
    let source = |source: &SourcePlan| {
        format!(
            "({}) to {}",
            source.component.row.name,
            joined(&source.channels)
        )
    };
    kind_lines(
        &mut lines,
        "source",
        (&old.sources, &new.sources),
        &diff.sources,
        source,
        source_lines,
    );
    let sink = |sink: &SinkPlan| format!("({}) on {}", sink.component.row.name, sink.channel);
    kind_lines(
        &mut lines,
        "sink",
        (&old.sinks, &new.sinks),
        &diff.sinks,
        sink,
        |lines, old, new| {
            component_lines(lines, "", &old.component, &new.component);
            name_line(lines, "channel", old.channel.as_str(), new.channel.as_str());
        },
    );
    let group = |group: &SinkGroupPlan| {
        format!("({}) of {}", group.processor.row.name, joined(&group.sinks))
    };
    let groups = (&old.sink_groups, &new.sink_groups);
    kind_lines(
        &mut lines,
        "sink group",
        groups,
        &diff.sink_groups,
        group,
        |lines, old, new| {
            name_line(lines, "sinks", &joined(&old.sinks), &joined(&new.sinks));
            component_lines(lines, "processor.", &old.processor, &new.processor);
        },
    );
    lines
}

/// The lines of one kind: what went, what came, what changed.
fn kind_lines<P, C>(
    lines: &mut Vec<String>,
    kind: &str,
    (old, new): (&BTreeMap<ComponentName, P>, &BTreeMap<ComponentName, P>),
    diff: &NameDiff<C>,
    describe: impl Fn(&P) -> String,
    change: impl Fn(&mut Vec<String>, &P, &P),
) {
    for (sign, names, plans) in [("-", &diff.removed, old), ("+", &diff.added, new)] {
        for name in names {
            if let Some(plan) = plans.get(name) {
                lines.push(format!("{sign} {kind} {name} {}", describe(plan)));
            }
        }
    }
    for name in diff.changed.keys() {
        if let (Some(old), Some(new)) = (old.get(name), new.get(name)) {
            let mut changes = Vec::new();
            change(&mut changes, old, new);
            lines.extend(
                changes
                    .into_iter()
                    .map(|change| format!("~ {kind} {name}: {change}")),
            );
        }
    }
}

fn source_lines(lines: &mut Vec<String>, old: &SourcePlan, new: &SourcePlan) {
    component_lines(lines, "", &old.component, &new.component);
    name_line(
        lines,
        "channels",
        &joined(&old.channels),
        &joined(&new.channels),
    );
    component_lines(lines, "selector.", &old.selector, &new.selector);
    let names = |plan: &SourcePlan| {
        joined(
            plan.interceptors
                .iter()
                .map(|interceptor| &interceptor.name),
        )
    };
    name_line(lines, "interceptors", &names(old), &names(new));
    for interceptor in &new.interceptors {
        let before = old
            .interceptors
            .iter()
            .find(|own| own.name == interceptor.name);
        if let Some(before) = before {
            let prefix = format!("interceptors.{}.", interceptor.name);
            component_lines(lines, &prefix, &before.component, &interceptor.component);
        }
    }
}

/// The lines of one component. Where the type differs the options are not compared: they are of
/// another component.
fn component_lines(lines: &mut Vec<String>, prefix: &str, old: &Component, new: &Component) {
    if !std::ptr::eq(old.row, new.row) {
        lines.push(format!("{prefix}type {} -> {}", old.row.name, new.row.name));
        return;
    }
    if old.content != new.content {
        let content = |component: &Component| match &component.content {
            Some(content) => content.chars().take(CONTENT_SHOWN_CHARS).collect(),
            None => "unknown".to_owned(),
        };
        let (old, new) = (content(old), content(new));
        lines.push(format!("{prefix}content {old} -> {new}"));
    }
    for name in changed_options(&old.settings, &new.settings) {
        let (old, new) = (value(&old.settings, &name), value(&new.settings, &name));
        if let (Some(Value::Secret(_)), _) | (_, Some(Value::Secret(_))) = (old, new) {
            lines.push(format!("{prefix}{name} changed"));
        } else {
            lines.push(format!("{prefix}{name} {} -> {}", shown(old), shown(new)));
        }
    }
}

fn name_line(lines: &mut Vec<String>, what: &str, old: &str, new: &str) {
    if old != new {
        let or_none = |names: &str| {
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.to_owned()
            }
        };
        lines.push(format!("{what} {} -> {}", or_none(old), or_none(new)));
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "unset".to_owned(),
        Some(value) => format!("{value:?}"),
    }
}

fn joined<'n>(names: impl IntoIterator<Item = &'n ComponentName>) -> String {
    names
        .into_iter()
        .map(ComponentName::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}
