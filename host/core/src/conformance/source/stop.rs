//! A stop signal that a test gives by hand.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::Waiters;
use crate::future::BoxFuture;
use crate::source::{StopReason, StopSignal};

/// A stop signal that a test gives by hand. Works under any runtime.
#[derive(Debug, Default)]
pub struct ManualStop {
    // A plain mutex: held for a few assignments, never over an await.
    state: Mutex<(Option<StopReason>, Waiters)>,
}

impl ManualStop {
    /// A signal that is not given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal. A later reason replaces an earlier one.
    pub fn stop(&self, reason: StopReason) {
        let waiters = {
            let mut state = self.lock();
            state.0 = Some(reason);
            state.1.take()
        };
        waiters.into_iter().for_each(std::task::Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, (Option<StopReason>, Waiters)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StopSignal for ManualStop {
    fn stopped(&self) -> BoxFuture<'_, StopReason> {
        Box::pin(poll_fn(|task| {
            let mut state = self.lock();
            match state.0 {
                Some(reason) => Poll::Ready(reason),
                None => {
                    state.1.add(task);
                    Poll::Pending
                }
            }
        }))
    }

    fn reason(&self) -> Option<StopReason> {
        self.lock().0
    }
}
