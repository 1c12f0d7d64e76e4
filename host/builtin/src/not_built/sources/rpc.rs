//! Sources of Flume's own two RPC protocols.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::tls;
use super::super::{FROM_ZERO, PORT};

pub(super) static AVRO: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "avro",
    aliases: &["org.apache.flume.source.AvroSource"],
    doc: "Receives events over Avro RPC, as Flume's avro sink, its client library and its \
        log4j appender send them. A batch is answered when its put has committed.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("bind", Text, Required, "Address to listen on."),
        OptionRow::new("port", PORT, Required, "TCP port to listen on.").unit(Unit::Port),
        OptionRow::new(
            "threads",
            FROM_ZERO,
            Absent,
            "Worker threads of older versions; Flume 1.11 ignores it.",
        ),
        OptionRow::new(
            "compression-type",
            Choice(&["none", "deflate"]),
            Is("none"),
            "Compression of the connection; both ends must agree.",
        ),
        tls::SSL,
        tls::KEYSTORE,
        tls::KEYSTORE_PASSWORD,
        tls::KEYSTORE_TYPE,
        tls::INCLUDE_PROTOCOLS,
        tls::EXCLUDE_PROTOCOLS,
        tls::INCLUDE_CIPHER_SUITES,
        tls::EXCLUDE_CIPHER_SUITES,
        OptionRow::new(
            "ipFilter",
            Boolean,
            Is("false"),
            "Whether ipFilterRules decide who may connect.",
        ),
        OptionRow::new(
            "ipFilterRules",
            Text,
            Absent,
            "Comma-separated rules such as allow:ip:10.*,deny:name:*; the first that fits \
             decides, and who fits none may connect.",
        ),
    ],
};

pub(super) static THRIFT: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "thrift",
    aliases: &["org.apache.flume.source.ThriftSource"],
    doc: "Receives events over Thrift RPC in framed messages, as Flume's thrift sink and \
        client library send them.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("bind", Text, Required, "Address to listen on."),
        OptionRow::new("port", PORT, Required, "TCP port to listen on.").unit(Unit::Port),
        OptionRow::new(
            "threads",
            FROM_ZERO,
            Is("0"),
            "Most worker threads at a time; 0 is without a limit.",
        ),
        OptionRow::new(
            "protocol",
            Choice(&["compact", "binary"]),
            Is("compact"),
            "Thrift encoding of the messages.",
        ),
        tls::SSL,
        tls::KEYSTORE,
        tls::KEYSTORE_PASSWORD,
        tls::KEYSTORE_TYPE,
        tls::INCLUDE_PROTOCOLS,
        tls::EXCLUDE_PROTOCOLS,
        tls::INCLUDE_CIPHER_SUITES,
        tls::EXCLUDE_CIPHER_SUITES,
        OptionRow::new(
            "kerberos",
            Boolean,
            Is("false"),
            "Whether clients must prove who they are with Kerberos.",
        ),
        OptionRow::new(
            "agent-principal",
            Text,
            Absent,
            "Kerberos principal of the agent.",
        ),
        OptionRow::new(
            "agent-keytab",
            Text,
            Absent,
            "File with the keys of that principal.",
        ),
    ],
};
