//! The configuration room from outside: golden files, differences, conversion, arbitrary input.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod any_input;
mod conversion;
mod dead_letters;
mod difference;
mod golden;
mod rows;
mod rules;

use flumen_config::{Dialect, Document, Lookups};

/// A fixed environment, so that a test does not depend on the machine.
struct Environment;

impl Lookups for Environment {
    fn env(&self, name: &str) -> Option<String> {
        (name == "FLUMEN_OUT").then(|| "/var/flumen".to_owned())
    }

    fn system_property(&self, name: &str) -> Option<String> {
        (name == "stage").then(|| "test".to_owned())
    }
}

fn document(file_name: &str, text: &str) -> Document {
    let dialect = Dialect::of_file_name(file_name).expect("a known dialect");
    Document::parse(dialect, file_name, text).resolve(&Environment)
}
