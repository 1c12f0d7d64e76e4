//! The rules of the house that a machine can check: who may use whom, sizes, leftovers, names with
//! one home, the manifests, and what foreign crates bring along.
//!
//! Each rule is a plain function from text to violations, and has a test with a sample that breaks
//! it; the tests at the top level run the rules over the tree. A violation names its place and the
//! remedy. What a rule permits beyond the ordinary is data at the head of its file.

mod foreign;
mod leftovers;
mod manifests;
mod rooms;
mod scanner;
mod sizes;
mod tree;

use std::fmt;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The file, relative to the root of the repository, and the line, where there is one.
    pub(crate) place: String,
    /// What is wrong, and what to do.
    pub(crate) what: String,
}

impl Violation {
    /// A violation at a line, counted from 1.
    pub(crate) fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            place: format!("{path}:{line}"),
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.what)
    }
}

/// Fails a test with all violations, one a line.
#[track_caller]
pub(crate) fn assert_none(mut violations: Vec<Violation>) {
    violations.sort();
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} broken rules:\n{}\n",
        lines.len(),
        lines.join("\n")
    );
}
