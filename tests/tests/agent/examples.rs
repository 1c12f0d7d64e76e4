//! The examples of `guests/examples`, each through the whole agent.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use flumen_tests::agent::Agent;
use flumen_tests::guests::example;
use flumen_tests::output::Stream;
use flumen_tests::ports;
use flumen_tests::wait::PATIENCE;

use crate::flow::{Flow, contents, properties};
use crate::guests::{agent, say};

/// How long the first start with a component may take. A compiler that was itself built without
/// optimisation works half a minute on the engine of regular expressions, alone on its machine.
const COMPILE_PATIENCE: Duration = Duration::from_secs(240);

/// The flow with one guest as interceptor `i1`, with these settings of its own.
fn with_interceptor(flow: &Flow, name: &str, settings: &str) -> Result<String> {
    let component = example(name)?.display().to_string();
    let interceptor = format!("type = wasm\ncomponent = {component}\n{settings}");
    let mut flow = flow.clone();
    flow.source = format!(
        "interceptors = i1\n{}",
        properties("interceptors.i1", &interceptor)
    );
    Ok(flow.text())
}

/// Sends the lines through the interceptor; gives what `events` events left in the files.
fn through(name: &str, settings: &str, lines: &str, events: u64) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let flow = Flow::to_files(ports::free_port()?, folder.path());
    let mut agent = agent(&with_interceptor(&flow, name, settings)?).start()?;
    agent.wait_until_listening(flow.port, COMPILE_PATIENCE)?;
    say(flow.port, lines)?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", events, PATIENCE)?;
    end(agent)?;
    Ok(String::from_utf8(contents(folder.path())?)?)
}

/// Sends the lines through the flow to a logger; gives the headers and bodies that it logged.
fn logged(flow: &Flow, config: &str, lines: &str, events: u64) -> Result<Vec<String>> {
    let mut agent = agent(config).start()?;
    agent.wait_until_listening(flow.port, COMPILE_PATIENCE)?;
    say(flow.port, lines)?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", events, PATIENCE)?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    let printed = [Stream::Out, Stream::Err].map(|stream| agent.output().lines(stream));
    let events = printed.concat().into_iter().filter_map(|line| {
        let (_, event) = line.split_once("Event: ")?;
        Some(event.trim_end_matches(" }").to_owned())
    });
    Ok(events.collect())
}

fn end(mut agent: Agent) -> Result<()> {
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    Ok(())
}

#[test]
fn redact_replaces_what_matches_and_marks_the_event() -> Result<()> {
    let settings = "config.pattern = [0-9]{4}-[0-9]{4}\nconfig.replacement = #";
    let flow = Flow::to_logger(ports::free_port()?);
    let config = with_interceptor(&flow, "redact", settings)?;
    let logged = logged(&flow, &config, "12-1234-567890\nhide nothing\n", 2)?;
    let [first, second] = logged.try_into().unwrap();
    assert!(first.contains("{redacted=true}"), "{first}");
    assert!(first.ends_with("12-#90"), "{first}");
    assert!(second.contains("{}"), "{second}");
    assert!(second.ends_with("hide nothing"), "{second}");
    Ok(())
}

#[test]
fn drop_debug_drops_the_word_of_its_settings() -> Result<()> {
    let written = through(
        "drop_debug",
        "config.word = noise",
        "a\nb noise\nc DEBUG\nnois e\n",
        3,
    )?;
    assert_eq!(written, "a\nc DEBUG\nnois e\n");
    Ok(())
}

#[test]
fn dedup_drops_what_comes_again_within_its_window() -> Result<()> {
    // With a window of three: `a` comes again in it, and then after three others.
    let written = through("dedup", "config.window = 3", "a\nb\na\nb\nc\nd\nb\na\n", 5)?;
    assert_eq!(written, "a\nb\nc\nd\na\n");
    Ok(())
}

#[test]
fn dedup_remembers_over_a_change_of_its_settings() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flow = Flow::to_files(ports::free_port()?, folder.path());
    let first = with_interceptor(&flow, "dedup", "config.window = 100")?;
    let mut agent = agent(&first).start()?;
    agent.wait_until_listening(flow.port, COMPILE_PATIENCE)?;
    say(flow.port, "a\nb\na\n")?;
    let second = with_interceptor(&flow, "dedup", "config.window = 200")?;
    agent.replace_config(&second)?;
    agent
        .output()
        .wait_for("configuration reloaded", PATIENCE)?;
    say(flow.port, "b\nc\na\n")?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 3, PATIENCE)?;
    end(agent)?;
    assert_eq!(contents(folder.path())?, b"a\nb\nc\n");
    Ok(())
}

#[test]
fn split_lines_makes_one_event_of_each_line() -> Result<()> {
    let mut flow = Flow::to_logger(ports::free_port()?);
    // A line of netcat holds no line feed, so another guest puts some in.
    flow.source = format!(
        "interceptors = i1 i2 i3\n\
         interceptors.i1.type = static\n\
         interceptors.i1.key = from\n\
         interceptors.i1.value = here\n\
         interceptors.i2.type = wasm\n\
         interceptors.i2.component = {}\n\
         interceptors.i2.config.pattern = ;\n\
         interceptors.i2.config.replacement = .\\n-\n\
         interceptors.i3.type = wasm\n\
         interceptors.i3.component = {}\n",
        example("redact")?.display(),
        example("split_lines")?.display()
    );
    let logged = logged(&flow, &flow.text(), "one;two;\nthree\n", 4)?;
    let expected = ["one.", "-two.", "-", "three"];
    assert_eq!(logged.len(), expected.len(), "{logged:?}");
    for (event, body) in logged.iter().zip(expected) {
        assert!(event.contains("from=here"), "{event}");
        assert_eq!(event.contains("redacted=true"), body != "three", "{event}");
        assert!(event.ends_with(&format!(" {body}")), "{event}");
    }
    Ok(())
}

#[test]
fn digest_counts_and_hashes_what_it_gets() -> Result<()> {
    let mut flow = Flow::to_logger(ports::free_port()?);
    flow.sink = format!("type = wasm\ncomponent = {}", example("digest")?.display());
    let mut agent = agent(&flow.text()).start()?;
    agent.wait_until_listening(flow.port, COMPILE_PATIENCE)?;
    say(flow.port, "flumen\n")?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 1, PATIENCE)?;
    let metrics = agent.metrics()?;
    assert_eq!(metrics.count("GUEST.sinks.k1", "own.body_bytes"), Some(6));
    // What the example's own test says of this body, without an agent.
    let low = metrics.text("GUEST.sinks.k1", "own.digest_low_48_bits");
    assert_eq!(low.unwrap().parse::<f64>()?, 190_604_684_578_260.0);
    agent.terminate()?;
    agent
        .output()
        .wait_for("1 events, digest 2526ad5a9c844dd4", PATIENCE)?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    Ok(())
}

/// The ticker into files, with this text before each number.
fn ticking(text: &str, folder: &Path) -> Result<String> {
    Ok(format!(
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
         a1.sources.r1.type = wasm\na1.sources.r1.component = {}\na1.sources.r1.channels = c1\n\
         a1.sources.r1.config.interval_ms = 1\na1.sources.r1.config.text = {text}\n\
         a1.channels.c1.type = memory\n\
         a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.rollInterval = 0\n\
         a1.sinks.k1.sink.directory = {}\na1.sinks.k1.channel = c1\n",
        example("ticker")?.display(),
        folder.display()
    ))
}

#[test]
fn ticker_goes_on_behind_its_last_number_after_a_swap() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let agent = agent(&ticking("before", folder.path())?).start()?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 20, PATIENCE)?;
    agent.replace_config(&ticking("after", folder.path())?)?;
    let output = agent.output();
    output.wait_for("configuration reloaded", PATIENCE)?;
    let so_far = agent.metrics()?.count("SINK.k1", "EventDrainSuccessCount");
    let more = so_far.unwrap() + 20;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", more, PATIENCE)?;
    end(agent)?;
    let written = String::from_utf8(contents(folder.path())?)?;
    let mut words = Vec::new();
    for (line, expected) in written.lines().zip(1_u64..) {
        let (word, number) = line.split_once(' ').unwrap();
        assert_eq!(number.parse::<u64>()?, expected, "each number once: {line}");
        words.push(word);
    }
    words.dedup();
    assert_eq!(words, ["before", "after"]);
    Ok(())
}
