//! The sink of old versions of Elasticsearch. Flume 1.9 was the last that had it.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Choice, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::FROM_ONE;

pub(super) static ELASTICSEARCH: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "elasticsearch",
    aliases: &["org.apache.flume.sink.elasticsearch.ElasticSearchSink"],
    doc: "Writes events to an index of Elasticsearch 0.90 to 1.x, a new index each day. \
        Flume 1.9 was the last version that had it.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "hostNames",
            Text,
            Required,
            "Servers as host or host:port, separated by commas; the port is 9300 if not given.",
        ),
        OptionRow::new(
            "indexName",
            Text,
            Is("flume"),
            "Beginning of the index's name; escapes such as %{header} are replaced.",
        ),
        OptionRow::new(
            "indexType",
            Text,
            Is("log"),
            "Type of the documents; escapes are replaced.",
        ),
        OptionRow::new(
            "clusterName",
            Text,
            Is("elasticsearch"),
            "Name of the cluster.",
        ),
        OptionRow::new(
            "batchSize",
            FROM_ONE,
            Is("100"),
            "Most events in one transaction.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "ttl",
            Text,
            Absent,
            "Time after which documents are deleted: a number with ms, s, m, h, d or w, \
             without one of these in days. Without it never.",
        ),
        OptionRow::new(
            "client",
            Choice(&["transport", "rest"]),
            Is("transport"),
            "Protocol to the servers.",
        ),
        OptionRow::new("client.<property>", Text, Absent, "Setting of the client."),
        OptionRow::new(
            "serializer",
            Text,
            Is("org.apache.flume.sink.elasticsearch.ElasticSearchLogStashEventSerializer"),
            "How an event becomes a document: this class, ElasticSearchDynamicSerializer of \
             the same package, or a Java class.",
        ),
        OptionRow::new(
            "serializer.<property>",
            Text,
            Absent,
            "Setting of the serializer.",
        ),
        OptionRow::new(
            "indexNameBuilder",
            Text,
            Is("org.apache.flume.sink.elasticsearch.TimeBasedIndexNameBuilder"),
            "How the index is named: this class, SimpleIndexNameBuilder of the same package, \
             or a Java class.",
        ),
        OptionRow::new(
            "indexNameBuilder.dateFormat",
            Text,
            Is("yyyy-MM-dd"),
            "Java date pattern of the end of the name.",
        ),
        OptionRow::new(
            "indexNameBuilder.timeZone",
            Text,
            Is("Etc/UTC"),
            "Time zone of that date.",
        ),
        OptionRow::new(
            "indexNameBuilder.<property>",
            Text,
            Absent,
            "Any other setting of the name builder.",
        ),
    ],
};
