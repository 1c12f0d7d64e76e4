//! Telling a task to end.

use flumen_core::BoxFuture;
use flumen_core::source::{StopReason, StopSignal};
use tokio::sync::watch;

/// The side that tells. Dropping it tells nothing: a task whose owner is gone is aborted, not
/// stopped.
#[derive(Debug)]
pub(crate) struct Stopper {
    sender: watch::Sender<Option<StopReason>>,
}

/// The side that is told; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    receiver: watch::Receiver<Option<StopReason>>,
}

/// Both sides.
pub(crate) fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(None);
    (Stopper { sender }, Stop { receiver })
}

impl Stopper {
    /// Tells the task to end. A later reason replaces an earlier one: a hand-over can become a
    /// drain.
    pub(crate) fn stop(&self, reason: StopReason) {
        self.sender.send_replace(Some(reason));
    }
}

impl StopSignal for Stop {
    fn stopped(&self) -> BoxFuture<'_, StopReason> {
        let mut receiver = self.receiver.clone();
        Box::pin(async move {
            loop {
                if let Some(reason) = *receiver.borrow_and_update() {
                    return reason;
                }
                if receiver.changed().await.is_err() {
                    // The owner is gone without a word: it aborts the task, so waiting is right.
                    std::future::pending::<()>().await;
                }
            }
        })
    }

    fn reason(&self) -> Option<StopReason> {
        *self.receiver.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_listener_hears_the_reason_too() {
        let (stopper, stop) = pair();
        assert_eq!(stop.reason(), None);
        stopper.stop(StopReason::Drain);
        assert_eq!(stop.clone().stopped().await, StopReason::Drain);
        assert_eq!(stop.stopped().await, StopReason::Drain);
    }
}
