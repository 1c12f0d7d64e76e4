//! The `netcat` source: lines of text over TCP, one event a line.
//!
//! # Protocol
//! A line ends with `\n`, which is no part of the event; a `\r` before it is. An empty line is an
//! empty event. With `ack-every-event` each line that is in all required channels is answered with
//! `OK\n`, and each that was refused with `FAILED: <why>\n`; answers keep the order of the lines, and
//! the connection stays open. A line of more than `max-line-length` characters (as Java counts
//! them, in UTF-16 units, the line feed included) is answered with `FAILED: Event exceeds the
//! maximum length (512 chars, including newline)\n`, with acks off too, and ends the connection; the
//! lines before it are delivered and answered first. What stands behind the last line feed when the
//! client ends is dropped, as Flume does, and logged.
//!
//! # Where this differs from Flume, on purpose
//! * With acks off, a full channel makes the sender wait: the source stops reading and TCP holds the
//!   sender back. Flume drops the line.
//! * A read's lines go into the channels together and not one transaction each. When the channels
//!   refuse some, that line and all behind it in the same read are answered `FAILED`.
//! * A line that the channels can never take (larger than a channel) ends a connection without acks
//!   with `FAILED: <why>\n` instead of being dropped.
//! * In UTF-8 and US-ASCII bodies are the bytes that came; malformed ones are not replaced.
//!
//! # Reload
//! The listening socket and the connections are handed to the successor. It finds each connection at
//! a batch border: no line is lost or doubled, and `max-line-length` and `ack-every-event` hold from
//! the next batch on. A changed `encoding` holds for new connections. With another address the new
//! one is bound first; connections of the old one go on.
//!
//! # Memory
//! A read goes into a pooled buffer of 256 KiB that becomes the batch itself and
//! comes back to the pool when its last event is gone; a read that fills only a small part of it is
//! copied out. At most 256 connections hold a read at a time. A connection
//! that waits for bytes holds its unfinished line and nothing else.

mod bind;
mod buffer;
mod connection;
mod cut;
mod reply;
mod server;
#[cfg(test)]
mod tests;
mod wire;

use flumen_codec::charset::Charset;
use flumen_core::Fault;
use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Integer, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};
use flumen_core::settings::Settings;
use flumen_core::source::SourceInstance;

use server::NetcatSource;

/// Characters of a line that can be asked for. At three bytes a character the longest line stays
/// below what one batch may hold.
const LINE_CHARACTERS_MAX: i64 = 1 << 28;

/// The row of the `netcat` source.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "netcat",
    aliases: &["org.apache.flume.source.NetcatSource"],
    doc: "Receives lines of text over TCP, one event a line, and answers each with OK.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "bind",
            Text,
            Required,
            "Address or host name to listen on; 0.0.0.0 for all addresses of the host.",
        ),
        OptionRow::new(
            "port",
            Integer { min: 0, max: 65535 },
            Required,
            "TCP port to listen on; 0 lets the system choose one.",
        )
        .unit(Unit::Port),
        OptionRow::new(
            "max-line-length",
            Integer {
                min: 1,
                max: LINE_CHARACTERS_MAX,
            },
            Is("512"),
            "Most characters of a line, line feed included. A longer line ends its connection.",
        )
        .unit(Unit::Characters),
        OptionRow::new(
            "ack-every-event",
            Boolean,
            Is("true"),
            "Whether each line is answered with OK once it is in the channels, or FAILED and why.",
        ),
        OptionRow::new(
            "encoding",
            Text,
            Is("utf-8"),
            "Character set of lines and answers. Bodies are always UTF-8.",
        ),
        OptionRow::new(
            "batch-size",
            Integer {
                min: 1,
                max: i64::MAX,
            },
            Absent,
            "Accepted because Flume accepts it.",
        )
        .unit(Unit::Events)
        .no_effect("Flume reads it and does nothing with it; a batch is what one read brings."),
    ],
};

/// The settings, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    bind: String,
    port: u16,
    line_characters_max: usize,
    ack_every_event: bool,
    charset: Charset,
}

impl Options {
    fn read(settings: &Settings) -> Result<Self, Fault> {
        let encoding = settings.text("encoding")?;
        let charset = Charset::for_name(encoding).ok_or_else(|| {
            Fault::configuration(format!(
                "option encoding names no character set that is known: {encoding:?}; try utf-8"
            ))
        })?;
        Ok(Self {
            bind: settings.text("bind")?.to_owned(),
            port: settings.number("port")?,
            line_characters_max: settings.number("max-line-length")?,
            ack_every_event: settings.boolean("ack-every-event")?,
            charset,
        })
    }
}

/// Makes a `netcat` source. Opens nothing.
///
/// # Errors
/// A configuration fault that names the option.
pub fn build(settings: &Settings) -> Result<SourceInstance, Fault> {
    let options = Options::read(settings)?;
    Ok(SourceInstance::EventDriven(Box::new(NetcatSource::new(
        options,
    ))))
}
