//! `logger`: writes each event to the agent's log, as Flume's logger sink does.
//!
//! One record per event at level INFO under the target [`TARGET`]; its message is the whole line
//! that Flume prints: `Event: { headers:{k=v} body: 48 65 6C 6C 6F ... Hello }`. Headers stand in the
//! order of their names (Flume's order is that of a hash map). An event counts as delivered when
//! the record was handed to the log.
//!
//! Flume ignores `maxBytesToLog` when the sink is named by its alias and shows 16 bytes; flumen
//! obeys it.

mod line;

use flumen_core::channel::{Segment, TakeLimits};
use flumen_core::future::ready;
use flumen_core::limits::BATCH_BODY_BYTES_MAX;
use flumen_core::option::DefaultValue::Is;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::sink::{Outcome, Sink, SinkContext};
use flumen_core::{BoxFuture, Fault};

/// The target of the records, for log filters.
pub const TARGET: &str = "flumen::sink::logger";

/// Events in one take. Flume's logger takes one at a time; a hundred cost one transaction and still
/// show up at once.
const BATCH_EVENTS: usize = 100;

/// Bytes of bodies in one take. Only the first bytes of a body are shown, so this bounds what is
/// under lease and nothing else.
const DELIVERY_BYTES_MAX: u64 = 8 << 20;

/// The options of `logger`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "logger",
    aliases: &["org.apache.flume.sink.LoggerSink"],
    doc: "Writes each event to the agent's log at level INFO: its headers, and its body in \
        hexadecimal and as text.",
    support: Support::Built,
    options: &[OptionRow::new(
        "maxBytesToLog",
        ValueKind::Integer {
            min: 0,
            max: BATCH_BODY_BYTES_MAX as i64,
        },
        Is("16"),
        "Bytes of the body that are shown; more than 16 continue on further lines.",
    )
    .unit(Unit::Bytes)],
};

/// Makes a `logger` sink.
pub(super) fn build(settings: &Settings) -> Result<Box<dyn Sink>, Fault> {
    Ok(Box::new(Logger {
        body_bytes_max: settings.number("maxBytesToLog")?,
        line: String::new(),
    }))
}

struct Logger {
    body_bytes_max: usize,
    // Kept between events for its capacity.
    line: String,
}

impl Logger {
    fn log(&mut self, segment: &Segment) {
        for (index, body) in segment.events.bodies().enumerate() {
            self.line.clear();
            let headers = segment.events.headers_of(index);
            line::append_event(&mut self.line, headers, body, self.body_bytes_max);
            tracing::info!(target: TARGET, "{}", self.line);
        }
    }
}

impl Sink for Logger {
    fn demand(&self) -> TakeLimits {
        TakeLimits {
            events: BATCH_EVENTS,
            bytes: DELIVERY_BYTES_MAX,
        }
    }

    fn start(&mut self, _context: SinkContext) -> BoxFuture<'_, Result<(), Fault>> {
        ready(Ok(()))
    }

    fn deliver<'a>(&'a mut self, events: &'a [Segment]) -> BoxFuture<'a, Result<Outcome, Fault>> {
        if tracing::enabled!(target: TARGET, tracing::Level::INFO) {
            for segment in events {
                self.log(segment);
            }
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
mod tests;
