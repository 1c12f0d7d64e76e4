//! A log with its thread: what other rooms use.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use crate::acknowledged::Acknowledged;
use crate::buffers::Buffers;
use crate::error::{AppendError, Failure, OpenError, ReadError, Refusal};
use crate::io::LogIo;
use crate::options::Options;
use crate::pool::Pool;
use crate::position::{Count, Position};
use crate::reader::{Reader, read_at};
use crate::record::{Appended, LogState, Prepared, Record};
use crate::recovery::Recovery;
use crate::statistics::{Space, Statistics};
use crate::writer::Writer;
use lead::Shared;
use queue::{Done, Place, Submission, Turn, Unsent, Waiter, Word};

mod lead;
mod queue;

pub use lead::ChangeError;

/// Is told what became of a record, on the thread that wrote it, which may be the log's own or
/// one that waits for its own record. It must not block; [`Log::append`] is all it may hand in. A
/// panic in it closes the log.
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
        let pool = Arc::clone(writer.pool());
        let acknowledged_at_open = writer.acknowledged().clone();
        let shared = Arc::new(Shared::new(io, writer, options.clone()));
        let mut log = Log {
            shared: Arc::clone(&shared),
            options,
            acknowledged_at_open,
            writer: None,
            maker: Some(Maker::start(pool)?),
        };
        let thread = thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || shared.run())
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
        match self.submit(prepared, Done::Call(done), false) {
            Ok(_) => Ok(()),
            Err(back) => Err(back.into_error()),
        }
    }

    /// As [`Log::append`], but when nobody writes, this thread does: it comes back when the record
    /// is confirmed or refused and the completion was called. Faster than waking the log's own
    /// thread, and for threads that may block for as long as the disk takes.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_here(&self, record: Record, done: Completion) -> Result<(), AppendError> {
        let prepared = self.prepare(record)?;
        match self.submit(prepared, Done::Call(done), true) {
            Ok(Turn::Own) => self.shared.lead_once(),
            Ok(Turn::Others) => {}
            Err(back) => return Err(back.into_error()),
        }
        Ok(())
    }

    /// Hands in a record and waits until it is confirmed or refused, and before that for room
    /// among those that wait. When nobody writes, this thread does. Not for threads that must not
    /// block.
    ///
    /// # Errors
    /// When it was not confirmed.
    pub fn append_and_wait(&self, record: Record) -> Result<Appended, AppendError> {
        let kept = record.clone();
        let mut prepared = self.prepare(record)?;
        let place = Arc::new(Place::default());
        let mut done = Done::Wake(Waiter::new(&place));
        loop {
            match self.submit(prepared, done, true) {
                Ok(Turn::Own) => self.shared.lead_until(&place),
                Ok(Turn::Others) => {}
                Err(back) if matches!(back.refusal, Refusal::Busy) => {
                    (prepared, done) = (back.submission.prepared, back.submission.done);
                    let bytes = prepared.frame_length();
                    self.shared.queue.wait_for_room(bytes, &self.options);
                    continue;
                }
                Err(back) => return Err(back.into_error()),
            }
            break;
        }
        loop {
            match place.wait() {
                Word::Lead => self.shared.lead_until(&place),
                Word::Outcome(outcome) => return outcome,
                Word::Gone => {
                    return Err(AppendError {
                        record: kept,
                        refusal: Refusal::Closed,
                    });
                }
            }
        }
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
        let quarantine = Arc::clone(&self.shared.quarantine);
        Reader::new(
            io,
            Arc::clone(&self.shared.view),
            Some(quarantine),
            from_item,
        )
        .into_buffers(self.buffers())
    }

    /// The memory that payloads are best filled in, and read into.
    pub fn buffers(&self) -> &Arc<Buffers> {
        &self.shared.buffers
    }

    /// The items that were acknowledged when the log was opened. Whoever acknowledges more knows it.
    pub fn acknowledged_at_open(&self) -> &Acknowledged {
        &self.acknowledged_at_open
    }

    /// How many frames of data and items were ever confirmed.
    pub fn count(&self) -> Count {
        self.shared.view.lock().count()
    }

    /// Why the log takes no appends any more, when it failed.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.shared.view.lock().failure.clone()
    }

    /// What the log did since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.shared.counters.read()
    }

    /// What its files take on the disk.
    pub fn space(&self) -> Space {
        let pool = self.maker.as_ref().map(|maker| maker.pool.space());
        let (segment_bytes, spare_bytes) = pool.unwrap_or_default();
        Space {
            segment_bytes,
            spare_bytes,
        }
    }

    /// Writes what was taken, makes all of it durable and gives the folder free.
    ///
    /// # Errors
    /// When something that was confirmed may not be durable, or the log had failed before.
    pub fn close(mut self) -> Result<(), Arc<Failure>> {
        self.join()
    }

    fn join(&mut self) -> Result<(), Arc<Failure>> {
        self.shared.queue.close();
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

    fn submit(&self, prepared: Prepared, done: Done, may_lead: bool) -> Result<Turn, Box<Unsent>> {
        let submission = Submission { prepared, done };
        let queue = &self.shared.queue;
        queue.submit(submission, &self.options, may_lead)
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

#[cfg(test)]
mod tests;
