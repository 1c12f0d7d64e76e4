//! The sink of Apache Hive.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Integer, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{FROM_ONE, FROM_ZERO};

pub(super) static HIVE: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "hive",
    aliases: &["org.apache.flume.sink.hive.HiveSink"],
    doc: "Streams events into a table or partition of Hive, in Hive's own transactions.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "hive.metastore",
            Text,
            Required,
            "Address of the metastore, such as thrift://host:9083.",
        ),
        OptionRow::new("hive.database", Text, Required, "Database."),
        OptionRow::new("hive.table", Text, Required, "Table."),
        OptionRow::new(
            "hive.partition",
            Text,
            Absent,
            "Values of the partition columns, separated by commas; escapes such as %{header} \
             are replaced.",
        ),
        OptionRow::new(
            "hive.txnsPerBatchAsk",
            FROM_ONE,
            Is("100"),
            "Transactions that are asked of Hive at a time.",
        ),
        OptionRow::new(
            "batchSize",
            FROM_ONE,
            Is("15000"),
            "Most events in one transaction of Hive.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "heartBeatInterval",
            FROM_ZERO,
            Is("240"),
            "Time between two signs of life to Hive; 0 is none.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "callTimeout",
            FROM_ZERO,
            Is("10000"),
            "Longest wait for one call to Hive.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "maxOpenConnections",
            FROM_ONE,
            Is("500"),
            "Most connections at a time; then the one that waited longest is closed.",
        ),
        OptionRow::new(
            "idleTimeout",
            FROM_ZERO,
            Is("0"),
            "Time without events after which a connection is closed; 0 is never.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "autoCreatePartitions",
            Boolean,
            Is("true"),
            "Whether missing partitions are created.",
        ),
        OptionRow::new(
            "round",
            Boolean,
            Is("false"),
            "Whether the time in escapes is rounded down.",
        ),
        OptionRow::new(
            "roundUnit",
            Choice(&["second", "minute", "hour"]),
            Is("minute"),
            "Unit of roundValue.",
        ),
        OptionRow::new(
            "roundValue",
            Integer { min: 1, max: 60 },
            Is("1"),
            "Multiple of roundUnit that time is rounded down to; hours up to 24.",
        ),
        OptionRow::new(
            "timeZone",
            Text,
            Absent,
            "Time zone for escapes; without it that of the host.",
        ),
        OptionRow::new(
            "useLocalTimeStamp",
            Boolean,
            Is("false"),
            "Whether escapes take the time of the agent instead of the header timestamp.",
        ),
        OptionRow::new(
            "serializer",
            Text,
            Required,
            "How bodies are read: DELIMITED, JSON, or a Java class.",
        ),
        OptionRow::new(
            "serializer.delimiter",
            Text,
            Is(","),
            "DELIMITED: what separates fields in the body; in double quotes it may be \"\\t\".",
        ),
        OptionRow::new(
            "serializer.fieldnames",
            Text,
            Absent,
            "DELIMITED, where it is needed: columns of the fields in their order, separated \
             by commas; an empty name leaves its field out.",
        ),
        OptionRow::new(
            "serializer.serdeSeparator",
            Text,
            Is("\u{1}"),
            "DELIMITED: the character that separates fields on the way to Hive; in single \
             quotes it may be '\\t'.",
        ),
        OptionRow::new(
            "serializer.<property>",
            Text,
            Absent,
            "Any other setting of the serializer.",
        ),
    ],
};
