//! Both agents on one configuration.

use std::path::Path;

use anyhow::{Context, Result};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::client::Client;
use flumen_tests::flume::{self, START_LIMIT};
use flumen_tests::lines::files_in_order;
use flumen_tests::output::Stream;
use flumen_tests::ports;
use flumen_tests::wait::{PATIENCE, wait_for};
use tempfile::TempDir;

/// What the two configurations do not share: their ports, and a folder.
pub(crate) struct Place {
    pub(crate) ports: Vec<u16>,
    folder: TempDir,
}

impl Place {
    fn new(ports: usize) -> Result<Self> {
        Ok(Self {
            ports: (0..ports)
                .map(|_| ports::free_port())
                .collect::<Result<_>>()?,
            folder: tempfile::tempdir()?,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// One of the two.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) agent: Agent,
    pub(crate) place: Place,
}

/// Starts both on the configuration, which is told the place of each. Every port has to be that of
/// a netcat source; both agents listen on all of them on return. The real Flume comes first.
pub(crate) fn start(ports: usize, config: impl Fn(&Place) -> String) -> Result<[Side; 2]> {
    let builder = |place: &Place| AgentBuilder::new(config(place)).with_metrics();
    let place = Place::new(ports)?;
    let real = Side {
        name: "the real Flume",
        agent: flume::instead(builder(&place))?.start()?,
        place,
    };
    let place = Place::new(ports)?;
    let own = Side {
        name: "flumen",
        agent: builder(&place).start()?,
        place,
    };
    let mut sides = [real, own];
    for side in &mut sides {
        for port in side.place.ports.clone() {
            side.agent
                .wait_until_listening(port, START_LIMIT)
                .context(side.name)?;
        }
    }
    Ok(sides)
}

/// Does the same with both and compares what comes of it. Returns what both gave.
pub(crate) fn compare<T: PartialEq + std::fmt::Debug>(
    sides: &[Side; 2],
    what: &str,
    observe: impl Fn(&Side) -> Result<T>,
) -> Result<T> {
    let [real, own] = sides;
    let expected = observe(real).with_context(|| format!("{what}, {}", real.name))?;
    let found = observe(own).with_context(|| format!("{what}, {}", own.name))?;
    assert_eq!(
        expected, found,
        "{what}: left is the real Flume, right is flumen"
    );
    Ok(found)
}

impl Side {
    pub(crate) fn client(&self, source: usize) -> Result<Client> {
        Client::connect(self.place.ports[source])
    }

    /// Sends bytes, ends the sending, and returns every answer.
    pub(crate) fn tell(&self, source: usize, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut client = self.client(source)?;
        client.send(bytes)?;
        client.finish()
    }

    /// What the logger sink has printed, from `Event:` on, when there are so many events.
    pub(crate) fn logged(&self, events: usize) -> Result<Vec<String>> {
        const BEGIN: &str = "Event: {";
        wait_for(&format!("{events} events in the log"), PATIENCE, || {
            Ok((self.agent.output().count(BEGIN) >= events).then_some(()))
        })
        .with_context(|| self.agent.output().tail())?;
        let lines = self.agent.output().lines(Stream::Err);
        let events = lines.iter().filter_map(|line| {
            let begin = line.find(BEGIN)?;
            line.get(begin..).map(str::to_owned)
        });
        Ok(events.collect())
    }

    /// The names and contents of the files below the side's folder, when they hold so many bytes.
    pub(crate) fn files(&self, folder: &str, bytes: usize) -> Result<Vec<(String, Vec<u8>)>> {
        let folder = self.place.folder().join(folder);
        let what = format!("{bytes} bytes in {}", folder.display());
        wait_for(&what, PATIENCE, || {
            let mut files = Vec::new();
            for path in files_in_order(&folder)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                files.push((without_time(&name), std::fs::read(&path)?));
            }
            let found: usize = files.iter().map(|(_, contents)| contents.len()).sum();
            Ok((found >= bytes).then_some(files))
        })
    }
}

/// Replaces each number of 13 or 14 digits, a time in milliseconds or a date, by its length.
pub(crate) fn without_time(text: &str) -> String {
    let mut result = String::new();
    let mut digits = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        match digits.len() {
            13 | 14 => result.push_str(&format!("<{}>", digits.len())),
            _ => result.push_str(&digits),
        }
        digits.clear();
        result.push(letter);
    }
    result.pop();
    result
}

#[test]
fn only_times_are_replaced() {
    assert_eq!(without_time("p-1700000000000-12.log"), "p-<13>-12.log");
    assert_eq!(without_time("20260101000000-1"), "<14>-1");
    assert_eq!(without_time("123 1234567890123456"), "123 1234567890123456");
}
