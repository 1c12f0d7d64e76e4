//! The sink of Apache Kudu.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::FROM_ONE;

pub(super) static KUDU: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "kudu",
    aliases: &["org.apache.flume.sink.kudu.KuduSink"],
    doc: "Writes events to a Kudu table.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "masterAddresses",
            Text,
            Required,
            "Kudu masters as host:port, separated by commas.",
        ),
        OptionRow::new("tableName", Text, Required, "Table to write to."),
        OptionRow::new(
            "batchSize",
            FROM_ONE,
            Is("1000"),
            "Most events in one transaction.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "timeoutMillis",
            FROM_ONE,
            Is("30000"),
            "Longest wait for Kudu.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "ignoreDuplicateRows",
            Boolean,
            Is("true"),
            "Whether a row that is there already is passed over instead of an error.",
        ),
        OptionRow::new(
            "kerberosPrincipal",
            Text,
            Absent,
            "Kerberos principal to log in as.",
        ),
        OptionRow::new(
            "kerberosKeytab",
            Text,
            Absent,
            "File with the keys of that principal.",
        ),
        OptionRow::new(
            "proxyUser",
            Text,
            Absent,
            "User in whose name rows are written.",
        ),
        OptionRow::new(
            "producer",
            Text,
            Is("org.apache.flume.sink.kudu.SimpleKuduOperationsProducer"),
            "How an event becomes rows: SimpleKuduOperationsProducer, \
             SimpleKeyedKuduOperationsProducer, AvroKuduOperationsProducer or \
             RegexpKuduOperationsProducer of the same package, or a Java class.",
        ),
        OptionRow::new(
            "producer.payloadColumn",
            Text,
            Is("payload"),
            "Simple producers: column for the body.",
        ),
        OptionRow::new(
            "producer.keyColumn",
            Text,
            Is("key"),
            "Keyed producer: column for the key, and the header that holds it.",
        ),
        OptionRow::new(
            "producer.operation",
            Choice(&["insert", "upsert"]),
            Is("upsert"),
            "All producers but the simple one: whether rows are inserted, or inserted and \
             overwritten.",
        ),
        OptionRow::new(
            "producer.schemaPath",
            Text,
            Absent,
            "Avro producer: address of the schema for events whose headers name none.",
        ),
        OptionRow::new(
            "producer.pattern",
            Text,
            Absent,
            "Regexp producer, where it is needed: pattern whose named groups are columns.",
        ),
        OptionRow::new(
            "producer.encoding",
            Text,
            Is("utf-8"),
            "Regexp producer: character set of the body.",
        )
        .aliases(&["producer.charset"]),
        OptionRow::new(
            "producer.missingColumnPolicy",
            Choice(&["REJECT", "WARN", "IGNORE"]),
            Is("REJECT"),
            "Regexp producer: what to do when a column has no group.",
        ),
        OptionRow::new(
            "producer.badColumnValuePolicy",
            Choice(&["REJECT", "WARN", "IGNORE"]),
            Is("REJECT"),
            "Regexp producer: what to do with a value that the column cannot hold.",
        ),
        OptionRow::new(
            "producer.unmatchedRowPolicy",
            Choice(&["REJECT", "WARN", "IGNORE"]),
            Is("WARN"),
            "Regexp producer: what to do with a body that does not match.",
        ),
        OptionRow::new(
            "producer.skipMissingColumn",
            Boolean,
            Absent,
            "Old form of producer.missingColumnPolicy: true is WARN, false is REJECT.",
        ),
        OptionRow::new(
            "producer.skipBadColumnValue",
            Boolean,
            Absent,
            "Old form of producer.badColumnValuePolicy: true is WARN, false is REJECT.",
        ),
        OptionRow::new(
            "producer.skipUnmatchedRows",
            Boolean,
            Absent,
            "Old form of producer.unmatchedRowPolicy: true is WARN, false is IGNORE.",
        ),
        OptionRow::new(
            "producer.<property>",
            Text,
            Absent,
            "Any other setting of the producer.",
        ),
    ],
};
