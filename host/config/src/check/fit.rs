//! Whether the components of a flow fit each other.

use flumen_core::Place;
use flumen_core::settings::{Settings, Value};

use super::Checker;
use crate::plan::Plan;
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
                .any(|source| source.channels.iter().any(|own| own.as_str() == name));
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

fn batch_size(settings: &Settings) -> Option<(&'static str, i64)> {
    BATCH_SIZE_OPTIONS.into_iter().find_map(|option| {
        let (_, setting) = settings.iter().find(|(name, _)| *name == option)?;
        match setting.value {
            Value::Integer(size) => Some((option, size)),
            _ => None,
        }
    })
}
