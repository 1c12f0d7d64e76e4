//! Files that wait to become segments: written once with zeros, so that using them needs no space
//! and keeps the file system's journal out of the way of the writer.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::io::LogIo;
use crate::options::{Options, RESERVED_SEGMENTS};
use crate::segment::FileName;

/// Spare files beyond those kept back. One is being used soon, one is ready behind it; more would
/// only hold space that others on the volume could use.
const SPARES_BEYOND_MAX: u64 = 2;

/// Zeros written at once: from this size on a disk is near its bandwidth.
const ZERO_BYTES: usize = 1024 * 1024;

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

/// The spare files of one log.
pub(crate) struct Pool {
    io: Arc<dyn LogIo>,
    segment_bytes: u64,
    segments_max: u64,
    free_bytes_min: u64,
    spares: VecDeque<u64>,
    next: u64,
}

impl Pool {
    /// Takes over the spare files that are there. Those of another size are removed.
    pub(crate) fn open(io: Arc<dyn LogIo>, options: &Options, spares: &[u64]) -> Pool {
        let mut pool = Pool {
            io,
            segment_bytes: options.segment_bytes,
            segments_max: options.segments_max,
            free_bytes_min: options.free_bytes_min,
            spares: VecDeque::new(),
            next: spares.iter().max().map_or(1, |last| last.saturating_add(1)),
        };
        for number in spares {
            pool.keep(*number);
        }
        pool
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.spares.len() as u64
    }

    /// Makes files until those kept back and one more are there, as far as there is room. Says
    /// whether those kept back are. A log without them goes on and gives out what it has; only
    /// items are refused.
    pub(crate) fn fill(&mut self, in_use: u64, free_bytes_min: u64) -> bool {
        while self.len() <= RESERVED_SEGMENTS && self.make(in_use, free_bytes_min).is_ok() {}
        self.len() >= RESERVED_SEGMENTS
    }

    /// The name of a file of the right size with any content. It is no longer in the pool.
    pub(crate) fn take(&mut self, purpose: Purpose, in_use: u64) -> Result<FileName, TakeError> {
        let kept_back = match purpose {
            Purpose::Items => RESERVED_SEGMENTS,
            Purpose::Reserve => 0,
        };
        if self.len() <= kept_back {
            let free_bytes_min = match purpose {
                Purpose::Items => self.free_bytes_min,
                Purpose::Reserve => 0,
            };
            self.make(in_use, free_bytes_min)?;
        }
        match self.spares.pop_front() {
            Some(number) => Ok(FileName::Spare(number)),
            None => Err(TakeError::Full),
        }
    }

    /// Gives a file back whose content is of no use any more. Its name changes; the folder has to
    /// be synced before this is durable, and nothing depends on it.
    pub(crate) fn give_back(&mut self, name: FileName) -> io::Result<()> {
        if self.len() >= RESERVED_SEGMENTS + SPARES_BEYOND_MAX {
            return self.io.remove(&name.to_string());
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let spare = FileName::Spare(number).to_string();
        self.io.rename(&name.to_string(), &spare)?;
        self.keep(number);
        Ok(())
    }

    /// Keeps a spare file when it has the right size, else removes it.
    fn keep(&mut self, number: u64) {
        let name = FileName::Spare(number).to_string();
        let length = self.io.open(&name).and_then(|file| file.length());
        if length.is_ok_and(|length| length == self.segment_bytes) {
            self.spares.push_back(number);
        } else {
            // When that fails it is tried again at the next opening.
            let _ = self.io.remove(&name);
        }
    }

    fn make(&mut self, in_use: u64, free_bytes_min: u64) -> Result<(), TakeError> {
        if in_use.saturating_add(self.len()) >= self.segments_max {
            return Err(TakeError::Full);
        }
        let free = self.io.free_bytes().map_err(TakeError::Disk)?;
        if free < free_bytes_min.saturating_add(self.segment_bytes) {
            return Err(TakeError::Full);
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let making = FileName::Making(number).to_string();
        let made = self.write_zeros(&making).and_then(|()| {
            let spare = FileName::Spare(number).to_string();
            self.io.rename(&making, &spare)?;
            self.io.sync_folder()
        });
        match made {
            Ok(()) => {
                self.spares.push_back(number);
                Ok(())
            }
            Err(error) => {
                // When that fails it is removed at the next opening.
                let _ = self.io.remove(&making);
                match error.kind() {
                    io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge => Err(TakeError::Full),
                    _ => Err(TakeError::Disk(error)),
                }
            }
        }
    }

    fn write_zeros(&self, name: &str) -> io::Result<()> {
        let file = self.io.create(name)?;
        let zeros = vec![0; ZERO_BYTES.min(self.segment_bytes as usize)];
        let mut at = 0;
        while at < self.segment_bytes {
            let length = (self.segment_bytes - at).min(zeros.len() as u64) as usize;
            file.write_at(at, zeros.get(..length).unwrap_or_default())?;
            at += length as u64;
        }
        file.sync()
    }
}
