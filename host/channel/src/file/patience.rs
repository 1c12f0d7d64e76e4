//! How long a disk that does not give what is on it is waited for.

use std::time::{Duration, Instant};

/// The first wait. What a cable or a path did is often over within a second.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest. Asking a disk in trouble more often does not help it.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// How often a place is asked for: over 55 s, which is longer than the system itself waits for a disk
/// that hangs (30 s) or for another path to it. What is not given by then is not given before
/// somebody does something, and what stands behind it shall not wait for that.
const TRIES: u32 = 10;

/// How often, when the disk has not given another place a short while ago. A disk that goes bad has
/// many such places, and waiting out each of them in full would hold up the rest for hours.
const TRIES_IN_TROUBLE: u32 = 2;

/// How long that is remembered.
const TROUBLE: Duration = Duration::from_secs(600);

/// Times between tries, which a test makes shorter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    pub(super) first: Duration,
    pub(super) longest: Duration,
    pub(super) tries: u32,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            first: FIRST_WAIT,
            longest: LONGEST_WAIT,
            tries: TRIES,
        }
    }
}

/// Counts the tries for one place after another. The time comes from whoever asks.
#[derive(Debug)]
pub(super) struct Patience {
    waits: Waits,
    failed: u32,
    passed_at: Option<Instant>,
}

impl Patience {
    pub(super) fn new(waits: Waits) -> Self {
        Self {
            waits,
            failed: 0,
            passed_at: None,
        }
    }

    /// The disk gave nothing. When to try again; nothing when the place is to be passed over.
    pub(super) fn failed(&mut self, now: Instant) -> Option<Instant> {
        self.failed += 1;
        let in_trouble = |passed: Instant| now.saturating_duration_since(passed) < TROUBLE;
        let tries = match self.passed_at.is_some_and(in_trouble) {
            true => self.waits.tries.min(TRIES_IN_TROUBLE),
            false => self.waits.tries,
        };
        if self.failed >= tries {
            self.failed = 0;
            return None;
        }
        // Twice as long each time; more than the longest long before the shift runs out of bits.
        let doubled = 1_u32 << (self.failed - 1).min(16);
        let wait = self.waits.first.saturating_mul(doubled);
        Some(now + wait.min(self.waits.longest))
    }

    /// The disk gave what was asked for.
    pub(super) fn succeeded(&mut self) {
        self.failed = 0;
    }

    /// A place was passed over.
    pub(super) fn passed(&mut self, now: Instant) {
        self.failed = 0;
        self.passed_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a place is asked for from this time on, and when the last time is.
    fn asked(patience: &mut Patience, mut now: Instant) -> (u32, Instant) {
        let mut tries = 1;
        while let Some(again) = patience.failed(now) {
            assert!(again > now);
            now = again;
            tries += 1;
        }
        (tries, now)
    }

    #[test]
    fn a_place_is_asked_for_ten_times_within_a_minute() {
        let mut patience = Patience::new(Waits::default());
        let start = Instant::now();
        assert_eq!(
            asked(&mut patience, start),
            (10, start + Duration::from_secs(55))
        );
    }

    #[test]
    fn waits_grow_up_to_a_bound_and_begin_anew_with_the_next_place() {
        let mut patience = Patience::new(Waits::default());
        let now = Instant::now();
        let mut waits = || patience.failed(now).map(|again| (again - now).as_secs());
        assert_eq!([waits(), waits(), waits()], [Some(1), Some(2), Some(4)]);
        assert_eq!([waits(), waits()], [Some(8), Some(8)]);
        patience.succeeded();
        assert_eq!(asked(&mut patience, now).0, 10);
    }

    #[test]
    fn further_places_of_a_disk_in_trouble_are_not_waited_for_as_long() {
        let mut patience = Patience::new(Waits::default());
        let start = Instant::now();
        patience.passed(start);
        let (tries, now) = asked(&mut patience, start);
        assert_eq!((tries, now - start), (2, Duration::from_secs(1)));
        let later = start + TROUBLE;
        assert_eq!(asked(&mut patience, later).0, 10, "it is forgotten");
    }
}
