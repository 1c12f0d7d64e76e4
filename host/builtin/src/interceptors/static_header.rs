//! `static`: sets one header to one fixed value. One constant column per batch; nothing per event.

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

/// The options of `static`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "static",
    aliases: &["org.apache.flume.interceptor.StaticInterceptor$Builder"],
    doc: "Sets one header to one fixed value.",
    support: Support::Built,
    options: &[
        OptionRow::new("key", ValueKind::Text, Is("key"), "The header that is set."),
        OptionRow::new("value", ValueKind::Text, Is("value"), "Its value."),
        OptionRow::new(
            "preserveExisting",
            ValueKind::Boolean,
            Is("true"),
            "Whether an event that has the header keeps its value.",
        ),
    ],
};

/// Makes a `static` interceptor.
pub(super) fn build(
    settings: &Settings,
    _clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Interceptor>, Fault> {
    Ok(Box::new(StaticHeader {
        header: header_name(settings, "key")?,
        value: settings.text("value")?.into(),
        existing: existing(settings)?,
    }))
}

struct StaticHeader {
    header: HeaderName,
    value: Arc<str>,
    existing: Existing,
}

impl Interceptor for StaticHeader {
    fn intercept(&self, batch: EventBatch) -> BoxFuture<'_, Result<Intercepted, Fault>> {
        let set = set_constant(&batch, &self.header, &self.value, self.existing);
        ready(set.map(Intercepted::from))
    }
}

#[cfg(test)]
mod tests {
    use flumen_core::clock::SystemClock;
    use flumen_core::conformance::interceptor::conforms;

    use super::super::header::tests::{half_marked, values_of};
    use super::*;
    use flumen_core::conformance::settings::settings as checked;

    async fn values(set: &[(&str, &str)], header: &str) -> Vec<Option<String>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let interceptor = build(&checked(&ROW, set), &clock).expect("builds");
        let batch = half_marked(header);
        conforms(&*interceptor, std::slice::from_ref(&batch)).await;
        values_of(
            &interceptor.intercept(batch).await.expect("sets").events,
            header,
        )
    }

    #[tokio::test]
    async fn the_value_is_set_where_there_was_none() {
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(values(&[], "key").await, [text("kept"), text("value")]);
        let named = [
            ("key", "dc"),
            ("value", "NYC"),
            ("preserveExisting", "false"),
        ];
        assert_eq!(values(&named, "dc").await, [text("NYC"), text("NYC")]);
        assert_eq!(values(&named, "key").await, [text("kept"), None]);
    }
}
