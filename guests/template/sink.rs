//! A sink: takes events out.

use flumen_sdk::{Batch, Counter, Error, Outcome, Segment, Settings, Sink, export_sink, info};

struct Component {
    lines: Counter,
    longest: usize,
}

impl Sink for Component {
    fn init(_settings: &Settings) -> Result<Self, Error> {
        Ok(Component {
            lines: Counter::new("lines"),
            longest: 0,
        })
    }

    fn deliver(&mut self, events: &Batch<'_>, _segments: &[Segment]) -> Result<Outcome, Error> {
        self.lines.add(events.len() as u64);
        for body in events.bodies() {
            self.longest = self.longest.max(body.len());
        }
        Ok(Outcome::Delivered)
    }

    fn flush(&mut self) -> Result<(), Error> {
        info!("the longest event has {} bytes", self.longest);
        Ok(())
    }
}

export_sink!(Component);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::testing::{self, SinkHarness, TestBatch};

    #[test]
    fn counts_events_and_finds_the_longest() {
        let mut sink = SinkHarness::<Component>::new([]).unwrap();
        let outcome = sink.deliver(&TestBatch::of(["a", "bcd"]));
        assert_eq!(outcome, Ok(Outcome::Delivered));
        assert_eq!(testing::counter("lines"), Some(2));
        assert_eq!(sink.instance().longest, 3);
    }
}
