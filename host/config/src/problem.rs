//! Problems of a configuration: what is wrong, where, and what was probably meant.
//!
//! The printed form is stable:
//! `FILE:LINE: error|warning: KEY: WHAT; did you mean "NEAREST"?`, where the key and the question
//! are left out when there is none.

use std::fmt;

use flumen_core::Place;

/// The longest text of an operator that a message quotes, in characters; more is cut, so that one
/// message stays one line on a screen.
const QUOTED_CHARS_MAX: usize = 80;

/// The longest name that a nearest name is looked for, in bytes: the search is quadratic, and
/// nobody mistypes a name of this length by a letter.
const NEAREST_BYTES_MAX: usize = 64;

/// Whether a problem keeps the agent from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The agent cannot run from this file.
    Error,
    /// The agent runs, and probably not as the operator meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// Whether the agent can run.
    pub severity: Severity,
    /// The whole key that it is about, agent included; empty when it is about the file.
    pub key: String,
    /// What is wrong, and the remedy where there is one. Never holds the value of a secret.
    pub what: String,
    /// The known name that is nearest to the one that was written, if one is close.
    pub nearest: Option<String>,
}

impl Problem {
    /// A problem that keeps the agent from running.
    pub fn error(place: &Place, key: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Error, place, key, what)
    }

    /// A problem that the agent can run with.
    pub fn warning(place: &Place, key: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, place, key, what)
    }

    /// A problem of this severity.
    pub fn new(
        severity: Severity,
        place: &Place,
        key: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            place: place.clone(),
            severity,
            key: key.into(),
            what: what.into(),
            nearest: None,
        }
    }

    /// The same problem with what was probably meant.
    #[must_use]
    pub fn nearest(mut self, nearest: Option<String>) -> Self {
        self.nearest = nearest;
        self
    }

    /// Whether it keeps the agent from running.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.place, self.severity)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", printable(&self.key))?;
        }
        // A name in it may hold a line break.
        f.write_str(&on_one_line(&self.what))?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {}?", quoted(nearest)),
            None => Ok(()),
        }
    }
}

/// Sorts by place, errors of a line first, and drops what was said twice.
pub(crate) fn arrange(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| {
        (&a.place, a.severity, &a.key, &a.what).cmp(&(&b.place, b.severity, &b.key, &b.what))
    });
    problems.dedup();
}

/// A text of the operator in quotes, on one line and cut to a readable length.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text))
}

fn printable(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => on_one_line(text.get(..end).unwrap_or(text)) + "...",
        None => on_one_line(text),
    }
}

fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

/// The candidate nearest to what was written, when at most a third of its letters differ. Names
/// that differ in their digits alone (`c1`, `c2`) are meant to be different.
pub fn nearest_name<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    if written.len() > NEAREST_BYTES_MAX {
        return None;
    }
    let lower = written.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != written && candidate.len() <= NEAREST_BYTES_MAX)
        .map(|candidate| {
            let distance = strsim::osa_distance(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= candidate.chars().count() / 3)
        .filter(|(distance, candidate)| *distance == 0 || letters(candidate) != letters(written))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

fn letters(name: &str) -> String {
    name.chars()
        .filter(|letter| !letter.is_ascii_digit())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_close_name_is_nearest() {
        let names = ["port", "bind", "channels", "max-line-length"];
        assert_eq!(nearest_name("prot", names).as_deref(), Some("port"));
        assert_eq!(nearest_name("Channel", names).as_deref(), Some("channels"));
        assert_eq!(
            nearest_name("maxLineLength", names).as_deref(),
            Some("max-line-length")
        );
        assert_eq!(nearest_name("colour", names), None);
        assert_eq!(nearest_name("x", ["y"]), None);
        assert_eq!(nearest_name("sink2", ["sink1"]), None);
        assert_eq!(nearest_name("snik1", ["sink1"]).as_deref(), Some("sink1"));
    }

    #[test]
    fn a_message_stays_on_one_line() {
        let place = Place {
            file: "a.conf".into(),
            line: 3,
        };
        let problem = Problem::error(&place, "a\nb", format!("bad: {}", quoted("x\r\ny")));
        assert_eq!(
            problem.to_string(),
            r#"a.conf:3: error: a\nb: bad: "x\r\ny""#
        );
    }
}
