//! The sources that need no peer, through a whole flow.

use anyhow::Result;
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::wait::PATIENCE;
use tempfile::TempDir;

use crate::flow::{contents, properties};

/// The source with these properties into a file, and the folder of the file.
fn into_files(source: &str) -> Result<(Agent, TempDir)> {
    let folder = tempfile::tempdir()?;
    let text = [
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n".to_owned(),
        properties("a1.sources.r1", source),
        "a1.sources.r1.channels = c1\na1.channels.c1.type = memory\n".to_owned(),
        "a1.channels.c1.capacity = 1000\na1.channels.c1.transactionCapacity = 100\n".to_owned(),
        "a1.sinks.k1.type = file_roll\na1.sinks.k1.channel = c1\n".to_owned(),
        format!("a1.sinks.k1.sink.directory = {}\n", folder.path().display()),
    ];
    let agent = AgentBuilder::new(text.concat()).with_metrics().start()?;
    Ok((agent, folder))
}

fn delivered(source: &str, events: u64) -> Result<(Agent, Vec<u8>)> {
    let (mut agent, folder) = into_files(source)?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", events, PATIENCE)?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    let bytes = contents(folder.path())?;
    Ok((agent, bytes))
}

#[test]
fn seq_counts() -> Result<()> {
    let (_, bytes) = delivered("type = seq\ntotalEvents = 12345\nbatchSize = 100", 12_345)?;
    let expected: String = (0..12_345).map(|number| format!("{number}\n")).collect();
    assert_eq!(bytes, expected.as_bytes());
    Ok(())
}

#[test]
fn stress_sends_what_it_is_told_to() -> Result<()> {
    let source = "type = org.apache.flume.source.StressSource\nsize = 10\nmaxTotalEvents = 1000\n\
                  batchSize = 50";
    let (_, bytes) = delivered(source, 1000)?;
    assert_eq!(
        bytes,
        b"\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\n".repeat(1000)
    );
    Ok(())
}

#[test]
fn exec_splits_words_and_takes_an_unfinished_last_line() -> Result<()> {
    let (_, bytes) = delivered(
        "type = exec\ncommand = printf one\\\\ntwo\\\\r\\\\nthree",
        3,
    )?;
    assert_eq!(bytes, b"one\ntwo\nthree\n");
    Ok(())
}

#[test]
fn exec_reads_a_long_output_completely() -> Result<()> {
    let (agent, bytes) = delivered(
        "type = exec\ncommand = seq 1 20000\nbatchSize = 100",
        20_000,
    )?;
    let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(bytes, expected.as_bytes());
    drop(agent);
    Ok(())
}

#[test]
fn exec_runs_a_shell_and_logs_its_standard_error() -> Result<()> {
    let source = "type = exec\nshell = /bin/sh -c\nlogStdErr = true\n\
                  command = for word in a b; do echo $word; echo \"not $word\" >&2; done";
    let (agent, bytes) = delivered(source, 2)?;
    assert_eq!(bytes, b"a\nb\n");
    for line in ["StderrLogger[1] = 'not a'", "StderrLogger[2] = 'not b'"] {
        agent.output().wait_for(line, PATIENCE)?;
    }
    Ok(())
}

#[test]
fn exec_ends_its_command_with_the_agent() -> Result<()> {
    let source = "type = exec\nshell = /bin/sh -c\ncommand = echo $$; exec sleep 1000";
    let (_, bytes) = delivered(source, 1)?;
    let process_id: u32 = String::from_utf8(bytes)?.trim().parse()?;
    assert!(
        flumen_tests::process::cpu_time(process_id).is_err(),
        "{process_id} still runs"
    );
    Ok(())
}
