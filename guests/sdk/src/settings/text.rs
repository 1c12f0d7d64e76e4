//! Reads a struct from names and texts: a serde deserializer whose every value is a text.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::Error;

pub(super) fn parse<T: DeserializeOwned>(values: &BTreeMap<String, String>) -> Result<T, Error> {
    let pairs = values
        .iter()
        .map(|(name, value)| (name.as_str(), Text { name, value }));
    T::deserialize(MapDeserializer::new(pairs))
        .map_err(|error: TextError| Error::configuration(error.0))
}

pub(super) fn missing(name: &str) -> String {
    format!("config.{name} is missing: add it")
}

pub(super) fn wrong(name: &str, value: &str, problem: &dyn Display) -> String {
    format!("config.{name} = {value:?}: {problem}")
}

/// What the operator reads.
#[derive(Debug)]
struct TextError(String);

impl Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TextError {}

impl de::Error for TextError {
    fn custom<T: Display>(message: T) -> Self {
        TextError(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        TextError(missing(field))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let known = match expected {
            [] => "there are none".to_owned(),
            names => format!("known are {}", names.join(", ")),
        };
        TextError(format!("config.{field} is not known: {known}"))
    }
}

#[derive(Clone, Copy)]
struct Text<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'de> IntoDeserializer<'de, TextError> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Text<'_> {
    fn wrong(self, problem: &dyn Display) -> TextError {
        TextError(wrong(self.name, self.value, problem))
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
                let value = self.value.parse().map_err(|error| self.wrong(&error))?;
                visitor.$visit(value).map_err(|error: TextError| self.wrong(&error))
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = TextError;

    parsed! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_i128 visit_i128
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_u128 visit_u128
        deserialize_f32 visit_f32
        deserialize_f64 visit_f64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor
            .visit_borrowed_str(self.value)
            .map_err(|error: TextError| self.wrong(&error))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        let variant: StrDeserializer<'_, TextError> = self.value.into_deserializer();
        visitor
            .visit_enum(variant)
            .map_err(|error| self.wrong(&error))
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}
