//! The sink of chat rooms.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Secret, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::PORT;

pub(super) static IRC: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "irc",
    aliases: &["org.apache.flume.sink.irc.IRCSink"],
    doc: "Says the body of each event in an IRC channel.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("hostname", Text, Required, "Host to connect to."),
        OptionRow::new("port", PORT, Is("6667"), "TCP port to connect to.").unit(Unit::Port),
        OptionRow::new("nick", Text, Required, "Nick name."),
        OptionRow::new("user", Text, Absent, "User name."),
        OptionRow::new("password", Secret, Absent, "Password of that user."),
        OptionRow::new("chan", Text, Required, "IRC channel, without its #."),
        OptionRow::new("name", Text, Absent, "Real name."),
        OptionRow::new(
            "splitlines",
            Boolean,
            Is("false"),
            "Whether a body of several lines is said line by line.",
        ),
        OptionRow::new("splitchars", Text, Is("\n"), "What separates such lines."),
    ],
};
