//! Settings for tests, checked against a row as the configuration room checks them: defaults filled
//! in, nested components resolved.

use flumen_core::option::{ComponentRow, DefaultValue, OptionRow, ValueKind};
use flumen_core::settings::{Settings, Value};

/// The settings of a component in which these options are set and all others hold their defaults.
pub(crate) fn checked(row: &ComponentRow, set: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::new();
    for (name, text) in set {
        match row.option(name) {
            Some(option) => settings = settings.with(name, value(option, text)),
            None => assert!(
                row.options.iter().any(|option| {
                    matches!(option.value, ValueKind::Component(_)) && name.starts_with(option.name)
                }),
                "{} has no option {name}",
                row.name
            ),
        }
    }
    for option in row.options {
        if let (false, DefaultValue::Is(text)) = (settings.has(option.name), option.default) {
            settings = settings.with(option.name, value(option, text));
        }
        if let ValueKind::Component(kind) = option.value {
            let name = settings.text(option.name).expect("a component is named").to_owned();
            let inner = crate::rows()
                .find(|row| row.kind == kind && row.is_called(&name))
                .expect("the component is known");
            let below: Vec<(&str, &str)> = set
                .iter()
                .filter_map(|(name, text)| {
                    Some((name.strip_prefix(option.name)?.strip_prefix('.')?, *text))
                })
                .collect();
            settings = settings.with(option.name, Value::Text(inner.name.to_owned()));
            for (name, setting) in checked(inner, &below).iter() {
                settings.insert(format!("{}.{name}", option.name), setting.clone());
            }
        }
    }
    settings
}

fn value(option: &OptionRow, text: &str) -> Value {
    match option.value {
        ValueKind::Boolean => Value::Boolean(text.parse().expect("a switch")),
        ValueKind::Integer { min, max } => {
            let number = text.parse().expect("a number");
            assert!((min..=max).contains(&number), "{} is out of bounds", option.name);
            Value::Integer(number)
        }
        ValueKind::Secret => Value::Secret(text.to_owned()),
        ValueKind::List => Value::List(text.split_whitespace().map(str::to_owned).collect()),
        ValueKind::Text | ValueKind::Choice(_) | ValueKind::Component(_) => {
            Value::Text(text.to_owned())
        }
    }
}
