//! The flows under measurement, as Flume's properties.

use std::fmt::Write;
use std::path::Path;

use flumen_tests::lines::FILTER_WORD;

/// What a flow's sink does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sink<'paths> {
    /// Forgets the events.
    Null,
    /// Writes them to one file in the folder.
    FileRoll(&'paths Path),
    /// Hands them to a component.
    Guest(Guest<'paths>),
}

/// A component and its settings, each a key below the component's name and a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guest<'paths> {
    pub(crate) component: &'paths Path,
    pub(crate) settings: &'paths [(&'paths str, &'paths str)],
}

/// One netcat source, one memory channel, one sink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow<'paths> {
    pub(crate) port: u16,
    pub(crate) acknowledge: bool,
    pub(crate) sink: Sink<'paths>,
    /// Drop the lines with [`FILTER_WORD`].
    pub(crate) filter: bool,
    /// Add the header of the timestamp interceptor.
    pub(crate) timestamp: bool,
    /// Hand all events to a component, so many times one after the other.
    pub(crate) guest: Option<(Guest<'paths>, usize)>,
    /// Seconds after which file_roll begins a new file; 0: never.
    pub(crate) roll_interval_s: u32,
    /// Keep the events in a file channel in this folder instead of in memory.
    pub(crate) durable: Option<&'paths Path>,
    /// Replicate into a second memory channel `c2` with a null sink `k2`.
    pub(crate) second_sink: bool,
}

impl<'paths> Flow<'paths> {
    /// A flow without acknowledgements and interceptors.
    pub(crate) fn new(port: u16, sink: Sink<'paths>) -> Self {
        Self {
            port,
            acknowledge: false,
            sink,
            filter: false,
            timestamp: false,
            guest: None,
            roll_interval_s: 0,
            durable: None,
            second_sink: false,
        }
    }

    /// Whether a component takes part.
    pub(crate) fn has_guest(&self) -> bool {
        self.guest.is_some() || matches!(self.sink, Sink::Guest(_))
    }

    /// The names, types and options of the interceptors, below their source.
    fn interceptors(&self) -> Vec<(String, String)> {
        let mut names = Vec::new();
        let mut lines = Vec::new();
        let mut add = |options: &[(&str, &str)]| {
            let name = format!("i{}", names.len() + 1);
            for (key, value) in options {
                lines.push((format!("interceptors.{name}.{key}"), (*value).to_owned()));
            }
            names.push(name);
        };
        if self.filter {
            let regex = ("regex", FILTER_WORD);
            add(&[("type", "regex_filter"), regex, ("excludeEvents", "true")]);
        }
        if self.timestamp {
            add(&[("type", "timestamp")]);
        }
        if let Some((guest, copies)) = &self.guest {
            let component = guest.component.display().to_string();
            let mut options = vec![("type", "wasm"), ("component", component.as_str())];
            options.extend_from_slice(guest.settings);
            (0..*copies).for_each(|_| add(&options));
        }
        if !names.is_empty() {
            lines.push(("interceptors".to_owned(), names.join(" ")));
        }
        lines
    }

    /// The configuration file.
    pub(crate) fn properties(&self) -> String {
        let mut text = String::new();
        let both = if self.second_sink {
            ["c1 c2", "k1 k2"]
        } else {
            ["c1", "k1"]
        };
        let [channels, sinks] = both;
        let mut line = |key: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "a1.{key} = {value}");
        };
        line("sources", "r1");
        line("channels", channels);
        line("sinks", sinks);
        line("sources.r1.type", "netcat");
        line("sources.r1.bind", "127.0.0.1");
        line("sources.r1.port", &self.port.to_string());
        line(
            "sources.r1.ack-every-event",
            if self.acknowledge { "true" } else { "false" },
        );
        line("sources.r1.max-line-length", "512");
        line("sources.r1.channels", channels);
        for (key, value) in self.interceptors() {
            line(&format!("sources.r1.{key}"), &value);
        }
        for channel in channels.split(' ') {
            line(&format!("channels.{channel}.capacity"), "100000");
            line(&format!("channels.{channel}.transactionCapacity"), "10000");
            match self.durable {
                None => {
                    line(&format!("channels.{channel}.type"), "memory");
                    line(&format!("channels.{channel}.byteCapacity"), "16777216");
                }
                Some(folder) => {
                    line(&format!("channels.{channel}.type"), "file");
                    let folder = folder.join(channel).display().to_string();
                    line(&format!("channels.{channel}.dataDirs"), &folder);
                }
            }
        }
        line("sinks.k1.channel", "c1");
        match self.sink {
            Sink::Null => {
                line("sinks.k1.type", "null");
                line("sinks.k1.batchSize", "10000");
            }
            Sink::FileRoll(folder) => {
                line("sinks.k1.type", "file_roll");
                line("sinks.k1.sink.directory", &folder.display().to_string());
                line("sinks.k1.sink.batchSize", "10000");
                let interval = self.roll_interval_s.to_string();
                line("sinks.k1.sink.rollInterval", &interval);
            }
            Sink::Guest(guest) => {
                line("sinks.k1.type", "wasm");
                line("sinks.k1.component", &guest.component.display().to_string());
                for (key, value) in guest.settings {
                    line(&format!("sinks.k1.{key}"), value);
                }
            }
        }
        if self.second_sink {
            line("sinks.k2.type", "null");
            line("sinks.k2.batchSize", "10000");
            line("sinks.k2.channel", "c2");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_that_is_named_is_described_and_the_other_way_round() {
        let folder = Path::new("/data");
        let flow = Flow {
            second_sink: true,
            timestamp: true,
            ..Flow::new(4, Sink::FileRoll(folder))
        };
        let text = flow.properties();
        assert!(text.contains("a1.sources.r1.channels = c1 c2\n"));
        assert!(text.contains("a1.channels.c2.type = memory\n"));
        assert!(text.contains("a1.sinks.k2.channel = c2\n"));
        assert!(text.contains("a1.sinks.k1.sink.directory = /data\n"));
        assert!(text.contains("a1.sources.r1.interceptors.i1.type = timestamp\n"));
        let guest = Guest {
            component: folder,
            settings: &[("config.a", "b")],
        };
        let flow = Flow {
            guest: Some((guest, 2)),
            ..Flow::new(4, Sink::Guest(guest))
        };
        let text = flow.properties();
        assert!(text.contains("a1.sources.r1.interceptors = i1 i2\n"));
        assert!(text.contains("a1.sources.r1.interceptors.i2.component = /data\n"));
        assert!(text.contains("a1.sinks.k1.config.a = b\n"));
        let plain = Flow::new(4, Sink::Null).properties();
        assert!(!plain.contains("c2") && !plain.contains("k2") && !plain.contains("i1"));
    }
}
