//! What waits in the file channel of a real Flume, brought over by `flumen import-flume-channel`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::binary;
use flumen_tests::client::Client;
use flumen_tests::flume::{self, START_LIMIT};
use flumen_tests::lines::files_in_order;
use flumen_tests::ports;
use flumen_tests::wait::{PATIENCE, wait_for};
use rustix::process::Signal;
use serde_json::Value;

/// Events that are put. Each is a transaction of its own, and so many of them fill several log files.
const EVENTS: usize = 400;

/// A source into a file channel that rolls its log files early.
fn config(folder: &Path, port: u16, sink: &str) -> String {
    let folder = folder.display();
    format!(
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
         a1.sources.r1.type = netcat\na1.sources.r1.bind = 127.0.0.1\na1.sources.r1.port = {port}\n\
         a1.sources.r1.channels = c1\na1.sources.r1.interceptors = i1\n\
         a1.sources.r1.interceptors.i1.type = static\n\
         a1.sources.r1.interceptors.i1.key = place\na1.sources.r1.interceptors.i1.value = Zurich\n\
         a1.channels.c1.type = file\na1.channels.c1.checkpointDir = {folder}/checkpoint\n\
         a1.channels.c1.dataDirs = {folder}/data1,{folder}/data2\n\
         a1.channels.c1.maxFileSize = 15000\na1.channels.c1.checkpointInterval = 1000\n\
         a1.channels.c1.minimumRequiredSpace = 1048576\n\
         a1.sinks.k1.channel = c1\n{sink}"
    )
}

/// A sink that takes and gives back, because nobody listens.
fn failing_sink() -> Result<String> {
    let port = ports::free_port()?;
    Ok(format!(
        "a1.sinks.k1.type = avro\na1.sinks.k1.hostname = 127.0.0.1\na1.sinks.k1.port = {port}\n"
    ))
}

fn rolling_sink(folder: &Path) -> String {
    format!(
        "a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = {}\n\
         a1.sinks.k1.sink.rollInterval = 0\na1.sinks.k1.sink.batchSize = 1\n",
        folder.display()
    )
}

fn start_flume(folder: &Path, port: u16, sink: &str) -> Result<Agent> {
    let builder = AgentBuilder::new(config(folder, port, sink));
    let mut agent = flume::instead(builder)?.start()?;
    agent.wait_until_listening(port, START_LIMIT)?;
    Ok(agent)
}

fn line_of(number: usize) -> String {
    format!("event {number} grün")
}

/// Puts events, each of which Flume has confirmed.
fn put(port: u16, numbers: std::ops::Range<usize>) -> Result<()> {
    let mut client = Client::connect(port)?;
    for number in numbers {
        let answer = client.ask(line_of(number))?;
        ensure!(answer == "OK", "{answer}");
    }
    Ok(())
}

fn flumen(arguments: &[&str], more: &[PathBuf]) -> Result<Output> {
    let mut command = Command::new(binary::locate()?);
    command.args(arguments).args(more);
    command.output().context("run flumen")
}

/// Imports and says what was printed; and what is in the channel then, as bodies.
fn import(folder: &Path, to: &Path) -> Result<(String, Vec<String>)> {
    let mut words = vec![to.to_owned()];
    words.extend(["data1", "data2", "checkpoint"].map(|name| folder.join(name)));
    let output = flumen(&["import-flume-channel", "--to"], &words)?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((told, dumped(to)?))
}

/// The bodies of the events that wait in a channel; each has the header that its source gave it.
fn dumped(channel: &Path) -> Result<Vec<String>> {
    let output = flumen(&["channel", "dump"], &[channel.to_owned()])?;
    let mut bodies = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let event: Value = serde_json::from_str(line)?;
        ensure!(event["headers"]["place"] == "Zurich", "{line}");
        bodies.push(event["body"].as_str().context("a body")?.to_owned());
    }
    Ok(bodies)
}

fn lines(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(line_of).collect()
}

#[test]
fn everything_that_waits_is_imported_in_order_after_a_kill_and_after_a_stop() -> Result<()> {
    for signal in [Signal::KILL, Signal::TERM] {
        let folder = tempfile::tempdir()?;
        let port = ports::free_port()?;
        let mut agent = start_flume(folder.path(), port, &failing_sink()?)?;
        put(port, 0..EVENTS)?;
        // A Flume that runs is left alone.
        let refused = flumen(
            &["import-flume-channel", "--to"],
            &[folder.path().join("new"), folder.path().join("data1")],
        )?;
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains("in use by a running Flume"), "{told}");
        agent.signal(signal)?;
        agent.wait_exit(START_LIMIT)?;
        let (told, bodies) = import(folder.path(), &folder.path().join("new"))?;
        assert_eq!(bodies, lines(0..EVENTS), "{signal:?}: {told}");
        assert!(!told.contains("damage"), "{told}");
        // Nothing is doubled by a second import.
        let again = import(folder.path(), &folder.path().join("new"));
        let again = format!("{:#}", again.unwrap_err());
        assert!(again.contains("already"), "{again}");
    }
    Ok(())
}

/// How often the import is killed.
const KILLS: usize = 4;

/// Calls after which the import is killed: some dozens of puts, each of which writes once.
const WRITES: u64 = 80;

/// How often a process has called the system to write; none when it has ended.
fn writes(process_id: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process_id}/io")).unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("syscw: "));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[test]
fn an_import_that_is_killed_goes_on_without_doubles() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let sink = failing_sink()?;
    let mut agent = start_flume(folder.path(), port, &sink)?;
    put(port, 0..EVENTS)?;
    agent.signal(Signal::KILL)?;
    agent.wait_exit(START_LIMIT)?;
    // The same configuration for flumen, with a sink that it has; each put is one event.
    let file = folder.path().join("flume.properties");
    let text = config(folder.path(), port, "a1.sinks.k1.type = null\n");
    let small = "a1.channels.c1.transactionCapacity = 1\na1.channels.c1.maxFileSize = 262144\n";
    let text = text.replace("a1.channels.c1.maxFileSize = 15000\n", small);
    fs::write(&file, text)?;
    let ledger = folder.path().join("data1/flumen-log/flume-import");
    let mut kills = 0;
    loop {
        let mut command = Command::new(binary::locate()?);
        let command = command
            .args(["import-flume-channel", "--conf-file"])
            .arg(&file);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        wait_for("the import to get on or end", PATIENCE, || {
            let is_on = ledger.exists() && writes(child.id()) > WRITES;
            Ok((is_on || child.try_wait()?.is_some()).then_some(()))
        })?;
        if kills == KILLS {
            ensure!(child.wait()?.success(), "the import that nobody killed");
            break;
        }
        child.kill()?;
        if child.wait()?.success() {
            break;
        }
        kills += 1;
    }
    let log = folder.path().join("data1");
    assert_eq!(dumped(&log)?, lines(0..EVENTS), "after {kills} kills");
    Ok(())
}

/// Bodies that the sink has written.
fn rolled(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for path in files_in_order(folder)? {
        let text = fs::read_to_string(path)?;
        // The last one may be cut by the kill.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        lines.extend(whole.lines().map(str::to_owned));
    }
    Ok(lines)
}

#[test]
fn nothing_is_lost_when_flume_is_killed_while_its_sink_drains() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    fs::create_dir(&out)?;
    let port = ports::free_port()?;
    let mut agent = start_flume(folder.path(), port, &failing_sink()?)?;
    put(port, 0..EVENTS)?;
    agent.signal(Signal::KILL)?;
    agent.wait_exit(START_LIMIT)?;
    // The same channel again, with a sink that delivers one event a transaction.
    let mut agent = start_flume(folder.path(), port, &rolling_sink(&out))?;
    put(port, EVENTS..EVENTS + 50)?;
    wait_for("some events in files", PATIENCE, || {
        Ok((rolled(&out)?.len() > 20).then_some(()))
    })?;
    agent.signal(Signal::KILL)?;
    agent.wait_exit(START_LIMIT)?;
    let delivered = rolled(&out)?;
    let (told, bodies) = import(folder.path(), &folder.path().join("new"))?;
    let all: BTreeSet<&String> = delivered.iter().chain(&bodies).collect();
    let expected = lines(0..EVENTS + 50);
    assert_eq!(all, expected.iter().collect(), "{told}");
    // One transaction may have been delivered and not yet committed.
    let doubles = delivered.len() + bodies.len() - all.len();
    assert!(doubles <= 1, "{doubles}: {told}");
    assert!(bodies.is_sorted_by_key(|body| expected.iter().position(|own| own == body)));
    Ok(())
}
