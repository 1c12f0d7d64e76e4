//! States and events in one frame: durable channels under kill -9, with guests whose positions and
//! memories must agree with what is in the channels.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use flumen_tests::agent::Agent;
use flumen_tests::ports;
use flumen_tests::wait::PATIENCE;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::flow::{contents, properties};
use crate::guests::{agent, example, say};

/// Lives that end with a kill.
const KILLS: u64 = 8;

/// Events of a life before its kill, at least.
const EVENTS: u64 = 60;

struct Rig {
    parent: TempDir,
    channels: Vec<&'static str>,
}

impl Rig {
    fn new(channels: &[&'static str]) -> Result<Self> {
        Ok(Self {
            parent: tempfile::tempdir()?,
            channels: channels.to_vec(),
        })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    /// One source into all channels, each a file channel; with sinks, each into files of its own.
    fn config(&self, source: &str, with_sinks: bool) -> Result<String> {
        let all = self.channels.join(" ");
        let mut config = format!("a1.sources = r1\na1.channels = {all}\n");
        config += &properties("a1.sources.r1", &format!("{source}\nchannels = {all}"));
        for channel in &self.channels {
            let data = self.folder(channel);
            let text = format!(
                "type = file\nmaxFileSize = 2097152\ndataDirs = {}",
                data.display()
            );
            config += &properties(&format!("a1.channels.{channel}"), &text);
        }
        if with_sinks {
            let sinks: Vec<_> = self.channels.iter().map(|own| format!("k-{own}")).collect();
            config += &format!("a1.sinks = {}\n", sinks.join(" "));
            for channel in &self.channels {
                let output = self.folder(&format!("{channel}-output"));
                fs::create_dir_all(&output)?;
                let text = format!(
                    "type = file_roll\nchannel = {channel}\nsink.rollInterval = 0\nsink.directory = {}",
                    output.display()
                );
                config += &properties(&format!("a1.sinks.k-{channel}"), &text);
            }
        }
        Ok(config)
    }

    fn start(&self, source: &str, with_sinks: bool) -> Result<Agent> {
        let builder = agent(&self.config(source, with_sinks)?);
        builder.state_folder(self.folder("state")).start()
    }

    fn output(&self, channel: &str) -> Result<String> {
        let bytes = contents(&self.folder(&format!("{channel}-output")))?;
        Ok(String::from_utf8(bytes)?)
    }
}

fn kill(mut agent: Agent) -> Result<()> {
    agent.signal(Signal::KILL)?;
    agent.wait_exit(PATIENCE)?;
    Ok(())
}

fn ticker(limit: u64) -> String {
    format!(
        "type = wasm\ncomponent = {}\nconfig.interval_ms = 0\nconfig.limit = {limit}",
        example("ticker").display()
    )
}

/// Counts into the channels, is killed again and again, and is then delivered: every number is in
/// every channel once, in order.
fn counts_once_through_kills(channels: &[&'static str]) -> Result<()> {
    let rig = Rig::new(channels)?;
    let last = channels.last().unwrap();
    for _ in 0..KILLS {
        let agent = rig.start(&ticker(u64::MAX), false)?;
        let channel = format!("CHANNEL.{last}");
        agent.wait_for_count(&channel, "EventPutSuccessCount", EVENTS, PATIENCE)?;
        kill(agent)?;
    }
    // With a limit that is reached already nothing more comes.
    let mut agent = rig.start(&ticker(1), true)?;
    let mut totals = Vec::new();
    for channel in channels {
        let sink = format!("SINK.k-{channel}");
        agent.wait_for_count(&sink, "EventDrainSuccessCount", KILLS * EVENTS, PATIENCE)?;
        let page = format!("CHANNEL.{channel}");
        flumen_tests::wait::wait_for("the channel to be empty", PATIENCE, || {
            let size = agent.metrics()?.count(&page, "ChannelSize");
            Ok((size == Some(0)).then_some(()))
        })?;
        totals.push(rig.output(channel)?.lines().count());
    }
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    for channel in channels {
        let numbers: Vec<u64> = rig
            .output(channel)?
            .lines()
            .map(|line| line.strip_prefix("tick ").unwrap().parse().unwrap())
            .collect();
        let first_wrong = numbers.iter().zip(1..).find(|(own, due)| **own != *due);
        assert_eq!(first_wrong, None, "channel {channel}: lost or doubled");
    }
    assert!(totals.iter().all(|total| *total == totals[0]), "{totals:?}");
    Ok(())
}

#[test]
fn a_position_and_its_events_agree_after_any_kill() -> Result<()> {
    counts_once_through_kills(&["c1"])
}

#[test]
fn two_durable_channels_have_the_same_events_once_after_any_kill() -> Result<()> {
    counts_once_through_kills(&["c1", "c2"])
}

#[test]
fn what_an_interceptor_remembers_is_there_when_its_events_are() -> Result<()> {
    let rig = Rig::new(&["c1"])?;
    let port = ports::free_port()?;
    let source = format!(
        "type = netcat\nbind = 127.0.0.1\nport = {port}\ninterceptors = i1\n\
         interceptors.i1.type = wasm\ninterceptors.i1.component = {}",
        example("dedup").display()
    );
    for line in ["a", "b", "c", "a", "b", "c"] {
        let mut agent = rig.start(&source, false)?;
        agent.wait_until_listening(port, PATIENCE)?;
        // What is acknowledged is in the channel, and remembered, whatever the state folder knows.
        say(port, &format!("{line}\n"))?;
        kill(agent)?;
    }
    let agent = rig.start(&source, true)?;
    agent.wait_for_count("SINK.k-c1", "EventDrainSuccessCount", 3, PATIENCE)?;
    kill(agent)?;
    assert_eq!(rig.output("c1")?, "a\nb\nc\n");
    Ok(())
}
