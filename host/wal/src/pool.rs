//! Files that wait to become segments: written once with zeros, so that using them needs no space
//! and keeps the file system's journal out of the way of the writer.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::io::LogIo;
use crate::mutation::{Mutation, lacks};
use crate::options::{Options, RESERVED_SEGMENTS};
use crate::segment::FileName;
use crate::statistics::Counters;

/// Spare files beyond those kept back, in a log that is at rest. One is being used soon, one is ready
/// behind it; more would only hold space that others on the volume could use.
const SPARES_BEYOND: u64 = 2;

/// The same in a log that is in use: what a burst has filled and was taken out again is there for
/// the next one, which then costs no zeros. 1 GiB of the largest segments in all.
const SPARES_BEYOND_IN_USE: u64 = 13;

/// How long no file was taken when a log is at rest: longer than from one burst to the next.
const REST: Duration = Duration::from_secs(60);

/// How long one who needs a file waits for another who is making one. Zeros for the largest segment
/// take a slow disk about that long; whoever waits longer is told that there is no room.
const MAKING_WAIT: Duration = Duration::from_secs(2);

/// Who asks for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// More items. Leaves those kept back.
    Items,
    /// To go on without more items: acknowledgements, or after a failure.
    Reserve,
}

/// Why there is no file.
#[derive(Debug)]
pub(crate) enum TakeError {
    /// The bound on segments or the volume is reached.
    Full,
    Disk(io::Error),
}

/// The spare files of one log, shared between its writer and the thread that makes them.
pub(crate) struct Pool {
    io: Arc<dyn LogIo>,
    segment_bytes: u64,
    /// They change while others make and take files, each for itself.
    bytes_max: AtomicU64,
    free_bytes_min: AtomicU64,
    /// [`REST`]; a test has less time.
    rest: Duration,
    /// A plain mutex suffices: it is never held while a file is written.
    files: Mutex<Files>,
    /// A file was taken or is one too many, or the pool is closed.
    changed: Condvar,
    /// A file that was being made is there, or will not be.
    made: Condvar,
    counters: Arc<Counters>,
    /// Held while anybody may write in the folder.
    _lock: Box<dyn Send + Sync>,
}

struct Files {
    spares: VecDeque<u64>,
    next: u64,
    /// Files that are being made.
    making: u64,
    /// How many were made since the log was opened.
    made: u64,
    /// Bytes of the segments of the log.
    in_use_bytes: u64,
    /// One was taken since the last attempt to make one.
    wanted: bool,
    closed: bool,
}

impl Pool {
    /// Takes over the spare files that are there. Those of another size are removed.
    pub(crate) fn open(
        io: Arc<dyn LogIo>,
        options: &Options,
        spares: &[u64],
        in_use_bytes: u64,
        counters: Arc<Counters>,
        lock: Box<dyn Send + Sync>,
    ) -> Pool {
        let pool = Pool {
            io,
            segment_bytes: options.segment_bytes,
            bytes_max: AtomicU64::new(bytes_max(options)),
            free_bytes_min: AtomicU64::new(options.free_bytes_min),
            rest: REST,
            files: Mutex::new(Files {
                spares: VecDeque::new(),
                next: spares.iter().max().map_or(1, |last| last.saturating_add(1)),
                making: 0,
                made: 0,
                in_use_bytes,
                wanted: true,
                closed: false,
            }),
            changed: Condvar::new(),
            made: Condvar::new(),
            counters,
            _lock: lock,
        };
        for number in spares {
            pool.keep(*number);
        }
        pool
    }

    /// Goes on with these bounds.
    pub(crate) fn change(&self, options: &Options) {
        self.bytes_max.store(bytes_max(options), Ordering::Relaxed);
        self.free_bytes_min
            .store(options.free_bytes_min, Ordering::Relaxed);
    }

    fn free_bytes_min(&self) -> u64 {
        self.free_bytes_min.load(Ordering::Relaxed)
    }

    /// Bytes of the segments, and of the files that wait to become some.
    pub(crate) fn space(&self) -> (u64, u64) {
        let files = self.lock();
        (
            files.in_use_bytes,
            files.spares.len() as u64 * self.segment_bytes,
        )
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.lock().spares.len() as u64
    }

    /// Tells what the segments of the log take, which counts against its bound.
    pub(crate) fn set_in_use(&self, bytes: u64) {
        self.lock().in_use_bytes = bytes;
    }

    /// Makes files until those kept back are there, as far as there is room, and says whether they
    /// are. A log without them goes on and gives out what it has; only items are refused.
    pub(crate) fn fill(&self, free_bytes_min: u64) -> bool {
        while self.len() < RESERVED_SEGMENTS
            && (self.wait_for_maker() || self.make(free_bytes_min).is_ok())
        {}
        self.len() >= RESERVED_SEGMENTS
    }

    /// The name of a file of the right size with any content. It is no longer in the pool.
    pub(crate) fn take(&self, purpose: Purpose) -> Result<FileName, TakeError> {
        let (kept_back, free_bytes_min) = match purpose {
            Purpose::Reserve => (0, 0),
            Purpose::Items if lacks(self.io.as_ref(), Mutation::Reserve) => (0, 0),
            Purpose::Items => (RESERVED_SEGMENTS, self.free_bytes_min()),
        };
        while self.len() <= kept_back && !self.wait_for_maker() {
            self.make(free_bytes_min)?;
        }
        let mut files = self.lock();
        let taken = files.spares.pop_front();
        // At once, or another is made in its place before the writer tells.
        if taken.is_some() {
            files.in_use_bytes = files.in_use_bytes.saturating_add(self.segment_bytes);
        }
        files.wanted = true;
        drop(files);
        self.changed.notify_one();
        taken.map(FileName::Spare).ok_or(TakeError::Full)
    }

    /// Gives a file back whose content is of no use any more. Its name changes; the folder has to
    /// be synced before this is durable, and nothing depends on it.
    pub(crate) fn give_back(&self, name: FileName) -> io::Result<()> {
        if !self.has_use_for_one_more() {
            return self.io.remove(&name.to_string());
        }
        let number = self.lock().draw_number();
        let spare = FileName::Spare(number).to_string();
        self.io.rename(&name.to_string(), &spare)?;
        self.keep(number);
        self.changed.notify_one();
        Ok(())
    }

    /// Space that the volume is short of is for whoever needs it.
    fn has_use_for_one_more(&self) -> bool {
        let spares = self.len();
        spares < RESERVED_SEGMENTS + SPARES_BEYOND
            || (spares < RESERVED_SEGMENTS + SPARES_BEYOND_IN_USE
                && self
                    .io
                    .free_bytes()
                    .is_ok_and(|free| free >= self.free_bytes_min()))
    }

    /// Waits for a file that another is making, within bounds, and says whether one came.
    fn wait_for_maker(&self) -> bool {
        let files = self.lock();
        let before = files.made;
        if files.making == 0 {
            return false;
        }
        let unchanged = |files: &mut Files| files.making > 0 && files.made == before;
        let waited = self.made.wait_timeout_while(files, MAKING_WAIT, unchanged);
        waited.unwrap_or_else(PoisonError::into_inner).0.made > before
    }

    /// Makes the files that are kept back and one ahead, at first and each time one was taken, so
    /// that the writer finds them there, and removes those that a log at rest has no use for, until
    /// the pool is closed. For a thread of its own.
    pub(crate) fn make_ahead(&self) {
        loop {
            match self.next_work() {
                Work::Make => self.make_one_ahead(),
                Work::Remove => self.remove_surplus(),
                Work::End => return,
            }
        }
    }

    fn next_work(&self) -> Work {
        let nothing = |files: &mut Files| !files.closed && !files.wanted;
        let files = self.lock();
        let waited = self
            .changed
            .wait_while(files, |files| nothing(files) && !files.has_surplus());
        let files = waited.unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(files, self.rest, nothing);
        let (mut files, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if files.closed {
            return Work::End;
        }
        match std::mem::take(&mut files.wanted) {
            true => Work::Make,
            false => Work::Remove,
        }
    }

    fn make_one_ahead(&self) {
        // Those kept back need no room beside them.
        let made = match self.len() {
            0..RESERVED_SEGMENTS => self.make(0),
            RESERVED_SEGMENTS => self.make(self.free_bytes_min()),
            _ => return,
        };
        // What keeps one from being made is told to the writer when it needs it.
        if made.is_ok() {
            self.lock().wanted = true;
        }
    }

    /// Removes the files that only a log in use has a use for.
    fn remove_surplus(&self) {
        loop {
            let mut files = self.lock();
            let surplus = match files.has_surplus() {
                true => files.spares.pop_back(),
                false => None,
            };
            drop(files);
            let Some(number) = surplus else {
                return;
            };
            // One that stays is found by the next opening.
            let _ = self.io.remove(&FileName::Spare(number).to_string());
        }
    }

    /// Ends [`Pool::make_ahead`].
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a spare file when it has the right size, else removes it.
    fn keep(&self, number: u64) {
        let name = FileName::Spare(number).to_string();
        let length = self.io.open(&name).and_then(|file| file.length());
        if length.is_ok_and(|length| length == self.segment_bytes) {
            self.lock().spares.push_back(number);
        } else {
            // When that fails it is tried again at the next opening.
            let _ = self.io.remove(&name);
        }
    }

    fn make(&self, free_bytes_min: u64) -> Result<(), TakeError> {
        let free = self.io.free_bytes().map_err(TakeError::Disk)?;
        if free < free_bytes_min.saturating_add(self.segment_bytes) {
            return Err(TakeError::Full);
        }
        let mut files = self.lock();
        let whole = files.making + files.spares.len() as u64 + 1;
        let bytes = whole.saturating_mul(self.segment_bytes);
        if files.in_use_bytes.saturating_add(bytes) > self.bytes_max.load(Ordering::Relaxed) {
            return Err(TakeError::Full);
        }
        files.making += 1;
        let number = files.draw_number();
        drop(files);
        let made = self.write_file(number);
        let mut files = self.lock();
        files.making -= 1;
        files.made += u64::from(made.is_ok());
        if made.is_ok() {
            files.spares.push_back(number);
        }
        drop(files);
        self.made.notify_all();
        made.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => TakeError::Full,
            _ => {
                self.counters.making_failures.add(1);
                TakeError::Disk(error)
            }
        })
    }

    /// Makes a spare file, and leaves none that is not whole.
    fn write_file(&self, number: u64) -> io::Result<()> {
        let making = FileName::Making(number).to_string();
        let filled = self
            .io
            .create(&making)
            .and_then(|file| file.fill_with_zeros(self.segment_bytes));
        let made = filled.and_then(|()| {
            let spare = FileName::Spare(number).to_string();
            self.io.rename(&making, &spare)?;
            self.io.sync_folder()
        });
        if made.is_err() {
            // When that fails it is removed at the next opening.
            let _ = self.io.remove(&making);
        }
        made
    }
}

/// What the thread of [`Pool::make_ahead`] does next.
enum Work {
    Make,
    Remove,
    End,
}

/// What segments and spare files may take.
fn bytes_max(options: &Options) -> u64 {
    options.segments_max.saturating_mul(options.segment_bytes)
}

impl Files {
    fn has_surplus(&self) -> bool {
        self.spares.len() as u64 > RESERVED_SEGMENTS + SPARES_BEYOND
    }

    fn draw_number(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }
}

#[cfg(test)]
mod tests;
