//! Guests that misbehave in every way there is, each beside a neighbour with a well-behaved guest:
//! the neighbour's lines all arrive, once, in order and without a long wait; the agent stays up; the
//! log names the component and the cause; and the hostile flow loses nothing, because its events
//! are refused or stay where they are until the configuration is corrected.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flumen_tests::agent::Agent;
use flumen_tests::client::Client;
use flumen_tests::guests::{example, fixture};
use flumen_tests::lines::LineCheck;
use flumen_tests::ports;
use flumen_tests::sender::NumberedSender;
use flumen_tests::wait::PATIENCE;
use tempfile::TempDir;

use crate::flow::{contents, properties};
use crate::guests::agent;

/// Lines that the neighbour has in flight.
const NEIGHBOUR_LINES: u64 = 10;

/// Longest wait of the neighbour for its answers. A guest that held a thread of the agent would make
/// it wait for ever; the bound leaves room for a machine that has much else to do.
const NEIGHBOUR_WAIT_MAX: Duration = Duration::from_secs(10);

/// Limits that each misbehaviour meets soon.
const LIMITS: &str = "limits.cpu_ms = 100\nlimits.wall_ms = 300\nlimits.memory_bytes = 33554432\n\
                      limits.log_lines_per_second = 10\n";

/// The hostile interceptor on the pages of the metrics.
const INTERCEPTOR: &str = "GUEST.sources.r1.interceptors.i1";

/// Attacks of the interceptor that end its instance: a state that is too large is only refused.
const STRIKES: u64 = 14;

/// A flow under attack beside the neighbour's, in one agent, with an output folder for each.
struct Stage {
    hostile: TempDir,
    neighbour: TempDir,
    /// Of the source of the hostile flow, when it listens.
    port: u16,
    neighbour_port: u16,
}

impl Stage {
    fn new() -> Result<Self> {
        Ok(Self {
            hostile: tempfile::tempdir()?,
            neighbour: tempfile::tempdir()?,
            port: ports::free_port()?,
            neighbour_port: ports::free_port()?,
        })
    }

    /// The configuration with these properties of the source and the sink of the hostile flow.
    fn config(&self, source: &str, sink: &str) -> Result<String> {
        let neighbour = format!(
            "{}interceptors = i2\ninterceptors.i2.type = wasm\n\
             interceptors.i2.component = {}\ninterceptors.i2.config.word = no-such-word\n",
            netcat(self.neighbour_port),
            example("drop_debug")?.display(),
        );
        Ok([
            "a1.sources = r1 r2\na1.channels = c1 c2\na1.sinks = k1 k2\n",
            "a1.channels.c1.type = memory\na1.channels.c2.type = memory\n",
            &properties("a1.sources.r1", &format!("channels = c1\n{source}")),
            &properties("a1.sinks.k1", &format!("channel = c1\n{sink}")),
            &properties("a1.sources.r2", &format!("channels = c2\n{neighbour}")),
            &properties(
                "a1.sinks.k2",
                &format!("channel = c2\n{}", to_files(self.neighbour.path())),
            ),
        ]
        .concat())
    }

    fn start(&self, config: &str) -> Result<(Agent, Neighbour)> {
        let mut agent = agent(config).start()?;
        agent.wait_until_listening(self.neighbour_port, PATIENCE)?;
        let neighbour = Neighbour::start(self.neighbour_port)?;
        Ok((agent, neighbour))
    }

    /// Corrects the configuration while the agent runs.
    fn correct(&self, agent: &Agent, source: &str, sink: &str) -> Result<()> {
        let position = agent.output().position();
        agent.replace_config(&self.config(source, sink)?)?;
        agent
            .output()
            .wait_for_after(position, "configuration reloaded", PATIENCE)?;
        Ok(())
    }

    /// Ends the neighbour and the agent, which must have lost none of the neighbour's lines; gives
    /// what the agent printed at last.
    fn end(&self, mut agent: Agent, neighbour: Neighbour) -> Result<String> {
        let (sent, longest) = neighbour.stop()?;
        agent.terminate()?;
        assert!(agent.wait_exit(PATIENCE)?.success());
        let mut check = LineCheck::new().expect_lane(0, sent);
        check.folder(self.neighbour.path())?;
        let verdict = check.finish();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert!(longest < NEIGHBOUR_WAIT_MAX, "{longest:?}");
        Ok(agent.output().tail())
    }
}

fn netcat(port: u16) -> String {
    format!("type = netcat\nbind = 127.0.0.1\nport = {port}\n")
}

fn to_files(folder: &Path) -> String {
    format!(
        "type = file_roll\nsink.directory = {}\nsink.rollInterval = 0\n",
        folder.display()
    )
}

/// Sends numbered lines until it is told to stop.
struct Neighbour {
    over: Arc<AtomicBool>,
    sender: JoinHandle<Result<(u64, Duration)>>,
}

impl Neighbour {
    fn start(port: u16) -> Result<Self> {
        let mut sender = NumberedSender::connect(port, 0)?;
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let sender = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !told.load(Ordering::Relaxed) || sender.sent() == 0 {
                let begin = Instant::now();
                sender.send_acknowledged(NEIGHBOUR_LINES)?;
                longest = longest.max(begin.elapsed());
            }
            Ok((sender.sent(), longest))
        });
        Ok(Self { over, sender })
    }

    /// How many lines were sent, and the longest wait for the answers to some.
    fn stop(self) -> Result<(u64, Duration)> {
        self.over.store(true, Ordering::Relaxed);
        self.sender.join().unwrap()
    }
}

#[test]
fn an_interceptor_that_fails_refuses_its_lines_and_serves_the_next() -> Result<()> {
    let attacks = [
        ("endless loop", "longer than limits.cpu_ms = 100"),
        ("memory bomb", "more memory than limits.memory_bytes"),
        ("stack overflow", "recursed deeper than"),
        ("memory stack overflow", "guest sources.r1.interceptors.i1"),
        ("panic", "panics on purpose"),
        ("an event with poison in it", "has the word poison"),
        ("dropped out of range", "past the last row"),
        ("header end past data", "an end that does not fit"),
        ("replaced ends decrease", "an end that does not fit"),
        ("header invalid UTF-8", "not UTF-8 in row 0"),
        ("answer of 1 GiB", "more than limits.answer_bytes"),
        ("sleep for ever", "longer than limits.wall_ms = 300"),
        ("sleep in std", "longer than limits.wall_ms = 300"),
        ("handles", "guest sources.r1.interceptors.i1"),
        ("large state", "limits.state_bytes"),
    ];
    let stage = Stage::new()?;
    let sink = to_files(stage.hostile.path());
    let guarded = |component: &Path, rest: &str| {
        let settings = format!("type = wasm\ncomponent = {}\n{rest}", component.display());
        let interceptor = properties("interceptors.i1", &settings);
        format!("{}interceptors = i1\n{interceptor}", netcat(stage.port))
    };
    let hostile = guarded(
        &fixture("hostile")?,
        &format!("{LIMITS}config.trap_word = poison\n"),
    );
    let (mut agent, neighbour) = stage.start(&stage.config(&hostile, &sink)?)?;
    agent.wait_until_listening(stage.port, PATIENCE)?;
    let mut client = Client::connect(stage.port)?;
    let mut accepted = String::new();
    for (attack, cause) in attacks {
        let position = agent.output().position();
        let answer = client.ask(attack).context(attack)?;
        assert!(answer.starts_with("FAILED"), "{attack}: {answer}");
        let said = agent.output().wait_for_after(position, cause, PATIENCE);
        let said = said.context(attack)?.text;
        assert!(said.contains("i1"), "{attack}: {said}");
        assert_eq!(client.ask("fine")?, "OK", "a new instance after {attack}");
        accepted.push_str("fine\n");
    }
    let strikes = agent.metrics()?.count(INTERCEPTOR, "StrikeCount");
    assert!(strikes >= Some(STRIKES), "{strikes:?}");
    stage.correct(&agent, &guarded(&example("drop_debug")?, ""), &sink)?;
    for (attack, _) in attacks {
        assert_eq!(client.ask(attack)?, "OK", "{attack}");
        accepted = format!("{accepted}{attack}\n");
    }
    stage.end(agent, neighbour)?;
    assert_eq!(
        String::from_utf8(contents(stage.hostile.path())?)?,
        accepted
    );
    Ok(())
}

#[test]
fn an_interceptor_that_floods_or_leaks_loses_nothing() -> Result<()> {
    let stage = Stage::new()?;
    let sink = to_files(stage.hostile.path());
    let settings = format!(
        "type = wasm\ncomponent = {}\nlimits.log_lines_per_second = 10\n\
         limits.cpu_ms = 60000\nlimits.wall_ms = 60000\n\
         limits.memory_bytes = 33554432\nconfig.leak_bytes = 1048576\n",
        fixture("hostile")?.display()
    );
    let source = format!(
        "{}interceptors = i1\n{}",
        netcat(stage.port),
        properties("interceptors.i1", &settings)
    );
    let (mut agent, neighbour) = stage.start(&stage.config(&source, &sink)?)?;
    agent.wait_until_listening(stage.port, PATIENCE)?;
    let mut client = Client::connect(stage.port)?;
    assert_eq!(client.ask("log flood")?, "OK");
    let (mut accepted, mut refused) = ("log flood\n".to_owned(), 0);
    for number in 0..100 {
        let line = format!("line {number}");
        // The call that does not fit any more is refused, and the line is sent again.
        while client.ask(&line)? != "OK" {
            refused += 1;
            assert!(refused < 100, "a new instance has room");
        }
        accepted = format!("{accepted}{line}\n");
    }
    assert!(refused > 0, "100 MiB are more than the limit");
    let said = agent.output().wait_for("limits.memory_bytes", PATIENCE)?;
    assert!(said.text.contains("i1"), "{}", said.text);
    let left_out = agent.metrics()?.count(INTERCEPTOR, "LogLinesSuppressed");
    assert!(left_out > Some(10_000), "{left_out:?}");
    // The count of lines that were left out is told at the latest when the guest goes.
    stage.correct(&agent, &netcat(stage.port), &sink)?;
    let flood = "log lines above limits.log_lines_per_second were left out";
    let said = agent.output().wait_for(flood, PATIENCE)?;
    assert!(said.text.contains("i1"), "{}", said.text);
    stage.end(agent, neighbour)?;
    assert_eq!(
        String::from_utf8(contents(stage.hostile.path())?)?,
        accepted
    );
    Ok(())
}

#[test]
fn events_of_a_sink_that_fails_stay_until_it_is_mended() -> Result<()> {
    let attacks = [
        ("endless loop", "longer than limits.cpu_ms = 100"),
        ("memory bomb", "more memory than limits.memory_bytes"),
        ("stack overflow", "recursed deeper than"),
        ("panic", "panics on purpose"),
        ("sleep for ever", "longer than limits.wall_ms = 300"),
        ("rows out of range", "past the last row"),
        ("rows twice", "do not increase"),
        ("broken", "told to"),
    ];
    for (attack, cause) in attacks {
        sink_attack(attack, cause).context(attack)?;
    }
    Ok(())
}

fn sink_attack(attack: &str, cause: &str) -> Result<()> {
    let stage = Stage::new()?;
    let source = netcat(stage.port);
    let hostile = format!(
        "type = wasm\ncomponent = {}\n{LIMITS}config.mode = {attack}\n",
        fixture("hostile_sink")?.display()
    );
    let (mut agent, neighbour) = stage.start(&stage.config(&source, &hostile)?)?;
    agent.wait_until_listening(stage.port, PATIENCE)?;
    let mut sender = NumberedSender::connect(stage.port, 0)?;
    sender.send_acknowledged(10)?;
    let said = agent.output().wait_for(cause, PATIENCE)?.text;
    assert!(said.contains("k1"), "{said}");
    // The source is not held up, and the sink is tried again.
    sender.send_acknowledged(10)?;
    agent.wait_for_count("SINK.k1", "EventDrainAttemptCount", 11, PATIENCE)?;
    stage.correct(&agent, &source, &to_files(stage.hostile.path()))?;
    let said = stage.end(agent, neighbour)?;
    let mut check = LineCheck::new().expect_lane(0, sender.sent());
    check.folder(stage.hostile.path())?;
    let verdict = check.finish();
    assert!(verdict.is_clean(), "{attack}: {verdict:?}\n{said}");
    Ok(())
}

#[test]
fn a_source_that_fails_goes_on_behind_its_last_commit_when_it_is_mended() -> Result<()> {
    let attacks = [
        ("endless loop", "longer than limits.cpu_ms = 100", ""),
        ("memory bomb", "more memory than limits.memory_bytes", ""),
        ("stack overflow", "recursed deeper than", ""),
        ("panic", "panics on purpose", ""),
        ("sleep for ever", "longer than limits.wall_ms = 300", ""),
        ("greedy", "where 100 were asked for", ""),
        (
            "huge cursor",
            "a cursor of 104857600 bytes, where 1048576",
            "limits.memory_bytes = 268435456\nlimits.answer_bytes = 268435456\n",
        ),
        (
            "huge cursor",
            "more than limits.answer_bytes",
            "limits.memory_bytes = 268435456\n",
        ),
    ];
    for (attack, cause, limits) in attacks {
        source_attack(attack, cause, limits).context(attack)?;
    }
    Ok(())
}

fn source_attack(attack: &str, cause: &str, limits: &str) -> Result<()> {
    let stage = Stage::new()?;
    let sink = to_files(stage.hostile.path());
    let component = fixture("hostile_source")?;
    let source = |mode: &str| {
        format!(
            "type = wasm\ncomponent = {}\n{}config.events = 100\nconfig.after = 50\n{mode}",
            component.display(),
            if limits.is_empty() { LIMITS } else { limits }
        )
    };
    let hostile = source(&format!("config.mode = {attack}\n"));
    let (agent, neighbour) = stage.start(&stage.config(&hostile, &sink)?)?;
    let said = agent.output().wait_for(cause, PATIENCE)?.text;
    assert!(said.contains("r1"), "{said}");
    let accepted = agent.metrics()?.count("SOURCE.r1", "EventAcceptedCount");
    assert_eq!(accepted, Some(50), "what came before the attack is kept");
    stage.correct(&agent, &source(""), &sink)?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 100, PATIENCE)?;
    let said = stage.end(agent, neighbour)?;
    let mut check = LineCheck::new().expect_lane(0, 100);
    check.folder(stage.hostile.path())?;
    let verdict = check.finish();
    assert!(verdict.is_clean(), "{attack}: {verdict:?}\n{said}");
    Ok(())
}
