//! Polling by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// How long a wake-up may take that has to come. Reached only by a channel that lost one.
const PATIENCE: Duration = Duration::from_secs(20);

/// Rung by every waker, for those who wait for one of several.
static BELL: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

/// A waker that remembers.
#[derive(Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
        let (lock, bell) = &BELL;
        drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
        bell.notify_all();
    }
}

impl Signal {
    fn is_set(&self) -> bool {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Blocks until it is set.
    #[track_caller]
    fn wait(&self) {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let (woken, _) = self
            .changed
            .wait_timeout_while(woken, PATIENCE, |woken| !*woken)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(*woken, "a wake-up was lost: nobody was served");
    }
}

/// A future that was polled and waits.
pub(super) struct Waiting<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    signal: Arc<Signal>,
}

impl<T> Waiting<T> {
    /// Polls once; the future has to wait.
    #[track_caller]
    pub(super) fn start(future: impl Future<Output = T> + 'static) -> Self {
        let mut waiting = Self {
            future: Box::pin(future),
            signal: Arc::default(),
        };
        assert!(
            waiting.poll().is_none(),
            "a call waits as long as its condition does not hold"
        );
        waiting
    }

    /// Polls again, woken or not.
    pub(super) fn poll(&mut self) -> Option<T> {
        self.signal.clear();
        poll_once(self.future.as_mut(), &self.signal)
    }

    /// Whether it was woken since it was polled last.
    pub(super) fn is_woken(&self) -> bool {
        self.signal.is_set()
    }

    /// Still waits, even when it is asked.
    #[track_caller]
    pub(super) fn assert_waits(&mut self, promise: &str) {
        assert!(self.poll().is_none(), "{promise}");
    }

    /// Polls only when woken, until it is ready.
    #[track_caller]
    pub(super) fn finish(mut self) -> T {
        loop {
            self.signal.wait();
            if let Some(value) = self.poll() {
                return value;
            }
        }
    }
}

fn poll_once<T>(
    future: Pin<&mut (dyn Future<Output = T> + '_)>,
    signal: &Arc<Signal>,
) -> Option<T> {
    let waker = Waker::from(Arc::clone(signal));
    match future.poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Runs a future that does not wait for anything the caller would have to do.
#[track_caller]
pub(super) fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let signal = Arc::default();
    loop {
        if let Some(value) = poll_once(future.as_mut(), &signal) {
            return value;
        }
        signal.wait();
        signal.clear();
    }
}

/// Runs both to their end, each only when it is woken, with an action before each round.
#[track_caller]
pub(super) fn finish_both<T>(
    first: Waiting<T>,
    second: Waiting<T>,
    mut before_round: impl FnMut(),
) -> Vec<T> {
    let mut waiting = vec![first, second];
    let mut done = Vec::new();
    while !waiting.is_empty() {
        before_round();
        // A channel with a store may wake from a thread of its own, some time later.
        let (lock, bell) = &BELL;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let nobody = |_: &mut ()| !waiting.iter().any(Waiting::is_woken);
        drop(bell.wait_timeout_while(guard, PATIENCE, nobody));
        assert!(
            waiting.iter().any(Waiting::is_woken),
            "two puts that wait for each other's channels block each other"
        );
        waiting.retain_mut(|own| {
            let ready = if own.is_woken() { own.poll() } else { None };
            let waits = ready.is_none();
            done.extend(ready);
            waits
        });
    }
    done
}
