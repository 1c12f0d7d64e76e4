//! A record on its way into the log, and whoever waits for what becomes of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use flumen_core::Fault;
use flumen_wal::{AppendError, Appended, Record, Refusal};

use super::owner::Owner;

/// What is done when the log has answered.
pub(super) trait Settle: Send + Sync + 'static {
    /// Called once: on the log's writer thread, or by the sender when the log does not take the
    /// record.
    fn settle(&self, outcome: Result<Appended, AppendError>) -> Result<(), Fault>;
}

/// What was sent, and its answer once it is there.
struct Sent<S> {
    settle: S,
    /// A plain mutex suffices: it is held for a move.
    answer: Mutex<Answer>,
}

#[derive(Default)]
struct Answer {
    result: Option<Result<(), Fault>>,
    waker: Option<Waker>,
}

impl<S: Settle> Sent<S> {
    fn done(&self, outcome: Result<Appended, AppendError>) {
        let result = self.settle.settle(outcome);
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.result = Some(result);
        let waker = answer.waker.take();
        drop(answer);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<(), Fault>> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                answer.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Sends a record when it is made, and waits for the log's answer. When it is dropped before the
/// log took the record, it is settled as not taken; after that the log settles it.
pub(super) struct Sending<S: Settle> {
    owner: Arc<Owner>,
    sent: Arc<Sent<S>>,
    /// What the log was too busy to take.
    unsent: Option<Record>,
}

impl<S: Settle> Sending<S> {
    pub(super) fn new(owner: Arc<Owner>, settle: S, record: Record) -> Self {
        let mut sending = Self {
            owner,
            sent: Arc::new(Sent {
                settle,
                answer: Mutex::default(),
            }),
            unsent: None,
        };
        sending.send(record);
        sending
    }

    fn send(&mut self, record: Record) {
        let sent = Arc::clone(&self.sent);
        let done = Box::new(move |outcome| sent.done(outcome));
        match self.owner.log().append(record, done) {
            Ok(()) => {}
            Err(busy) if matches!(busy.refusal, Refusal::Busy) => {
                self.unsent = Some(busy.record);
            }
            Err(refused) => self.sent.done(Err(refused)),
        }
    }
}

impl<S: Settle> Future for Sending<S> {
    type Output = Result<(), Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(record) = this.unsent.take() {
            // First in line, then tried: the log may move in between.
            let waker = context.waker();
            this.owner.core().with(|state, _| state.wait_for_log(waker));
            this.send(record);
            if this.unsent.is_some() {
                return Poll::Pending;
            }
        }
        this.sent.poll(context)
    }
}

impl<S: Settle> Drop for Sending<S> {
    fn drop(&mut self) {
        if let Some(record) = self.unsent.take() {
            let refusal = Refusal::Busy;
            self.sent.done(Err(AppendError { record, refusal }));
        }
    }
}
