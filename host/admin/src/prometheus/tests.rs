use std::collections::{BTreeMap, BTreeSet};

use flumen_agent::ComponentState;

use super::*;
use crate::picture::samples;

/// One sample of a page, taken apart by the rules of the format.
#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A reader of the format that refuses what the format refuses: a sample without its TYPE line, a
/// family in two places, a label twice, a broken escape, a line that does not end.
fn parse(page: &str) -> Result<Vec<Sample>, String> {
    if !page.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut samples = Vec::new();
    let mut closed: BTreeSet<String> = BTreeSet::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').ok_or("HELP without text")?;
            if !closed.insert(name.to_owned()) {
                return Err(format!("family {name} twice"));
            }
            current.clear();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, shape) = rest.split_once(' ').ok_or("TYPE without a word")?;
            if !closed.contains(name) || !["counter", "gauge"].contains(&shape) {
                return Err(format!("bad TYPE line {line}"));
            }
            name.clone_into(&mut current);
        } else {
            let sample = parse_sample(line)?;
            if sample.name != current {
                return Err(format!("{line} stands outside its family"));
            }
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn parse_sample(line: &str) -> Result<Sample, String> {
    let at_name = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let end = line.find(at_name).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("no label value")?;
            let (text, after) = unescape(after)?;
            if labels.insert(label.to_owned(), text).is_some() {
                return Err(format!("label {label} twice"));
            }
            match after.as_bytes().first() {
                Some(b',') => rest = &after[1..],
                Some(b'}') => {
                    rest = &after[1..];
                    break;
                }
                _ => return Err(format!("labels do not end in {line}")),
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().map_err(|_| format!("bad value {value}"))?,
    })
}

fn unescape(text: &str) -> Result<(String, &str), String> {
    let mut plain = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((plain, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => plain.push('\n'),
                Some((_, same @ ('\\' | '"'))) => plain.push(same),
                _ => return Err("unknown escape".to_owned()),
            },
            other => plain.push(other),
        }
    }
    Err("label value does not end".to_owned())
}

#[test]
fn the_page_of_a_small_agent() {
    let page = prometheus_text(&samples::picture());
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        r#"# HELP flumen_build_info The version that runs; always 1.
# TYPE flumen_build_info gauge
flumen_build_info{{version="{version}"}} 1
# HELP flumen_source_event_received_total Events that came in.
# TYPE flumen_source_event_received_total counter
flumen_source_event_received_total{{agent="a1",component="r1"}} 18446744073709551615
# HELP flumen_source_open_connection_count Connections that are open.
# TYPE flumen_source_open_connection_count gauge
flumen_source_open_connection_count{{agent="a1",component="r1"}} 2
# HELP flumen_channel_start_time_seconds When the channel started, seconds since 1970.
# TYPE flumen_channel_start_time_seconds gauge
flumen_channel_start_time_seconds{{agent="a1",component="c1"}} 1700000000.123
# HELP flumen_channel_size Events in the channel.
# TYPE flumen_channel_size gauge
flumen_channel_size{{agent="a1",component="c1"}} 125
# HELP flumen_channel_capacity Events that fit the channel.
# TYPE flumen_channel_capacity gauge
flumen_channel_capacity{{agent="a1",component="c1"}} 1000
# HELP flumen_channel_fill_percentage Size in percent of capacity; absent when the capacity is unknown.
# TYPE flumen_channel_fill_percentage gauge
flumen_channel_fill_percentage{{agent="a1",component="c1"}} 12.5
# HELP flumen_sink_event_drain_success_total Events that were delivered.
# TYPE flumen_sink_event_drain_success_total counter
flumen_sink_event_drain_success_total{{agent="a1",component="k1"}} 41
# HELP flumen_component_state 1 for the state that a component is in.
# TYPE flumen_component_state gauge
flumen_component_state{{agent="a1",component="k1",kind="sink",state="starting"}} 0
flumen_component_state{{agent="a1",component="k1",kind="sink",state="running"}} 0
flumen_component_state{{agent="a1",component="k1",kind="sink",state="retrying"}} 1
flumen_component_state{{agent="a1",component="k1",kind="sink",state="failed"}} 0
flumen_component_state{{agent="a1",component="k1",kind="sink",state="rolled-back"}} 0
flumen_component_state{{agent="a1",component="k1",kind="sink",state="finished"}} 0
flumen_component_state{{agent="a1",component="k1",kind="sink",state="stopped"}} 0
flumen_component_state{{agent="a1",component="r1",kind="source",state="starting"}} 0
flumen_component_state{{agent="a1",component="r1",kind="source",state="running"}} 1
flumen_component_state{{agent="a1",component="r1",kind="source",state="retrying"}} 0
flumen_component_state{{agent="a1",component="r1",kind="source",state="failed"}} 0
flumen_component_state{{agent="a1",component="r1",kind="source",state="rolled-back"}} 0
flumen_component_state{{agent="a1",component="r1",kind="source",state="finished"}} 0
flumen_component_state{{agent="a1",component="r1",kind="source",state="stopped"}} 0
"#
    );
    assert_eq!(page, expected);
    assert_eq!(parse(&page).unwrap().len(), 22);
}

#[test]
fn names_with_quotes_and_line_ends_come_back_whole() {
    let name = "a\\b\"c\nd";
    let picture = Picture {
        agent: name.to_owned(),
        components: vec![samples::component(
            MetricKind::Source,
            name,
            &[("EventReceivedCount", MetricValue::Number(7))],
            Some(ComponentState::Stopped),
        )],
    };
    let samples = parse(&prometheus_text(&picture)).unwrap();
    let received = samples
        .iter()
        .find(|sample| sample.name == "flumen_source_event_received_total")
        .unwrap();
    assert_eq!(received.labels["component"], name);
    assert_eq!(received.labels["agent"], name);
    assert_eq!(received.value, 7.0);
}

#[test]
fn every_state_has_its_word_among_the_samples() {
    let reason = String::new();
    let states = [
        ComponentState::Starting,
        ComponentState::Running,
        ComponentState::Retrying {
            reason: reason.clone(),
            failures: 1,
        },
        ComponentState::Failed {
            reason: reason.clone(),
        },
        ComponentState::RolledBack { reason },
        ComponentState::Finished,
        ComponentState::Stopped,
    ];
    for state in states {
        assert!(STATES.contains(&state.word()), "{state:?}");
    }
}

#[test]
fn the_reader_refuses_what_the_format_refuses() {
    let head = "# HELP m h\n# TYPE m gauge\n";
    for bad in [
        "m 1\n".to_owned(),
        format!("{head}n 1\n"),
        format!("{head}m{{a=\"1\",a=\"2\"}} 1\n"),
        format!("{head}m{{a=\"1\\x\"}} 1\n"),
        format!("{head}m 1"),
        format!("{head}{head}m 1\n"),
    ] {
        assert!(parse(&bad).is_err(), "{bad}");
    }
}
