//! Seen from outside: Flume's JSON, Prometheus' text, and the log.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::client::Client;
use flumen_tests::output::Stream;
use flumen_tests::wait::{METRICS_PAUSE, PATIENCE, wait_for_every};
use flumen_tests::{http, ports};
use serde_json::Value;

use crate::flow::Flow;
use crate::guests::example;

/// Attributes of Flume, by the type of the component.
const ATTRIBUTES: [(&str, &[&str]); 3] = [
    (
        "SOURCE.r1",
        &[
            "Type",
            "StartTime",
            "StopTime",
            "EventReceivedCount",
            "EventAcceptedCount",
            "AppendReceivedCount",
            "AppendAcceptedCount",
            "AppendBatchReceivedCount",
            "AppendBatchAcceptedCount",
            "OpenConnectionCount",
            "EventReadFail",
            "ChannelWriteFail",
            "GenericProcessingFail",
        ],
    ),
    (
        "CHANNEL.c1",
        &[
            "Type",
            "StartTime",
            "StopTime",
            "ChannelSize",
            "ChannelCapacity",
            "ChannelFillPercentage",
            "EventPutAttemptCount",
            "EventPutSuccessCount",
            "EventTakeAttemptCount",
            "EventTakeSuccessCount",
        ],
    ),
    (
        "SINK.k1",
        &[
            "Type",
            "StartTime",
            "StopTime",
            "ConnectionCreatedCount",
            "ConnectionClosedCount",
            "ConnectionFailedCount",
            "BatchEmptyCount",
            "BatchUnderflowCount",
            "BatchCompleteCount",
            "EventDrainAttemptCount",
            "EventDrainSuccessCount",
            "EventWriteFail",
            "ChannelReadFail",
        ],
    ),
];

/// Figures of a guest, with their families for Prometheus.
const GUEST_FIGURES: [(&str, &str); 12] = [
    ("CallCount", "flumen_guest_call_total"),
    ("DeadLetterCount", "flumen_guest_dead_letter_total"),
    ("DroppedPoisonCount", "flumen_guest_dropped_poison_total"),
    ("InstanceCount", "flumen_guest_instance_total"),
    (
        "LogLinesSuppressed",
        "flumen_guest_log_lines_suppressed_total",
    ),
    ("MemoryBytes", "flumen_guest_memory_bytes"),
    ("OwnRefusedCount", "flumen_guest_own_refused_total"),
    ("PoisonCount", "flumen_guest_poison_total"),
    ("RetiredCount", "flumen_guest_retired_total"),
    ("RolledBackCount", "flumen_guest_rolled_back_total"),
    ("StateBytes", "flumen_guest_state_bytes"),
    ("StrikeCount", "flumen_guest_strike_total"),
];

/// An agent that has taken three lines to the logger.
fn fed(arguments: &[&str]) -> Result<Agent> {
    let flow = Flow::to_logger(ports::free_port()?);
    let mut builder = AgentBuilder::new(flow.text()).with_metrics();
    for argument in arguments {
        builder = builder.argument(argument);
    }
    let mut agent = builder.start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    let mut client = Client::connect(flow.port)?;
    for line in ["one", "two", "three"] {
        assert_eq!(client.ask(line)?, "OK");
    }
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 3, PATIENCE)?;
    Ok(agent)
}

#[test]
fn the_json_is_flumes() -> Result<()> {
    let agent = fed(&[])?;
    let reply = http::get(agent.metrics_port()?, "/METRICS")?;
    assert_eq!(reply.status, 200);
    let head = reply.head.to_ascii_lowercase();
    assert!(
        head.contains("content-type: application/json;charset=utf-8"),
        "{head}"
    );
    let page: Value = serde_json::from_str(&reply.body)?;
    let components: BTreeSet<&str> = page
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        components,
        BTreeSet::from(["CHANNEL.c1", "SINK.k1", "SOURCE.r1"])
    );
    for (component, attributes) in ATTRIBUTES {
        let found = page[component].as_object().unwrap();
        for attribute in attributes {
            assert!(
                found.contains_key(*attribute),
                "{component} has no {attribute}"
            );
        }
        for (attribute, value) in found {
            assert!(value.is_string(), "{component} {attribute} is {value}");
        }
        assert_eq!(component.split('.').next(), found["Type"].as_str());
    }
    let metrics = agent.metrics()?;
    assert_eq!(metrics.count("SOURCE.r1", "EventAcceptedCount"), Some(3));
    assert_eq!(metrics.count("CHANNEL.c1", "EventPutSuccessCount"), Some(3));
    assert_eq!(metrics.count("CHANNEL.c1", "ChannelCapacity"), Some(100));
    assert_eq!(
        metrics.text("CHANNEL.c1", "ChannelFillPercentage"),
        Some("0.0")
    );
    Ok(())
}

#[test]
fn other_requests_are_answered_as_by_flume() -> Result<()> {
    let agent = fed(&[])?;
    let port = agent.metrics_port()?;
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/elsewhere", 404),
        ("OPTIONS", "/metrics", 403),
        ("TRACE", "/metrics", 403),
        ("POST", "/metrics", 404),
    ] {
        let reply = http::request(port, method, path)?;
        assert_eq!(reply.status, status, "{method} {path}");
    }
    Ok(())
}

/// One line of Prometheus' text: a comment, or a name, labels and a number.
fn check_prometheus_line(line: &str, types: &mut BTreeSet<String>) -> Result<()> {
    if let Some(comment) = line.strip_prefix("# ") {
        if let Some(family) = comment.strip_prefix("TYPE ") {
            let (name, kind) = family.split_once(' ').context("no type")?;
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned()), "a second time: {line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        }
        return Ok(());
    }
    let (name, rest) = line.split_once('{').context("no labels")?;
    assert!(types.contains(name), "no type before {line}");
    assert!(
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
        "{line}"
    );
    let (labels, value) = rest.rsplit_once("} ").context("no value")?;
    for label in labels.split("\",") {
        let (name, value) = label.split_once("=\"").context("a label without value")?;
        assert!(!name.is_empty() && !value.is_empty(), "{line}");
    }
    value.parse::<f64>().with_context(|| line.to_owned())?;
    Ok(())
}

#[test]
fn prometheus_can_read_its_page() -> Result<()> {
    let agent = fed(&[])?;
    let reply = http::get(agent.metrics_port()?, "/metrics/prometheus")?;
    assert!(
        reply.head.contains("text/plain; version=0.0.4"),
        "{}",
        reply.head
    );
    let mut types = BTreeSet::new();
    for line in reply.body.lines() {
        check_prometheus_line(line, &mut types).with_context(|| line.to_owned())?;
    }
    let wanted = "flumen_source_event_accepted_total{agent=\"a1\",component=\"r1\"} 3";
    assert!(
        reply.body.lines().any(|line| line == wanted),
        "{}",
        reply.body
    );
    Ok(())
}

/// An agent that keeps compiled guests for the next one.
fn with_guests(config: &str) -> AgentBuilder {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let cache = format!("-Dflumen.cacheFolder={}", cache.display());
    AgentBuilder::new(config).with_metrics().argument(cache)
}

/// A source, an interceptor and a sink, all of them guests; of 50 events one is dropped.
fn three_guests() -> Result<Agent> {
    let config = format!(
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\na1.channels.c1.type = memory\n\
         a1.sources.r1.type = wasm\na1.sources.r1.component = {}\na1.sources.r1.channels = c1\n\
         a1.sources.r1.config.interval_ms = 1\na1.sources.r1.config.limit = 50\n\
         a1.sources.r1.interceptors = i1\na1.sources.r1.interceptors.i1.type = wasm\n\
         a1.sources.r1.interceptors.i1.component = {}\n\
         a1.sources.r1.interceptors.i1.config.word = tick 50\n\
         a1.sinks.k1.type = wasm\na1.sinks.k1.component = {}\na1.sinks.k1.channel = c1\n",
        example("ticker").display(),
        example("drop_debug").display(),
        example("digest").display()
    );
    let agent = with_guests(&config).start()?;
    agent.wait_for_count("SINK.k1", "EventDrainSuccessCount", 49, PATIENCE)?;
    agent.wait_for_count("SOURCE.r1", "EventAcceptedCount", 50, PATIENCE)?;
    Ok(agent)
}

#[test]
fn guests_are_told_with_their_own_figures() -> Result<()> {
    let agent = three_guests()?;
    let metrics = agent.metrics()?;
    let page = http::get(agent.metrics_port()?, "/metrics/prometheus")?.body;
    let mut types = BTreeSet::new();
    for line in page.lines() {
        check_prometheus_line(line, &mut types).with_context(|| line.to_owned())?;
    }
    for (name, own_name) in [
        ("sources.r1", "ticker"),
        ("sources.r1.interceptors.i1", "drop-debug"),
        ("sinks.k1", "digest"),
    ] {
        let guest = format!("GUEST.{name}");
        assert_eq!(metrics.text(&guest, "Type"), Some("GUEST"));
        assert_eq!(metrics.text(&guest, "Name"), Some(own_name));
        assert_eq!(metrics.text(&guest, "Digest").map(str::len), Some(64));
        assert!(metrics.text(&guest, "Version").is_some(), "{guest}");
        for (attribute, family) in GUEST_FIGURES {
            assert!(metrics.count(&guest, attribute).is_some(), "{attribute}");
            let sample = format!("{family}{{agent=\"a1\",component=\"{name}\"}} ");
            assert!(page.contains(&sample), "{sample} in {page}");
        }
        assert!(metrics.count(&guest, "CallCount") >= Some(1), "{guest}");
        assert!(metrics.count(&guest, "MemoryBytes") >= Some(1), "{guest}");
        assert_eq!(metrics.count(&guest, "StrikeCount"), Some(0));
    }
    assert_eq!(metrics.text("GUEST.sinks.k1", "State"), Some("running"));
    assert_eq!(metrics.count("GUEST.sinks.k1", "own.events"), Some(49));
    let own = "flumen_guest_own_total{agent=\"a1\",component=\"sinks.k1\",name=\"events\"} 49";
    assert!(page.lines().any(|line| line == own), "{page}");
    Ok(())
}

/// Another version of a component: the same code with other words beside it.
fn another_version(of: &Path, at: &Path) -> Result<()> {
    let mut bytes = fs::read(of)?;
    // A section of the kind "custom", 7 bytes long, of the name "edited".
    bytes.extend_from_slice(b"\0\x07\x06edited");
    fs::write(at, bytes)?;
    Ok(())
}

#[test]
fn the_next_version_of_a_guest_goes_on_with_its_figures() -> Result<()> {
    const GUEST: &str = "GUEST.sources.r1.interceptors.i1";
    let flow = Flow::to_logger(ports::free_port()?);
    let with = |component: &Path| {
        let mut flow = flow.clone();
        flow.source.push_str(&format!(
            "interceptors = i1\ninterceptors.i1.type = wasm\n\
             interceptors.i1.config.word = DEBUG\ninterceptors.i1.component = {}",
            component.display()
        ));
        flow.text()
    };
    let old = example("drop_debug");
    let mut agent = with_guests(&with(&old)).start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    let mut client = Client::connect(flow.port)?;
    assert_eq!(client.ask("one")?, "OK");
    let before = agent.metrics()?;

    let new = agent.directory().join("new.wasm");
    another_version(&old, &new)?;
    let reload = |config: &str| -> Result<()> {
        let position = agent.output().position();
        agent.replace_config(config)?;
        let output = agent.output();
        output.wait_for_after(position, "configuration reloaded", PATIENCE)?;
        Ok(())
    };
    reload(&with(&new))?;
    assert_eq!(client.ask("two")?, "OK");
    let after = agent.metrics()?;
    assert_ne!(after.text(GUEST, "Digest"), before.text(GUEST, "Digest"));
    assert!(after.count(GUEST, "CallCount") > before.count(GUEST, "CallCount"));
    assert!(after.count(GUEST, "InstanceCount") > before.count(GUEST, "InstanceCount"));

    reload(&flow.text())?;
    wait_for_every(METRICS_PAUSE, "the guest to be gone", PATIENCE, || {
        Ok((!agent.metrics()?.has(GUEST)).then_some(()))
    })
}

#[test]
fn the_pages_are_for_this_machine_only() -> Result<()> {
    let agent = fed(&[])?;
    let listening = |table: &str| -> Result<Vec<String>> {
        let path = format!("/proc/{}/net/{table}", agent.process_id());
        let suffix = format!(":{:04X}", agent.metrics_port()?);
        let text = fs::read_to_string(path)?;
        let sockets = text.lines().skip(1).filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
            (state == "0A" && local.ends_with(&suffix)).then(|| local.to_owned())
        });
        Ok(sockets.collect())
    };
    let loopback = format!("0100007F:{:04X}", agent.metrics_port()?);
    assert_eq!(listening("tcp")?, [loopback]);
    assert!(listening("tcp6")?.is_empty());
    Ok(())
}

#[test]
fn a_page_port_that_is_taken_is_named() -> Result<()> {
    let held = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, ports::free_port()?))?;
    let port = held.local_addr()?.port();
    let flow = Flow::to_logger(ports::free_port()?);
    let builder = AgentBuilder::new(flow.text()).argument("-Dflume.monitoring.type=http");
    let builder = builder.argument(format!("-Dflume.monitoring.port={port}"));
    let mut agent = builder.start()?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(1));
    agent.output().wait_for(&port.to_string(), PATIENCE)?;
    Ok(())
}

#[test]
fn the_log_comes_as_json() -> Result<()> {
    let mut agent = fed(&["-Dflumen.log.format=json"])?;
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    let mut events = 0;
    for line in agent.output().lines(Stream::Err) {
        let record: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        for field in ["timestamp", "level", "target"] {
            assert!(record[field].is_string(), "{field} in {line}");
        }
        events += usize::from(line.contains("Event: { headers:{} body:"));
    }
    assert_eq!(events, 3);
    Ok(())
}

#[test]
fn the_level_of_flumes_property_holds() -> Result<()> {
    let mut quiet = fed(&["-Dflume.root.logger=WARN,console"])?;
    quiet.terminate()?;
    assert!(quiet.wait_exit(PATIENCE)?.success());
    assert_eq!(quiet.output().lines(Stream::Err), Vec::<String>::new());
    assert_eq!(quiet.output().lines(Stream::Out), Vec::<String>::new());
    let talkative = fed(&["-Dflume.root.logger=INFO,console"])?;
    assert_eq!(talkative.output().count("Event: { headers:{} body:"), 3);
    Ok(())
}
