//! Sources that are not built.

mod files;
mod http;
mod jms;
mod legacy;
mod rpc;
mod syslog;
mod twitter;

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::Text;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::{FROM_ZERO, PORT, kafka};

pub(super) static ROWS: &[&ComponentRow] = &[
    &rpc::AVRO,
    &rpc::THRIFT,
    &NETCAT_UDP,
    &syslog::SYSLOG_TCP,
    &syslog::SYSLOG_UDP,
    &syslog::MULTIPORT_SYSLOG_TCP,
    &files::SPOOLDIR,
    &files::TAILDIR,
    &http::HTTP,
    &jms::JMS,
    &kafka::SOURCE,
    &legacy::SCRIBE,
    &twitter::TWITTER,
    &legacy::AVRO_LEGACY,
    &legacy::THRIFT_LEGACY,
    &EMBEDDED,
];

/// A source that Flume polls waits this much longer after each poll that found nothing.
pub(super) const BACKOFF_SLEEP_INCREMENT: OptionRow = OptionRow::new(
    "backoffSleepIncrement",
    FROM_ZERO,
    Is("1000"),
    "Wait after a poll that found nothing; it grows by this much with each such poll \
     in a row.",
)
.unit(Unit::Milliseconds);

/// The bound of that wait.
pub(super) const MAX_BACKOFF_SLEEP: OptionRow = OptionRow::new(
    "maxBackoffSleep",
    FROM_ZERO,
    Is("5000"),
    "Longest wait between two polls.",
)
.unit(Unit::Milliseconds);

static NETCAT_UDP: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "netcatudp",
    aliases: &["org.apache.flume.source.NetcatUdpSource"],
    doc: "Receives UDP datagrams; the text of each up to its first line feed is an event.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("port", PORT, Required, "UDP port to listen on.").unit(Unit::Port),
        OptionRow::new(
            "bind",
            Text,
            Absent,
            "Address to listen on; without it all addresses of the host.",
        ),
        OptionRow::new(
            "remoteAddress",
            Text,
            Absent,
            "Header that receives the sender's address; without it no header is set.",
        )
        .aliases(&["remoteAddressHeader"]),
    ],
};

static EMBEDDED: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "embedded",
    aliases: &["org.apache.flume.agent.embedded.EmbeddedSource"],
    doc: "Takes events from the Java program that an agent is embedded in. It has no use \
        in an agent of its own.",
    support: Support::NotBuilt,
    options: &[],
};
