//! The Prometheus text format, version 0.0.4.
//!
//! Families come in the order of [`FAMILIES`], a family without a sample is left out, and its HELP
//! and TYPE lines stand once before its samples. Every sample carries `agent` and `component`, and
//! nothing whose number could grow with the data.

use std::fmt::Write;

use flumen_agent::{ComponentMetrics, MetricKind, MetricValue};

use crate::families::{FAMILIES, Family, Shape};
use crate::picture::Picture;

/// The media type of the page.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All words of a component's state; each is a sample of 0 or 1, so that a query can count the
/// components in one state and an alert ends when the state does.
const STATES: [&str; 7] = [
    "starting",
    "running",
    "retrying",
    "failed",
    "rolled-back",
    "finished",
    "stopped",
];

/// The page at `/metrics/prometheus`.
pub fn prometheus_text(picture: &Picture) -> String {
    let mut page = String::new();
    head(
        &mut page,
        "flumen_build_info",
        "gauge",
        "The version that runs; always 1.",
    );
    sample(
        &mut page,
        "flumen_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        "1",
    );
    for family in FAMILIES {
        append_family(&mut page, family, picture);
    }
    append_states(&mut page, picture);
    page
}

fn append_family(page: &mut String, family: &Family, picture: &Picture) {
    let mut is_headed = false;
    for component in &picture.components {
        let Some(value) = value_of(component, family) else {
            continue;
        };
        if !is_headed {
            let shape = match family.shape {
                Shape::Counter => "counter",
                Shape::Gauge | Shape::Time => "gauge",
            };
            head(page, family.name, shape, family.help);
            is_headed = true;
        }
        let labels = [
            ("agent", picture.agent.as_str()),
            ("component", component.name.as_str()),
        ];
        sample(page, family.name, &labels, &value);
    }
}

fn value_of(component: &ComponentMetrics, family: &Family) -> Option<String> {
    if component.kind != family.kind {
        return None;
    }
    let (_, value) = component
        .attributes
        .iter()
        .find(|(name, _)| *name == family.attribute)?;
    match *value {
        MetricValue::Number(milliseconds) if family.shape == Shape::Time => Some(format!(
            "{}.{:03}",
            milliseconds / 1000,
            milliseconds % 1000
        )),
        MetricValue::Number(number) => Some(number.to_string()),
        // Flume's word for an unknown capacity is not a number that one could plot.
        MetricValue::Percent(f64::MAX) => None,
        MetricValue::Percent(percent) => Some(percent.to_string()),
    }
}

fn append_states(page: &mut String, picture: &Picture) {
    const NAME: &str = "flumen_component_state";
    let with_state = picture
        .components
        .iter()
        .filter_map(|component| Some((component, component.state.as_ref()?)));
    let mut is_headed = false;
    for (component, state) in with_state {
        if !is_headed {
            head(
                page,
                NAME,
                "gauge",
                "1 for the state that a component is in.",
            );
            is_headed = true;
        }
        for word in STATES {
            let labels = [
                ("agent", picture.agent.as_str()),
                ("component", component.name.as_str()),
                ("kind", kind_word(component.kind)),
                ("state", word),
            ];
            let value = if word == state.word() { "1" } else { "0" };
            sample(page, NAME, &labels, value);
        }
    }
}

fn kind_word(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Channel => "channel",
        MetricKind::Sink => "sink",
        MetricKind::Source => "source",
    }
}

fn head(page: &mut String, name: &str, shape: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {shape}");
}

fn sample(page: &mut String, name: &str, labels: &[(&str, &str)], value: &str) {
    page.push_str(name);
    for (position, (label, text)) in labels.iter().enumerate() {
        page.push(if position == 0 { '{' } else { ',' });
        let _ = write!(page, "{label}=\"{}\"", escaped(text));
    }
    page.push('}');
    let _ = writeln!(page, " {value}");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
