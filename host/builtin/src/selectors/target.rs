//! Where a selector sends an event: required and optional channels of the source, as indices.

use flumen_core::selector::Route;
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, EventBatch, Fault};

/// Channels in the order of the source, each once, none in both lists. Two targets with the same
/// channels are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    required: Vec<usize>,
    optional: Vec<usize>,
}

impl Target {
    /// A target; a channel in both lists is required.
    pub(super) fn new(mut required: Vec<usize>, mut optional: Vec<usize>) -> Self {
        required.sort_unstable();
        required.dedup();
        optional.sort_unstable();
        optional.dedup();
        optional.retain(|channel| !required.contains(channel));
        Self { required, optional }
    }

    /// These events on their way there.
    pub(super) fn route(&self, events: EventBatch) -> Route {
        Route {
            events,
            required: self.required.clone(),
            optional: self.optional.clone(),
        }
    }
}

/// The channels that an option names, as indices; none when it is not set.
pub(super) fn channels_of(
    settings: &Settings,
    option: &str,
    channels: &[ComponentName],
) -> Result<Vec<usize>, Fault> {
    settings
        .list(option)?
        .iter()
        .map(|name| {
            let own = channels.iter().position(|channel| channel.as_str() == name);
            own.ok_or_else(|| unknown_channel(option, name, channels))
        })
        .collect()
}

fn unknown_channel(option: &str, name: &str, channels: &[ComponentName]) -> Fault {
    let names: Vec<&str> = channels.iter().map(ComponentName::as_str).collect();
    Fault::configuration(format!(
        "selector option {option} names channel {name}, which is not among the channels of the source: {}",
        names.join(", ")
    ))
}
