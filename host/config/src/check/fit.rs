//! Whether the components of a flow fit each other.

use std::collections::BTreeSet;

use flumen_core::option::ValueKind;
use flumen_core::settings::{Settings, Value};
use flumen_core::{Place, poison};

use super::Checker;
use crate::plan::{Component, Plan, SinkPlan};
use crate::problem::Problem;

/// The names under which Flume's sources and sinks call the size of their batches.
const BATCH_SIZE_OPTIONS: [&str; 3] = ["batchSize", "batch-size", "sink.batchSize"];

impl Checker<'_> {
    /// Channels that nobody fills or nobody empties.
    pub(super) fn unused_channels(&mut self, plan: &Plan, places: &[(String, Place)]) {
        // With components missing from the plan, a channel may only seem to be unused.
        if self.problems.iter().any(Problem::is_error) {
            return;
        }
        for (name, place) in places {
            let filled = plan
                .sources
                .values()
                .any(|source| source.channels.iter().any(|own| own.as_str() == name))
                || dead_letter_channels(plan).any(|own| own == name);
            let emptied = plan
                .sinks
                .values()
                .any(|sink| sink.channel.as_str() == name);
            let what = match (filled, emptied) {
                (true, true) => continue,
                (true, false) => "no sink takes from the channel, so it only fills",
                (false, true) => "no source puts into the channel",
                (false, false) => "neither a source nor a sink uses the channel",
            };
            let key = self.key(&format!("channels.{name}"));
            self.problems.push(Problem::warning(place, key, what));
        }
    }

    /// Policies for poison events that cannot be followed.
    pub(super) fn dead_letters(&mut self, plan: &Plan) {
        let mut problems = Vec::new();
        for (key, component) in components(plan) {
            let settings = &component.settings;
            let word = settings.optional_text(poison::ON_POISON).ok().flatten();
            if word == Some(poison::DEAD_LETTER) && !settings.has(poison::DEAD_LETTER_CHANNEL) {
                let place = settings.place(poison::ON_POISON);
                let what = format!("needs the option {} beside it", poison::DEAD_LETTER_CHANNEL);
                problems.push((key, poison::ON_POISON, place, component, what));
            }
        }
        for (name, sink) in &plan.sinks {
            if !feeds_itself(plan, sink) {
                continue;
            }
            let settings = &sink.component.settings;
            let place = settings.place(poison::DEAD_LETTER_CHANNEL);
            let what = format!(
                "the dead letters of the sink come back into its own channel {}, so they never end; name another channel",
                sink.channel
            );
            let (key, option) = (format!("sinks.{name}"), poison::DEAD_LETTER_CHANNEL);
            problems.push((key, option, place, &sink.component, what));
        }
        for (key, option, place, component, what) in problems {
            let key = self.key(&format!("{key}.{option}"));
            self.error(place.unwrap_or(&component.place), key, what);
        }
    }

    /// Batches that are larger than a transaction of their channel, for which Flume drops the
    /// component.
    pub(super) fn batch_sizes(&mut self, plan: &Plan) {
        let sources = plan.sources.iter().map(|(name, source)| {
            (
                format!("sources.{name}"),
                &source.component,
                source.channels.as_slice(),
            )
        });
        let sinks = plan.sinks.iter().map(|(name, sink)| {
            (
                format!("sinks.{name}"),
                &sink.component,
                std::slice::from_ref(&sink.channel),
            )
        });
        let mut problems = Vec::new();
        for (key, component, channels) in sources.chain(sinks) {
            let Some((option, size)) = batch_size(&component.settings) else {
                continue;
            };
            for name in channels {
                let capacity = plan
                    .channels
                    .get(name)
                    .and_then(|channel| channel.settings.integer("transactionCapacity").ok())
                    .filter(|capacity| *capacity < size);
                if let Some(capacity) = capacity {
                    let place = component.settings.place(option).unwrap_or(&component.place);
                    let what = format!(
                        "batches of {size} events are split, as channel {name} has a transactionCapacity of {capacity}"
                    );
                    let key = self.key(&format!("{key}.{option}"));
                    problems.push(Problem::warning(place, key, what));
                }
            }
        }
        self.problems.extend(problems);
    }
}

/// All components that handle events, with their keys below the agent.
fn components(plan: &Plan) -> impl Iterator<Item = (String, &Component)> {
    let sources = plan.sources.iter().flat_map(|(name, source)| {
        let own = (format!("sources.{name}"), &source.component);
        let chain = source.interceptors.iter().map(move |interceptor| {
            let key = format!("sources.{name}.interceptors.{}", interceptor.name);
            (key, &interceptor.component)
        });
        std::iter::once(own).chain(chain)
    });
    let sinks = plan.sinks.iter();
    sources.chain(sinks.map(|(name, sink)| (format!("sinks.{name}"), &sink.component)))
}

/// The channels that components put into by an option of theirs.
fn dead_letter_channels(plan: &Plan) -> impl Iterator<Item = &str> {
    components(plan).flat_map(|(_, component)| channels_of(component))
}

fn channels_of(component: &Component) -> impl Iterator<Item = &str> {
    let options = component.row.options.iter();
    let options = options.filter(|option| option.value == ValueKind::Channel);
    options.filter_map(|option| component.settings.optional_text(option.name).ok()?)
}

/// Whether what the sink puts into other channels comes back to it, by way of the sinks of those.
fn feeds_itself(plan: &Plan, sink: &SinkPlan) -> bool {
    let mut reached: BTreeSet<&str> = channels_of(&sink.component).collect();
    // Each round adds a channel or ends, and there are no more than the plan has.
    loop {
        let takers = plan.sinks.values();
        let takers = takers.filter(|taker| reached.contains(taker.channel.as_str()));
        let further: BTreeSet<&str> = takers
            .flat_map(|taker| channels_of(&taker.component))
            .collect();
        let before = reached.len();
        reached.extend(further);
        if reached.len() == before {
            return reached.contains(sink.channel.as_str());
        }
    }
}

fn batch_size(settings: &Settings) -> Option<(&'static str, i64)> {
    BATCH_SIZE_OPTIONS.into_iter().find_map(|option| {
        let (_, setting) = settings.iter().find(|(name, _)| *name == option)?;
        match setting.value {
            Value::Integer(size) => Some((option, size)),
            _ => None,
        }
    })
}
