//! `replicating`: every event goes to every channel of its source. Channels named by `optional` get
//! it when they have room; all others must take it.

use flumen_core::option::DefaultValue::Absent;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, ValueKind};
use flumen_core::selector::{ChannelSelector, Route};
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, EventBatch, Fault};

use super::target::{Target, channels_of};

/// The options of `replicating`, relative to `selector.`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::ChannelSelector,
    name: "replicating",
    aliases: &["org.apache.flume.channel.ReplicatingChannelSelector"],
    doc: "Gives every event to every channel of its source.",
    support: Support::Built,
    options: &[OptionRow::new(
        "optional",
        ValueKind::List,
        Absent,
        "Channels that get an event if they have room at once, and miss it otherwise.",
    )],
};

/// Makes a `replicating` selector.
pub(super) fn build(
    settings: &Settings,
    channels: &[ComponentName],
) -> Result<Box<dyn ChannelSelector>, Fault> {
    let optional = channels_of(settings, "optional", channels)?;
    let required = (0..channels.len()).collect();
    Ok(Box::new(Replicating {
        // Optional wins here, while in a multiplexing selector required does; both as in Flume.
        target: Target::new(without(required, &optional), optional),
    }))
}

fn without(channels: Vec<usize>, removed: &[usize]) -> Vec<usize> {
    channels
        .into_iter()
        .filter(|channel| !removed.contains(channel))
        .collect()
}

struct Replicating {
    target: Target,
}

impl ChannelSelector for Replicating {
    fn select(&self, batch: &EventBatch) -> Result<Vec<Route>, Fault> {
        Ok(vec![self.target.route(batch.clone())])
    }
}

#[cfg(test)]
mod tests {
    use flumen_core::conformance::selector::conforms;

    use super::*;
    use flumen_core::conformance::settings::settings as checked;

    fn route(optional: &[(&str, &str)]) -> Result<(Vec<usize>, Vec<usize>), Fault> {
        let channels = ["c1", "c2", "c3"].map(ComponentName::from);
        let selector = build(&checked(&ROW, optional), &channels)?;
        conforms(&*selector, channels.len(), &[]);
        let batch = EventBatch::from_columns("ab".into(), vec![1, 2]).expect("columns");
        let mut routes = selector.select(&batch)?;
        assert_eq!(routes.len(), 1);
        let route = routes.remove(0);
        assert_eq!(route.events, batch);
        Ok((route.required, route.optional))
    }

    #[test]
    fn all_channels_are_required_save_those_that_are_optional() {
        assert_eq!(route(&[]).expect("builds"), (vec![0, 1, 2], vec![]));
        let optional = [("optional", "c3 c1 c3")];
        assert_eq!(route(&optional).expect("builds"), (vec![1], vec![0, 2]));
    }

    #[test]
    fn an_optional_channel_that_the_source_does_not_have_is_refused() {
        let fault = route(&[("optional", "c1 c9")]).expect_err("c9 is none of the source's");
        assert_eq!(
            fault.to_string(),
            "selector option optional names channel c9, which is not among the channels of the source: c1, c2, c3"
        );
    }
}
