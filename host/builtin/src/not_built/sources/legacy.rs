//! Sources of protocols that outlived their senders: Scribe and Flume 0.9.

use flumen_core::option::DefaultValue::{Is, Required};
use flumen_core::option::ValueKind::Text;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{FROM_ONE, PORT};

pub(super) static SCRIBE: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "scribe",
    aliases: &["org.apache.flume.source.scribe.ScribeSource"],
    doc: "Receives log entries from Scribe over Thrift; the category of an entry becomes \
        the header category.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("port", PORT, Is("1499"), "TCP port to listen on.").unit(Unit::Port),
        OptionRow::new(
            "maxReadBufferBytes",
            FROM_ONE,
            Is("16384000"),
            "Most memory for messages that are being read; a larger message is refused.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "workerThreads",
            FROM_ONE,
            Is("5"),
            "Threads that handle messages.",
        ),
    ],
};

pub(super) static AVRO_LEGACY: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "avro_legacy",
    aliases: &["org.apache.flume.source.avroLegacy.AvroLegacySource"],
    doc: "Receives events from agents of Flume 0.9 over Avro RPC on HTTP.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("host", Text, Required, "Address to listen on."),
        OptionRow::new("port", PORT, Required, "TCP port to listen on.").unit(Unit::Port),
    ],
};

pub(super) static THRIFT_LEGACY: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "thrift_legacy",
    aliases: &["org.apache.flume.source.thriftLegacy.ThriftLegacySource"],
    doc: "Receives events from agents of Flume 0.9 over Thrift.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("host", Text, Required, "Address to listen on."),
        OptionRow::new("port", PORT, Required, "TCP port to listen on.").unit(Unit::Port),
    ],
};
