//! Guests through the whole agent: the examples of the SDK as source, interceptor and sink, named in
//! Flume's dialect, and changed while lines flow.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;

use anyhow::Result;
use flumen_tests::agent::AgentBuilder;
use flumen_tests::guests;
use flumen_tests::lines::LineCheck;
use flumen_tests::ports;
use flumen_tests::sender::{NumberedSender, read_acknowledgement};
use flumen_tests::wait::PATIENCE;

use crate::flow::{Flow, contents};

/// Changes of the interceptor under load.
const CHANGES: u64 = 20;

/// Lines between two changes.
const LINES: u64 = 200;

/// The file of an example, built when the first test asks for one.
pub(crate) fn example(name: &str) -> PathBuf {
    guests::example(name).unwrap()
}

fn dropping(flow: &Flow, word: &str) -> String {
    let lines = format!(
        "interceptors = i1\ninterceptors.i1.type = wasm\ninterceptors.i1.component = {}\n\
         interceptors.i1.config.word = {word}",
        example("drop_debug").display()
    );
    let mut flow = flow.clone();
    flow.source.push_str(&lines);
    flow.text()
}

/// An agent with metrics that keeps compiled components where all runs find them.
pub(crate) fn agent(config: &str) -> AgentBuilder {
    let cache = guests::compiled_folder().unwrap();
    AgentBuilder::new(config)
        .with_metrics()
        .argument(format!("-Dflumen.cacheFolder={}", cache.display()))
}

/// Sends these lines and waits until each is acknowledged.
pub(crate) fn say(port: u16, lines: &str) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(lines.as_bytes())?;
    for _ in lines.lines() {
        read_acknowledgement(&mut stream)?;
    }
    Ok(())
}

#[test]
fn a_guest_is_changed_while_lines_flow_and_none_is_lost() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let flow = Flow::to_files(port, folder.path());
    let mut agent = agent(&dropping(&flow, "no-such-word-0")).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    let mut sender = NumberedSender::connect(port, 0)?;
    for change in 1..=CHANGES {
        sender.send(LINES)?;
        let position = agent.output().position();
        // Between guests, and to no guest at all and back.
        let text = match change % 4 {
            0 => flow.text(),
            _ => dropping(&flow, &format!("no-such-word-{change}")),
        };
        agent.replace_config(&text)?;
        agent
            .output()
            .wait_for_after(position, "configuration reloaded", PATIENCE)?;
        let mut answers = sender.stream();
        for _ in 0..LINES {
            read_acknowledgement(&mut answers)?;
        }
    }
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    let mut check = LineCheck::new().expect_lane(0, sender.sent());
    check.folder(folder.path())?;
    let verdict = check.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
    Ok(())
}

#[test]
fn a_guest_source_feeds_a_guest_sink() -> Result<()> {
    let config = format!(
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
         a1.sources.r1.type = wasm\na1.sources.r1.component = {}\na1.sources.r1.channels = c1\n\
         a1.sources.r1.config.interval_ms = 1\na1.sources.r1.config.limit = 50\n\
         a1.channels.c1.type = memory\n\
         a1.sinks.k1.type = wasm\na1.sinks.k1.component = {}\na1.sinks.k1.channel = c1\n",
        example("ticker").display(),
        example("digest").display()
    );
    let mut agent = agent(&config).start()?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 50, PATIENCE)?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    Ok(())
}

#[test]
fn a_component_that_cannot_be_used_changes_nothing_and_says_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let flow = Flow::to_files(port, folder.path());
    let good = dropping(&flow, "DEBUG");
    let mut agent = agent(&good).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    let own = example("drop_debug").display().to_string();
    let damaged = folder.path().join("damaged.wasm");
    std::fs::write(&damaged, b"\0asm but not really")?;
    for (component, reason) in [
        ("nowhere.wasm", "nowhere.wasm"),
        (damaged.to_str().unwrap(), "damaged.wasm"),
        (example("digest").to_str().unwrap(), "sink"),
    ] {
        let position = agent.output().position();
        agent.replace_config(&good.replace(&own, component))?;
        let output = agent.output();
        let said = output.wait_for_after(position, "configuration not reloaded", PATIENCE)?;
        assert!(said.text.contains(reason), "{}", said.text);
    }
    std::fs::remove_file(&damaged)?;
    say(port, "a\nb DEBUG\n")?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 1, PATIENCE)?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    assert_eq!(contents(folder.path())?, b"a\n");
    Ok(())
}
