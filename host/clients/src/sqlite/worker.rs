//! A thread that has a connection and does jobs in groups.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// A thread with a queue of jobs. While it is busy with a group, the next one gathers.
///
/// The queue has no bound of its own: who submits waits for the answer, so it is as long as there
/// are callers, and never makes one wait here. Dropping the worker ends the thread after the jobs
/// that were submitted, and waits for that.
#[derive(Debug)]
pub struct Worker<J> {
    queue: Arc<Queue<J>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queue<J> {
    /// A plain mutex suffices: it is held to push or to take jobs, never while one is done.
    jobs: Mutex<Jobs<J>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Jobs<J> {
    waiting: VecDeque<J>,
    is_over: bool,
}

impl<J: Send + 'static> Worker<J> {
    /// Starts the thread. `work` gets groups of at most `group_max` jobs, in order, and each job
    /// once; it has to answer each of them itself.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(
        name: &str,
        group_max: usize,
        mut work: impl FnMut(Vec<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            jobs: Mutex::new(Jobs {
                waiting: VecDeque::new(),
                is_over: false,
            }),
            changed: Condvar::new(),
        });
        let own = Arc::clone(&queue);
        let run = move || {
            while let Some(group) = own.next_group(group_max.max(1)) {
                work(group);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Hands over a job, without waiting.
    pub fn submit(&self, job: J) {
        self.queue.lock().waiting.push_back(job);
        self.queue.changed.notify_one();
    }
}

impl<J> Queue<J> {
    /// Nothing under the lock panics; should it happen after all, the jobs are still whole.
    fn lock(&self) -> MutexGuard<'_, Jobs<J>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until there is a job; `None` when there will be none.
    fn next_group(&self, group_max: usize) -> Option<Vec<J>> {
        let mut jobs = self.lock();
        while jobs.waiting.is_empty() {
            if jobs.is_over {
                return None;
            }
            jobs = self
                .changed
                .wait(jobs)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let count = jobs.waiting.len().min(group_max);
        Some(jobs.waiting.drain(..count).collect())
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.queue.lock().is_over = true;
        self.queue.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            drop(thread.join());
        }
    }
}
