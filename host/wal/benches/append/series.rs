//! What one row or one floor measured, over all rounds.

use std::time::Duration;

#[derive(Default)]
pub(crate) struct Series {
    pub(crate) latencies: Vec<Duration>,
    /// Items, or bytes for a floor, a second, of each round.
    pub(crate) rates: Vec<f64>,
    pub(crate) groups: u64,
    pub(crate) records: u64,
}

impl Series {
    pub(crate) fn percentile_us(&mut self, part: f64) -> f64 {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * part) as usize;
        let latency = self.latencies.get(at).copied().unwrap_or_default();
        latency.as_secs_f64() * 1e6
    }

    /// The median of the rounds.
    pub(crate) fn rate(&mut self) -> f64 {
        self.rates.sort_by(f64::total_cmp);
        let middle = self.rates.get(self.rates.len() / 2);
        middle.copied().unwrap_or(f64::NAN)
    }
}
