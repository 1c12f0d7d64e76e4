//! One log file, record by record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use flumen_codec::flume_log::{
    FlumePointer, FormatError, Operation, Record, Step, bytes_needed, find_record, step,
};

use super::error::ImportError;
use super::folders::{LogFile, unreadable};

/// Bytes read at once: large enough that the disk is read in sequence at its speed. A longer record
/// gets a window of its own size.
const WINDOW_BYTES: u64 = 1 << 20;

/// A record without what a put holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Where it stands.
    pub(super) pointer: FlumePointer,
    pub(super) transaction: u64,
    pub(super) write_order: u64,
    pub(super) what: What,
}

/// What a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Put,
    Take(FlumePointer),
    Rollback,
    CommitPuts,
    CommitTakes,
}

/// What stands in a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Record(Summary),
    /// A record that Flume's integrity tool has removed.
    Removed,
    /// Bytes that are no record.
    Damaged(Stretch),
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) error: FormatError,
    /// Whether no record follows in the file: then it may be what a crash left half written.
    pub(super) is_tail: bool,
}

/// Reads one log file.
#[derive(Debug)]
pub(super) struct LogReader {
    log: LogFile,
    file: File,
    offset: u64,
    window: Vec<u8>,
    window_offset: u64,
    is_over: bool,
}

impl LogReader {
    pub(super) fn open(log: &LogFile) -> Result<Self, ImportError> {
        Ok(Self {
            file: File::open(&log.path).map_err(unreadable(&log.path))?,
            log: log.clone(),
            offset: 0,
            window: Vec::new(),
            window_offset: 0,
            is_over: false,
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.log.number
    }

    /// What stands next; `None` behind the last.
    pub(super) fn next_item(&mut self) -> Result<Option<Item>, ImportError> {
        if self.is_over {
            return Ok(None);
        }
        let offset = self.offset;
        self.fill_for_step()?;
        let (error, bytes) = match step(self.here(), self.left()) {
            Step::Record { bytes, record } => {
                let summary = self.summary(&record);
                self.offset += bytes;
                return Ok(Some(Item::Record(summary)));
            }
            Step::Removed { bytes } => {
                self.offset += bytes;
                return Ok(Some(Item::Removed));
            }
            Step::Damaged { error, bytes } => (error, bytes),
            Step::End | Step::NeedMore { .. } => return self.filling(),
        };
        let behind = bytes.map_or(offset + 1, |bytes| offset + bytes);
        let found = self.find_from(behind)?;
        let end = match bytes {
            Some(bytes) => offset + bytes,
            None => found.unwrap_or(self.log.bytes),
        };
        let is_tail = found.is_none();
        self.offset = end;
        Ok(Some(Item::Damaged(Stretch {
            offset,
            bytes: end - offset,
            error,
            is_tail,
        })))
    }

    /// The record at an offset that a pointer names.
    pub(super) fn read_at(
        &mut self,
        offset: u64,
    ) -> Result<Result<Record<'_>, FormatError>, ImportError> {
        self.offset = offset.min(self.log.bytes);
        self.fill_for_step()?;
        Ok(match step(self.here(), self.left()) {
            Step::Record { record, .. } => Ok(record),
            Step::Damaged { error, .. } => Err(error),
            Step::Removed { .. } => Err(FormatError::BadOperation(0)),
            Step::End | Step::NeedMore { .. } => Err(FormatError::Truncated),
        })
    }

    /// The filling begins. A record behind it means that the filling is none: then Flume itself would
    /// stop here.
    fn filling(&mut self) -> Result<Option<Item>, ImportError> {
        let offset = self.offset;
        let operation = self.here().first().copied();
        let Some(found) = self.find_from(offset)? else {
            self.is_over = true;
            return Ok(None);
        };
        self.offset = found;
        Ok(Some(Item::Damaged(Stretch {
            offset,
            bytes: found - offset,
            error: FormatError::BadOperation(operation.unwrap_or_default()),
            is_tail: false,
        })))
    }

    /// The offset of the next record at or behind `offset`.
    fn find_from(&mut self, offset: u64) -> Result<Option<u64>, ImportError> {
        let before = self.offset;
        self.offset = offset;
        let found = loop {
            self.fill(self.left().min(WINDOW_BYTES))?;
            match find_record(self.here()) {
                Ok(place) => break Some(self.offset + place as u64),
                // At the end of the file nothing comes that could complete a record.
                Err(_) if self.here().len() as u64 >= self.left() => break None,
                Err(clear) => self.offset += clear as u64,
            }
        };
        self.offset = before;
        Ok(found)
    }

    fn summary(&self, record: &Record<'_>) -> Summary {
        Summary {
            pointer: FlumePointer {
                file: self.log.number,
                offset: u32::try_from(self.offset).unwrap_or(u32::MAX),
            },
            transaction: record.transaction,
            write_order: record.write_order,
            what: match record.operation {
                Operation::Put(_) => What::Put,
                Operation::Take(pointer) => What::Take(pointer),
                Operation::Rollback => What::Rollback,
                Operation::CommitPuts => What::CommitPuts,
                Operation::CommitTakes => What::CommitTakes,
            },
        }
    }

    fn left(&self) -> u64 {
        self.log.bytes.saturating_sub(self.offset)
    }

    /// The window from the current offset on.
    fn here(&self) -> &[u8] {
        let from = self.offset.checked_sub(self.window_offset);
        let from = from.and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.window.get(from..))
            .unwrap_or_default()
    }

    fn fill_for_step(&mut self) -> Result<(), ImportError> {
        while let Some(bytes) = bytes_needed(self.here(), self.left()) {
            self.fill(bytes)?;
        }
        Ok(())
    }

    /// Makes the window reach so many bytes from the current offset, which the file has.
    fn fill(&mut self, bytes: u64) -> Result<(), ImportError> {
        if self.here().len() as u64 >= bytes {
            return Ok(());
        }
        let wanted = bytes.max(WINDOW_BYTES).min(self.left());
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        // A window that a long record has needed is not kept for short ones.
        if self.window.capacity() > wanted.saturating_mul(2) {
            self.window = Vec::new();
        }
        self.window.resize(wanted, 0);
        self.window_offset = self.offset;
        let read = self.file.read_exact_at(&mut self.window, self.offset);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ImportError::Changed(self.log.path.clone()),
            _ => unreadable(&self.log.path)(error),
        })
    }
}
