//! The component's own figures, shown beside Flume's under the component's name. Make a handle once,
//! in `init`, and add once per batch: each call crosses the border.

use crate::host;

/// A figure that only grows.
pub struct Counter(host::Counter);

impl Counter {
    /// The counter of this name: lower case, words joined by `_`, the unit last.
    pub fn new(name: &str) -> Self {
        Counter(host::Counter::new(name))
    }

    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.add(count);
    }
}

/// A figure that goes up and down.
pub struct Gauge(host::Gauge);

impl Gauge {
    /// The gauge of this name: lower case, words joined by `_`, the unit last.
    pub fn new(name: &str) -> Self {
        Gauge(host::Gauge::new(name))
    }

    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }
}
