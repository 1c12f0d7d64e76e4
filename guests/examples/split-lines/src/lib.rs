//! Interceptor `split-lines`: makes one event of each line of a body; each has the headers of the
//! event that it was cut from. A line ends with a line feed, or a carriage return and a line feed;
//! neither belongs to it. It has no settings.

use flumen_sdk::{Answer, Batch, BatchBuilder, Error, Interceptor, Settings, export_interceptor};

struct SplitLines;

impl Interceptor for SplitLines {
    fn init(_settings: &Settings) -> Result<Self, Error> {
        Ok(SplitLines)
    }

    fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error> {
        let (bytes, _) = events.body_bytes();
        if memchr::memchr(b'\n', bytes).is_none() {
            return Ok(Answer::Unchanged);
        }
        let headers = events.headers();
        let mut lines = BatchBuilder::new();
        for (row, body) in events.bodies().enumerate() {
            // The last line feed ends a line and does not begin another.
            let mut rest = Some(body.strip_suffix(b"\n").unwrap_or(body));
            while let Some(text) = rest {
                let (line, behind) = cut(text);
                lines.push(line).headers_of(&headers, row);
                rest = behind;
            }
        }
        Ok(Answer::Replaced(lines.finish()?))
    }
}

/// The first line, and what is behind its line feed.
fn cut(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (line, behind) = match memchr::memchr(b'\n', text) {
        Some(end) => (text.get(..end).unwrap_or(text), text.get(end + 1..)),
        None => (text, None),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), behind)
}

export_interceptor!(SplitLines);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::testing::{InterceptorHarness, TestBatch, TestEvent};

    fn split(batch: &TestBatch) -> TestBatch {
        let mut interceptor = InterceptorHarness::<SplitLines>::new([]).unwrap();
        interceptor.intercept(batch).unwrap()
    }

    #[test]
    fn each_line_is_an_event_with_the_headers_of_its_event() {
        let two = TestEvent::new("a\nb\r\n").with_header("host", "x");
        let one = TestEvent::new("c").with_header("level", "info");
        let answer = split(&TestBatch::from_iter([two, one]));
        let expected = [
            TestEvent::new("a").with_header("host", "x"),
            TestEvent::new("b").with_header("host", "x"),
            TestEvent::new("c").with_header("level", "info"),
        ];
        assert_eq!(answer, TestBatch::from_iter(expected));
    }

    #[test]
    fn empty_lines_and_empty_bodies_stay() {
        let answer = split(&TestBatch::of(["\n\na", "", "\n"]));
        assert_eq!(answer, TestBatch::of(["", "", "a", "", ""]));
    }

    #[test]
    fn a_batch_without_line_feeds_does_not_change() {
        let batch = TestBatch::of(["a", "", "b"]).with_header("host", "x");
        assert_eq!(split(&batch), batch);
    }
}
