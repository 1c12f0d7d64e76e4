//! `null`: takes events and forgets them.
//!
//! It costs nothing per event: a delivery adds up the lengths of its segments and touches no event.
//! The only trace is a line in the log after every `logEveryNEvents` events, at most one per
//! delivery.

use flumen_core::channel::{Segment, TakeLimits};
use flumen_core::future::ready;
use flumen_core::option::DefaultValue::Is;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::sink::{Outcome, Sink, SinkContext};
use flumen_core::{BoxFuture, ComponentName, Fault};

/// Bytes of bodies in one delivery: enough that the batch size decides, and little enough that
/// what is under lease does not show in the agent's memory.
const DELIVERY_BYTES_MAX: u64 = 8 << 20;

/// The options of `null`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "null",
    aliases: &["org.apache.flume.sink.NullSink"],
    doc: "Takes events and forgets them.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "batchSize",
            ValueKind::Integer {
                min: 1,
                max: i32::MAX as i64,
            },
            Is("100"),
            "Events in one take.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "logEveryNEvents",
            ValueKind::Integer {
                min: 1,
                max: i64::MAX,
            },
            Is("10000"),
            "Events between two lines in the log.",
        )
        .unit(Unit::Events),
    ],
};

/// Makes a `null` sink.
pub(super) fn build(settings: &Settings) -> Result<Box<dyn Sink>, Fault> {
    Ok(Box::new(Null {
        batch_events: settings.number("batchSize")?,
        log_every_events: settings.number("logEveryNEvents")?,
        events: 0,
        name: None,
    }))
}

struct Null {
    batch_events: usize,
    log_every_events: u64,
    events: u64,
    name: Option<ComponentName>,
}

impl Null {
    /// Counts events and says whether a multiple of `log_every_events` was passed.
    fn count(&mut self, events: u64) -> bool {
        let before = self.events;
        self.events = before.saturating_add(events);
        let every = self.log_every_events.max(1);
        before / every != self.events / every
    }
}

impl Sink for Null {
    fn demand(&self) -> TakeLimits {
        TakeLimits {
            events: self.batch_events,
            bytes: DELIVERY_BYTES_MAX,
        }
    }

    fn start(&mut self, context: SinkContext) -> BoxFuture<'_, Result<(), Fault>> {
        self.name = Some(context.name);
        self.events = 0;
        ready(Ok(()))
    }

    fn deliver<'a>(&'a mut self, events: &'a [Segment]) -> BoxFuture<'a, Result<Outcome, Fault>> {
        let delivered = events.iter().map(|segment| segment.events.len() as u64);
        if self.count(delivered.sum()) {
            let name = self.name.as_ref().map_or("", ComponentName::as_str);
            tracing::info!(sink = name, events = self.events, "null sink took events");
        }
        ready(Ok(Outcome::Delivered))
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        ready(Ok(()))
    }

    fn tick(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        ready(Ok(()))
    }

    fn stop(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use flumen_core::conformance::sink::{Harness, conforms};

    use super::*;
    use flumen_core::conformance::settings::settings as checked;

    #[tokio::test]
    async fn null_keeps_the_contract() {
        conforms(|| Harness::blind(build(&checked(&ROW, &[])).expect("builds"))).await;
    }

    #[test]
    fn a_line_is_due_once_per_passed_multiple() {
        let mut null = Null {
            batch_events: 100,
            log_every_events: 10,
            events: 0,
            name: None,
        };
        assert!(!null.count(9));
        assert!(null.count(1), "10 is a multiple");
        assert!(!null.count(9));
        assert!(
            null.count(40),
            "several multiples in one delivery are one line"
        );
        assert!(!null.count(0));
    }
}
