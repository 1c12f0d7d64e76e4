//! The configuration of one flow, netcat to one sink, and what the modules ask of it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use flumen_tests::agent::Agent;
use flumen_tests::http;
use flumen_tests::lines::files_in_order;
use flumen_tests::wait::{METRICS_PAUSE, PATIENCE, wait_for_every};

/// Agent `a1`: netcat source `r1`, memory channel `c1`, sink `k1`. The fields hold further
/// properties, one a line, without the name of the component before them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
    pub(crate) port: u16,
    pub(crate) source: String,
    pub(crate) channel: String,
    pub(crate) sink: String,
}

impl Flow {
    pub(crate) fn to_logger(port: u16) -> Self {
        Self {
            port,
            sink: "type = logger".to_owned(),
            ..Self::default()
        }
    }

    /// Into files that are not rolled, so that there is one for each life of the sink.
    pub(crate) fn to_files(port: u16, folder: &Path) -> Self {
        Self {
            port,
            sink: format!(
                "type = file_roll\nsink.directory = {}\nsink.rollInterval = 0",
                folder.display()
            ),
            ..Self::default()
        }
    }

    pub(crate) fn text(&self) -> String {
        let source = format!(
            "type = netcat\nbind = 127.0.0.1\nport = {}\nchannels = c1\n{}",
            self.port, self.source
        );
        let channel = format!("type = memory\n{}", self.channel);
        let sink = format!("channel = c1\n{}", self.sink);
        [
            "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n".to_owned(),
            properties("a1.sources.r1", &source),
            properties("a1.channels.c1", &channel),
            properties("a1.sinks.k1", &sink),
        ]
        .concat()
    }
}

/// Puts the name of a component before each property.
pub(crate) fn properties(component: &str, lines: &str) -> String {
    let named = lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| format!("{component}.{line}\n"));
    named.collect()
}

/// The contents of all files of a folder, in the order in which a sink made them.
pub(crate) fn contents(folder: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for file in files_in_order(folder)? {
        bytes.extend(fs::read(file)?);
    }
    Ok(bytes)
}

/// Waits until Prometheus is told that a component is in a state.
pub(crate) fn wait_for_state(
    agent: &Agent,
    kind: &str,
    component: &str,
    state: &str,
) -> Result<()> {
    let port = agent.metrics_port()?;
    let wanted = format!("component=\"{component}\"");
    let state = format!("state=\"{state}\"");
    let kind = format!("kind=\"{kind}\"");
    let what = format!("{kind} {wanted} to have the {state}");
    let mut last = String::new();
    let waited = wait_for_every(METRICS_PAUSE, &what, PATIENCE, || {
        // An agent that is just starting does not answer yet.
        let page = match http::get(port, "/metrics/prometheus") {
            Ok(reply) => reply.body,
            Err(error) => error.to_string(),
        };
        let shown = page.lines().any(|line| {
            line.starts_with("flumen_component_state{")
                && [&wanted, &state, &kind]
                    .iter()
                    .all(|part| line.contains(*part))
                && line.ends_with(" 1")
        });
        last = page;
        Ok(shown.then_some(()))
    });
    let states = || {
        let lines = last.lines().filter(|line| line.contains("state"));
        lines.collect::<Vec<_>>().join("\n")
    };
    waited.map_err(|error| error.context(format!("{}\n{}", states(), agent.output().tail())))
}
