//! Seen from outside: Flume's JSON, Prometheus' text, and the log.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::client::Client;
use flumen_tests::output::Stream;
use flumen_tests::wait::PATIENCE;
use flumen_tests::{http, ports};
use serde_json::Value;

use crate::flow::Flow;

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
