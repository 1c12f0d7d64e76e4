//! Sink `digest`: counts events and bytes and sums the hashes of all bodies, so that what went in and
//! what came out can be compared whatever the order. The counts and the sum are figures of its own on
//! the metrics pages, and a line in the log when it ends. It has no settings.

use std::hash::Hasher;

use flumen_sdk::{
    Batch, Counter, Error, Gauge, Outcome, Segment, Settings, Sink, export_sink, info,
};
use siphasher::sip::SipHasher13;

/// The bits of the sum that its gauge shows: those that a number with a fraction holds exactly.
const GAUGE_BITS: u64 = (1 << 48) - 1;

struct Digest {
    events: Counter,
    bytes: Counter,
    redelivered: Counter,
    low_sum: Gauge,
    seen: u64,
    sum: u64,
}

impl Sink for Digest {
    fn init(_settings: &Settings) -> Result<Self, Error> {
        Ok(Digest {
            events: Counter::new("events"),
            bytes: Counter::new("body_bytes"),
            redelivered: Counter::new("redelivered_events"),
            low_sum: Gauge::new("digest_low_48_bits"),
            seen: 0,
            sum: 0,
        })
    }

    fn deliver(&mut self, events: &Batch<'_>, segments: &[Segment]) -> Result<Outcome, Error> {
        let mut bytes = 0;
        for body in events.bodies() {
            bytes += body.len() as u64;
            self.sum = self.sum.wrapping_add(hash(body));
        }
        self.seen += events.len() as u64;
        self.events.add(events.len() as u64);
        self.bytes.add(bytes);
        let again = segments.iter().filter(|segment| segment.redeliveries > 0);
        let again: u64 = again.map(|segment| u64::from(segment.events)).sum();
        self.redelivered.add(again);
        self.low_sum.set((self.sum & GAUGE_BITS) as f64);
        Ok(Outcome::Delivered)
    }

    /// Nothing is ever in a buffer.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn shutdown(&mut self) {
        info!("{} events, digest {:016x}", self.seen, self.sum);
    }
}

fn hash(body: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(body);
    hasher.finish()
}

export_sink!(Digest);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::logging::Level;
    use flumen_sdk::testing::{self, SinkHarness, TestBatch};

    fn digest_of(batches: &[TestBatch]) -> String {
        let mut digest = SinkHarness::<Digest>::new([]).unwrap();
        for batch in batches {
            assert_eq!(digest.deliver(batch), Ok(Outcome::Delivered));
        }
        digest.instance().shutdown();
        let (level, line) = testing::log_lines().pop().unwrap();
        assert_eq!(level, Level::Info);
        line
    }

    #[test]
    fn the_digest_is_the_same_in_any_order_and_any_batches() {
        let one = digest_of(&[TestBatch::of(["a", "bc"]), TestBatch::of(["d"])]);
        let other = digest_of(&[TestBatch::of(["d", "a", "bc"])]);
        assert_eq!(one, other);
        assert_eq!(testing::counter("events"), Some(3));
        assert_eq!(testing::counter("body_bytes"), Some(4));
        assert_ne!(one, digest_of(&[TestBatch::of(["d", "a", "bc", "bc"])]));
        assert_ne!(one, digest_of(&[TestBatch::of(["d", "a", "bd"])]));
    }

    #[test]
    fn the_digest_of_a_body_stays_what_it_is() {
        // SipHash-1-3 under the key 0: the same on every machine and in every version.
        let line = digest_of(&[TestBatch::of(["flumen"])]);
        assert_eq!(line, "1 events, digest 2526ad5a9c844dd4");
        let low = testing::gauge("digest_low_48_bits");
        assert_eq!(low, Some(0xad5a_9c84_4dd4_u64 as f64));
    }

    #[test]
    fn events_that_come_again_are_counted() {
        let mut digest = SinkHarness::<Digest>::new([]).unwrap();
        let batch = TestBatch::of(["a", "b", "c"]);
        let segment = |events, redeliveries| Segment {
            events,
            first_sequence: 7,
            redeliveries,
        };
        let segments = [segment(1, 0), segment(2, 1)];
        digest.deliver_segments(&batch, &segments).unwrap();
        assert_eq!(testing::counter("redelivered_events"), Some(2));
    }
}
