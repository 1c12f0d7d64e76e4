//! `default`: one sink, which takes every batch. Flume's processor for a sink without a group.

use std::time::Instant;

use flumen_core::option::{ComponentKind, ComponentRow, Support};
use flumen_core::settings::Settings;
use flumen_core::sink_processor::{Attempt, SinkProcessor};
use flumen_core::{ComponentName, Fault};

/// `default` has no options.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::SinkProcessor,
    name: "default",
    aliases: &["org.apache.flume.sink.DefaultSinkProcessor"],
    doc: "Gives every batch to the one sink of the group.",
    support: Support::Built,
    options: &[],
};

/// Makes a `default` processor.
pub(super) fn build(
    _settings: &Settings,
    sinks: &[ComponentName],
) -> Result<Box<dyn SinkProcessor>, Fault> {
    if sinks.len() == 1 {
        return Ok(Box::new(OneSink));
    }
    Err(Fault::configuration(format!(
        "the default sink processor serves exactly one sink, and this group has {}; \
         give each sink a group of its own or choose another processor",
        sinks.len()
    )))
}

struct OneSink;

impl SinkProcessor for OneSink {
    fn order(&mut self, _now: Instant) -> Vec<usize> {
        vec![0]
    }

    /// The agent backs off after a failure; there is no other sink to turn to.
    fn report(&mut self, _sink: usize, _attempt: Attempt, _now: Instant) {}
}

#[cfg(test)]
mod tests {
    use flumen_core::conformance::sink_processor::conforms;

    use super::*;

    fn group(sinks: usize) -> Result<Box<dyn SinkProcessor>, Fault> {
        let names: Vec<ComponentName> = (0..sinks)
            .map(|sink| ComponentName::new(format!("k{sink}")))
            .collect();
        build(&Settings::new(), &names)
    }

    #[test]
    fn default_keeps_the_contract() {
        conforms(|| group(1).expect("builds"), 1);
    }

    #[test]
    fn any_other_number_of_sinks_is_refused() {
        for sinks in [0, 2, 3] {
            let fault = group(sinks).err().expect("refused");
            assert!(
                fault.to_string().contains(&format!("has {sinks}")),
                "{fault}"
            );
        }
    }
}
