//! Channels that get other settings while they run: what a reload cannot do, told in the words of a
//! check, and settings put in place.

use std::sync::Arc;

use flumen_channel::{Change, TAKES_A_RESTART};
use flumen_config::Problem;
use flumen_config::plan::{Component, Plan};
use flumen_core::channel::Channel;
use flumen_core::settings::Settings;
use flumen_core::{AgentName, ComponentName, Fault, Side};
use tracing::error;

use crate::build;

/// What of the new plan a running agent of the old plan would refuse, because a channel cannot
/// change so while it is open. Touches no file.
pub fn refused_changes(old: &Plan, new: &Plan) -> Vec<Problem> {
    let changed = new.channels.iter().filter_map(|(name, component)| {
        let before = old.channels.get(name).filter(|old| *old != component)?;
        Some((name, before, component))
    });
    let refused = changed.flat_map(|(name, before, component)| {
        match build::channel_change(name, before, component) {
            Ok(Change::Restart(options)) => restart_problems(&new.agent, name, component, &options),
            Ok(Change::InPlace | Change::NewChannel) => Vec::new(),
            Err(fault) => {
                let key = format!("{}.channels.{name}", new.agent);
                vec![Problem::error(&component.place, key, fault.to_string())]
            }
        }
    });
    refused.collect()
}

/// A problem for each option that takes a restart, at the place where it was set.
pub(crate) fn restart_problems(
    agent: &AgentName,
    name: &ComponentName,
    component: &Component,
    options: &[String],
) -> Vec<Problem> {
    let problem = |option: &String| {
        // Where an option was taken out there is only the channel.
        let place = component.settings.place(option);
        let key = format!("{agent}.channels.{name}.{option}");
        Problem::error(place.unwrap_or(&component.place), key, TAKES_A_RESTART)
    };
    options.iter().map(problem).collect()
}

/// The same as the reason of a refusal.
pub(crate) fn restart_fault(problem: &Problem) -> Fault {
    let Problem {
        place, key, what, ..
    } = problem;
    Fault::configuration(format!("{place}: {key}: {what}"))
}

/// Puts settings in place, on a thread that may wait for the disk. That they can was asked before.
pub(crate) async fn reconfigure(channels: Vec<(Arc<dyn Channel>, Settings)>) {
    for (channel, settings) in channels {
        let own = Arc::clone(&channel);
        let changed = tokio::task::spawn_blocking(move || own.reconfigure(&settings));
        let changed = changed.await.unwrap_or_else(|error| {
            let message = "the change was cut off";
            Err(Fault::transient(Side::Component, message).with_cause(error))
        });
        if let Err(fault) = changed {
            error!(channel = %channel.name(), "channel keeps its old settings: {fault}");
        }
    }
}
