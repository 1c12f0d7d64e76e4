//! The suites for sources, and the fakes that they run against.
//!
//! * [`run_polled`] takes a [`PolledSource`](crate::source::PolledSource), [`run_driven`] a
//!   [`Source`](crate::source::Source).
//! * [`RecordingProcessor`] and [`ManualStop`] stand in for the agent; tests of single sources use
//!   them too.
//!
//! The suites are futures of the caller's runtime: they use no timer and start no task. A source
//! that never does what is waited for keeps its suite waiting, so a caller sets a deadline around
//! the whole.

mod driven;
mod polled;
mod processor;
mod stop;
#[cfg(test)]
mod tests;

pub use driven::{DrivenCase, RunningSource, context, run_driven};
pub use polled::{PolledCase, run_polled};
pub use processor::{ProcessCall, RecordingProcessor};
pub use stop::ManualStop;

use std::future::Future;
use std::task::{Context, Poll, Waker};

/// Who waits for a change. Every change wakes all of them and empties the list, so it holds at most
/// one waker for each task that is waiting.
#[derive(Debug, Default)]
struct Waiters(Vec<Waker>);

impl Waiters {
    fn add(&mut self, task: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(task.waker())) {
            self.0.push(task.waker().clone());
        }
    }

    fn take(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.0)
    }
}

/// Polls a future once with a waker that does nothing.
fn poll_once<T>(future: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
