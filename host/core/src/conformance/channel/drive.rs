//! Polling by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// How long a wake-up may take that has to come. Reached only by a channel that lost one.
const PATIENCE: Duration = Duration::from_secs(20);

/// A waker that remembers.
#[derive(Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
    /// One that is set with it.
    common: Option<Arc<Signal>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
        if let Some(common) = &self.common {
            Arc::clone(common).wake();
        }
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

/// Runs both to their end, each only when it is woken, with an action before each round. A channel
/// that writes on another thread wakes them some time after the action.
#[track_caller]
pub(super) fn finish_both<T>(
    first: Waiting<T>,
    second: Waiting<T>,
    mut before_round: impl FnMut(),
) -> Vec<T> {
    let common = Arc::<Signal>::default();
    let mut waiting = vec![first, second];
    let mut done = Vec::new();
    waiting.retain_mut(|own| {
        own.signal = Arc::new(Signal {
            common: Some(Arc::clone(&common)),
            ..Signal::default()
        });
        // It has the waker of its last poll, and gets the new one by another.
        let ready = own.poll();
        let waits = ready.is_none();
        done.extend(ready);
        waits
    });
    while !waiting.is_empty() {
        before_round();
        // Two puts that wait for each other's channels are never woken.
        common.wait();
        common.clear();
        waiting.retain_mut(|own| {
            let ready = if own.is_woken() { own.poll() } else { None };
            let waits = ready.is_none();
            done.extend(ready);
            waits
        });
    }
    done
}
