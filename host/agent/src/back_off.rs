//! Waiting between two tries of something that failed: longer each time, with jitter, bounded.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

/// The first wait. Short, because most faults of a start (a port still held by a dying process, a
/// server that comes up) are over at once.
pub(crate) const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait. Flume retries failed starts every 3 s and failed sinks every 5 s; an operator
/// who has mended the cause should not wait longer for us than for Flume.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// After this long without a fault the next fault counts as the first again.
pub(crate) const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// The time by the runtime's clock, which a test may own.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The state of one component's retries.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    last_failure: Option<Instant>,
}

impl BackOff {
    /// Counts a failure and says how long to wait before the next try, at least `at_least`.
    pub(crate) fn failed(&mut self, now: Instant, at_least: Option<Duration>) -> Duration {
        if let Some(last) = self.last_failure
            && now.saturating_duration_since(last) > HEALTHY_AFTER + LONGEST_WAIT
        {
            self.failures = 0;
        }
        self.last_failure = Some(now);
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.min(LONGEST_WAIT);
        // Between half and all of it, so that components that failed together do not retry together.
        let wait = wait / 2 + wait.mul_f64(random_fraction() / 2.0);
        wait.max(at_least.unwrap_or_default().min(LONGEST_WAIT))
    }

    /// Counts a success.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.last_failure = None;
    }

    /// How often it failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// A number from 0 to 1 that differs between calls; no need for it to be unpredictable. The
/// standard library's hash keys are random per call.
fn random_fraction() -> f64 {
    let bits = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_start_again_after_success() {
        let mut back_off = BackOff::default();
        let now = Instant::now();
        let first = back_off.failed(now, None);
        assert!(first >= FIRST_WAIT / 2 && first <= FIRST_WAIT);
        for _ in 0..40 {
            let wait = back_off.failed(now, None);
            assert!(wait <= LONGEST_WAIT);
        }
        assert!(back_off.failed(now, None) >= LONGEST_WAIT / 2);
        back_off.succeeded();
        assert!(back_off.failed(now, None) <= FIRST_WAIT);
        assert_eq!(back_off.failures(), 1);
        assert_eq!(
            back_off.failed(now, Some(Duration::from_secs(60))),
            LONGEST_WAIT
        );
    }
}
