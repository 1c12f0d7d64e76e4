//! The CPU time that a call has left.
//!
//! A computing guest is looked at about once in a tick. Counting looks would count the time in which
//! a busy machine gave its processor to others, so the time that the guest's thread has computed is
//! asked for: between two looks a guest stays on one thread, unless it waits in the host.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::limits::TICK;

/// What a call may still compute.
#[derive(Debug, Default)]
pub(crate) struct CpuBudget {
    left: Duration,
    resumed: Arc<Mutex<Option<Mark>>>,
}

/// Where and when a guest went on computing.
#[derive(Clone, Copy, Debug)]
struct Mark {
    thread: ThreadId,
    computed: Duration,
}

impl Mark {
    fn now() -> Self {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
        Self {
            thread: thread::current().id(),
            computed: Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds),
        }
    }
}

impl CpuBudget {
    /// Gives the next call its budget. Asks for no time: most calls are over before the first look.
    pub(crate) fn begin(&mut self, limit: Duration) {
        self.left = limit;
        *lock(&self.resumed) = None;
    }

    /// What the call has used up of its budget, as far as it is known.
    pub(crate) fn used(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.left)
    }

    /// One look at a computing guest. `None` when its budget is used up; otherwise what gives the
    /// thread to other tasks, and notes when the guest goes on.
    pub(crate) fn look(&mut self) -> Option<Resume> {
        // Less than half a tick cannot be told from nothing.
        if self.left < TICK / 2 {
            return None;
        }
        let mark = *lock(&self.resumed);
        self.left = self.left.saturating_sub(used(mark, Mark::now()));
        Some(Resume {
            resumed: Arc::clone(&self.resumed),
            has_yielded: false,
        })
    }
}

/// What was computed since a mark: a tick at most, and a tick where it is not known. Other tasks may
/// have had the thread while the guest waited in the host, and that is not the guest's.
fn used(mark: Option<Mark>, now: Mark) -> Duration {
    match mark {
        Some(mark) if mark.thread == now.thread => {
            now.computed.saturating_sub(mark.computed).min(TICK)
        }
        _ => TICK,
    }
}

/// A short lock: held for a copy.
fn lock(resumed: &Mutex<Option<Mark>>) -> std::sync::MutexGuard<'_, Option<Mark>> {
    resumed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ready at its second poll, after other tasks had their turn.
#[derive(Debug)]
pub(crate) struct Resume {
    resumed: Arc<Mutex<Option<Mark>>>,
    has_yielded: bool,
}

impl Future for Resume {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.has_yielded {
            *lock(&self.resumed) = Some(Mark::now());
            return Poll::Ready(());
        }
        self.has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(computed_ms: u64) -> Mark {
        Mark {
            thread: thread::current().id(),
            computed: Duration::from_millis(computed_ms),
        }
    }

    #[test]
    fn only_what_was_computed_counts() {
        assert_eq!(used(None, mark(5)), TICK);
        assert_eq!(used(Some(mark(5)), mark(7)), Duration::from_millis(2));
        assert_eq!(used(Some(mark(5)), mark(500)), TICK);
        let elsewhere = thread::spawn(|| mark(5)).join().unwrap();
        assert_eq!(used(Some(elsewhere), mark(6)), TICK);
    }

    #[tokio::test]
    async fn a_budget_ends_after_its_ticks() {
        let mut budget = CpuBudget::default();
        budget.begin(3 * TICK);
        for _ in 0..3 {
            assert!(
                budget.look().is_some(),
                "no time is known, so each look is a tick"
            );
        }
        assert!(budget.look().is_none());
        budget.begin(TICK);
        budget.look().unwrap().await;
        assert!(lock(&budget.resumed).is_some());
        assert_eq!(budget.used(TICK), TICK);
    }
}
