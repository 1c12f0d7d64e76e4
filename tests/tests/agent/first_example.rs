//! Flume's own first example, unchanged, and its like.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::client::Client;
use flumen_tests::wait::PATIENCE;
use flumen_tests::{binary, ports};

/// The line of the log for what the guide of Flume types: `Hello world!` and telnet's line end.
const HELLO: &str =
    "Event: { headers:{} body: 48 65 6C 6C 6F 20 77 6F 72 6C 64 21 0D          Hello world!. }";

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf")
}

fn example(name: &str) -> Result<String> {
    let path = conf().join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Types the guide's line, reads the answer and the log, and stops the agent.
fn greet(agent: &mut Agent, port: u16) -> Result<()> {
    agent.wait_until_listening(port, PATIENCE)?;
    assert_eq!(Client::connect(port)?.ask("Hello world!\r")?, "OK");
    agent.output().wait_for(HELLO, PATIENCE)?;
    agent.terminate()?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(0));
    Ok(())
}

/// The example with the command line of the guide. The only thing that is not Flume's is a second
/// file that names a free port.
fn start_example(builder: AgentBuilder, folder: &Path, port: u16) -> Result<Agent> {
    let port_file = folder.join("port.conf");
    fs::write(&port_file, format!("a1.sources.r1.port = {port}\n"))?;
    let builder = builder.argument("--conf").argument(conf());
    let builder = builder.argument("--conf-file").argument(port_file);
    builder.argument("-Dflume.root.logger=INFO,console").start()
}

#[test]
fn the_guides_example_runs_unchanged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let builder = AgentBuilder::new(example("example.conf")?).file_name("example.conf");
    greet(&mut start_example(builder, folder.path(), port)?, port)
}

#[test]
fn the_same_command_line_works_under_the_name_flume_ng() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let link = folder.path().join("flume-ng");
    symlink(binary::locate()?, &link)?;
    let builder = AgentBuilder::new(example("example.conf")?).binary(link);
    greet(&mut start_example(builder, folder.path(), port)?, port)
}

#[test]
fn the_native_dialect_says_the_same() -> Result<()> {
    let port = ports::free_port()?;
    let text = example("example.toml")?.replace("44444", &port.to_string());
    greet(
        &mut AgentBuilder::new(text).file_name("agent.toml").start()?,
        port,
    )
}

#[test]
fn two_independent_flows_run_in_one_agent() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let smaller = folder.path().join("smaller.conf");
    fs::write(
        &smaller,
        format!(
            "a1.sources.lines.port = {port}\na1.sources.numbers.totalEvents = 1000\n\
             a1.sources.numbers.batchSize = 10\n"
        ),
    )?;
    let builder = AgentBuilder::new(example("two-flows.conf")?).with_metrics();
    let mut agent = builder.argument("--conf-file").argument(smaller).start()?;
    let numbers = "CHANNEL.numbers-memory";
    agent.wait_until_listening(port, PATIENCE)?;
    agent.wait_for_count(numbers, "EventTakeSuccessCount", 1000, PATIENCE)?;
    greet(&mut agent, port)?;
    Ok(())
}
