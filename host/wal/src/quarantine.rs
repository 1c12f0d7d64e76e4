//! A place for bytes that were damaged, so that somebody can look at them after their segment has
//! gone on to another use.
//!
//! What is kept is a copy, best effort and never in the way: a piece for which there is no room is
//! passed over and counted. Nothing of the log depends on what is here, so the folder may be
//! emptied or removed at any time.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::io::{LogFile, LogIo};
use crate::options::Options;
use crate::scan::Window;
use crate::segment::FileName;
use crate::statistics::Counters;

/// The folder within that of the log.
const FOLDER: &str = "quarantine";

/// Bytes of all pieces together. As much as the largest segment, so that one that is damaged from
/// end to end can be kept, and little beside what a log may take.
pub const QUARANTINE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is copied at once.
const COPY_BYTES: u64 = 1024 * 1024;

/// A stretch of a segment in which frames are damaged.
pub(crate) struct Damaged {
    pub(crate) segment: u64,
    pub(crate) file: Arc<dyn LogFile>,
    pub(crate) bytes: Range<u64>,
}

/// The quarantine of one log, shared between its opening and its readers.
pub(crate) struct Quarantine {
    io: Arc<dyn LogIo>,
    free_bytes_min: AtomicU64,
    unreadable_is_lost: bool,
    counters: Arc<Counters>,
    /// A plain mutex suffices: damage is rare, and only those who find some wait here.
    folder: Mutex<Option<Kept>>,
}

/// The folder, once something was to be kept.
struct Kept {
    io: Arc<dyn LogIo>,
    bytes: u64,
}

impl Quarantine {
    pub(crate) fn new(
        io: Arc<dyn LogIo>,
        options: &Options,
        counters: Arc<Counters>,
    ) -> Quarantine {
        Quarantine {
            io,
            free_bytes_min: AtomicU64::new(free_bytes_min(options)),
            unreadable_is_lost: options.unreadable_is_lost,
            counters,
            folder: Mutex::default(),
        }
    }

    /// Goes on with these bounds.
    pub(crate) fn change(&self, options: &Options) {
        self.free_bytes_min
            .store(free_bytes_min(options), Ordering::Relaxed);
    }

    /// Whether what the disk does not give is taken as lost.
    pub(crate) fn unreadable_is_lost(&self) -> bool {
        self.unreadable_is_lost
    }

    /// Copies what is damaged, when there is room. A piece that is there already is left.
    pub(crate) fn keep(&self, damaged: &Damaged) {
        match self.copy(damaged) {
            Ok(bytes) => self.counters.quarantined_bytes.add(bytes),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => self.counters.quarantine_skips.add(1),
        }
    }

    fn copy(&self, damaged: &Damaged) -> io::Result<u64> {
        let length = damaged.bytes.end.saturating_sub(damaged.bytes.start);
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match folder.as_mut() {
            Some(kept) => kept,
            None => folder.insert(Kept::open(self.io.as_ref())?),
        };
        let free = self.io.free_bytes()?;
        let most = QUARANTINE_BYTES_MAX.saturating_sub(kept.bytes);
        let kept_free = self.free_bytes_min.load(Ordering::Relaxed);
        if length > most || free < kept_free.saturating_add(length) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let segment = FileName::Segment(damaged.segment);
        let name = format!("{segment}-{:08x}", damaged.bytes.start);
        let file = kept.io.create(&name)?;
        let copied = copy_bytes(damaged, file.as_ref());
        if copied.is_err() {
            // What is left is no worse than a piece that was cut short by a crash.
            let _ = kept.io.remove(&name);
        }
        copied?;
        kept.bytes += length;
        Ok(length)
    }
}

/// Not a byte of what the log may need itself.
fn free_bytes_min(options: &Options) -> u64 {
    options.free_bytes_min.saturating_add(options.segment_bytes)
}

impl Kept {
    fn open(log: &dyn LogIo) -> io::Result<Kept> {
        let io = log.folder_within(FOLDER)?;
        let mut bytes = 0;
        for name in io.list()? {
            bytes += io.open(&name)?.length()?;
        }
        Ok(Kept { io, bytes })
    }
}

fn copy_bytes(damaged: &Damaged, to: &dyn LogFile) -> io::Result<()> {
    let Range { start, end } = damaged.bytes;
    let mut window = Window::new(Arc::clone(&damaged.file), end);
    let mut at = start;
    while at < end {
        let bytes = window.get(at, COPY_BYTES.min(end - at));
        if bytes.is_empty() {
            break;
        }
        to.write_at(at - start, bytes)?;
        at += bytes.len() as u64;
    }
    to.sync()
}
