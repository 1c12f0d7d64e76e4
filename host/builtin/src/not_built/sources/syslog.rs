//! Sources of syslog messages.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{List, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::tls;
use super::super::{FROM_ONE, PORT};

const HOST: OptionRow = OptionRow::new(
    "host",
    Text,
    Absent,
    "Address to listen on; without it all addresses of the host.",
);

const KEEP_FIELDS: OptionRow = OptionRow::new(
    "keepFields",
    Text,
    Is("none"),
    "Parts of the message that stay in the body: none, all, or some of priority, \
     version, timestamp and hostname.",
);

const CLIENT_IP_HEADER: OptionRow = OptionRow::new(
    "clientIPHeader",
    Text,
    Absent,
    "Header that receives the sender's address; without it no header is set.",
);

const CLIENT_HOSTNAME_HEADER: OptionRow = OptionRow::new(
    "clientHostnameHeader",
    Text,
    Absent,
    "Header that receives the sender's host name, which takes a name look-up; without \
     it no header is set.",
);

const FORMAT_REGEX: OptionRow = OptionRow::new(
    "format.regex",
    Text,
    Absent,
    "Pattern of a message format that is tried before the built-in ones. Its groups \
     are priority, version, timestamp, host and body.",
);

const FORMAT_SEARCH: OptionRow = OptionRow::new(
    "format.search",
    Text,
    Absent,
    "Pattern in the timestamp of that format to replace before it is read.",
);

const FORMAT_REPLACE: OptionRow = OptionRow::new(
    "format.replace",
    Text,
    Absent,
    "Replacement for format.search.",
);

const FORMAT_DATE_FORMAT: OptionRow = OptionRow::new(
    "format.dateFormat",
    Text,
    Absent,
    "Java date pattern of the timestamp of that format.",
);

pub(super) static SYSLOG_TCP: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "syslogtcp",
    aliases: &["org.apache.flume.source.SyslogTcpSource"],
    doc: "Receives syslog messages, one a line, over TCP connections to one port.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("port", PORT, Required, "TCP port to listen on.").unit(Unit::Port),
        HOST,
        OptionRow::new(
            "eventSize",
            FROM_ONE,
            Is("2500"),
            "Most bytes in an event; the rest of a longer line is read as a message of its own.",
        )
        .unit(Unit::Bytes),
        KEEP_FIELDS,
        CLIENT_IP_HEADER,
        CLIENT_HOSTNAME_HEADER,
        FORMAT_REGEX,
        FORMAT_SEARCH,
        FORMAT_REPLACE,
        FORMAT_DATE_FORMAT,
        tls::SSL,
        tls::KEYSTORE,
        tls::KEYSTORE_PASSWORD,
        tls::KEYSTORE_TYPE,
        tls::INCLUDE_PROTOCOLS,
        tls::EXCLUDE_PROTOCOLS,
        tls::INCLUDE_CIPHER_SUITES,
        tls::EXCLUDE_CIPHER_SUITES,
    ],
};

pub(super) static SYSLOG_UDP: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "syslogudp",
    aliases: &["org.apache.flume.source.SyslogUDPSource"],
    doc: "Receives syslog messages, one a datagram, over UDP. What follows the first line \
        feed of a datagram is lost.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("port", PORT, Required, "UDP port to listen on.").unit(Unit::Port),
        HOST,
        KEEP_FIELDS,
        CLIENT_IP_HEADER,
        CLIENT_HOSTNAME_HEADER,
        FORMAT_REGEX,
        FORMAT_SEARCH,
        FORMAT_REPLACE,
        FORMAT_DATE_FORMAT,
    ],
};

pub(super) static MULTIPORT_SYSLOG_TCP: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "multiport_syslogtcp",
    aliases: &["org.apache.flume.source.MultiportSyslogTCPSource"],
    doc: "Receives syslog messages, one a line, over TCP connections to several ports, \
        each with a character set of its own.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("ports", List, Required, "TCP ports to listen on.").unit(Unit::Port),
        HOST,
        OptionRow::new(
            "eventSize",
            FROM_ONE,
            Is("2500"),
            "Most bytes in an event; the rest of a longer line is the next event.",
        )
        .unit(Unit::Bytes),
        OptionRow::new("batchSize", FROM_ONE, Is("100"), "Most events in one put.")
            .unit(Unit::Events),
        OptionRow::new(
            "readBufferBytes",
            FROM_ONE,
            Is("1024"),
            "Size of the read buffer of a connection.",
        )
        .unit(Unit::Bytes)
        .aliases(&["readBufferSize"]),
        OptionRow::new(
            "numProcessors",
            FROM_ONE,
            Absent,
            "Processors to count with when threads are made; without it all that there are.",
        ),
        OptionRow::new(
            "charset.default",
            Text,
            Is("UTF-8"),
            "Character set of messages.",
        ),
        OptionRow::new(
            "charset.port.<port>",
            Text,
            Absent,
            "Character set of messages that come in at this port.",
        ),
        OptionRow::new(
            "portHeader",
            Text,
            Absent,
            "Header that receives the port at which the message came in; without it no header \
             is set.",
        ),
        CLIENT_IP_HEADER,
        CLIENT_HOSTNAME_HEADER,
        KEEP_FIELDS,
        tls::SSL,
        tls::KEYSTORE,
        tls::KEYSTORE_PASSWORD,
        tls::KEYSTORE_TYPE,
        tls::INCLUDE_PROTOCOLS,
        tls::EXCLUDE_PROTOCOLS,
        tls::INCLUDE_CIPHER_SUITES,
        tls::EXCLUDE_CIPHER_SUITES,
    ],
};
