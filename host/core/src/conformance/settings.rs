//! Checked settings for tests, made from the option rows as the configuration makes them.

use crate::option::{ComponentRow, DefaultValue, OptionRow, ValueKind};
use crate::settings::{Settings, Value};

/// The settings of a component: these options, as a file would spell them, and the defaults of all
/// others that have one.
///
/// # Panics
/// When an option has no row, or a text is no value of the row's type. Bounds are not checked.
pub fn settings(row: &ComponentRow, options: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::new();
    for option in row.options {
        if let DefaultValue::Is(text) = option.default {
            settings = settings.with(option.name, value(option, text));
        }
    }
    for (key, text) in options {
        let option = row.option(key);
        assert!(option.is_some(), "{} has no option {key}", row.name);
        if let Some(option) = option {
            let name = if option.is_pattern() {
                key
            } else {
                option.name
            };
            settings = settings.with(name, value(option, text));
        }
    }
    settings
}

fn value(option: &OptionRow, text: &str) -> Value {
    let parsed = match option.value {
        ValueKind::Boolean => text.parse().ok().map(Value::Boolean),
        ValueKind::Integer { .. } => text.parse().ok().map(Value::Integer),
        ValueKind::Secret => Some(Value::Secret(text.into())),
        ValueKind::List => Some(Value::List(
            text.split_whitespace().map(String::from).collect(),
        )),
        ValueKind::Text | ValueKind::Choice(_) | ValueKind::Component(_) | ValueKind::Channel => {
            Some(Value::Text(text.into()))
        }
    };
    assert!(
        parsed.is_some(),
        "{text:?} is no value of option {}",
        option.name
    );
    parsed.unwrap_or(Value::Boolean(false))
}
