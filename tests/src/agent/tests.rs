//! The harness against a shell script that stands for the binary.

use super::*;
use crate::wait::PATIENCE;

/// Starts a shell on `body` in place of the binary.
fn start(builder: AgentBuilder, body: &str) -> Agent {
    let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/src/agent/stand-in.sh");
    builder
        .environment("STAND_IN", body)
        .binary(stand_in)
        .start()
        .unwrap()
}

#[test]
fn passes_the_command_line_and_collects_what_is_printed() {
    let builder = AgentBuilder::new("a1.sources = r1\n")
        .agent_name("a2")
        .file_name("x.conf");
    let builder = builder.argument("-Dx=y").environment("COLOUR", "blue");
    let mut agent = start(builder, r#"echo "$@"; cat "$3"; echo $COLOUR >&2; exit 7"#);
    assert_eq!(agent.wait_exit(PATIENCE).unwrap().code(), Some(7));
    let file = agent.config_file().display().to_string();
    let printed = agent.output().lines(Stream::Out);
    let command_line = format!("agent --conf-file {file} --name a2 -Dx=y");
    assert_eq!(printed, [command_line.as_str(), "a1.sources = r1"]);
    assert_eq!(agent.output().lines(Stream::Err), ["blue"]);
    assert!(file.ends_with("/x.conf"));
}

#[test]
fn a_signal_reaches_the_process() {
    let body = "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let mut agent = start(AgentBuilder::new(""), body);
    agent.output().wait_for("ready", PATIENCE).unwrap();
    agent.terminate().unwrap();
    assert!(agent.wait_exit(PATIENCE).unwrap().success());
    assert_eq!(agent.output().lines(Stream::Out), ["ready", "told"]);
}

#[test]
fn a_wrapper_becomes_the_agent() {
    let builder = AgentBuilder::new("").wrapper(["env", "WRAPPED=yes"]);
    let mut agent = start(builder, "echo $WRAPPED $1");
    assert!(agent.wait_exit(PATIENCE).unwrap().success());
    assert_eq!(agent.output().lines(Stream::Out), ["yes agent"]);
}

#[test]
fn an_early_end_is_told_with_what_was_printed() {
    let mut agent = start(AgentBuilder::new(""), "echo 'port is taken' >&2; exit 1");
    let port = ports::free_port().unwrap();
    let error = agent.wait_until_listening(port, PATIENCE).unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("ended early") && text.contains("port is taken"),
        "{text}"
    );
}

#[test]
fn a_new_configuration_takes_the_place_of_the_old() {
    let agent = start(AgentBuilder::new("old"), "exec sleep 1000");
    agent.replace_config("new").unwrap();
    assert_eq!(fs::read_to_string(agent.config_file()).unwrap(), "new");
    assert_eq!(fs::read_dir(agent.directory()).unwrap().count(), 1);
    agent.overwrite_config("newer").unwrap();
    assert_eq!(fs::read_to_string(agent.config_file()).unwrap(), "newer");
}

#[test]
fn dropping_the_agent_ends_the_process() {
    let agent = start(AgentBuilder::new(""), "exec sleep 1000");
    let process_id = agent.process_id();
    drop(agent);
    assert!(process::cpu_time(process_id).is_err());
}
