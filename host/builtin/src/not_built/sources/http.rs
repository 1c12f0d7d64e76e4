//! The source that other programs post events to.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Component, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{PORT, tls};

pub(super) static HTTP: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "http",
    aliases: &["org.apache.flume.source.http.HTTPSource"],
    doc: "Receives events in HTTP requests. All events of a request are put in one \
        transaction, and the answer comes after it: 200, 400 for a request that cannot be \
        read, 503 when the channel is full.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("port", PORT, Required, "TCP port to listen on.").unit(Unit::Port),
        OptionRow::new("bind", Text, Is("0.0.0.0"), "Address to listen on."),
        OptionRow::new(
            "handler",
            Component(ComponentKind::HttpHandler),
            Is("json"),
            "How a request becomes events.",
        ),
        tls::SSL.aliases(&["enableSSL"]),
        tls::KEYSTORE,
        tls::KEYSTORE_PASSWORD.aliases(&["keystorePassword"]),
        tls::KEYSTORE_TYPE,
        tls::INCLUDE_PROTOCOLS,
        tls::EXCLUDE_PROTOCOLS.aliases(&["excludeProtocols"]),
        tls::INCLUDE_CIPHER_SUITES,
        tls::EXCLUDE_CIPHER_SUITES,
        OptionRow::new(
            "QueuedThreadPool.<property>",
            Text,
            Absent,
            "Setting of Jetty's thread pool.",
        ),
        OptionRow::new(
            "HttpConfiguration.<property>",
            Text,
            Absent,
            "Setting of Jetty's HTTP engine, such as sendServerVersion.",
        ),
        OptionRow::new(
            "SslContextFactory.<property>",
            Text,
            Absent,
            "Setting of Jetty's TLS engine.",
        ),
        OptionRow::new(
            "ServerConnector.<property>",
            Text,
            Absent,
            "Setting of Jetty's listening socket.",
        ),
    ],
};
