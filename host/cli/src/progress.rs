//! The progress line on a terminal: events per second in and out, how full the channels are, and
//! how many components are not well. Refreshed each second.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use flumen_agent::{ComponentMetrics, ComponentState, Handle, MetricKind, MetricValue};
use tokio::time::{Instant, MissedTickBehavior};

use crate::logging::Console;

/// How often the line is refreshed: as often as a person can read a number.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Channels on the line, the fullest first: more do not fit a terminal's line.
const CHANNELS_SHOWN_MAX: usize = 4;

/// Keeps a terminal from wrapping the line, which could not be cleared then; and lets it again.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Shows the line until the task is dropped. Take the line away then.
pub(crate) async fn show(handle: Handle, console: Console) -> Infallible {
    let mut ticks = tokio::time::interval(REFRESH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut then = handle.metrics();
    let mut at = ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = handle.metrics();
        let instant = Instant::now();
        let line = line_of(&then, &now, instant - at);
        console.show_progress(Some(format!("{NO_WRAP}{line}{WRAP}")));
        (then, at) = (now, instant);
    }
}

fn line_of(then: &[ComponentMetrics], now: &[ComponentMetrics], elapsed: Duration) -> String {
    let rate = |kind, attribute| {
        let events = grown(then, now, kind, attribute);
        (events as f64 / elapsed.as_secs_f64().max(f64::EPSILON)).round() as u64
    };
    let mut parts = vec![
        format!(
            "in {}/s",
            grouped(rate(MetricKind::Source, "EventAcceptedCount"))
        ),
        format!(
            "out {}/s",
            grouped(rate(MetricKind::Sink, "EventDrainSuccessCount"))
        ),
    ];
    let mut channels: Vec<(&str, f64)> = now
        .iter()
        .filter_map(|component| Some((component.name.as_str(), fill_of(component)?)))
        .collect();
    channels.sort_by(|(a_name, a), (b_name, b)| b.total_cmp(a).then(a_name.cmp(b_name)));
    let shown = channels.iter().take(CHANNELS_SHOWN_MAX);
    parts.extend(shown.map(|(name, percent)| format!("{name} {percent:.0}%")));
    if channels.len() > CHANNELS_SHOWN_MAX {
        parts.push("...".to_owned());
    }
    // A guest is counted with the source or sink that it is.
    let natives = now.iter().filter(|it| it.kind != MetricKind::Guest);
    let unwell = natives.filter(|component| is_unwell(component)).count();
    if unwell > 0 {
        parts.push(format!("{unwell} failing"));
    }
    parts.join("  ")
}

/// How much an attribute has grown over all components of a kind. One that is smaller than before
/// belongs to a component that was started anew.
fn grown(
    then: &[ComponentMetrics],
    now: &[ComponentMetrics],
    kind: MetricKind,
    attribute: &str,
) -> u64 {
    let then: BTreeMap<&str, u64> = counts(then, kind, attribute).collect();
    counts(now, kind, attribute)
        .map(|(name, count)| match then.get(name) {
            Some(before) if *before <= count => count - before,
            _ => count,
        })
        .sum()
}

fn counts<'m>(
    metrics: &'m [ComponentMetrics],
    kind: MetricKind,
    attribute: &str,
) -> impl Iterator<Item = (&'m str, u64)> {
    metrics
        .iter()
        .filter(move |component| component.kind == kind)
        .filter_map(move |component| match value_of(component, attribute)? {
            MetricValue::Number(number) => Some((component.name.as_str(), number)),
            MetricValue::Percent(_) => None,
        })
}

fn fill_of(component: &ComponentMetrics) -> Option<f64> {
    match value_of(component, "ChannelFillPercentage")? {
        // Flume's word for an unknown capacity.
        MetricValue::Percent(f64::MAX) | MetricValue::Number(_) => None,
        MetricValue::Percent(percent) => Some(percent),
    }
}

fn value_of(component: &ComponentMetrics, attribute: &str) -> Option<MetricValue> {
    let mut attributes = component.attributes.iter();
    let (_, value) = attributes.find(|(name, _)| *name == attribute)?;
    Some(*value)
}

fn is_unwell(component: &ComponentMetrics) -> bool {
    matches!(
        component.state,
        Some(
            ComponentState::Retrying { .. }
                | ComponentState::Failed { .. }
                | ComponentState::RolledBack { .. }
        )
    )
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(
        kind: MetricKind,
        name: &str,
        attribute: &'static str,
        value: MetricValue,
    ) -> ComponentMetrics {
        ComponentMetrics {
            kind,
            name: name.into(),
            attributes: vec![(attribute, value)],
            state: None,
            guest: None,
        }
    }

    fn source(name: &str, count: u64) -> ComponentMetrics {
        let value = MetricValue::Number(count);
        component(MetricKind::Source, name, "EventAcceptedCount", value)
    }

    fn channel(name: &str, percent: f64) -> ComponentMetrics {
        let value = MetricValue::Percent(percent);
        component(MetricKind::Channel, name, "ChannelFillPercentage", value)
    }

    #[test]
    fn rates_fill_and_failures_stand_on_one_line() {
        let then = [source("r1", 1_000), source("r2", 900)];
        let mut sink = component(
            MetricKind::Sink,
            "k1",
            "EventDrainSuccessCount",
            MetricValue::Number(10),
        );
        sink.state = Some(ComponentState::Failed {
            reason: "no".to_owned(),
        });
        // The second source was started anew since.
        let now = [
            source("r1", 2_468_000),
            source("r2", 100),
            channel("c1", 3.4),
            channel("c2", 80.0),
            channel("c3", f64::MAX),
            ComponentMetrics {
                kind: MetricKind::Guest,
                name: "sinks.k1".into(),
                ..sink.clone()
            },
            sink,
        ];
        assert_eq!(
            line_of(&then, &now, Duration::from_secs(2)),
            "in 1 233 550/s  out 5/s  c2 80%  c1 3%  1 failing"
        );
    }

    #[test]
    fn only_the_fullest_channels_are_shown() {
        let now: Vec<_> = (0..6)
            .map(|number| channel(&format!("c{number}"), f64::from(number)))
            .collect();
        assert_eq!(
            line_of(&[], &now, Duration::from_secs(1)),
            "in 0/s  out 0/s  c5 5%  c4 4%  c3 3%  c2 2%  ..."
        );
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1 000"),
            (1_234_567, "1 234 567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
