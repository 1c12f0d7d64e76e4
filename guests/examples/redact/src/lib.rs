//! Interceptor `redact`: replaces what a pattern matches in a body, and marks the events it changed
//! with the header `redacted=true`.
//!
//! | setting | default | |
//! |---|---|---|
//! | `pattern` | required | a regular expression; classes such as `\d` mean ASCII |
//! | `replacement` | `***` | may name groups: `$1`, `${name}` |

use std::borrow::Cow;

use flumen_sdk::{Answer, Batch, Error, ErrorContext, Interceptor, Settings, export_interceptor};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

struct Redact {
    pattern: Regex,
    replacement: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    pattern: String,
    #[serde(default = "stars")]
    replacement: String,
}

fn stars() -> String {
    "***".to_owned()
}

impl Interceptor for Redact {
    fn init(settings: &Settings) -> Result<Self, Error> {
        let config: Config = settings.parse()?;
        Ok(Redact {
            // Bodies are any bytes, so the pattern is not held to valid UTF-8.
            pattern: RegexBuilder::new(&config.pattern)
                .unicode(false)
                .build()
                .or_configuration("config.pattern")?,
            replacement: config.replacement,
        })
    }

    fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error> {
        let mut edits = events.edit();
        for (row, body) in events.bodies().enumerate() {
            let replaced = self.pattern.replace_all(body, self.replacement.as_bytes());
            if let Cow::Owned(body) = replaced {
                edits
                    .set_body(row, &body)
                    .set_header(row, "redacted", "true");
            }
        }
        edits.finish()
    }
}

export_interceptor!(Redact);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::testing::{InterceptorHarness, TestBatch, TestEvent};

    #[test]
    fn what_matches_is_replaced_and_the_event_marked() {
        let mut redact =
            InterceptorHarness::<Redact>::new([("pattern", r"\b\d{4}-\d{4}\b")]).unwrap();
        let answer = redact
            .intercept(&TestBatch::of(["card 1234-5678 ok", "nothing here"]))
            .unwrap();
        let expected = [
            TestEvent::new("card *** ok").with_header("redacted", "true"),
            TestEvent::new("nothing here"),
        ];
        assert_eq!(answer, TestBatch::from_iter(expected));
    }

    #[test]
    fn the_replacement_may_name_a_group_and_bodies_are_any_bytes() {
        let settings = [("pattern", "(user)=[a-z]+"), ("replacement", "$1=?")];
        let mut redact = InterceptorHarness::<Redact>::new(settings).unwrap();
        let answer = redact
            .intercept(&TestBatch::of([b"\xff user=ann \xfe"]))
            .unwrap();
        assert_eq!(answer.events()[0].body, b"\xff user=? \xfe");
    }

    #[test]
    fn a_pattern_that_is_none_is_a_configuration_error() {
        let error = InterceptorHarness::<Redact>::new([("pattern", "(")])
            .err()
            .unwrap();
        assert!(matches!(error, Error::Configuration(_)), "{error:?}");
        assert!(error.message().starts_with("config.pattern: "), "{error}");
    }
}
