//! Component files that change by themselves: the new version takes over, whatever way the file was
//! put in its place, and a bad one changes nothing.

use std::fs;
use std::path::Path;

use anyhow::Result;
use flumen_tests::agent::Agent;
use flumen_tests::ports;
use flumen_tests::wait::PATIENCE;

use crate::flow::{Flow, contents};
use crate::guests::{agent, example, say};

/// Changes of a file while its component is at work.
const CHANGES: u64 = 5;

/// What the agent says when a reload is done.
const RELOADED: &str = "configuration reloaded";

/// The same component as another file: a section that says nothing makes the digest another one.
fn version(component: &[u8], number: u64) -> Vec<u8> {
    let payload = format!("\x04note{number:020}");
    let mut bytes = component.to_vec();
    bytes.push(0);
    bytes.push(u8::try_from(payload.len()).unwrap());
    bytes.extend(payload.bytes());
    bytes
}

fn with_interceptor(flow: &Flow, component: &Path) -> String {
    let mut flow = flow.clone();
    flow.source.push_str(&format!(
        "interceptors = i1\ninterceptors.i1.type = wasm\ninterceptors.i1.component = {}",
        component.display()
    ));
    flow.text()
}

/// Does something to a file and waits until the agent has taken it in.
fn and_wait(agent: &Agent, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let position = agent.output().position();
    change()?;
    agent
        .output()
        .wait_for_after(position, RELOADED, PATIENCE)?;
    Ok(())
}

#[test]
fn a_component_file_that_changes_takes_over_whatever_the_way() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let components = tempfile::tempdir()?;
    let file = components.path().join("own.wasm");
    let aside = components.path().join("aside.wasm");
    let (drops, dedups) = (example("drop_debug"), example("dedup"));
    fs::copy(&drops, &file)?;
    let flow = Flow::to_files(port, folder.path());
    let mut agent = agent(&with_interceptor(&flow, &file)).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    say(port, "DEBUG 0\ncopied\n")?;
    and_wait(&agent, || Ok(_ = fs::copy(&dedups, &file)?))?;
    say(port, "DEBUG 1\nDEBUG 1\nrenamed\n")?;
    and_wait(&agent, || {
        fs::copy(&drops, &aside)?;
        Ok(fs::rename(&aside, &file)?)
    })?;
    say(port, "DEBUG 2\nlinked\n")?;
    fs::copy(&dedups, &aside)?;
    and_wait(&agent, || {
        fs::remove_file(&file)?;
        Ok(fs::hard_link(&aside, &file)?)
    })?;
    say(port, "DEBUG 3\nDEBUG 3\npointed at\n")?;
    and_wait(&agent, || {
        fs::remove_file(&file)?;
        Ok(std::os::unix::fs::symlink(&drops, &file)?)
    })?;
    say(port, "DEBUG 4\nend\n")?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    assert_eq!(
        String::from_utf8(contents(folder.path())?)?,
        "copied\nDEBUG 1\nrenamed\nlinked\nDEBUG 3\npointed at\nend\n"
    );
    Ok(())
}

#[test]
fn a_damaged_component_file_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let components = tempfile::tempdir()?;
    let file = components.path().join("own.wasm");
    fs::copy(example("drop_debug"), &file)?;
    let flow = Flow::to_files(port, folder.path());
    let mut agent = agent(&with_interceptor(&flow, &file)).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    let whole = fs::read(&file)?;
    let sink = fs::read(example("digest"))?;
    for bad in [&whole[..whole.len() / 2], b"", &sink] {
        let position = agent.output().position();
        fs::write(&file, bad)?;
        let output = agent.output();
        let said = output.wait_for_after(position, "configuration not reloaded", PATIENCE)?;
        assert!(said.text.contains("own.wasm"), "{}", said.text);
        say(port, "DEBUG\nflows on\n")?;
    }
    and_wait(
        &agent,
        || Ok(fs::copy(example("dedup"), &file).map(|_| ())?),
    )?;
    say(port, "DEBUG\nDEBUG\n")?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    assert_eq!(
        String::from_utf8(contents(folder.path())?)?,
        "flows on\nflows on\nflows on\nDEBUG\n"
    );
    Ok(())
}

#[test]
fn a_source_and_a_sink_are_changed_at_work_and_the_numbers_go_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let components = tempfile::tempdir()?;
    let (source, sink) = (
        components.path().join("source.wasm"),
        components.path().join("sink.wasm"),
    );
    let (ticker, digest) = (fs::read(example("ticker"))?, fs::read(example("digest"))?);
    fs::write(&source, version(&ticker, 0))?;
    fs::write(&sink, version(&digest, 0))?;
    let config = format!(
        "a1.sources = r1\na1.channels = c1 c2\na1.sinks = k1 k2\n\
         a1.sources.r1.type = wasm\na1.sources.r1.component = {}\na1.sources.r1.channels = c1 c2\n\
         a1.sources.r1.config.interval_ms = 1\n\
         a1.channels.c1.type = memory\na1.channels.c2.type = memory\n\
         a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = {}\n\
         a1.sinks.k1.sink.rollInterval = 0\na1.sinks.k1.channel = c1\n\
         a1.sinks.k2.type = wasm\na1.sinks.k2.component = {}\na1.sinks.k2.channel = c2\n",
        source.display(),
        folder.path().display(),
        sink.display()
    );
    let mut agent = agent(&config).start()?;
    for change in 1..=CHANGES {
        agent.wait_for_count("SINK.k2", "EventDrainSuccessCount", change * 5, PATIENCE)?;
        and_wait(&agent, || Ok(fs::write(&source, version(&ticker, change))?))?;
        and_wait(&agent, || Ok(fs::write(&sink, version(&digest, change))?))?;
    }
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    let text = String::from_utf8(contents(folder.path())?)?;
    let numbers: Vec<u64> = text
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    let first = numbers[0];
    let wanted: Vec<u64> = (first..first + numbers.len() as u64).collect();
    assert_eq!(numbers, wanted, "no number is lost and none comes twice");
    assert!(numbers.len() as u64 > CHANGES * 5);
    Ok(())
}

#[test]
fn a_hang_up_looks_at_component_files_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let components = tempfile::tempdir()?;
    let file = components.path().join("own.wasm");
    fs::copy(example("drop_debug"), &file)?;
    let flow = Flow::to_files(port, folder.path());
    let mut agent = agent(&with_interceptor(&flow, &file))
        .argument("--no-reload-conf")
        .start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    fs::copy(example("dedup"), &file)?;
    say(port, "DEBUG\n")?;
    and_wait(&agent, || agent.signal(rustix::process::Signal::HUP))?;
    say(port, "DEBUG\nDEBUG\n")?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    assert_eq!(contents(folder.path())?, b"DEBUG\n");
    Ok(())
}

#[test]
fn built_in_and_guest_follow_one_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let to_files = Flow::to_files(port, folder.path());
    let filtered = |flow: &Flow, interceptor: &str| {
        let mut flow = flow.clone();
        flow.source
            .push_str(&format!("interceptors = i1\ninterceptors.i1.{interceptor}"));
        flow.text()
    };
    let built_in = "type = regex_filter\ninterceptors.i1.regex = DEBUG\n\
                    interceptors.i1.excludeEvents = true";
    let component = example("drop_debug");
    let guest = format!(
        "type = wasm\ninterceptors.i1.component = {}",
        component.display()
    );
    let to_guest = Flow {
        sink: format!("type = wasm\ncomponent = {}", example("digest").display()),
        ..to_files.clone()
    };
    let mut agent = agent(&filtered(&to_files, built_in)).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    say(port, "DEBUG\nfirst\n")?;
    and_wait(&agent, || {
        agent.replace_config(&filtered(&to_files, &guest))
    })?;
    say(port, "DEBUG\nsecond\n")?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 2, PATIENCE)?;
    and_wait(&agent, || {
        agent.replace_config(&filtered(&to_guest, &guest))
    })?;
    say(port, "DEBUG\nthird\nfourth\n")?;
    agent.wait_for_count("GUEST.sinks.k1", "own.events", 2, PATIENCE)?;
    and_wait(&agent, || {
        agent.replace_config(&filtered(&to_files, built_in))
    })?;
    say(port, "DEBUG\nfifth\n")?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    assert_eq!(contents(folder.path())?, b"first\nsecond\nfifth\n");
    Ok(())
}
