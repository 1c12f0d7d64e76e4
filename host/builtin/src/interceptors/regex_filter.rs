//! `regex_filter`: keeps the events whose body contains a match, or drops them.
//!
//! * The pattern is searched anywhere in the body, as Flume does. Its dialect is Java's as far as it
//!   goes; what the engine does not have is refused with its place when the interceptor is made.
//! * Bodies are bytes. Where they are UTF-8, a pattern sees characters.
//! * A pattern that is plain text is searched in one pass over the buffer of the whole batch,
//!   however many bodies stand in it, and its cost is that of reading the buffer. Other patterns
//!   cost one search per body.
//! * What is kept is a list of rows over the same buffer: no event is copied. A batch that is kept as
//!   a whole comes back as it was.

use std::ops::Range;
use std::sync::Arc;

use flumen_core::clock::Clock;
use flumen_core::future::ready;
use flumen_core::interceptor::{Intercepted, Interceptor};
use flumen_core::option::DefaultValue::Is;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::{BoxFuture, EventBatch, Fault};
use memchr::memmem::Finder;

use super::java_pattern::JavaPattern;

/// The options of `regex_filter`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "regex_filter",
    aliases: &["org.apache.flume.interceptor.RegexFilteringInterceptor$Builder"],
    doc: "Keeps the events whose body contains a match of a regular expression, or drops them.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "regex",
            ValueKind::Text,
            Is(".*"),
            "The expression, searched anywhere in the body. Plain text is fastest.",
        ),
        OptionRow::new(
            "excludeEvents",
            ValueKind::Boolean,
            Is("false"),
            "Whether events with a match are dropped; otherwise those without.",
        ),
    ],
};

/// Makes a `regex_filter` interceptor.
pub(super) fn build(
    settings: &Settings,
    _clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Interceptor>, Fault> {
    let regex = settings.text("regex")?;
    let pattern = JavaPattern::new(regex).map_err(|error| {
        Fault::configuration(format!("option regex cannot be used: {regex:?}")).with_cause(error)
    })?;
    Ok(Box::new(RegexFilter {
        search: match pattern {
            JavaPattern::Everything => Search::Everything,
            JavaPattern::Literal(text) => {
                Search::Literal(Box::new(Finder::new(&text).into_owned()))
            }
            JavaPattern::Regex(regex) => Search::Regex(regex),
        },
        exclude: settings.boolean("excludeEvents")?,
    }))
}

enum Search {
    Everything,
    Literal(Box<Finder<'static>>),
    Regex(regex::bytes::Regex),
}

struct RegexFilter {
    search: Search,
    exclude: bool,
}

impl RegexFilter {
    fn filter(&self, batch: &EventBatch) -> EventBatch {
        match &self.search {
            Search::Everything if self.exclude => EventBatch::empty(),
            Search::Everything => batch.clone(),
            Search::Regex(regex) => batch.filter(|_, body| regex.is_match(body) != self.exclude),
            Search::Literal(finder) => match batch.contiguous() {
                Some((stretch, mut places)) => {
                    let mut hits = Hits::new(finder, stretch);
                    batch.filter(|_, _| {
                        places.next().is_some_and(|place| hits.within(place)) != self.exclude
                    })
                }
                None => batch.filter(|_, body| finder.find(body).is_some() != self.exclude),
            },
        }
    }
}

/// The places of a text in a buffer, asked for stretch after stretch.
struct Hits<'a> {
    finder: &'a Finder<'static>,
    buffer: &'a [u8],
    /// The first hit at or behind every place asked for so far; the length of the buffer when
    /// there is none.
    next: usize,
    searched: bool,
}

impl<'a> Hits<'a> {
    fn new(finder: &'a Finder<'static>, buffer: &'a [u8]) -> Self {
        Self {
            finder,
            buffer,
            next: 0,
            searched: false,
        }
    }

    /// Whether the text stands wholly within a stretch that begins behind all earlier ones.
    ///
    /// The first hit at or behind the start decides: when it reaches over the end, every later one
    /// does. A hit that reaches over the end is passed by when the next stretch begins behind its
    /// start, and the search goes on from there, so that it hides no hit behind it.
    fn within(&mut self, place: Range<usize>) -> bool {
        if !self.searched || self.next < place.start {
            let rest = self.buffer.get(place.start..).unwrap_or_default();
            let hit = self.finder.find(rest);
            self.next = hit.map_or(self.buffer.len(), |hit| place.start + hit);
            self.searched = true;
        }
        self.next.saturating_add(self.finder.needle().len()) <= place.end
    }
}

impl Interceptor for RegexFilter {
    fn intercept(&self, batch: EventBatch) -> BoxFuture<'_, Result<Intercepted, Fault>> {
        ready(Ok(self.filter(&batch).into()))
    }
}

#[cfg(test)]
mod tests;
