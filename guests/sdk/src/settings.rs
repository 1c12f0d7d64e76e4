//! The component's own settings: what stands below `config.` in the configuration.

mod text;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::error::Error;

/// The component's own settings. Each is a text; [`Settings::parse`] makes a struct of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, String>,
}

impl Settings {
    /// The settings as a struct that derives serde's `Deserialize`. Numbers, booleans (`true` or
    /// `false`) and unit variants are read from their text; an `Option` or a `#[serde(default)]` may
    /// be missing. Put `#[serde(deny_unknown_fields)]` on the struct, or a mistyped name goes
    /// unnoticed. Lists and nested structs are not read: take the text and split it.
    ///
    /// # Errors
    /// [`Error::Configuration`] that names the setting and what is wrong with it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        text::parse(&self.values)
    }

    /// One setting as it stands.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// One setting that must be there.
    ///
    /// # Errors
    /// [`Error::Configuration`] that names it.
    pub fn require(&self, name: &str) -> Result<&str, Error> {
        self.get(name)
            .ok_or_else(|| Error::configuration(text::missing(name)))
    }

    /// One setting, or this value when it is missing.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the text is not such a value.
    pub fn get_or<T>(&self, name: &str, default: T) -> Result<T, Error>
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value
                .parse()
                .map_err(|error| Error::configuration(text::wrong(name, value, &error))),
        }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Settings {
            values: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Safe,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Example {
        word: String,
        window: u32,
        ratio: f64,
        loud: bool,
        mode: Mode,
        limit: Option<i64>,
        #[serde(default)]
        note: String,
        #[serde(rename = "a.b")]
        dotted: Option<String>,
    }

    const GOOD: [(&str, &str); 6] = [
        ("word", "x"),
        ("window", "10"),
        ("ratio", "0.5"),
        ("loud", "true"),
        ("mode", "fast"),
        ("a.b", "y"),
    ];

    fn message_with(name: &str, value: &str) -> String {
        let pairs = GOOD.iter().copied().chain([(name, value)]);
        let parsed: Result<Example, Error> = Settings::from_iter(pairs).parse();
        match parsed {
            Err(Error::Configuration(message)) => message,
            other => panic!("not a configuration error: {other:?}"),
        }
    }

    #[test]
    fn texts_become_the_types_of_the_struct() {
        let parsed: Example = Settings::from_iter(GOOD).parse().unwrap();
        let expected = Example {
            word: "x".to_owned(),
            window: 10,
            ratio: 0.5,
            loud: true,
            mode: Mode::Fast,
            limit: None,
            note: String::new(),
            dotted: Some("y".to_owned()),
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn an_error_names_the_setting_and_its_text() {
        assert_eq!(
            message_with("window", "ten"),
            "config.window = \"ten\": invalid digit found in string"
        );
        assert_eq!(
            message_with("loud", "yes"),
            "config.loud = \"yes\": provided string was not `true` or `false`"
        );
        assert_eq!(
            message_with("mode", "wild"),
            "config.mode = \"wild\": unknown variant `wild`, expected `fast` or `safe`"
        );
        assert_eq!(
            message_with("limit", ""),
            "config.limit = \"\": cannot parse integer from empty string"
        );
        let unknown = message_with("windo", "1");
        assert!(
            unknown.starts_with("config.windo is not known: known are word, window"),
            "{unknown}"
        );
        let missing: Result<Example, Error> = Settings::default().parse();
        assert_eq!(
            missing,
            Err(Error::configuration("config.word is missing: add it"))
        );
    }

    #[test]
    fn one_setting_without_serde() {
        let settings = Settings::from_iter(GOOD);
        assert_eq!(settings.require("word"), Ok("x"));
        assert_eq!(settings.get_or("window", 5), Ok(10));
        assert_eq!(settings.get_or("other", 5), Ok(5));
        assert!(settings.get_or("word", 5).is_err());
        assert!(settings.require("other").is_err());
    }
}
