//! Guests that cannot stand some events, and new versions of components that fail at once, through
//! the whole agent.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use anyhow::{Result, ensure};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::output::Stream;
use flumen_tests::sender::read_acknowledgement;
use flumen_tests::wait::{PATIENCE, wait_for};
use flumen_tests::{guests, ports};

use crate::flow::{Flow, contents, properties, wait_for_state};

fn agent(config: &str) -> Result<AgentBuilder> {
    let cache = guests::compiled_folder()?;
    let agent = AgentBuilder::new(config).with_metrics();
    Ok(agent.argument(format!("-Dflumen.cacheFolder={}", cache.display())))
}

/// A flow with a channel `dead` beside it, which sink `k2` empties into the agent's output with all
/// headers.
fn with_dead_letters(flow: &Flow) -> String {
    let text = flow.text();
    let text = text.replace("a1.channels = c1", "a1.channels = c1 dead");
    let text = text.replace("a1.sinks = k1", "a1.sinks = k1 k2");
    let dead = "a1.channels.dead.type = memory\na1.sinks.k2.type = logger\n\
        a1.sinks.k2.channel = dead\na1.sinks.k2.maxBytesToLog = 64\n";
    text + dead
}

fn interceptor(lines: &str) -> Result<String> {
    let component = guests::fixture("fragile")?;
    let own = format!("type = wasm\ncomponent = {}\n{lines}", component.display());
    let chain = properties("interceptors.i1", &own);
    Ok(format!("interceptors = i1\n{chain}"))
}

fn sink(lines: &str) -> Result<String> {
    let component = guests::fixture("fragile_sink")?;
    let component = component.display();
    Ok(format!(
        "type = wasm\ncomponent = {component}\nlimits.log_lines_per_second = 100000\n{lines}"
    ))
}

/// Sends these lines and waits until each is acknowledged.
fn say(port: u16, lines: &str) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(lines.as_bytes())?;
    for _ in lines.lines() {
        read_acknowledgement(&mut stream)?;
    }
    Ok(())
}

/// The line of a dead letter with this body, with all that has to be in it.
fn expect_letter(agent: &Agent, body: &str, parts: &[&str]) -> Result<()> {
    let end = format!("{body} }}");
    wait_for(&format!("a dead letter {body}"), PATIENCE, || {
        let lines = agent.output().lines(Stream::Err);
        let mut letters = lines.iter().filter(|line| line.contains("dead_letter"));
        let Some(letter) = letters.find(|line| line.trim_end().ends_with(&end)) else {
            return Ok(None);
        };
        for part in parts {
            ensure!(letter.contains(part), "no {part} in {letter}");
        }
        Ok(Some(()))
    })
}

fn stop(mut agent: Agent) -> Result<()> {
    agent.terminate()?;
    ensure!(
        agent.wait_exit(PATIENCE)?.success(),
        "{}",
        agent.output().tail()
    );
    Ok(())
}

fn wait_for_contents(folder: &Path, wanted: &str) -> Result<()> {
    wait_for("the lines in the file", PATIENCE, || {
        Ok((contents(folder)? == wanted.as_bytes()).then_some(()))
    })
}

/// Lines of numbers, those in `bad` with a word.
fn lines(count: usize, bad: &[usize], word: &str) -> String {
    let line = |number| match bad.contains(&number) {
        true => format!("{number} {word}\n"),
        false => format!("{number}\n"),
    };
    (0..count).map(line).collect()
}

#[test]
fn an_event_that_traps_an_interceptor_becomes_a_dead_letter() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let mut flow = Flow::to_files(port, folder.path());
    flow.source =
        interceptor("config.panic = BANG\nconfig.poison = VENOM\ndead_letter_channel = dead\n")?;
    let mut agent = agent(&with_dead_letters(&flow))?.start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    let bad = [0, 17, 18, 99];
    say(port, &lines(100, &bad, "BANG"))?;
    say(port, "VENOM\n")?;
    let component = "flumen.dead_letter.component=sources.r1.interceptors.i1";
    for number in bad {
        let parts = [
            component,
            "flumen.dead_letter.code=unreachable",
            "flumen.dead_letter.call=intercept",
            "flumen.dead_letter.digest=",
            "flumen.dead_letter.backtrace=",
            "flumen.dead_letter.timestamp_ms=",
            "flumen.dead_letter.reason=guest sources.r1.interceptors.i1 failed in intercept",
        ];
        expect_letter(&agent, &format!("{number} BANG"), &parts)?;
    }
    let parts = [component, "flumen.dead_letter.code=poison", "told to"];
    expect_letter(&agent, "VENOM", &parts)?;
    stop(agent)?;
    let all = lines(100, &bad, "BANG");
    let good: Vec<&str> = all.lines().filter(|line| !line.contains("BANG")).collect();
    assert_eq!(
        String::from_utf8(contents(folder.path())?)?,
        good.join("\n") + "\n"
    );
    Ok(())
}

#[test]
fn an_event_that_traps_a_sink_becomes_a_dead_letter() -> Result<()> {
    let port = ports::free_port()?;
    let mut flow = Flow::to_logger(port);
    flow.sink = sink(
        "config.panic = BANG\nconfig.reject = VENOM\ndead_letter_channel = dead\n\
         config.mark = delivered-\n",
    )?;
    let mut agent = agent(&with_dead_letters(&flow))?.start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    say(port, &lines(100, &[20, 77], "BANG"))?;
    say(port, &lines(100, &[3], "VENOM"))?;
    let component = "flumen.dead_letter.component=sinks.k1";
    for number in [20, 77] {
        let parts = [
            component,
            "flumen.dead_letter.code=unreachable",
            "flumen.dead_letter.call=deliver",
            "flumen.dead_letter.digest=",
        ];
        expect_letter(&agent, &format!("{number} BANG"), &parts)?;
    }
    let parts = [component, "flumen.dead_letter.code=rejected", "told to"];
    expect_letter(&agent, "3 VENOM", &parts)?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 197, PATIENCE)?;
    assert_eq!(agent.output().count("delivered-50"), 2);
    wait_for_state(&agent, "sink", "k1", "running")?;
    stop(agent)
}

#[test]
fn a_sink_that_traps_at_everything_keeps_its_events() -> Result<()> {
    let port = ports::free_port()?;
    let mut flow = Flow::to_logger(port);
    flow.channel = "capacity = 1000".to_owned();
    let broken = "config.panic = line\ndead_letter_channel = dead\n";
    flow.sink = sink(broken)?;
    let mut agent = agent(&with_dead_letters(&flow))?.start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    say(port, &"line\n".repeat(500))?;
    agent.output().wait_for("counts as broken", PATIENCE)?;
    agent.wait_for_count("SINK.k2", "EventDrainSuccessCount", 16, PATIENCE)?;
    wait_for_state(&agent, "sink", "k1", "retrying")?;
    // A better version gets all that is left.
    flow.sink = sink("config.panic = other\ndead_letter_channel = dead\n")?;
    agent.replace_config(&with_dead_letters(&flow))?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 484, PATIENCE)?;
    assert_eq!(
        agent.metrics()?.count("SINK.k2", "EventDrainSuccessCount"),
        Some(16)
    );
    stop(agent)
}

#[test]
fn a_new_interceptor_that_traps_is_taken_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let mut flow = Flow::to_files(port, folder.path());
    flow.source = interceptor("config.mark = -old\n")?;
    let mut agent = agent(&flow.text())?.start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    say(port, "a\n")?;
    flow.source = interceptor("config.mark = -new\nconfig.panic = BANG\n")?;
    agent.replace_config(&flow.text())?;
    agent
        .output()
        .wait_for("configuration reloaded", PATIENCE)?;
    say(port, "b\n")?;
    say(port, "c BANG\n")?;
    let told = agent
        .output()
        .wait_for("new version failed on its first batches", PATIENCE)?;
    assert!(
        told.text.contains("sources.r1.interceptors.i1"),
        "{}",
        told.text
    );
    say(port, "d\n")?;
    let metrics = agent.metrics()?;
    let guest = "GUEST.sources.r1.interceptors.i1";
    assert_eq!(metrics.text(guest, "State"), Some("rolled-back"));
    assert_eq!(metrics.count(guest, "RolledBackCount"), Some(1));
    stop(agent)?;
    assert_eq!(
        String::from_utf8(contents(folder.path())?)?,
        "a-old\nb-new\nc BANG-old\nd-old\n"
    );
    Ok(())
}

#[test]
fn a_new_sink_that_traps_is_taken_back() -> Result<()> {
    let port = ports::free_port()?;
    let mut flow = Flow::to_logger(port);
    flow.sink = sink("config.mark = old-\n")?;
    let mut agent = agent(&flow.text())?.start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    say(port, "a\n")?;
    agent.output().wait_for("old-a", PATIENCE)?;
    flow.sink = sink("config.mark = new-\nconfig.panic = BANG\n")?;
    agent.replace_config(&flow.text())?;
    agent
        .output()
        .wait_for("configuration reloaded", PATIENCE)?;
    say(port, "b\n")?;
    agent.output().wait_for("new-b", PATIENCE)?;
    say(port, "c BANG\n")?;
    agent.output().wait_for("old-c BANG", PATIENCE)?;
    wait_for_state(&agent, "sink", "k1", "rolled-back")?;
    say(port, "d\n")?;
    agent.output().wait_for("old-d", PATIENCE)?;
    // The next version is a new try.
    flow.sink = sink("config.mark = newer-\n")?;
    agent.replace_config(&flow.text())?;
    wait_for_state(&agent, "sink", "k1", "running")?;
    say(port, "e\n")?;
    agent.output().wait_for("newer-e", PATIENCE)?;
    stop(agent)
}

#[test]
fn a_new_source_that_traps_is_taken_back_to_the_last_commit() -> Result<()> {
    const EVENTS: usize = 100_000;
    let folder = tempfile::tempdir()?;
    let component = guests::fixture("count")?;
    let config = |mode: &str| {
        format!(
            "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
             a1.sources.r1.type = wasm\na1.sources.r1.component = {}\n\
             a1.sources.r1.channels = c1\na1.sources.r1.config.events = {EVENTS}\n\
             a1.sources.r1.config.mode = {mode}\n\
             a1.channels.c1.type = memory\na1.channels.c1.capacity = 10000\n\
             a1.channels.c1.transactionCapacity = 1000\n\
             a1.sinks.k1.type = file_roll\na1.sinks.k1.channel = c1\n\
             a1.sinks.k1.sink.rollInterval = 0\na1.sinks.k1.sink.directory = {}\n",
            component.display(),
            folder.path().display()
        )
    };
    let agent = agent(&config("slow"))?.start()?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 1000, PATIENCE)?;
    agent.replace_config(&config("panic"))?;
    agent
        .output()
        .wait_for("new version failed on its first batches", PATIENCE)?;
    wait_for_state(&agent, "source", "r1", "rolled-back")?;
    let all: String = (0..EVENTS)
        .map(|number| format!("event {number}\n"))
        .collect();
    wait_for_contents(folder.path(), &all)?;
    stop(agent)
}
