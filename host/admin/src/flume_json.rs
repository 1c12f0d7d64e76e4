//! Flume's JSON: `{"SOURCE.r1":{"Type":"SOURCE","EventReceivedCount":"7",...},...}`, where every
//! value is a string, numbers too.
//!
//! Beyond Flume: components that count nothing in Flume (netcat, logger, null) are there too, and a
//! source or sink has `State`, with `StateReason` when it is not well.

use serde_json::{Map, Value};

use flumen_agent::{ComponentState, MetricValue};

use crate::picture::Picture;

/// The page at `/metrics`.
pub fn flume_json(picture: &Picture) -> String {
    let mut page = Map::new();
    for component in &picture.components {
        let kind = component.kind.word();
        let mut object = Map::new();
        object.insert("Type".to_owned(), kind.into());
        for (name, value) in &component.attributes {
            object.insert((*name).to_owned(), text_of(*value).into());
        }
        if let Some(state) = &component.state {
            object.insert("State".to_owned(), state.word().into());
            if let Some(reason) = reason_of(state) {
                object.insert("StateReason".to_owned(), reason.into());
            }
        }
        page.insert(format!("{kind}.{}", component.name), Value::Object(object));
    }
    Value::Object(page).to_string()
}

fn text_of(value: MetricValue) -> String {
    match value {
        MetricValue::Number(number) => number.to_string(),
        MetricValue::Percent(percent) => java_double(percent),
    }
}

fn reason_of(state: &ComponentState) -> Option<&str> {
    match state {
        ComponentState::Retrying { reason, .. }
        | ComponentState::Failed { reason }
        | ComponentState::RolledBack { reason } => Some(reason),
        ComponentState::Starting
        | ComponentState::Running
        | ComponentState::Finished
        | ComponentState::Stopped => None,
    }
}

/// A number as `Double.toString` of Java writes it, which is what readers of Flume's pages compare
/// with: always a fraction, and an exponent below a thousandth and from ten million.
fn java_double(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) || !value.is_finite() {
        return match value {
            _ if value.is_nan() => "NaN".to_owned(),
            _ if value == f64::INFINITY => "Infinity".to_owned(),
            _ if value == f64::NEG_INFINITY => "-Infinity".to_owned(),
            _ => format!("{value:?}"),
        };
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::samples;

    #[test]
    fn every_value_is_a_string_below_type_and_name() {
        let expected = concat!(
            r#"{"CHANNEL.c1":{"ChannelCapacity":"1000","ChannelFillPercentage":"12.5","#,
            r#""ChannelSize":"125","StartTime":"1700000000123","Type":"CHANNEL"},"#,
            r#""CHANNEL.c2":{"ChannelFillPercentage":"1.7976931348623157E308","Type":"CHANNEL"},"#,
            r#""SINK.k1":{"EventDrainSuccessCount":"41","State":"retrying","#,
            r#""StateReason":"disk \"full\"","Type":"SINK"},"#,
            r#""SOURCE.r1":{"EventReceivedCount":"18446744073709551615","#,
            r#""OpenConnectionCount":"2","State":"running","Type":"SOURCE"}}"#,
        );
        assert_eq!(flume_json(&samples::picture()), expected);
    }

    #[test]
    fn an_agent_without_components_is_an_empty_object() {
        let picture = Picture {
            agent: "a1".to_owned(),
            components: Vec::new(),
        };
        assert_eq!(flume_json(&picture), "{}");
    }

    #[test]
    fn fractions_are_written_as_java_writes_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (100.0, "100.0"),
            (0.1, "0.1"),
            (33.333_333_333_333_336, "33.333333333333336"),
            (0.001, "0.001"),
            (0.000_1, "1.0E-4"),
            (0.000_123, "1.23E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(java_double(value), text);
        }
    }
}
