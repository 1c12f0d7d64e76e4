//! Sinks of Flume's own two RPC protocols.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Integer, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{FROM_ONE, FROM_ZERO, PORT, tls};

const HOSTNAME: OptionRow = OptionRow::new("hostname", Text, Required, "Host to connect to.");

const REMOTE_PORT: OptionRow =
    OptionRow::new("port", PORT, Required, "TCP port to connect to.").unit(Unit::Port);

const BATCH_SIZE: OptionRow = OptionRow::new(
    "batch-size",
    FROM_ONE,
    Is("100"),
    "Most events in one call.",
)
.unit(Unit::Events);

const CONNECT_TIMEOUT: OptionRow = OptionRow::new(
    "connect-timeout",
    FROM_ZERO,
    Is("20000"),
    "Longest wait for a connection; Flume takes less than 1000 for the default.",
)
.unit(Unit::Milliseconds);

const REQUEST_TIMEOUT: OptionRow = OptionRow::new(
    "request-timeout",
    FROM_ZERO,
    Is("20000"),
    "Longest wait for an answer; Flume takes less than 1000 for the default.",
)
.unit(Unit::Milliseconds);

const RESET_CONNECTION_INTERVAL: OptionRow = OptionRow::new(
    "reset-connection-interval",
    FROM_ZERO,
    Is("0"),
    "Time after which the connection is made anew, so that new hosts behind a \
     balancer get their share; 0 is never.",
)
.unit(Unit::Seconds)
.aliases(&["connection-reset-interval"]);

pub(super) static AVRO: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "avro",
    aliases: &["org.apache.flume.sink.AvroSink"],
    doc: "Sends events over Avro RPC to an avro source, one call for a batch.",
    support: Support::NotBuilt,
    options: &[
        HOSTNAME,
        REMOTE_PORT,
        BATCH_SIZE,
        CONNECT_TIMEOUT,
        REQUEST_TIMEOUT,
        RESET_CONNECTION_INTERVAL,
        OptionRow::new(
            "compression-type",
            Choice(&["none", "deflate"]),
            Is("none"),
            "Compression of the connection; both ends must agree.",
        ),
        OptionRow::new(
            "compression-level",
            Integer { min: 0, max: 9 },
            Is("6"),
            "How hard to compress; 0 is not at all.",
        ),
        tls::SSL,
        tls::TRUST_ALL_CERTS,
        tls::TRUSTSTORE,
        tls::TRUSTSTORE_PASSWORD,
        tls::TRUSTSTORE_TYPE,
        tls::INCLUDE_PROTOCOLS,
        tls::EXCLUDE_PROTOCOLS,
        tls::INCLUDE_CIPHER_SUITES,
        tls::EXCLUDE_CIPHER_SUITES,
        OptionRow::new(
            "maxIoWorkers",
            FROM_ONE,
            Absent,
            "Most input and output threads; Flume 1.11 ignores it.",
        ),
    ],
};

pub(super) static THRIFT: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "thrift",
    aliases: &["org.apache.flume.sink.ThriftSink"],
    doc: "Sends events over Thrift RPC to a thrift source, one call for a batch.",
    support: Support::NotBuilt,
    options: &[
        HOSTNAME,
        REMOTE_PORT,
        BATCH_SIZE,
        CONNECT_TIMEOUT,
        REQUEST_TIMEOUT,
        RESET_CONNECTION_INTERVAL,
        OptionRow::new(
            "protocol",
            Choice(&["compact", "binary"]),
            Is("compact"),
            "Thrift encoding of the messages.",
        ),
        tls::SSL,
        tls::TRUSTSTORE,
        tls::TRUSTSTORE_PASSWORD,
        tls::TRUSTSTORE_TYPE,
        tls::INCLUDE_PROTOCOLS,
        tls::EXCLUDE_PROTOCOLS,
        tls::INCLUDE_CIPHER_SUITES,
        tls::EXCLUDE_CIPHER_SUITES,
        OptionRow::new(
            "kerberos",
            Boolean,
            Is("false"),
            "Whether to prove with Kerberos who the agent is.",
        ),
        OptionRow::new(
            "client-principal",
            Text,
            Absent,
            "Kerberos principal of the agent.",
        ),
        OptionRow::new(
            "client-keytab",
            Text,
            Absent,
            "File with the keys of that principal.",
        ),
        OptionRow::new(
            "server-principal",
            Text,
            Absent,
            "Kerberos principal of the source.",
        ),
    ],
};
