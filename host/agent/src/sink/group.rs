//! The task of one sink group.
//!
//! It ends between two batches and gives its sinks back alive, so that a reload moves those that
//! did not change into the group's next task.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use flumen_core::sink_processor::{Attempt, SinkProcessor};
use flumen_core::source::{StopReason, StopSignal};
use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::slot::SinkSlot;
use crate::back_off::now;
use crate::stop::{self, Stop, Stopper};

/// How long an only sink waits for events before it is told the time.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// How long a sink of a larger group waits for events before the next one is asked: long enough
/// not to spin, short enough not to keep another sink's channel waiting.
const SHARED_IDLE_WAIT: Duration = Duration::from_millis(100);

/// A running group.
pub(crate) struct GroupTask {
    stopper: Stopper,
    task: JoinHandle<Vec<SinkSlot>>,
}

impl GroupTask {
    pub(crate) fn spawn(slots: Vec<SinkSlot>, processor: Box<dyn SinkProcessor>) -> Self {
        let (stopper, stop) = stop::pair();
        let group = Group {
            slots,
            processor,
            stop,
        };
        Self {
            stopper,
            task: tokio::spawn(group.run()),
        }
    }

    /// Ends the task at the next batch border and gives its sinks back, alive; `None` when it did
    /// not end in time and was aborted, its events given back to their channels.
    pub(crate) async fn end(mut self, deadline: Duration) -> Option<Vec<SinkSlot>> {
        self.stopper.stop(StopReason::Drain);
        match tokio::time::timeout(deadline, &mut self.task).await {
            Ok(ended) => ended.ok(),
            Err(_) => {
                self.task.abort();
                // A dropped lease gives its events back; wait until that has happened.
                let _ = self.task.await;
                None
            }
        }
    }
}

struct Group {
    slots: Vec<SinkSlot>,
    processor: Box<dyn SinkProcessor>,
    stop: Stop,
}

impl Group {
    async fn run(mut self) -> Vec<SinkSlot> {
        while self.stop.reason().is_none() {
            // A channel that always has events would keep the other tasks from this thread.
            tokio::task::coop::consume_budget().await;
            let order = self.processor.order(now());
            let mut outcome = None;
            for index in order {
                let Some(attempt) = self.attempt(index).await else {
                    continue;
                };
                self.processor.report(index, attempt, now());
                outcome = Some(attempt);
                if attempt == Attempt::Delivered {
                    break;
                }
            }
            if !matches!(outcome, Some(Attempt::Delivered | Attempt::Idle)) {
                self.wait_for_retry().await;
            }
        }
        self.slots
    }

    /// `None` when the sink is not to be tried now, or the stop came first.
    async fn attempt(&mut self, index: usize) -> Option<Attempt> {
        let wait = match self.slots.len() {
            1 => IDLE_WAIT,
            _ => SHARED_IDLE_WAIT,
        };
        let slot = self.slots.get_mut(index)?;
        if slot.has_failed() || slot.retry_at().is_some_and(|at| at > now()) {
            return None;
        }
        // A panic of one sink is a fault of that sink, not the end of its group.
        let attempt = AssertUnwindSafe(slot.attempt(wait, &self.stop));
        match attempt.catch_unwind().await {
            Ok(attempt) => attempt,
            Err(_) => {
                slot.panicked();
                Some(Attempt::Failed)
            }
        }
    }

    /// Sleeps until the first sink may be tried again, or the stop.
    async fn wait_for_retry(&mut self) {
        let until = self
            .slots
            .iter()
            .filter(|slot| !slot.has_failed())
            .map(|slot| slot.retry_at().unwrap_or_else(now))
            .min();
        let stopped = self.stop.stopped();
        match until {
            Some(at) => {
                // At least one turn of the scheduler, so that a policy that names nobody does not
                // spin.
                let at = at.max(now() + Duration::from_millis(1));
                let _ = tokio::time::timeout_at(at.into(), stopped).await;
            }
            None => {
                stopped.await;
            }
        }
    }
}
