//! The thread that writes: files block, and the runtime's workers must not.
//!
//! It belongs to one started sink, takes one job at a time, and ends with [`Job::Close`] or when the
//! sink is dropped; either way it closes and syncs the last file. A job whose caller went away (the
//! agent dropped the delivery) is finished, and a write among them is taken back, since its
//! events come again.

use std::io;

use flumen_core::{ComponentName, EventBatch, Fault, FaultKind, Side};
use tokio::sync::{mpsc, oneshot};

use super::roller::Roller;

/// Jobs that wait for the thread. The sink has one call under way at a time; a second stands in line
/// only behind a call that was dropped.
const JOBS_MAX: usize = 1;

/// What the thread is asked to do. `intervals` is the number of roll intervals since the start.
pub(super) enum Job {
    /// Open the first file.
    Open,
    /// Roll if it is due, then write these events.
    Write {
        intervals: u64,
        events: Vec<EventBatch>,
    },
    /// Roll if it is due, and report what failed since the last tick.
    Tick { intervals: u64 },
    /// Close the last file and end.
    Close,
}

struct Request {
    job: Job,
    reply: oneshot::Sender<Result<(), Fault>>,
}

/// The sink's end of the thread. Dropping it ends the thread after the job in hand.
pub(super) struct Writer {
    requests: mpsc::Sender<Request>,
    #[cfg(test)]
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn spawn(name: &ComponentName, roller: Roller) -> Result<Self, Fault> {
        let (requests, receiver) = mpsc::channel(JOBS_MAX);
        let thread = std::thread::Builder::new().name(format!("file_roll-{name}"));
        let thread = thread
            .spawn(move || run(roller, receiver))
            .map_err(no_thread)?;
        // Not joined: a close answers when the work is done, and a dropped sink must not block.
        #[cfg(not(test))]
        drop(thread);
        Ok(Self {
            requests,
            #[cfg(test)]
            thread: Some(thread),
        })
    }

    pub(super) async fn call(&self, job: Job) -> Result<(), Fault> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(Request { job, reply }).await;
        sent.map_err(|_| not_running())?;
        answer.await.map_err(|_| not_running())?
    }
}

#[cfg(test)]
impl Writer {
    /// Asks for a job and does not wait for the answer, as a delivery that is dropped.
    pub(super) async fn send_and_leave(&self, job: Job) {
        let (reply, answer) = oneshot::channel();
        drop(answer);
        let sent = self.requests.send(Request { job, reply }).await;
        assert!(sent.is_ok(), "the thread is there");
    }

    /// Drops the writer and is ready when its thread has ended.
    pub(super) async fn drop_and_wait(mut self) -> std::thread::Result<()> {
        let thread = self.thread.take();
        drop(self);
        let joined = tokio::task::spawn_blocking(|| thread.map_or(Ok(()), |thread| thread.join()));
        joined.await.unwrap_or_else(|error| Err(Box::new(error)))
    }
}

fn no_thread(error: io::Error) -> Fault {
    Fault::transient(Side::Machine, "cannot start a thread to write files").with_cause(error)
}

/// Called before a start, or the thread has ended by a defect.
pub(super) fn not_running() -> Fault {
    Fault::new(
        FaultKind::Broken,
        Side::Component,
        "the file_roll sink is not started",
    )
}

fn run(mut roller: Roller, mut requests: mpsc::Receiver<Request>) {
    while let Some(Request { job, reply }) = requests.blocking_recv() {
        let (is_write, is_close) = (matches!(job, Job::Write { .. }), matches!(job, Job::Close));
        let result = perform(&mut roller, job);
        let undelivered = reply.send(result);
        if let (true, Err(Ok(()))) = (is_write, &undelivered) {
            roller.take_back_last_write();
        }
        if is_close {
            return;
        }
    }
    if let Err(fault) = roller.close() {
        tracing::error!(%fault, "a dropped file_roll sink could not close its file");
    }
}

/// The events of a write are dropped before this returns, so that their buffer is free again when
/// the caller goes on.
fn perform(roller: &mut Roller, job: Job) -> Result<(), Fault> {
    match job {
        Job::Open => roller.open_first(),
        Job::Write { intervals, events } => {
            roller.roll_if_due(intervals)?;
            roller.write(&events)
        }
        Job::Tick { intervals } => {
            roller.roll_if_due(intervals)?;
            roller.report()
        }
        Job::Close => roller.close(),
    }
}
