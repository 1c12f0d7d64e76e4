//! The thread that writes states behind the commits.
//!
//! It ends when the folder is closed and all is written, or when the last try after that failed.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::Shared;
use super::file::StateFile;
use super::memory::{Group, Task};

/// The wait after the first failed write; it doubles with each further one. A disk that is full or
/// gone does not come back within milliseconds.
const RETRY_WAIT_FIRST: Duration = Duration::from_millis(250);

/// The longest wait between two tries: an operator who has made room sees it used within a moment.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(8);

pub(super) struct Writer {
    shared: Arc<Shared>,
    file: StateFile,
    interval: Duration,
    /// Failed writes in a row, and since when.
    failing: Option<(u32, Instant)>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, file: StateFile, interval: Duration) -> Self {
        Self {
            shared,
            file,
            interval,
            failing: None,
        }
    }

    /// Runs on a thread of its own, because a sync of the disk blocks.
    pub(super) fn spawn(self) -> io::Result<()> {
        let builder = thread::Builder::new().name("flumen-state".to_owned());
        builder.spawn(move || self.run())?;
        Ok(())
    }

    fn run(mut self) {
        while let Some(group) = self.next_group() {
            match self.file.write(&group) {
                Ok(()) => self.succeeded(&group),
                Err(error) => {
                    self.failed(&error);
                    if self.shared.lock().is_closing() {
                        break;
                    }
                }
            }
        }
        let Writer { shared, file, .. } = self;
        // The lock of the folder is gone before anybody hears that it is closed.
        drop(file);
        shared
            .progress
            .send_modify(|progress| progress.is_closed = true);
    }

    /// Waits for changes, then for others to join them, then for open commits to end. `None` at the
    /// end.
    fn next_group(&self) -> Option<Group> {
        let mut memory = self.shared.lock();
        let mut since: Option<Instant> = None;
        let wait = self.wait();
        loop {
            match memory.task() {
                Task::End => return None,
                Task::Rest => {
                    since = None;
                    let woken = self.shared.work.wait(memory);
                    memory = woken.unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Task::Write => {}
            }
            let left = wait.saturating_sub(since.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() || memory.is_urgent() {
                if let Some(group) = memory.cut() {
                    return Some(group);
                }
                let woken = self.shared.work.wait(memory);
                memory = woken.unwrap_or_else(PoisonError::into_inner);
            } else {
                let woken = self.shared.work.wait_timeout(memory, left);
                memory = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn wait(&self) -> Duration {
        match self.failing {
            None => self.interval,
            Some((failures, _)) => {
                let doublings = failures.saturating_sub(1).min(u32::BITS - 1);
                RETRY_WAIT_FIRST
                    .saturating_mul(1 << doublings)
                    .min(RETRY_WAIT_MAX)
            }
        }
    }

    fn succeeded(&mut self, group: &Group) {
        if let Some((failures, since)) = self.failing.take() {
            let seconds = since.elapsed().as_secs();
            info!(
                failures,
                seconds, "states and positions are written again, nothing is missing"
            );
        }
        self.shared.progress.send_modify(|progress| {
            progress.written = group.newest;
            progress.floor = group.floor;
        });
    }

    fn failed(&mut self, error: &redb::Error) {
        self.shared.lock().suspect_everything();
        self.shared
            .progress
            .send_modify(|progress| progress.failures += 1);
        match &mut self.failing {
            // Repeats are counted, not printed.
            Some((failures, _)) => *failures = failures.saturating_add(1),
            None => {
                self.failing = Some((1, Instant::now()));
                let file = self.file.path().display();
                error!(
                    %file,
                    "states of guests and positions of sources cannot be written; the agent runs on with them in memory and tries again, but when it is killed now, events since then come again: {error}"
                );
            }
        }
    }
}
