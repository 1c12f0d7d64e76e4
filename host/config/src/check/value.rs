//! The text of a value, to a typed value within its bound.

use flumen_core::option::{DefaultValue, OptionRow, Unit, ValueKind};
use flumen_core::settings::Value;

use crate::document::{Entry, EntryValue};
use crate::problem::{nearest_name, quoted};

/// Why a text is no value of an option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadValue {
    pub(super) what: String,
    pub(super) nearest: Option<String>,
}

impl From<String> for BadValue {
    fn from(what: String) -> Self {
        Self {
            what,
            nearest: None,
        }
    }
}

/// The typed value of an entry.
pub(super) fn value_of_entry(row: &OptionRow, entry: &Entry) -> Result<Value, BadValue> {
    if entry.written == entry.value {
        return parse(row, &entry.value, quoted);
    }
    // What a reference stands for may be a secret, so messages show the reference.
    let written = format!("the value of {}", quoted(&entry.written.text()));
    parse(row, &entry.value, |_| written.clone())
}

/// The typed value of a row's default; `None` where it has none.
pub(super) fn value_of_default(row: &OptionRow) -> Option<Result<Value, BadValue>> {
    match row.default {
        DefaultValue::Is(text) => {
            // A default that is empty is an empty text, not an option that is ignored.
            Some(parse(row, &EntryValue::Text(text.to_owned()), quoted))
        }
        DefaultValue::Required | DefaultValue::Absent => None,
    }
}

fn parse(
    row: &OptionRow,
    value: &EntryValue,
    shown: impl Fn(&str) -> String,
) -> Result<Value, BadValue> {
    if row.value == ValueKind::List {
        return Ok(Value::List(value.words()));
    }
    let EntryValue::Text(text) = value else {
        return Err("takes one value, not a list".to_owned().into());
    };
    match row.value {
        ValueKind::Boolean => boolean(text, shown).map(Value::Boolean),
        ValueKind::Integer { min, max } => {
            integer(text, min, max, row.unit, shown).map(Value::Integer)
        }
        ValueKind::Choice(words) => choice(text, words, shown).map(Value::Text),
        ValueKind::Secret => Ok(Value::Secret(text.clone())),
        ValueKind::Text | ValueKind::Component(_) | ValueKind::Channel | ValueKind::List => {
            Ok(Value::Text(text.clone()))
        }
    }
}

fn boolean(text: &str, shown: impl Fn(&str) -> String) -> Result<bool, BadValue> {
    if text.eq_ignore_ascii_case("true") {
        return Ok(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Ok(false);
    }
    let shown = shown(text);
    Err(format!("{shown} is neither true nor false; Flume would take it for false").into())
}

fn integer(
    text: &str,
    min: i64,
    max: i64,
    unit: Option<Unit>,
    shown: impl Fn(&str) -> String,
) -> Result<i64, BadValue> {
    let bound = bound(min, max, unit);
    let number: i128 = match text.trim().parse() {
        Ok(number) => number,
        Err(_) => return Err(format!("{} is not a whole number; {bound}", shown(text)).into()),
    };
    i64::try_from(number)
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("{} is out of bounds; {bound}", shown(text)).into())
}

/// The bound of a number in words, with its unit.
fn bound(min: i64, max: i64, unit: Option<Unit>) -> String {
    let bound = match (min, max) {
        (i64::MIN, i64::MAX) => "within 64 bits".to_owned(),
        (min, i64::MAX) => format!("at least {min}"),
        (i64::MIN, max) => format!("at most {max}"),
        (min, max) => format!("{min} to {max}"),
    };
    match unit {
        None | Some(Unit::Port) => format!("it has to be {bound}"),
        Some(unit) => format!("it has to be {bound}, in {}", unit.word()),
    }
}

fn choice(
    text: &str,
    words: &'static [&'static str],
    shown: impl Fn(&str) -> String,
) -> Result<String, BadValue> {
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        return Ok((*word).to_owned());
    }
    Err(BadValue {
        what: format!("{} is not one of {}", shown(text), words.join(", ")),
        nearest: nearest_name(text, words.iter().copied()),
    })
}
