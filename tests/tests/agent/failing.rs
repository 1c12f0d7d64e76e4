//! A component that fails is tried again with a growing pause and shows its state; the others run.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;
use flumen_tests::agent::AgentBuilder;
use flumen_tests::client::Client;
use flumen_tests::ports;
use flumen_tests::wait::PATIENCE;

use crate::flow::{Flow, contents, properties, wait_for_state};

/// A flow beside `r1`, `c1`, `k1`: source `r2` into `c2` and the null sink `k2`.
fn beside(flow: &Flow, source: &str) -> String {
    let lists = "a1.sources = r1 r2\na1.channels = c1 c2\na1.sinks = k1 k2\n";
    let own = flow.text();
    let (_, components) = own.split_once("a1.sinks = k1\n").unwrap();
    [
        lists,
        components,
        &properties("a1.sources.r2", source),
        "a1.sources.r2.channels = c2\na1.channels.c2.type = memory\n",
        "a1.sinks.k2.type = null\na1.sinks.k2.channel = c2\n",
    ]
    .concat()
}

#[test]
fn a_port_that_is_taken_is_tried_again_until_it_is_free() -> Result<()> {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free_port()?))?;
    let taken = held.local_addr()?.port();
    let flow = Flow::to_logger(ports::free_port()?);
    let text = beside(
        &flow,
        &format!("type = netcat\nbind = 127.0.0.1\nport = {taken}"),
    );
    let mut agent = AgentBuilder::new(text).with_metrics().start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    assert_eq!(Client::connect(flow.port)?.ask("the other runs")?, "OK");
    wait_for_state(&agent, "source", "r2", "retrying")?;
    wait_for_state(&agent, "source", "r1", "running")?;
    let said = agent.output().wait_for("r2", PATIENCE)?.text;
    assert!(said.contains(&taken.to_string()), "{said}");
    drop(held);
    wait_for_state(&agent, "source", "r2", "running")?;
    assert_eq!(Client::connect(taken)?.ask("at last")?, "OK");
    Ok(())
}

#[test]
fn a_missing_folder_is_named_and_used_as_soon_as_it_is_there() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("later");
    let flow = Flow::to_files(ports::free_port()?, &folder);
    let mut agent = AgentBuilder::new(flow.text()).with_metrics().start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    assert_eq!(Client::connect(flow.port)?.ask("early")?, "OK");
    wait_for_state(&agent, "sink", "k1", "retrying")?;
    wait_for_state(&agent, "source", "r1", "running")?;
    let place = folder.display().to_string();
    agent.output().wait_for(&place, PATIENCE)?;
    fs::create_dir(&folder)?;
    wait_for_state(&agent, "sink", "k1", "running")?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 1, PATIENCE)?;
    assert_eq!(contents(&folder)?, b"early\n");
    Ok(())
}

#[test]
fn a_command_that_does_not_exist_is_named_and_the_others_run() -> Result<()> {
    let flow = Flow::to_logger(ports::free_port()?);
    let text = beside(
        &flow,
        "type = exec\ncommand = /nowhere/no-such-command --option",
    );
    let mut agent = AgentBuilder::new(text).with_metrics().start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    wait_for_state(&agent, "source", "r2", "retrying")?;
    agent
        .output()
        .wait_for("/nowhere/no-such-command", PATIENCE)?;
    assert_eq!(Client::connect(flow.port)?.ask("the other runs")?, "OK");
    Ok(())
}

#[test]
fn a_command_that_dies_is_started_again() -> Result<()> {
    let flow = Flow::to_logger(ports::free_port()?);
    let source = "type = exec\nshell = /bin/sh -c\ncommand = echo tick; exit 3\n\
                  restart = true\nrestartThrottle = 1";
    let agent = AgentBuilder::new(beside(&flow, source))
        .with_metrics()
        .start()?;
    agent.wait_for_count("SOURCE.r2", "EventAcceptedCount", 5, PATIENCE)?;
    wait_for_state(&agent, "source", "r2", "running")?;
    agent.output().wait_for("3", PATIENCE)?;
    Ok(())
}

#[test]
fn a_command_that_ends_is_said_to_have_finished() -> Result<()> {
    let flow = Flow::to_logger(ports::free_port()?);
    let text = beside(&flow, "type = exec\ncommand = echo once");
    let agent = AgentBuilder::new(text).with_metrics().start()?;
    wait_for_state(&agent, "source", "r2", "finished")?;
    agent.wait_for_count("SINK.k2", "EventDrainSuccessCount", 1, PATIENCE)?;
    Ok(())
}
