//! The file channel of a whole agent: what a client was told is in it is delivered, whatever
//! happens to the agent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::lines::{LineCheck, line_number};
use flumen_tests::ports;
use flumen_tests::sender::NumberedSender;
use flumen_tests::wait::PATIENCE;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::flow::{contents, properties};

/// Lives that end with a kill.
const KILLS: u64 = 5;

/// Lines that are acknowledged in a life before its kill.
const LINES: u64 = 3000;

struct Rig {
    parent: TempDir,
    port: u16,
}

impl Rig {
    fn new() -> Result<Self> {
        Ok(Self {
            parent: tempfile::tempdir()?,
            port: ports::free_port()?,
        })
    }

    fn output(&self) -> PathBuf {
        self.parent.path().join("output")
    }

    /// Lines over a file channel with small segments, into files or nowhere.
    fn config(&self, channel: &str, with_sink: bool) -> Result<String> {
        let source = format!(
            "type = netcat\nbind = 127.0.0.1\nport = {}\nchannels = c1",
            self.port
        );
        let data = self.parent.path().join("data");
        let channel = format!("type = file\ndataDirs = {}\n{channel}", data.display());
        let mut config = "a1.sources = r1\na1.channels = c1\n".to_owned();
        config += &properties("a1.sources.r1", &source);
        config += &properties("a1.channels.c1", &channel);
        if with_sink {
            fs::create_dir_all(self.output())?;
            let sink = format!(
                "type = file_roll\nchannel = c1\nsink.rollInterval = 0\nsink.directory = {}",
                self.output().display()
            );
            config += "a1.sinks = k1\n";
            config += &properties("a1.sinks.k1", &sink);
        }
        Ok(config)
    }

    fn start(&self, with_sink: bool) -> Result<Agent> {
        let config = self.config("maxFileSize = 2097152", with_sink)?;
        let mut agent = AgentBuilder::new(config).with_metrics().start()?;
        agent.wait_until_listening(self.port, PATIENCE)?;
        Ok(agent)
    }
}

fn kill(mut agent: Agent) -> Result<()> {
    agent.signal(Signal::KILL)?;
    agent.wait_exit(PATIENCE)?;
    Ok(())
}

/// Stops the agent once nothing is in the channel, and says that all is delivered.
fn drain(mut agent: Agent) -> Result<()> {
    flumen_tests::wait::wait_for("the channel to be empty", PATIENCE, || {
        let size = agent.metrics()?.count("CHANNEL.c1", "ChannelSize");
        Ok((size == Some(0)).then_some(()))
    })?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    Ok(())
}

fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let bytes = contents(folder)?;
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(line_number).collect())
}

#[test]
fn lines_without_a_sink_outlive_a_kill_in_order_and_once() -> Result<()> {
    let rig = Rig::new()?;
    let agent = rig.start(false)?;
    NumberedSender::connect(rig.port, 0)?.send_acknowledged(LINES)?;
    kill(agent)?;
    drain(rig.start(true)?)?;
    let mut check = LineCheck::new().expect_lane(0, LINES);
    check.folder(&rig.output())?;
    let verdict = check.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
    Ok(())
}

#[test]
fn every_acknowledged_line_is_delivered_over_kills_under_load() -> Result<()> {
    let rig = Rig::new()?;
    for life in 0..KILLS {
        let agent = rig.start(true)?;
        // While its sink delivers.
        NumberedSender::connect(rig.port, life)?.send_acknowledged(LINES)?;
        kill(agent)?;
    }
    drain(rig.start(true)?)?;
    let delivered: BTreeSet<u64> = numbers(&rig.output())?.into_iter().collect();
    // What a kill catches between delivery and its acknowledgement comes twice; nothing is missing.
    assert_eq!(delivered.len() as u64, KILLS * LINES);
    Ok(())
}

#[test]
fn a_stop_leaves_what_no_sink_takes_and_doubles_nothing() -> Result<()> {
    let rig = Rig::new()?;
    for life in 0..3 {
        let mut agent = rig.start(true)?;
        NumberedSender::connect(rig.port, life)?.send_acknowledged(500)?;
        // At once, while the sink is at work.
        agent.terminate()?;
        assert!(agent.wait_exit(PATIENCE)?.success());
    }
    drain(rig.start(true)?)?;
    let mut check = LineCheck::new();
    for life in 0..3 {
        check = check.expect_lane(life, 500);
    }
    check.folder(&rig.output())?;
    let verdict = check.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
    Ok(())
}

#[test]
fn a_folder_belongs_to_one_agent() -> Result<()> {
    let rig = Rig::new()?;
    let first = rig.start(false)?;
    let config = rig.config("", false)?;
    let mut second = AgentBuilder::new(config).start()?;
    assert_eq!(second.wait_exit(PATIENCE)?.code(), Some(1));
    let said = second.output().wait_for("is in use by", PATIENCE)?.text;
    assert!(said.contains("channel c1"), "{said}");
    assert!(said.contains("dataDirs"), "{said}");
    kill(first)
}

#[test]
fn a_reload_changes_what_it_can_and_says_what_takes_a_restart() -> Result<()> {
    let rig = Rig::new()?;
    let agent = rig.start(false)?;
    let mut sender = NumberedSender::connect(rig.port, 0)?;
    sender.send_acknowledged(100)?;
    let grown = rig.config("maxFileSize = 2097152\ncapacity = 777777", false)?;
    agent.replace_config(&grown)?;
    flumen_tests::wait::wait_for("the new capacity", PATIENCE, || {
        let capacity = agent.metrics()?.count("CHANNEL.c1", "ChannelCapacity");
        Ok((capacity == Some(777_777)).then_some(()))
    })?;
    let reopened = rig.config("maxFileSize = 4194304\ncapacity = 777777", false)?;
    agent.replace_config(&reopened)?;
    let said = agent
        .output()
        .wait_for("cannot change while the channel is open", PATIENCE)?;
    assert!(said.text.contains("restart the agent"), "{}", said.text);
    sender.send_acknowledged(100)?;
    let size = agent.metrics()?.count("CHANNEL.c1", "ChannelSize");
    assert_eq!(size, Some(200));
    kill(agent)
}
