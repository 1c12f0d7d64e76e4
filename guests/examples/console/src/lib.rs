//! Sink `console`: shows what it receives in the agent's log, one line per event with its headers.
//! For looking at a flow; of a large delivery it shows the first events and the number of the rest.
//!
//! | setting | default | |
//! |---|---|---|
//! | `lines` | `20` | events that one delivery shows |

use std::fmt::Write;

use flumen_sdk::{
    Batch, Counter, Error, Header, Outcome, Segment, Settings, Sink, export_sink, info,
};

/// Bytes of a body that are shown: a line of a terminal or two.
const SHOWN_BYTES_MAX: usize = 200;

struct Console {
    lines: usize,
    events: Counter,
}

impl Sink for Console {
    fn init(settings: &Settings) -> Result<Self, Error> {
        Ok(Console {
            lines: settings.get_or("lines", 20)?,
            events: Counter::new("events"),
        })
    }

    fn deliver(&mut self, events: &Batch<'_>, _segments: &[Segment]) -> Result<Outcome, Error> {
        let headers = events.headers();
        for (row, body) in events.bodies().enumerate().take(self.lines) {
            info!("received: {}{}", text(body), headers_text(&headers, row));
        }
        let rest = events.len().saturating_sub(self.lines);
        if rest > 0 {
            info!("received: {rest} more");
        }
        self.events.add(events.len() as u64);
        Ok(Outcome::Delivered)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

fn text(body: &[u8]) -> String {
    match body.get(..SHOWN_BYTES_MAX) {
        Some(begin) if body.len() > SHOWN_BYTES_MAX => {
            format!("{}…", String::from_utf8_lossy(begin))
        }
        _ => String::from_utf8_lossy(body).into_owned(),
    }
}

fn headers_text(headers: &[Header], row: usize) -> String {
    let mut text = String::new();
    for header in headers {
        if let Some(value) = header.get(row) {
            let begin = if text.is_empty() { "  {" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{begin}{}={value}", header.name());
        }
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

export_sink!(Console);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::testing::{self, SinkHarness, TestBatch};

    fn shown(settings: &[(&'static str, &'static str)], batch: &TestBatch) -> Vec<String> {
        let settings = settings.iter().copied();
        let mut console = SinkHarness::<Console>::new(settings).unwrap();
        assert_eq!(console.deliver(batch), Ok(Outcome::Delivered));
        testing::log_lines()
            .into_iter()
            .map(|(_, line)| line)
            .collect()
    }

    #[test]
    fn every_event_is_a_line_with_its_headers() {
        let batch = TestBatch::of(["Hello", ""]).with_header("host", "a");
        let lines = shown(&[], &batch);
        assert_eq!(lines, ["received: Hello  {host=a}", "received:   {host=a}"]);
        assert_eq!(testing::counter("events"), Some(2));
        let batch = TestBatch::of(["plain"]);
        assert_eq!(shown(&[], &batch), ["received: plain"]);
    }

    #[test]
    fn of_many_events_the_first_are_shown_and_the_rest_is_counted() {
        let lines = shown(&[("lines", "1")], &TestBatch::of(["a", "b", "c"]));
        assert_eq!(lines, ["received: a", "received: 2 more"]);
        let long = "x".repeat(SHOWN_BYTES_MAX + 1);
        let lines = shown(&[], &TestBatch::of([long.as_str()]));
        assert!(lines[0].ends_with("x…"), "{lines:?}");
    }
}
