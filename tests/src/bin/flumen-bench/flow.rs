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
            second_sink: false,
        }
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
        if self.filter {
            line("sources.r1.interceptors", "i1");
            line("sources.r1.interceptors.i1.type", "regex_filter");
            line("sources.r1.interceptors.i1.regex", FILTER_WORD);
            line("sources.r1.interceptors.i1.excludeEvents", "true");
        } else if self.timestamp {
            line("sources.r1.interceptors", "i1");
            line("sources.r1.interceptors.i1.type", "timestamp");
        }
        for channel in channels.split(' ') {
            line(&format!("channels.{channel}.type"), "memory");
            line(&format!("channels.{channel}.capacity"), "100000");
            line(&format!("channels.{channel}.transactionCapacity"), "10000");
            line(&format!("channels.{channel}.byteCapacity"), "16777216");
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
                line("sinks.k1.sink.rollInterval", "0");
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
        let plain = Flow::new(4, Sink::Null).properties();
        assert!(!plain.contains("c2") && !plain.contains("k2") && !plain.contains("i1"));
    }
}
