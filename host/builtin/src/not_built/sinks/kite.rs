//! The sink of Kite datasets. Flume 1.9 was the last that had it.

use flumen_core::option::DefaultValue::{Absent, Is};
use flumen_core::option::ValueKind::{Boolean, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{FROM_ONE, FROM_ZERO};

pub(super) static KITE: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "kite",
    aliases: &["org.apache.flume.sink.kite.DatasetSink"],
    doc: "Writes events to a Kite dataset in HDFS, Hive or HBase. Flume 1.9 was the last \
        version that had it.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "kite.dataset.uri",
            Text,
            Absent,
            "Address of the dataset; this or kite.repo.uri with kite.dataset.name is needed.",
        ),
        OptionRow::new(
            "kite.repo.uri",
            Text,
            Absent,
            "Old form: address of the repository.",
        ),
        OptionRow::new(
            "kite.dataset.namespace",
            Text,
            Absent,
            "Old form: namespace of the dataset.",
        ),
        OptionRow::new(
            "kite.dataset.name",
            Text,
            Absent,
            "Old form: name of the dataset.",
        ),
        OptionRow::new(
            "kite.batchSize",
            FROM_ONE,
            Is("100"),
            "Most events in one transaction.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "kite.rollInterval",
            FROM_ZERO,
            Is("30"),
            "Time after which the data is released and the next file begins.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "kite.flushable.commiteOnBatch",
            Boolean,
            Is("true"),
            "Whether a flush ends each transaction. Flume's code spells it this way.",
        )
        .aliases(&["kite.flushable.commitOnBatch"]),
        OptionRow::new(
            "kite.syncable.syncOnBatch",
            Boolean,
            Is("true"),
            "Whether the data is on disk before a transaction ends.",
        ),
        OptionRow::new(
            "kite.entityParser",
            Text,
            Is("avro"),
            "How an event becomes a record: avro or a Java class.",
        ),
        OptionRow::new(
            "kite.failurePolicy",
            Text,
            Is("retry"),
            "What to do with an event that cannot be written: retry, save, or a Java class.",
        ),
        OptionRow::new(
            "kite.error.dataset.uri",
            Text,
            Absent,
            "Address of the dataset for events that could not be written; save needs it.",
        ),
        OptionRow::new(
            "auth.kerberosPrincipal",
            Text,
            Absent,
            "Kerberos principal to log in as.",
        ),
        OptionRow::new(
            "auth.kerberosKeytab",
            Text,
            Absent,
            "File with the keys of that principal.",
        ),
        OptionRow::new(
            "auth.proxyUser",
            Text,
            Absent,
            "User in whose name data is written.",
        ),
    ],
};
