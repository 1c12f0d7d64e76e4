//! What makes the agent read its configuration again, and what a wrong one does to it: nothing.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::client::Client;
use flumen_tests::ports;
use flumen_tests::wait::{PATIENCE, wait_for};
use rustix::process::Signal;

use crate::command_line::run;
use crate::flow::{Flow, contents, properties};

/// Said when a new configuration runs.
const RELOADED: &str = "configuration reloaded";
/// Said when a new configuration was refused.
const REFUSED: &str = "configuration not reloaded, everything runs on as before";

/// An agent without sockets, which counts to `total`.
fn counting(total: u64) -> String {
    format!(
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
         a1.sources.r1.type = seq\na1.sources.r1.totalEvents = {total}\na1.sources.r1.channels = c1\n\
         a1.channels.c1.type = memory\na1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n"
    )
}

fn listening(flow: &Flow) -> Result<Agent> {
    let mut agent = AgentBuilder::new(flow.text()).with_metrics().start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    Ok(agent)
}

#[test]
fn a_renamed_an_overwritten_and_a_touched_file_are_noticed() -> Result<()> {
    let flow = Flow::to_logger(ports::free_port()?);
    let agent = listening(&flow)?;
    let limited = |limit: u64| {
        let source = format!("max-line-length = {limit}");
        Flow {
            source,
            ..flow.clone()
        }
        .text()
    };
    let before = agent.output().position();
    agent.replace_config(&limited(100))?;
    agent.output().wait_for_after(before, RELOADED, PATIENCE)?;
    let before = agent.output().position();
    agent.overwrite_config(&limited(10))?;
    agent.output().wait_for_after(before, RELOADED, PATIENCE)?;
    let answer = Client::connect(flow.port)?.ask("0123456789")?;
    assert_eq!(
        answer,
        "FAILED: Event exceeds the maximum length (10 chars, including newline)"
    );
    let before = agent.output().position();
    agent.replace_config(&limited(10))?;
    let unchanged = "configuration read again, nothing has changed";
    agent.output().wait_for_after(before, unchanged, PATIENCE)?;
    Ok(())
}

#[test]
fn a_reload_says_what_it_changes() -> Result<()> {
    let flow = Flow::to_logger(ports::free_port()?);
    let agent = listening(&flow)?;
    let before = agent.output().position();
    let sink = "type = null".to_owned();
    agent.replace_config(&Flow { sink, ..flow }.text())?;
    agent.output().wait_for_after(before, RELOADED, PATIENCE)?;
    agent.output().wait_for_after(before, "k1", PATIENCE)?;
    Ok(())
}

#[test]
fn a_switched_symbolic_link_is_noticed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // As an orchestrator lays out a mounted configuration.
    for (version, total) in [("v1", 10), ("v2", 20)] {
        fs::create_dir(folder.path().join(version))?;
        fs::write(
            folder.path().join(version).join("agent.conf"),
            counting(total),
        )?;
    }
    let link = folder.path().join("agent.conf");
    symlink("v1", folder.path().join("..data"))?;
    symlink("..data/agent.conf", &link)?;
    let builder = AgentBuilder::new("").with_metrics();
    let agent = builder.argument("--conf-file").argument(&link).start()?;
    let taken = "EventTakeSuccessCount";
    agent.wait_for_count("CHANNEL.c1", taken, 10, PATIENCE)?;
    symlink("v2", folder.path().join("..next"))?;
    fs::rename(folder.path().join("..next"), folder.path().join("..data"))?;
    agent.output().wait_for(RELOADED, PATIENCE)?;
    // The successor counts on where the source was.
    agent.wait_for_count("CHANNEL.c1", taken, 20, PATIENCE)?;
    Ok(())
}

/// A second agent on the same file, which does watch it, shows that there was something to notice.
#[test]
fn without_watching_only_the_signal_reloads() -> Result<()> {
    let deaf = AgentBuilder::new(counting(1)).argument("--no-reload-conf");
    let deaf = deaf.start()?;
    let watching = AgentBuilder::new("").argument("--conf-file");
    let watching = watching.argument(deaf.config_file()).start()?;
    for agent in [&deaf, &watching] {
        agent.output().wait_for("source is running", PATIENCE)?;
    }
    for total in [2, 3] {
        let before = watching.output().position();
        deaf.replace_config(&counting(total))?;
        watching
            .output()
            .wait_for_after(before, RELOADED, PATIENCE)?;
    }
    assert_eq!(
        deaf.output().count("configuration "),
        0,
        "{}",
        deaf.output().tail()
    );
    deaf.signal(Signal::HUP)?;
    deaf.output().wait_for(RELOADED, PATIENCE)?;
    Ok(())
}

#[test]
fn a_bad_configuration_changes_nothing_and_says_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flow = Flow::to_files(ports::free_port()?, folder.path());
    let agent = listening(&flow)?;
    let mut client = Client::connect(flow.port)?;
    assert_eq!(client.ask("before")?, "OK");
    let file = agent.config_file().display().to_string();
    let bad = [
        (
            flow.text().replace("channels = c1\n", "channels = c2\n"),
            "c2",
        ),
        (
            flow.text().replace("= netcat", "= netcaat"),
            "did you mean \"netcat\"?",
        ),
        (flow.text().replace("a1.", "a2."), "a1"),
        (String::new(), "there is no agent here"),
    ];
    for (text, reason) in bad {
        let before = agent.output().position();
        agent.replace_config(&text)?;
        agent.output().wait_for_after(before, REFUSED, PATIENCE)?;
        let line = agent.output().wait_for_after(before, reason, PATIENCE)?;
        println!("{}", line.text);
        assert_eq!(client.ask("meanwhile")?, "OK");
    }
    agent.output().wait_for(&format!("{file}:"), PATIENCE)?;
    let before = agent.output().position();
    fs::remove_file(agent.config_file())?;
    agent.output().wait_for_after(before, REFUSED, PATIENCE)?;
    assert_eq!(client.ask("after")?, "OK");
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 6, PATIENCE)?;
    let lines = contents(folder.path())?;
    assert_eq!(
        lines,
        b"before\nmeanwhile\nmeanwhile\nmeanwhile\nmeanwhile\nafter\n"
    );
    Ok(())
}

#[test]
fn a_port_that_is_taken_refuses_the_whole_reload() -> Result<()> {
    let flow = Flow::to_logger(ports::free_port()?);
    let mut agent = listening(&flow)?;
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free_port()?))?;
    let port = held.local_addr()?.port();
    let more = format!(
        "a1.sources = r1 r2\na1.channels = c1 c2\na1.sinks = k1 k2\n\
         a1.sources.r2.type = netcat\na1.sources.r2.bind = 127.0.0.1\na1.sources.r2.port = {port}\n\
         a1.sources.r2.channels = c2\na1.channels.c2.type = memory\n\
         a1.sinks.k2.type = null\na1.sinks.k2.channel = c2\n"
    );
    let rest = flow
        .text()
        .split_once("a1.sinks = k1\n")
        .map(|(_, rest)| rest.to_owned());
    let wider = more + &rest.unwrap_or_default();
    agent.replace_config(&wider)?;
    let said = agent.output().wait_for(REFUSED, PATIENCE)?.text;
    for word in ["r2", "127.0.0.1", &port.to_string()] {
        assert!(said.contains(word), "{word} in {said}");
    }
    let metrics = agent.metrics()?;
    assert!(metrics.has("CHANNEL.c1") && !metrics.has("CHANNEL.c2"));
    assert_eq!(Client::connect(flow.port)?.ask("still there")?, "OK");
    drop(held);
    agent.signal(Signal::HUP)?;
    agent.output().wait_for(RELOADED, PATIENCE)?;
    agent.wait_until_listening(port, PATIENCE)?;
    Ok(())
}

#[test]
fn a_source_moves_to_another_port_and_keeps_its_connections() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flow = Flow::to_files(ports::free_port()?, folder.path());
    let mut agent = listening(&flow)?;
    let mut old = Client::connect(flow.port)?;
    assert_eq!(old.ask("one")?, "OK");
    let port = ports::free_port()?;
    agent.replace_config(
        &Flow {
            port,
            ..flow.clone()
        }
        .text(),
    )?;
    agent.output().wait_for(RELOADED, PATIENCE)?;
    agent.wait_until_listening(port, PATIENCE)?;
    wait_for("the old port to be closed", PATIENCE, || {
        Ok(Client::connect(flow.port).is_err().then_some(()))
    })?;
    assert_eq!(old.ask("two")?, "OK");
    assert_eq!(Client::connect(port)?.ask("three")?, "OK");
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 3, PATIENCE)?;
    assert_eq!(contents(folder.path())?, b"one\ntwo\nthree\n");
    Ok(())
}

/// What a changed sink had taken is in its file; what it had not goes to its successor.
#[test]
fn a_channel_that_shrinks_below_its_fill_keeps_its_events() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("later");
    let wide = Flow {
        channel: "capacity = 1000\ntransactionCapacity = 100".to_owned(),
        ..Flow::to_files(ports::free_port()?, &folder)
    };
    let agent = listening(&wide)?;
    let mut client = Client::connect(wide.port)?;
    for number in 0..500 {
        assert_eq!(client.ask(number.to_string())?, "OK");
    }
    let narrow = Flow {
        channel: "capacity = 100\ntransactionCapacity = 100\nkeep-alive = 0".to_owned(),
        ..wide.clone()
    };
    agent.replace_config(&narrow.text())?;
    agent.output().wait_for(RELOADED, PATIENCE)?;
    assert_eq!(
        agent.metrics()?.count("CHANNEL.c1", "ChannelSize"),
        Some(500)
    );
    assert_eq!(
        agent.metrics()?.count("CHANNEL.c1", "ChannelCapacity"),
        Some(100)
    );
    let answer = client.ask("no room")?;
    assert!(answer.starts_with("FAILED: "), "{answer}");
    fs::create_dir(&folder)?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 500, PATIENCE)?;
    assert_eq!(client.ask("room")?, "OK");
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 501, PATIENCE)?;
    let expected: String = (0..500).map(|number| format!("{number}\n")).collect();
    assert_eq!(text(&folder)?, expected + "room\n");
    Ok(())
}

fn text(folder: &Path) -> Result<String> {
    Ok(String::from_utf8(contents(folder)?)?)
}

/// A channel of files in `folder` with these options before the others, so that their lines are
/// those from the fifth on.
fn durable(port: u16, folder: &Path, options: &str) -> String {
    let source = format!("type = netcat\nbind = 127.0.0.1\nport = {port}\nchannels = c1");
    let channel = format!("type = file\n{options}\ndataDirs = {}", folder.display());
    [
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n".to_owned(),
        properties("a1.channels.c1", &channel),
        properties("a1.sources.r1", &source),
        properties("a1.sinks.k1", "type = null\nchannel = c1"),
    ]
    .concat()
}

#[test]
fn a_durable_channel_changes_what_a_commit_waits_for_and_says_what_takes_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let with = |options: &str| durable(port, folder.path(), options);
    let early = "durability = os\nmaxFileSize = 2097152\nminimumRequiredSpace = 1048576";
    let mut agent = AgentBuilder::new(with(early)).with_metrics().start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    let mut client = Client::connect(port)?;
    let mut syncs_of_ten_lines = || -> Result<u64> {
        let syncs = || Ok::<_, anyhow::Error>(agent.metrics()?.count("CHANNEL.c1", "LogSyncCount"));
        let before = syncs()?;
        for _ in 0..10 {
            assert_eq!(client.ask("a line")?, "OK");
        }
        Ok(syncs()?.unwrap_or_default() - before.unwrap_or_default())
    };
    assert_eq!(syncs_of_ten_lines()?, 0);

    let sync = early
        .replace("= os", "= sync")
        .replace("1048576", "2097152");
    let before = agent.output().position();
    agent.replace_config(&with(&sync))?;
    agent.output().wait_for_after(before, RELOADED, PATIENCE)?;
    assert!(syncs_of_ten_lines()? >= 10);

    let larger = sync.replace("maxFileSize = 2097152", "maxFileSize = 4194304");
    let old = folder.path().join("old.conf");
    fs::write(&old, with(&sync))?;
    let before = agent.output().position();
    agent.replace_config(&with(&larger))?;
    let refusal = agent.output().wait_for_after(before, REFUSED, PATIENCE)?;
    let file = agent.config_file().display().to_string();
    let key = "a1.channels.c1.maxFileSize";
    let what = "cannot change while the channel is open; restart the agent to change it";
    let said = format!("channel c1: {file}:6: {key}: {what}");
    assert!(refusal.text.contains(&said), "{}", refusal.text);
    assert!(syncs_of_ten_lines()? >= 10, "it runs on as before");

    let checked = run(["check", &file, "--against", &old.display().to_string()])?;
    assert_eq!(checked.code, Some(1));
    let told = format!("{file}:6: error: {key}: {what}\n1 error, 0 warnings\n~ channel c1: ");
    assert!(checked.out.starts_with(&told), "{}", checked.out);
    Ok(())
}
