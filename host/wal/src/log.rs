//! A log with its thread: what other rooms use.

use std::collections::VecDeque;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::acknowledged::Acknowledged;
use crate::error::{AppendError, Failure, OpenError, ReadError, Refusal};
use crate::io::LogIo;
use crate::options::{Durability, GROUP_RECORDS_MAX, Options};
use crate::pool::Pool;
use crate::position::{Count, Position};
use crate::reader::{Reader, read_at};
use crate::record::{Appended, LogState, Prepared, Record};
use crate::recovery::Recovery;
use crate::statistics::{Counters, Statistics};
use crate::view::View;
use crate::writer::Writer;

/// Is told what became of a record, on the writer's thread: it must not block, and a panic in it
/// closes the log.
pub type Completion = Box<dyn FnOnce(Result<Appended, AppendError>) + Send>;

/// An open log. May be shared between threads.
///
/// Appends are confirmed in the order in which they were taken. What comes together while the disk
/// is busy is written and synced together. When the log is dropped, what was taken is still
/// written, and the drop waits for that.
pub struct Log {
    shared: Arc<Shared>,
    options: Options,
    acknowledged_at_open: Acknowledged,
    writer: Option<JoinHandle<Result<(), Arc<Failure>>>>,
    maker: Option<Maker>,
}

/// The thread that makes files for the next segments ahead.
struct Maker {
    pool: Arc<Pool>,
    thread: JoinHandle<()>,
}

struct Shared {
    io: Arc<dyn LogIo>,
    view: Arc<View>,
    counters: Arc<Counters>,
    /// A plain mutex suffices: it is held for one push or for taking a group out.
    queue: Mutex<Queue>,
    /// Something waits, or the log is to close.
    work: Condvar,
    /// Something that waited was taken.
    room: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Submission>,
    bytes: u64,
    closing: bool,
}

struct Submission {
    prepared: Prepared,
    done: Completion,
}

/// A record that cannot wait for the writer.
struct Unsent {
    submission: Submission,
    refusal: Refusal,
}

/// What the writer's thread does next.
enum Work {
    Group(Vec<Submission>),
    /// Nothing came for so long.
    Idle,
    Close,
}

impl Log {
    /// Opens the log in this folder, or makes one. The state has taken in all that was found when
    /// this returns.
    ///
    /// # Errors
    /// When it cannot be opened; then nothing was lost and the error says what is safe to do.
    pub fn open(
        io: Arc<dyn LogIo>,
        options: Options,
        state: Box<dyn LogState>,
    ) -> Result<(Log, Recovery), OpenError> {
        let (writer, recovery) = Writer::open(Arc::clone(&io), options.clone(), state)?;
        let shared = Arc::new(Shared {
            io,
            view: Arc::clone(writer.view()),
            counters: Arc::clone(writer.counters()),
            queue: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
        });
        let acknowledged_at_open = writer.acknowledged().clone();
        let maker = Maker::start(Arc::clone(writer.pool()))?;
        let writing = Writing {
            writer,
            shared: Arc::clone(&shared),
            options: options.clone(),
            unsynced_since: None,
        };
        let mut log = Log {
            shared,
            options,
            acknowledged_at_open,
            writer: None,
            maker: Some(maker),
        };
        let thread = thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writing.run())
            .map_err(OpenError::disk("start the writer's thread"))?;
        log.writer = Some(thread);
        Ok((log, recovery))
    }

    /// Hands in a record. The completion is called once it is confirmed or refused.
    ///
    /// # Errors
    /// When it cannot wait for the writer ([`Refusal::Busy`], [`Refusal::TooLarge`],
    /// [`Refusal::Closed`]); then the completion is never called.
    pub fn append(&self, record: Record, done: Completion) -> Result<(), AppendError> {
        let prepared = self.prepare(record)?;
        match self.submit(prepared, done) {
            Ok(()) => Ok(()),
            Err(back) => Err(AppendError {
                record: back.submission.prepared.record,
                refusal: back.refusal,
            }),
        }
    }

    /// Hands in a record and waits until it is confirmed or refused, and before that for room
    /// among those that wait. Not for threads that must not block.
    ///
    /// # Errors
    /// When it was not confirmed.
    pub fn append_and_wait(&self, record: Record) -> Result<Appended, AppendError> {
        let kept = record.clone();
        let mut prepared = self.prepare(record)?;
        let (sender, receiver) = sync_channel(1);
        let mut done: Completion = Box::new(move |outcome| {
            // Nobody listens when the waiting thread was torn down.
            let _ = sender.send(outcome);
        });
        while let Err(back) = self.submit(prepared, done) {
            let Unsent {
                submission,
                refusal,
            } = *back;
            (prepared, done) = (submission.prepared, submission.done);
            if !matches!(refusal, Refusal::Busy) {
                let record = prepared.record;
                return Err(AppendError { record, refusal });
            }
            self.wait_for_room(&prepared);
        }
        receiver.recv().unwrap_or_else(|_| {
            Err(AppendError {
                record: kept,
                refusal: Refusal::Closed,
            })
        })
    }

    /// The payload of a confirmed record.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub fn read(&self, position: Position) -> Result<Bytes, ReadError> {
        read_at(self.shared.io.as_ref(), &self.shared.view, position)
    }

    /// A reader that begins with the frame that holds this item, or with the first behind it that
    /// is still there.
    pub fn reader(&self, from_item: u64) -> Reader {
        let io = Arc::clone(&self.shared.io);
        Reader::new(io, Arc::clone(&self.shared.view), from_item)
    }

    /// The items that were acknowledged when the log was opened. Whoever acknowledges more knows it.
    pub fn acknowledged_at_open(&self) -> &Acknowledged {
        &self.acknowledged_at_open
    }

    /// How many frames of data and items were ever confirmed.
    pub fn count(&self) -> Count {
        self.shared.view.lock().count()
    }

    /// What the log did since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.shared.counters.read()
    }

    /// Writes what was taken, makes all of it durable and gives the folder free.
    ///
    /// # Errors
    /// When something that was confirmed may not be durable, or the log had failed before.
    pub fn close(mut self) -> Result<(), Arc<Failure>> {
        self.join()
    }

    fn join(&mut self) -> Result<(), Arc<Failure>> {
        self.shared.lock().closing = true;
        self.shared.work.notify_all();
        self.shared.room.notify_all();
        if let Some(maker) = self.maker.take() {
            maker.stop();
        }
        let ended = self.writer.take().map(JoinHandle::join);
        match ended {
            Some(Ok(closed)) => closed,
            Some(Err(_)) => Err(Arc::new(Failure::Panicked)),
            None => Ok(()),
        }
    }

    fn prepare(&self, record: Record) -> Result<Prepared, AppendError> {
        let bytes = record.body_length();
        let most = self.options.record_bytes_max();
        if bytes > most {
            let refusal = Refusal::TooLarge { bytes, most };
            return Err(AppendError { record, refusal });
        }
        Ok(Prepared::new(record))
    }

    fn submit(&self, prepared: Prepared, done: Completion) -> Result<(), Box<Unsent>> {
        let submission = Submission { prepared, done };
        let bytes = submission.prepared.frame_length();
        let mut queue = self.shared.lock();
        let refusal = if queue.closing {
            Refusal::Closed
        } else if self.has_room(&queue, bytes) {
            queue.bytes += bytes;
            queue.waiting.push_back(submission);
            drop(queue);
            self.shared.work.notify_one();
            return Ok(());
        } else {
            Refusal::Busy
        };
        Err(Box::new(Unsent {
            submission,
            refusal,
        }))
    }

    /// One record always fits an empty queue.
    fn has_room(&self, queue: &Queue, bytes: u64) -> bool {
        queue.waiting.is_empty()
            || (queue.bytes + bytes <= self.options.queue_bytes_max
                && queue.waiting.len() < self.options.queue_records_max)
    }

    fn wait_for_room(&self, prepared: &Prepared) {
        let bytes = prepared.frame_length();
        let queue = self.shared.lock();
        let full = |queue: &mut Queue| !queue.closing && !self.has_room(queue, bytes);
        drop(self.shared.room.wait_while(queue, full));
    }
}

impl Maker {
    fn start(pool: Arc<Pool>) -> Result<Maker, OpenError> {
        let making = Arc::clone(&pool);
        let thread = thread::Builder::new()
            .name("log-maker".to_owned())
            .spawn(move || making.make_ahead())
            .map_err(OpenError::disk("start the thread that makes segments"))?;
        Ok(Maker { pool, thread })
    }

    /// Waits until the file that is being made is done: at most one.
    fn stop(self) {
        self.pool.close();
        // It has nothing to tell, and a panic in it has been printed.
        let _ = self.thread.join();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Whoever wants to know calls close.
        let _ = self.join();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next group, or the news that nothing came in this time.
    fn wait(&self, timeout: Option<Duration>, group_bytes_max: u64) -> Work {
        let idle = |queue: &mut Queue| queue.waiting.is_empty() && !queue.closing;
        let queue = self.lock();
        let mut queue = match timeout {
            Some(timeout) => {
                let waited = self.work.wait_timeout_while(queue, timeout, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self
                .work
                .wait_while(queue, idle)
                .unwrap_or_else(PoisonError::into_inner),
        };
        let group = queue.take_group(group_bytes_max);
        if !group.is_empty() {
            drop(queue);
            self.room.notify_all();
            return Work::Group(group);
        }
        if queue.closing {
            Work::Close
        } else {
            Work::Idle
        }
    }
}

impl Queue {
    fn take_group(&mut self, group_bytes_max: u64) -> Vec<Submission> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            let length = next.prepared.frame_length();
            let full = bytes + length > group_bytes_max || group.len() >= GROUP_RECORDS_MAX;
            if full && !group.is_empty() {
                break;
            }
            bytes += length;
            group.extend(self.waiting.pop_front());
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        group
    }
}

/// The writer's thread.
struct Writing {
    writer: Writer,
    shared: Arc<Shared>,
    options: Options,
    /// Since when something that was confirmed is not durable.
    unsynced_since: Option<Instant>,
}

impl Writing {
    fn run(mut self) -> Result<(), Arc<Failure>> {
        let group_bytes_max = self.options.group_bytes_max();
        loop {
            match self.shared.wait(self.timeout(), group_bytes_max) {
                Work::Group(group) => self.write(group),
                Work::Idle => self.idle(),
                Work::Close => return self.writer.close(),
            }
        }
    }

    fn write(&mut self, group: Vec<Submission>) {
        let (records, completions): (Vec<_>, Vec<_>) =
            group.into_iter().map(|s| (s.prepared, s.done)).unzip();
        let outcomes = self.writer.commit(records);
        for (outcome, done) in outcomes.into_iter().zip(completions) {
            done(outcome);
        }
        if let Durability::Interval(interval) = self.options.durability {
            let since = *self.unsynced_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= interval {
                self.sync();
            }
        }
    }

    fn idle(&mut self) {
        if self.unsynced_since.is_some() {
            self.sync();
        }
        self.writer.witness();
        self.writer.shrink();
    }

    fn sync(&mut self) {
        self.writer.sync();
        self.unsynced_since = None;
    }

    /// How long nothing may come until there is something else to do.
    fn timeout(&self) -> Option<Duration> {
        if let (Durability::Interval(interval), Some(since)) =
            (self.options.durability, self.unsynced_since)
        {
            return Some(interval.saturating_sub(since.elapsed()));
        }
        let proves = self.options.durability != Durability::Os && self.writer.wants_witness();
        self.options.witness_delay.filter(|_| proves)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Also when a completion panicked: nobody shall wait for a thread that is gone.
        let mut queue = self.shared.lock();
        queue.closing = true;
        let left = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.shared.room.notify_all();
        for Submission { prepared, done } in left {
            let record = prepared.record;
            let refusal = Refusal::Closed;
            done(Err(AppendError { record, refusal }));
        }
    }
}

#[cfg(test)]
mod tests;
