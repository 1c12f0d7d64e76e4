//! Settings: the typed values of one component after the configuration has been checked.
//!
//! A component that is built from settings may rely on what the rows promise: each required option
//! is there, each default is filled in, each number is within its bound, each choice is one of the
//! words (in the row's spelling). Reading an option that has no row, or as another type than the
//! row's, is a defect of the component and comes back as a configuration fault that names it.

use std::collections::BTreeMap;
use std::fmt;

use crate::fault::Fault;
use crate::name::Place;

/// A checked value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A number within its row's bound.
    Integer(i64),
    /// A text, or one word of a choice in the row's spelling.
    Text(String),
    /// A text that never shows.
    Secret(String),
    /// Words in order.
    List(Vec<String>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Text(value) => write!(f, "{value:?}"),
            Value::Secret(_) => f.write_str("(secret)"),
            Value::List(value) => write!(f, "{value:?}"),
        }
    }
}

/// A value, where it was set, or `None` where the default holds.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Where the operator set it; `None` for a default.
    pub place: Option<Place>,
}

impl PartialEq for Setting {
    /// Two settings are the same when their values are: a line that moved is not a change.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Setting {}

/// The settings of one component by option name (the row's spelling, aliases resolved; for a
/// pattern row the key as it was written).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, Setting>,
}

impl Settings {
    /// No settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a setting.
    pub fn insert(&mut self, name: impl Into<String>, setting: Setting) {
        self.values.insert(name.into(), setting);
    }

    /// The same settings with one more, for tests and defaults.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.insert(name, Setting { value, place: None });
        self
    }

    /// All settings, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.values
            .iter()
            .map(|(name, setting)| (name.as_str(), setting))
    }

    /// Whether the option has a value, set or by default.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Where the operator set the option.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.values.get(name)?.place.as_ref()
    }

    /// A switch.
    ///
    /// # Errors
    /// A configuration fault when the option is absent or of another type.
    pub fn boolean(&self, name: &str) -> Result<bool, Fault> {
        match self.value(name)? {
            Value::Boolean(value) => Ok(*value),
            other => Err(wrong_type(name, "a switch", other)),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// A configuration fault when the option is absent or of another type.
    pub fn integer(&self, name: &str) -> Result<i64, Fault> {
        match self.value(name)? {
            Value::Integer(value) => Ok(*value),
            other => Err(wrong_type(name, "a number", other)),
        }
    }

    /// A number that its row bounds to at least 0 and to what the target type holds.
    ///
    /// # Errors
    /// A configuration fault when the option is absent, of another type, or out of range.
    pub fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<T, Fault> {
        let value = self.integer(name)?;
        T::try_from(value)
            .map_err(|_| Fault::configuration(format!("option {name} is out of range: {value}")))
    }

    /// A text or a word of a choice.
    ///
    /// # Errors
    /// A configuration fault when the option is absent or of another type.
    pub fn text(&self, name: &str) -> Result<&str, Fault> {
        match self.value(name)? {
            Value::Text(value) => Ok(value),
            other => Err(wrong_type(name, "a text", other)),
        }
    }

    /// A text that may be absent.
    ///
    /// # Errors
    /// A configuration fault when the option is of another type.
    pub fn optional_text(&self, name: &str) -> Result<Option<&str>, Fault> {
        if self.has(name) {
            self.text(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A number that may be absent.
    ///
    /// # Errors
    /// A configuration fault when the option is of another type.
    pub fn optional_integer(&self, name: &str) -> Result<Option<i64>, Fault> {
        if self.has(name) {
            self.integer(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Words in order; an absent option is an empty list.
    ///
    /// # Errors
    /// A configuration fault when the option is of another type.
    pub fn list(&self, name: &str) -> Result<&[String], Fault> {
        match self.values.get(name).map(|setting| &setting.value) {
            None => Ok(&[]),
            Some(Value::List(value)) => Ok(value),
            Some(other) => Err(wrong_type(name, "a list", other)),
        }
    }

    /// All settings whose name begins with `prefix`, the prefix removed (`mapping.` gives the
    /// values that are mapped), in the order of their names.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Setting)> {
        self.values
            .iter()
            .filter_map(move |(name, setting)| Some((name.strip_prefix(prefix)?, setting)))
    }

    /// The settings of a nested component (`sink.serializer.`), as settings of their own.
    #[must_use]
    pub fn nested(&self, prefix: &str) -> Settings {
        Settings {
            values: self
                .below(prefix)
                .map(|(name, setting)| (name.to_owned(), setting.clone()))
                .collect(),
        }
    }

    fn value(&self, name: &str) -> Result<&Value, Fault> {
        self.values
            .get(name)
            .map(|setting| &setting.value)
            .ok_or_else(|| Fault::configuration(format!("option {name} is not set")))
    }
}

fn wrong_type(name: &str, wanted: &str, found: &Value) -> Fault {
    Fault::configuration(format!("option {name} is not {wanted}: {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows() {
        let settings = Settings::new().with("password", Value::Secret("hunter2".into()));
        assert!(!format!("{settings:?}").contains("hunter2"));
        let fault = settings.text("password").expect_err("a secret is no text");
        assert!(!fault.to_string().contains("hunter2"));
    }

    #[test]
    fn a_moved_line_is_no_change() {
        let at = |line| Setting {
            value: Value::Integer(1),
            place: Some(Place {
                file: "a".into(),
                line,
            }),
        };
        assert_eq!(at(1), at(2));
    }
}
