//! `timestamp`: sets a header to the time at which the batch came by, in milliseconds since 1970.
//!
//! The clock is asked once per batch, and the value is one constant column: it costs nothing per
//! event. (Flume asks per event; within a batch its values differ by the time of the loop.)

use std::sync::Arc;

use flumen_core::batch::{Existing, HeaderName};
use flumen_core::clock::Clock;
use flumen_core::future::ready;
use flumen_core::interceptor::{Intercepted, Interceptor};
use flumen_core::option::DefaultValue::Is;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::{BoxFuture, EventBatch, Fault};

use super::header::{existing, header_name, set_constant};

/// The options of `timestamp`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "timestamp",
    aliases: &["org.apache.flume.interceptor.TimestampInterceptor$Builder"],
    doc: "Sets a header to the time in milliseconds since 1970.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "headerName",
            ValueKind::Text,
            Is("timestamp"),
            "The header that is set.",
        )
        .aliases(&["header"]),
        OptionRow::new(
            "preserveExisting",
            ValueKind::Boolean,
            Is("false"),
            "Whether an event that has the header keeps its value.",
        ),
    ],
};

/// Makes a `timestamp` interceptor.
pub(super) fn build(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Interceptor>, Fault> {
    Ok(Box::new(Timestamp {
        header: header_name(settings, "headerName")?,
        existing: existing(settings)?,
        clock: Arc::clone(clock),
    }))
}

struct Timestamp {
    header: HeaderName,
    existing: Existing,
    clock: Arc<dyn Clock>,
}

impl Interceptor for Timestamp {
    fn intercept(&self, batch: EventBatch) -> BoxFuture<'_, Result<Intercepted, Fault>> {
        let now_ms: Arc<str> = self.clock.now_ms().to_string().into();
        let set = set_constant(&batch, &self.header, &now_ms, self.existing);
        ready(set.map(Intercepted::from))
    }
}

#[cfg(test)]
mod tests {
    use flumen_core::clock::ManualClock;
    use flumen_core::conformance::interceptor::conforms;

    use super::super::header::tests::{half_marked, values_of};
    use super::*;
    use flumen_core::conformance::settings::settings as checked;

    async fn values(set: &[(&str, &str)], header: &str) -> Vec<Option<String>> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(1_700_000_000_123));
        let interceptor = build(&checked(&ROW, set), &clock).expect("builds");
        let batch = half_marked(header);
        conforms(&*interceptor, std::slice::from_ref(&batch)).await;
        values_of(
            &interceptor.intercept(batch).await.expect("sets").events,
            header,
        )
    }

    #[tokio::test]
    async fn events_carry_the_time_in_milliseconds() {
        let now = Some("1700000000123".to_owned());
        let kept = Some("kept".to_owned());
        assert_eq!(values(&[], "timestamp").await, [now.clone(), now.clone()]);
        let named = [("headerName", "at"), ("preserveExisting", "true")];
        assert_eq!(values(&named, "at").await, [kept, now]);
    }

    #[test]
    fn the_guide_calls_the_option_header() {
        assert_eq!(ROW.option("header").map(|row| row.name), Some("headerName"));
    }
}
