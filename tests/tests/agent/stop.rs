//! The end: what was acknowledged is delivered, what cannot be is counted and said.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::lines::LineCheck;
use flumen_tests::ports;
use flumen_tests::sender::{NumberedSender, read_acknowledgement};
use flumen_tests::wait::PATIENCE;
use rustix::process::Signal;

use crate::flow::{Flow, wait_for_state};

/// Less than the drain deadline of 8 s, more than a loaded machine needs for an end at once.
const AT_ONCE: Duration = Duration::from_secs(4);
/// Said when a stop has begun.
const STOPPING: &str = "the agent delivers what its channels hold";

/// An agent whose sink cannot deliver, because its folder is missing, and whose channel holds
/// `lines` acknowledged lines.
fn held_up(folder: &Path, lines: u64) -> Result<Agent> {
    let flow = Flow {
        channel: "capacity = 1000".to_owned(),
        ..Flow::to_files(ports::free_port()?, folder)
    };
    let mut agent = AgentBuilder::new(flow.text()).with_metrics().start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    NumberedSender::connect(flow.port, 0)?.send_acknowledged(lines)?;
    wait_for_state(&agent, "sink", "k1", "retrying")?;
    Ok(agent)
}

#[test]
fn an_idle_agent_ends_at_once_with_0() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT] {
        let flow = Flow::to_logger(ports::free_port()?);
        let mut agent = AgentBuilder::new(flow.text()).start()?;
        agent.wait_until_listening(flow.port, PATIENCE)?;
        let begin = Instant::now();
        agent.signal(signal)?;
        assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(0));
        assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
        agent
            .output()
            .wait_for("all channels are empty", PATIENCE)?;
    }
    Ok(())
}

#[test]
fn what_the_channel_holds_is_delivered_before_the_end() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("later");
    let mut agent = held_up(&folder, 700)?;
    agent.terminate()?;
    agent.output().wait_for(STOPPING, PATIENCE)?;
    fs::create_dir(&folder)?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(0));
    agent
        .output()
        .wait_for("all channels are empty", PATIENCE)?;
    let mut check = LineCheck::new().expect_lane(0, 700);
    check.folder(&folder)?;
    let verdict = check.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
    Ok(())
}

#[test]
fn lines_on_their_way_are_delivered_or_not_acknowledged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flow = Flow::to_files(ports::free_port()?, folder.path());
    let mut agent = AgentBuilder::new(flow.text()).start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    let mut sender = NumberedSender::connect(flow.port, 0)?;
    let mut answers = sender.stream().try_clone()?;
    let lines = 20_000;
    // The agent may close before it has taken all.
    let sending = thread::spawn(move || sender.send(lines));
    let mut acknowledged = 0;
    while read_acknowledgement(&mut answers).is_ok() {
        acknowledged += 1;
        if acknowledged == 1000 {
            agent.terminate()?;
        }
    }
    let _ = sending.join().unwrap();
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(0));
    let mut check = LineCheck::new().expect_lane(0, lines);
    check.folder(folder.path())?;
    let verdict = check.finish();
    let arrived = lines - verdict.lost;
    assert_eq!(
        verdict.doubled + verdict.disordered + verdict.strange,
        0,
        "{verdict:?}"
    );
    assert!(
        arrived >= acknowledged,
        "{arrived} of {acknowledged} acknowledged"
    );
    Ok(())
}

#[test]
fn a_second_signal_ends_it_at_once() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let mut agent = held_up(&parent.path().join("never"), 10)?;
    agent.terminate()?;
    agent.output().wait_for(STOPPING, PATIENCE)?;
    let begin = Instant::now();
    agent.terminate()?;
    let status = agent.wait_exit(PATIENCE)?;
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
    assert_eq!(status.code(), Some(143), "{status}");
    Ok(())
}

#[test]
fn what_is_left_at_the_deadline_is_counted() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let flow = Flow::to_files(ports::free_port()?, &parent.path().join("never"));
    let builder = AgentBuilder::new(flow.text()).with_metrics();
    let mut agent = builder.argument("-Dflumen.drainDeadlineMs=500").start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    NumberedSender::connect(flow.port, 0)?.send_acknowledged(17)?;
    agent.terminate()?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(0));
    let line = agent.output().wait_for("still held events", PATIENCE)?.text;
    assert!(line.contains("c1") && line.contains("17"), "{line}");
    Ok(())
}

#[test]
fn a_channel_without_a_sink_does_not_hold_up_the_end_and_is_counted() -> Result<()> {
    let port = ports::free_port()?;
    let text = format!(
        "a1.sources = r1\na1.channels = c1\na1.sources.r1.type = netcat\n\
         a1.sources.r1.bind = 127.0.0.1\na1.sources.r1.port = {port}\na1.sources.r1.channels = c1\n\
         a1.channels.c1.type = memory\n"
    );
    let mut agent = AgentBuilder::new(text).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    NumberedSender::connect(port, 0)?.send_acknowledged(5)?;
    let begin = Instant::now();
    agent.terminate()?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(0));
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
    let line = agent.output().wait_for("still held events", PATIENCE)?.text;
    assert!(line.contains("c1") && line.contains('5'), "{line}");
    Ok(())
}
