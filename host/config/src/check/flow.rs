//! The flow of an agent: which components there are and what joins them.

use std::collections::BTreeMap;

use flumen_core::option::{ComponentKind, ValueKind};
use flumen_core::{ComponentName, Place};

use super::Checker;
use super::component::Subject;
use super::outline::{Members, Named, Outline, Property, by_name, take, take_below};
use crate::document::Entry;
use crate::plan::{Component, InterceptorPlan, Plan, SinkGroupPlan, SinkPlan, SourcePlan};
use crate::problem::{Severity, nearest_name, quoted};

/// What a source has below its key besides the options of its type.
const SOURCE_GRAMMAR: &[&str] = &["type", "channels", "selector.type", "interceptors"];
/// What a sink has below its key besides the options of its type.
const SINK_GRAMMAR: &[&str] = &["type", "channel"];
/// What every component has below its key besides the options of its type.
const TYPE_GRAMMAR: &[&str] = &["type"];

/// The options of a channel selector whose values are channels; a name that ends in a dot stands
/// for all options below it.
const SELECTOR_CHANNEL_OPTIONS: [&str; 4] = ["optional", "optional.", "default", "mapping."];

fn subject<'s>(
    kind: ComponentKind,
    of: &'s Named<'_>,
    grammar: &'static [&'static str],
) -> Subject<'s> {
    Subject {
        kind,
        key: &of.key,
        place: &of.place,
        grammar,
        depth: 0,
    }
}

impl<'d> Checker<'d> {
    /// Checks the whole agent. The plan is only of use when no error was reported.
    pub(crate) fn plan(&mut self) -> Option<Plan> {
        let outline = self.outline();
        let Outline {
            config_filters,
            channels,
            sources,
            sinks,
            sink_groups,
        } = outline;
        if sources.listed.is_empty() && sinks.listed.is_empty() {
            let place = self.first_place();
            self.error(
                &place,
                self.agent.as_str(),
                "the agent has neither a source nor a sink",
            );
        }
        for mut filter in config_filters.active {
            let properties = std::mem::take(&mut filter.properties);
            let subject = subject(ComponentKind::ConfigFilter, &filter, TYPE_GRAMMAR);
            self.component(subject, None, properties);
        }
        let channel_names = channels.listed.clone();
        self.channels.clone_from(&channel_names);
        let channel_places: Vec<(String, Place)> = channels
            .active
            .iter()
            .map(|channel| (channel.name.clone(), channel.place.clone()))
            .collect();
        let channel_plans = self.channels(channels);
        let source_plans = self.sources(sources, &channel_names);
        let sink_names: Members<'d> = Members {
            listed: sinks.listed.clone(),
            active: Vec::new(),
        };
        let sink_plans = self.sinks(sinks, &channel_names);
        let sink_groups = self.sink_groups(sink_groups, &sink_names);
        let plan = Plan {
            agent: self.agent.clone(),
            sources: source_plans,
            channels: channel_plans,
            sinks: sink_plans,
            sink_groups,
        };
        self.dead_letters(&plan);
        self.unused_channels(&plan, &channel_places);
        self.batch_sizes(&plan);
        Some(plan)
    }

    /// Where the agent is first seen.
    fn first_place(&self) -> Place {
        let of_agent = |entry: &&Entry| {
            entry
                .key
                .split_once('.')
                .is_some_and(|(agent, _)| agent == self.agent.as_str())
        };
        let first = self.document.entries().iter().find(of_agent);
        first.map_or_else(|| self.document.top(), |entry| entry.place.clone())
    }

    fn channels(&mut self, channels: Members<'d>) -> BTreeMap<ComponentName, Component> {
        let mut plans = BTreeMap::new();
        for channel in channels.active {
            let name = ComponentName::from(channel.name.as_str());
            let key = channel.key.clone();
            let subject = subject(ComponentKind::Channel, &channel, TYPE_GRAMMAR);
            let Some(component) = self.component(subject, None, channel.properties.clone()) else {
                continue;
            };
            let number = |option| component.settings.integer(option).ok();
            if let (Some(transaction), Some(capacity)) =
                (number("transactionCapacity"), number("capacity"))
                && transaction > capacity
            {
                let place = component
                    .settings
                    .place("transactionCapacity")
                    .unwrap_or(&component.place);
                let what = format!(
                    "{transaction} events are more than the capacity of the channel, {capacity} events"
                );
                self.error(place, format!("{key}.transactionCapacity"), what);
            }
            plans.insert(name, component);
        }
        plans
    }

    fn sources(
        &mut self,
        sources: Members<'d>,
        channels: &[String],
    ) -> BTreeMap<ComponentName, SourcePlan> {
        let mut plans = BTreeMap::new();
        for source in sources.active {
            let name = ComponentName::from(source.name.as_str());
            if let Some(plan) = self.source(source, channels) {
                plans.insert(name, plan);
            }
        }
        plans
    }

    fn source(&mut self, mut source: Named<'d>, channels: &[String]) -> Option<SourcePlan> {
        let mut properties = std::mem::take(&mut source.properties);
        for legacy in take_below(&mut properties, "runner.") {
            let what = "a key of old Flume versions, without effect";
            self.ignore_as(Severity::Warning, legacy.entry, what, None);
        }
        let selector = take_below(&mut properties, "selector.");
        let chain = take(&mut properties, "interceptors");
        let chained = take_below(&mut properties, "interceptors.");
        let listed = take(&mut properties, "channels");
        let own_channels = self.source_channels(&source, listed, channels);
        let selector = self.selector(&source, selector, &own_channels);
        let interceptors = self.interceptors(&source, chain, chained);
        let subject = subject(ComponentKind::Source, &source, SOURCE_GRAMMAR);
        let component = self.component(subject, None, properties)?;
        Some(SourcePlan {
            component,
            channels: own_channels
                .iter()
                .map(|name| ComponentName::from(name.as_str()))
                .collect(),
            selector: selector?,
            interceptors,
        })
    }

    fn source_channels(
        &mut self,
        source: &Named<'d>,
        listed: Option<&'d Entry>,
        channels: &[String],
    ) -> Vec<String> {
        let key = format!("{}.channels", source.key);
        let what = "the source has no channels";
        let Some(entry) = listed else {
            self.error(&source.place, key, what);
            return Vec::new();
        };
        self.know(entry, ValueKind::List);
        let own = self.names(entry);
        if own.is_empty() {
            self.error(&entry.place, key, what);
        }
        self.known_channels(entry, &own, channels);
        own
    }

    /// Reports the channels that the agent does not have. Those that are listed and broken have
    /// been reported where they stand.
    pub(super) fn known_channels(
        &mut self,
        entry: &'d Entry,
        names: &[String],
        channels: &[String],
    ) {
        for name in names.iter().filter(|name| !channels.contains(name)) {
            let what = format!(
                "channel {} is not listed in {}",
                quoted(name),
                self.key("channels")
            );
            self.error_near(entry, what, name, channels.iter().map(String::as_str));
        }
    }

    fn selector(
        &mut self,
        source: &Named<'d>,
        properties: Vec<Property<'d>>,
        channels: &[String],
    ) -> Option<Component> {
        let key = format!("{}.selector", source.key);
        let subject = Subject {
            kind: ComponentKind::ChannelSelector,
            key: &key,
            place: &source.place,
            grammar: TYPE_GRAMMAR,
            depth: 0,
        };
        let entries: Vec<Property<'d>> = properties.clone();
        let component = self.component(subject, Some("replicating"), properties)?;
        for property in entries {
            let names_channels =
                SELECTOR_CHANNEL_OPTIONS
                    .iter()
                    .any(|option| match option.strip_suffix('.') {
                        Some(_) => property.key.starts_with(option),
                        None => property.key == *option,
                    });
            if !names_channels || self.ignored.contains(property.entry.key.as_str()) {
                continue;
            }
            for name in property
                .entry
                .value
                .words()
                .iter()
                .filter(|name| !channels.contains(name))
            {
                let what = format!(
                    "channel {} is not a channel of source {}",
                    quoted(name),
                    source.name
                );
                self.error_near(
                    property.entry,
                    what,
                    name,
                    channels.iter().map(String::as_str),
                );
            }
        }
        Some(component)
    }

    fn interceptors(
        &mut self,
        source: &Named<'d>,
        chain: Option<&'d Entry>,
        properties: Vec<Property<'d>>,
    ) -> Vec<InterceptorPlan> {
        let parent = format!("{}.interceptors", source.key);
        if let Some(chain) = chain {
            self.know(chain, ValueKind::List);
        }
        let (named, bare) = by_name(&parent, properties);
        for entry in bare {
            self.ignore(entry, "names no property of an interceptor", None);
        }
        let word = ComponentKind::Interceptor.word();
        let members = self.members(&parent, word, chain, named);
        let mut plans = Vec::new();
        for interceptor in members.active {
            let subject = subject(ComponentKind::Interceptor, &interceptor, TYPE_GRAMMAR);
            let name = ComponentName::from(interceptor.name.as_str());
            if let Some(component) = self.component(subject, None, interceptor.properties.clone()) {
                plans.push(InterceptorPlan { name, component });
            }
        }
        plans
    }

    fn sinks(
        &mut self,
        sinks: Members<'d>,
        channels: &[String],
    ) -> BTreeMap<ComponentName, SinkPlan> {
        let mut plans = BTreeMap::new();
        for mut sink in sinks.active {
            let mut properties = std::mem::take(&mut sink.properties);
            let channel = take(&mut properties, "channel");
            let channel = self.sink_channel(&sink, channel, channels);
            let subject = subject(ComponentKind::Sink, &sink, SINK_GRAMMAR);
            let component = self.component(subject, None, properties);
            if let (Some(component), Some(channel)) = (component, channel) {
                let plan = SinkPlan { component, channel };
                plans.insert(ComponentName::from(sink.name.as_str()), plan);
            }
        }
        plans
    }

    fn sink_channel(
        &mut self,
        sink: &Named<'d>,
        channel: Option<&'d Entry>,
        channels: &[String],
    ) -> Option<ComponentName> {
        let Some(entry) = channel else {
            self.error(
                &sink.place,
                format!("{}.channel", sink.key),
                "the sink has no channel",
            );
            return None;
        };
        self.know(entry, ValueKind::Text);
        let names = self.names(entry);
        let [name] = names.as_slice() else {
            self.error(
                &entry.place,
                &entry.key,
                "a sink takes from exactly one channel",
            );
            return None;
        };
        self.known_channels(entry, &names, channels);
        Some(ComponentName::from(name.as_str()))
    }

    fn sink_groups(
        &mut self,
        groups: Members<'d>,
        sinks: &Members<'d>,
    ) -> BTreeMap<ComponentName, SinkGroupPlan> {
        let mut plans = BTreeMap::new();
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for mut group in groups.active {
            let mut properties = std::mem::take(&mut group.properties);
            let processor = take_below(&mut properties, "processor.");
            let listed = take(&mut properties, "sinks");
            let own = self.group_sinks(&group, listed, sinks, &mut owners);
            for property in properties {
                let nearest = nearest_name(property.key, ["sinks", "processor.type"]);
                self.ignore(property.entry, "unknown option of a sink group", nearest);
            }
            let key = format!("{}.processor", group.key);
            let subject = Subject {
                kind: ComponentKind::SinkProcessor,
                key: &key,
                place: &group.place,
                grammar: TYPE_GRAMMAR,
                depth: 0,
            };
            let Some(processor) = self.component(subject, Some("default"), processor) else {
                continue;
            };
            if processor.row.name == "default" && own.len() > 1 {
                let what =
                    "the default sink processor serves one sink; name another type for several";
                self.error(&processor.place, format!("{key}.type"), what);
            }
            let plan = SinkGroupPlan {
                sinks: own,
                processor,
            };
            plans.insert(ComponentName::from(group.name.as_str()), plan);
        }
        plans
    }

    fn group_sinks(
        &mut self,
        group: &Named<'d>,
        listed: Option<&'d Entry>,
        sinks: &Members<'d>,
        owners: &mut BTreeMap<String, String>,
    ) -> Vec<ComponentName> {
        let key = format!("{}.sinks", group.key);
        let what = "the sink group has no sinks";
        let Some(entry) = listed else {
            self.error(&group.place, key, what);
            return Vec::new();
        };
        self.know(entry, ValueKind::List);
        let mut own = Vec::new();
        let names = self.names(entry);
        if names.is_empty() {
            self.error(&entry.place, key, what);
        }
        for name in names {
            if !sinks.has(&name) {
                let what = format!(
                    "sink {} is not listed in {}",
                    quoted(&name),
                    self.key("sinks")
                );
                self.error_near(entry, what, &name, sinks.names());
            } else if let Some(owner) = owners.get(&name) {
                let what = format!("sink {} is in sink group {owner} already", quoted(&name));
                self.error(&entry.place, &entry.key, what);
            } else {
                owners.insert(name.clone(), group.name.clone());
                own.push(ComponentName::from(name.as_str()));
            }
        }
        own
    }
}
