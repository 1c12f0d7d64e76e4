//! A limit on a wait.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A limit on a wait. The timer is made when the wait begins, so that what is served at once costs
/// none.
pub(crate) struct TimeLimit {
    wait: Duration,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl TimeLimit {
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, timer: None }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_zero() {
            return Poll::Ready(());
        }
        let (_, sleep) = self.timer.get_or_insert_with(|| {
            let sleep = tokio::time::sleep(self.wait);
            (Instant::now(), Box::pin(sleep))
        });
        sleep.as_mut().poll(context)
    }

    pub(crate) fn waited(&self) -> Duration {
        self.timer
            .as_ref()
            .map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }
}
