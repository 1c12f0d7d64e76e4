use std::fmt;
use std::sync::{Arc, Mutex};

use flumen_core::EventBatch;
use flumen_core::conformance::sink::{Harness, conforms, context, segments};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use flumen_core::conformance::settings::settings as checked;

/// Keeps the records of the logger sink and nothing else.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

struct Message<'a>(&'a mut Vec<String>);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Records {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && *metadata.level() == tracing::Level::INFO
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message(&mut self.0.lock().expect("not poisoned")));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn sink(settings: &[(&str, &str)]) -> Box<dyn Sink> {
    build(&checked(&ROW, settings)).expect("builds")
}

#[tokio::test]
async fn logger_keeps_the_contract() {
    conforms(|| Harness::blind(sink(&[]))).await;
}

#[tokio::test]
async fn each_event_is_one_record_in_order() {
    let records = Records::default();
    let _guard = tracing::subscriber::set_default(records.clone());
    let mut sink = sink(&[("maxBytesToLog", "3")]);
    sink.start(context()).await.expect("starts");
    let batch =
        EventBatch::from_delimited("Hello\nyou\n".into(), b'\n', vec![5, 9]).expect("lines");
    let outcome = sink.deliver(&segments([batch])).await.expect("delivers");
    assert_eq!(outcome, Outcome::Delivered);
    let space = " ".repeat(13 * 3 + 1);
    let expected = [
        format!("Event: {{ headers:{{}} body: 48 65 6C{space}Hel }}"),
        format!("Event: {{ headers:{{}} body: 79 6F 75{space}you }}"),
    ];
    assert_eq!(*records.0.lock().expect("not poisoned"), expected);
}
