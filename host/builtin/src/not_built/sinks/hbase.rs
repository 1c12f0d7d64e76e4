//! Sinks of Apache HBase: for its first and second client and for the asynchronous one.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{ANY_INTEGER, FROM_ONE};

const TABLE: OptionRow = OptionRow::new("table", Text, Required, "Table to write to.");

const COLUMN_FAMILY: OptionRow =
    OptionRow::new("columnFamily", Text, Required, "Column family to write to.");

const ZOOKEEPER_QUORUM: OptionRow = OptionRow::new(
    "zookeeperQuorum",
    Text,
    Absent,
    "ZooKeeper servers, separated by commas; without it those of hbase-site.xml.",
);

const ZNODE_PARENT: OptionRow = OptionRow::new(
    "znodeParent",
    Text,
    Is("/hbase"),
    "Node in ZooKeeper below which HBase keeps its own.",
);

const BATCH_SIZE: OptionRow = OptionRow::new(
    "batchSize",
    FROM_ONE,
    Is("100"),
    "Most events in one transaction.",
)
.unit(Unit::Events);

const COALESCE_INCREMENTS: OptionRow = OptionRow::new(
    "coalesceIncrements",
    Boolean,
    Is("false"),
    "Whether several increments of one cell in a batch become one.",
);

const ENABLE_WAL: OptionRow = OptionRow::new(
    "enableWal",
    Boolean,
    Is("true"),
    "Whether HBase logs a write before it confirms it; without the log a crash of a \
     server loses it.",
);

const KERBEROS_PRINCIPAL: OptionRow = OptionRow::new(
    "kerberosPrincipal",
    Text,
    Absent,
    "Kerberos principal to log in as.",
);

const KERBEROS_KEYTAB: OptionRow = OptionRow::new(
    "kerberosKeytab",
    Text,
    Absent,
    "File with the keys of that principal.",
);

const PAYLOAD_COLUMN: OptionRow = OptionRow::new(
    "serializer.payloadColumn",
    Text,
    Is("pCol"),
    "Simple serializers: column for the body.",
);

const INCREMENT_COLUMN: OptionRow = OptionRow::new(
    "serializer.incrementColumn",
    Text,
    Is("iCol"),
    "Simple serializers: column that counts events.",
);

const INCREMENT_ROW: OptionRow = OptionRow::new(
    "serializer.incrementRow",
    Text,
    Is("incRow"),
    "Simple serializers: row that counts events.",
);

const ROW_PREFIX: OptionRow = OptionRow::new(
    "serializer.rowPrefix",
    Text,
    Is("default"),
    "Simple serializers: beginning of each row key.",
);

const SUFFIX: OptionRow = OptionRow::new(
    "serializer.suffix",
    Choice(&["uuid", "random", "timestamp", "nano"]),
    Is("uuid"),
    "Simple serializers: what makes the rest of the row key.",
);

const REGEX: OptionRow = OptionRow::new(
    "serializer.regex",
    Text,
    Is("(.*)"),
    "Regex serializers: pattern whose groups are columns; an event that does not \
     match is left out.",
);

const REGEX_IGNORE_CASE: OptionRow = OptionRow::new(
    "serializer.regexIgnoreCase",
    Boolean,
    Is("false"),
    "Regex serializers: whether case is ignored.",
);

const COLUMN_NAMES: OptionRow = OptionRow::new(
    "serializer.colNames",
    Text,
    Is("payload"),
    "Regex serializers: names of the columns, separated by commas.",
);

const ROW_KEY_INDEX: OptionRow = OptionRow::new(
    "serializer.rowKeyIndex",
    ANY_INTEGER,
    Is("-1"),
    "Regex serializers: position of the group that is the row key, from 0, where \
     colNames says ROW_KEY; -1 makes a key.",
);

const DEPOSIT_HEADERS: OptionRow = OptionRow::new(
    "serializer.depositHeaders",
    Boolean,
    Is("false"),
    "Regex serializers: whether headers become columns too.",
);

const CHARSET: OptionRow = OptionRow::new(
    "serializer.charset",
    Text,
    Is("UTF-8"),
    "Regex serializers: character set of the body.",
);

const SERIALIZER_PROPERTY: OptionRow = OptionRow::new(
    "serializer.<property>",
    Text,
    Absent,
    "Any other setting of the serializer.",
);

pub(super) static HBASE: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "hbase",
    aliases: &["org.apache.flume.sink.hbase.HBaseSink"],
    doc: "Writes events to an HBase 1 table.",
    support: Support::NotBuilt,
    options: &[
        TABLE,
        COLUMN_FAMILY,
        ZOOKEEPER_QUORUM,
        ZNODE_PARENT,
        BATCH_SIZE,
        COALESCE_INCREMENTS,
        ENABLE_WAL,
        KERBEROS_PRINCIPAL,
        KERBEROS_KEYTAB,
        OptionRow::new(
            "serializer",
            Text,
            Required,
            "How an event becomes rows: \
             org.apache.flume.sink.hbase.SimpleHbaseEventSerializer, \
             org.apache.flume.sink.hbase.RegexHbaseEventSerializer or a Java class.",
        ),
        PAYLOAD_COLUMN,
        INCREMENT_COLUMN,
        INCREMENT_ROW,
        ROW_PREFIX,
        SUFFIX,
        REGEX,
        REGEX_IGNORE_CASE,
        COLUMN_NAMES,
        ROW_KEY_INDEX,
        DEPOSIT_HEADERS,
        CHARSET,
        SERIALIZER_PROPERTY,
    ],
};

pub(super) static HBASE2: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "hbase2",
    aliases: &["org.apache.flume.sink.hbase2.HBase2Sink"],
    doc: "Writes events to an HBase 2 table.",
    support: Support::NotBuilt,
    options: &[
        TABLE,
        COLUMN_FAMILY,
        ZOOKEEPER_QUORUM,
        ZNODE_PARENT,
        BATCH_SIZE,
        COALESCE_INCREMENTS,
        ENABLE_WAL,
        KERBEROS_PRINCIPAL,
        KERBEROS_KEYTAB,
        OptionRow::new(
            "serializer",
            Text,
            Required,
            "How an event becomes rows: \
             org.apache.flume.sink.hbase2.SimpleHBase2EventSerializer, \
             org.apache.flume.sink.hbase2.RegexHBase2EventSerializer or a Java class.",
        ),
        PAYLOAD_COLUMN,
        INCREMENT_COLUMN,
        INCREMENT_ROW,
        ROW_PREFIX,
        SUFFIX,
        REGEX,
        REGEX_IGNORE_CASE,
        COLUMN_NAMES,
        ROW_KEY_INDEX,
        DEPOSIT_HEADERS,
        CHARSET,
        SERIALIZER_PROPERTY,
    ],
};

pub(super) static ASYNC_HBASE: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "asynchbase",
    aliases: &["org.apache.flume.sink.hbase.AsyncHBaseSink"],
    doc: "Writes events to an HBase table with the asynchronous client, which knows no \
        Kerberos.",
    support: Support::NotBuilt,
    options: &[
        TABLE,
        COLUMN_FAMILY,
        ZOOKEEPER_QUORUM,
        ZNODE_PARENT,
        BATCH_SIZE,
        COALESCE_INCREMENTS,
        ENABLE_WAL,
        OptionRow::new(
            "timeout",
            FROM_ONE,
            Is("60000"),
            "Longest wait for the confirmation of a batch.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "maxConsecutiveFails",
            FROM_ONE,
            Is("10"),
            "Failures in a row after which the client is made anew.",
        ),
        OptionRow::new(
            "async.<property>",
            Text,
            Absent,
            "Any setting of the asynchronous client.",
        ),
        OptionRow::new(
            "serializer",
            Text,
            Is("org.apache.flume.sink.hbase.SimpleAsyncHbaseEventSerializer"),
            "How an event becomes rows: a Java class.",
        ),
        PAYLOAD_COLUMN,
        INCREMENT_COLUMN,
        INCREMENT_ROW,
        ROW_PREFIX,
        SUFFIX,
        SERIALIZER_PROPERTY,
    ],
};
