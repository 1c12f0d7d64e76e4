//! Tests of a component without an agent and without Wasm: `cargo test` runs it on this machine
//! against a host in memory.
//!
//! A harness stands for the agent: it makes the instance, hands in batches, applies the answers as
//! the agent would, and takes state back when a call fails. Each harness begins with a fresh host;
//! use one at a time.
//!
//! ```
//! use flumen_sdk::testing::{InterceptorHarness, TestBatch};
//! # use flumen_sdk::{Answer, Batch, Error, Interceptor, Settings};
//! # struct DropEmpty;
//! # impl Interceptor for DropEmpty {
//! #     fn init(_: &Settings) -> Result<Self, Error> { Ok(DropEmpty) }
//! #     fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error> {
//! #         let mut edits = events.edit();
//! #         for (row, body) in events.bodies().enumerate() {
//! #             if body.is_empty() { edits.drop_event(row); }
//! #         }
//! #         edits.finish()
//! #     }
//! # }
//! let mut interceptor = InterceptorHarness::<DropEmpty>::new([("some", "setting")])?;
//! let answer = interceptor.intercept(&TestBatch::of(["a", "", "b"]))?;
//! assert_eq!(answer, TestBatch::of(["a", "b"]));
//! # Ok::<(), Error>(())
//! ```

mod apply;
mod batch;
mod harness;

pub use batch::{TestBatch, TestEvent};
pub use harness::{InterceptorHarness, SinkHarness, SourceHarness, TestPolled};

use crate::host::fake;
use crate::logging::Level;

/// The lines that were logged.
pub fn log_lines() -> Vec<(Level, String)> {
    fake::with(|host| host.lines.clone())
}

/// From now on lines below this level are not kept; all are until then.
pub fn keep_lines_from(level: Level) {
    fake::with(|host| host.level = level);
}

/// What a counter stands at, `None` when nobody made it.
pub fn counter(name: &str) -> Option<u64> {
    fake::with(|host| host.counters.get(name).copied())
}

/// What a gauge stands at, `None` when nobody set it.
pub fn gauge(name: &str) -> Option<f64> {
    fake::with(|host| host.gauges.get(name).copied())
}

/// The stored value of a key.
pub fn state(key: &str) -> Option<Vec<u8>> {
    fake::with(|host| host.state.get(key).cloned())
}

/// Moves the time of day. It stands still otherwise, and waits move it.
pub fn advance_ms(duration_ms: u64) {
    fake::with(|host| host.now_ms += duration_ms);
}

/// From now on the instance is told that it is to stop.
pub fn stop() {
    fake::with(|host| host.stopping = true);
}

#[cfg(test)]
mod tests;
