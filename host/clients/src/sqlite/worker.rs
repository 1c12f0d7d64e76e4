//! A thread that has a connection and does jobs in groups.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Jobs in the order in which they were submitted. A clone is the same queue.
///
/// It has no bound of its own: who submits waits for the answer, so it is as long as there are
/// callers, and never makes one wait here.
#[derive(Debug)]
pub struct JobQueue<J>(Arc<Queue<J>>);

impl<J> Clone for JobQueue<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J> JobQueue<J> {
    /// An empty queue, which a worker will serve.
    pub fn new() -> Self {
        Self(Arc::new(Queue {
            jobs: Mutex::new(Jobs {
                waiting: VecDeque::new(),
                is_over: false,
            }),
            changed: Condvar::new(),
        }))
    }

    /// Hands over a job, without waiting. After the end of the worker nobody does it.
    pub fn submit(&self, job: J) {
        self.0.lock().waiting.push_back(job);
        self.0.changed.notify_one();
    }
}

impl<J> Default for JobQueue<J> {
    fn default() -> Self {
        Self::new()
    }
}

/// A thread that serves a queue. While it is busy with a group, the next one gathers.
///
/// Dropping the worker ends the thread after the jobs that were submitted, and waits for that.
#[derive(Debug)]
pub struct Worker<J> {
    queue: JobQueue<J>,
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
        queue: JobQueue<J>,
        group_max: usize,
        mut work: impl FnMut(Vec<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let own = queue.clone();
        let run = move || {
            while let Some(group) = own.0.next_group(group_max.max(1)) {
                work(group);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
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
        self.queue.0.lock().is_over = true;
        self.queue.0.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            drop(thread.join());
        }
    }
}
