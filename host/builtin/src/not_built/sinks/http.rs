//! The sink that posts events to a web service.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::FROM_ONE;

pub(super) static HTTP: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "http",
    aliases: &["org.apache.flume.sink.http.HttpSink"],
    doc: "Posts the body of each event to an address; the status of the answer decides \
        whether the event is done or comes again.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("endpoint", Text, Required, "Address to post to."),
        OptionRow::new(
            "connectTimeout",
            FROM_ONE,
            Is("5000"),
            "Longest wait for a connection.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "requestTimeout",
            FROM_ONE,
            Is("5000"),
            "Longest wait for an answer.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "contentTypeHeader",
            Text,
            Is("text/plain"),
            "Content-Type of requests.",
        ),
        OptionRow::new(
            "acceptHeader",
            Text,
            Is("text/plain"),
            "Accept of requests.",
        ),
        OptionRow::new(
            "defaultBackoff",
            Boolean,
            Is("true"),
            "Whether to wait after an answer for which no other rule is set.",
        ),
        OptionRow::new(
            "defaultRollback",
            Boolean,
            Is("true"),
            "Whether the event comes again after such an answer.",
        ),
        OptionRow::new(
            "defaultIncrementMetrics",
            Boolean,
            Is("false"),
            "Whether such an answer counts as a delivered event.",
        ),
        OptionRow::new(
            "backoff.<status>",
            Boolean,
            Absent,
            "Whether to wait after this status, such as 503, or this group, such as 5XX. A \
             status wins over its group.",
        ),
        OptionRow::new(
            "rollback.<status>",
            Boolean,
            Absent,
            "Whether the event comes again after this status or group.",
        ),
        OptionRow::new(
            "incrementMetrics.<status>",
            Boolean,
            Absent,
            "Whether this status or group counts as a delivered event.",
        ),
    ],
};
