//! The files themselves: open, write, cut back, roll, close.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use flumen_core::clock::Clock;
use flumen_core::metric::SinkCounters;
use flumen_core::sink::SinkContext;
use flumen_core::{EventBatch, Fault, Side};

use super::names::FileNames;
use super::store::{FileStore, RollFile};
use crate::serializers::EventSerializer;

/// Slices shorter than this are gathered into one write of this size; longer ones go to the system
/// as they are. At this size the copy costs less than the further write would.
pub(super) const GATHER_BYTES: usize = 64 << 10;

/// Names that are tried for one file. Names are taken only by an earlier start within the same
/// millisecond (or, by roll time, second), so more than this is a directory gone wrong.
const NAMES_TRIED_MAX: usize = 1000;

/// The files of one started sink.
///
/// `current` is the file that is written to. There is none before the first and after a failure that
/// left it in doubt; the next write opens a new one.
pub(super) struct Roller {
    directory: PathBuf,
    names: FileNames,
    store: Arc<dyn FileStore>,
    serializer: Box<dyn EventSerializer>,
    clock: Arc<dyn Clock>,
    counters: Arc<SinkCounters>,
    current: Option<OpenFile>,
    closing: Option<JoinHandle<Result<(), Fault>>>,
    /// What closing a file said, until a tick reports it.
    unreported: Option<Fault>,
    intervals: u64,
}

struct OpenFile {
    path: PathBuf,
    file: Box<dyn RollFile>,
    last_write_bytes: u64,
}

impl Roller {
    pub(super) fn new(
        directory: PathBuf,
        names: FileNames,
        store: Arc<dyn FileStore>,
        serializer: Box<dyn EventSerializer>,
        context: SinkContext,
    ) -> Self {
        Self {
            directory,
            names,
            store,
            serializer,
            clock: context.clock,
            counters: context.counters,
            current: None,
            closing: None,
            unreported: None,
            intervals: 0,
        }
    }

    /// Opens the first file, which also proves that the directory can be written to.
    pub(super) fn open_first(&mut self) -> Result<(), Fault> {
        let directory = self.directory.display();
        match fs::metadata(&self.directory) {
            Ok(found) if found.is_dir() => self.open(),
            Ok(_) => Err(Fault::transient(
                Side::Operator,
                format!("{directory} is not a directory; sink.directory needs one"),
            )),
            Err(error) => {
                let message = format!("cannot use directory {directory}{}", remedy(error.kind()));
                Err(Fault::transient(side(error.kind()), message).with_cause(error))
            }
        }
    }

    /// Begins a new file when more intervals have passed than at the last roll.
    pub(super) fn roll_if_due(&mut self, intervals: u64) -> Result<(), Fault> {
        if intervals <= self.intervals {
            return Ok(());
        }
        self.intervals = intervals;
        self.start_closing();
        self.open()
    }

    /// Writes the events to the current file: all of them, or none when it fails.
    pub(super) fn write(&mut self, events: &[EventBatch]) -> Result<(), Fault> {
        self.leave_if_deleted();
        if self.current.is_none() {
            self.open()?;
        }
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let appending = Appending {
            file: &*current.file,
            written_bytes: 0,
        };
        let mut output = BufWriter::with_capacity(GATHER_BYTES, appending);
        let written = events
            .iter()
            .try_for_each(|batch| self.serializer.write(batch, &mut output))
            .and_then(|()| output.flush());
        // Taken apart, so that dropping it does not write what a failure left in it.
        let (appending, _) = output.into_parts();
        current.last_write_bytes = appending.written_bytes;
        written.map_err(|error| self.write_failed(error))
    }

    /// Lets go of a file that somebody deleted, so that no event is written to where nobody finds
    /// it. One question to the system per batch.
    fn leave_if_deleted(&mut self) {
        if let Some(deleted) = self.current.take_if(|current| current.file.is_deleted()) {
            self.counters.connection_failed.add(1);
            let path = deleted.path.display();
            tracing::error!(%path, "the file was deleted while it was written to; what it held is gone, and a new one is begun");
        }
    }

    fn write_failed(&mut self, error: io::Error) -> Fault {
        let path = self.current_path();
        let mut message = format!(
            "cannot write file {}{}",
            path.display(),
            remedy(error.kind())
        );
        if let Err(cut) = self.take_back() {
            message.push_str(&format!(
                "; what was written of these events could not be cut off again ({cut}), so they may stand twice, in part in this file and again in the next"
            ));
        }
        Fault::transient(side(error.kind()), message).with_cause(error)
    }

    /// Takes back the last write: nobody was told that it succeeded, so its events come again.
    pub(super) fn take_back_last_write(&mut self) {
        let path = self.current_path();
        if let Err(error) = self.take_back() {
            let path = path.display();
            tracing::warn!(%path, %error, "cannot cut off events whose delivery was dropped, so the file has them and the next one has them again");
        }
    }

    /// Cuts the last write off the current file. On failure the file is left and the next write
    /// begins a new one.
    fn take_back(&mut self) -> io::Result<()> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let bytes = std::mem::take(&mut current.last_write_bytes);
        if bytes == 0 {
            return Ok(());
        }
        let cut = current.file.cut(bytes);
        if cut.is_err() {
            self.counters.connection_failed.add(1);
            self.start_closing();
        }
        cut
    }

    /// What failed since the last report, once.
    pub(super) fn report(&mut self) -> Result<(), Fault> {
        if self.closing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish_closing();
        }
        self.unreported.take().map_or(Ok(()), Err)
    }

    /// Closes and syncs the current file, and waits for the one before it.
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        self.start_closing();
        self.finish_closing();
        self.unreported.take().map_or(Ok(()), Err)
    }

    fn open(&mut self) -> Result<(), Fault> {
        let mut tried = 0;
        loop {
            let path = self.directory.join(self.names.next(self.clock.now_ms()));
            tried += 1;
            match self.store.create(&path) {
                Ok(file) => {
                    self.counters.connection_created.add(1);
                    self.current = Some(OpenFile {
                        path,
                        file,
                        last_write_bytes: 0,
                    });
                    return Ok(());
                }
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && tried < NAMES_TRIED_MAX => {}
                Err(error) => {
                    self.counters.connection_failed.add(1);
                    let remedy = remedy(error.kind());
                    let message = format!("cannot create file {}{remedy}", path.display());
                    return Err(Fault::transient(side(error.kind()), message).with_cause(error));
                }
            }
        }
    }

    /// Hands the current file to a thread that syncs and closes it.
    fn start_closing(&mut self) {
        self.finish_closing();
        let Some(OpenFile { path, file, .. }) = self.current.take() else {
            return;
        };
        let closing = Arc::new(Closing {
            path,
            file,
            store: Arc::clone(&self.store),
            counters: Arc::clone(&self.counters),
        });
        let apart = Arc::clone(&closing);
        let thread = std::thread::Builder::new().name("file_roll-sync".to_owned());
        match thread.spawn(move || apart.close()) {
            Ok(handle) => self.closing = Some(handle),
            // No thread to be had: then it is done here and delivery waits.
            Err(_) => {
                let closed = closing.close();
                self.closed(closed);
            }
        }
    }

    /// Waits for the file that is being closed.
    fn finish_closing(&mut self) {
        if let Some(handle) = self.closing.take() {
            let panicked = |_| {
                Err(Fault::transient(
                    Side::Component,
                    "the thread that syncs files ended by a defect",
                ))
            };
            let closed = handle.join().unwrap_or_else(panicked);
            self.closed(closed);
        }
    }

    fn closed(&mut self, closed: Result<(), Fault>) {
        if let Err(fault) = closed
            && let Some(earlier) = self.unreported.replace(fault)
        {
            // Two files failed between two ticks; only one fault can be returned.
            tracing::error!(fault = %earlier, "a rolled file may be incomplete");
        }
    }

    fn current_path(&self) -> PathBuf {
        let path = self.current.as_ref().map(|current| &current.path);
        path.unwrap_or(&self.directory).clone()
    }
}

/// A file that is not written to any more.
struct Closing {
    path: PathBuf,
    file: Box<dyn RollFile>,
    store: Arc<dyn FileStore>,
    counters: Arc<SinkCounters>,
}

impl Closing {
    fn close(&self) -> Result<(), Fault> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let synced = self
            .file
            .sync()
            .and_then(|()| self.store.sync_directory(directory));
        match synced {
            Ok(()) => {
                self.counters.connection_closed.add(1);
                Ok(())
            }
            Err(error) => {
                self.counters.connection_failed.add(1);
                let message = format!(
                    "cannot sync file {}, which may be incomplete if this machine ends before the system has written it out",
                    self.path.display()
                );
                Err(Fault::transient(Side::Machine, message).with_cause(error))
            }
        }
    }
}

/// Counts what went to the file, so that it can be cut off again.
struct Appending<'a> {
    file: &'a dyn RollFile,
    written_bytes: u64,
}

impl Write for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.append(bytes)?;
        self.written_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whose side a failure of the file system is on.
fn side(kind: io::ErrorKind) -> Side {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    match kind {
        NotFound | NotADirectory | PermissionDenied | ReadOnlyFilesystem => Side::Operator,
        _ => Side::Machine,
    }
}

/// What an operator can do about it, as the end of a message.
fn remedy(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind::{
        AlreadyExists, FileTooLarge, NotADirectory, NotFound, PermissionDenied, QuotaExceeded,
        ReadOnlyFilesystem, StorageFull,
    };
    match kind {
        NotFound | NotADirectory => "; create the directory or correct sink.directory",
        PermissionDenied => "; let the user that runs the agent write there",
        ReadOnlyFilesystem => "; the file system is mounted read-only",
        StorageFull | QuotaExceeded => "; free space there, and delivery goes on",
        FileTooLarge => "; the file has reached the system's limit, shorten sink.rollInterval",
        AlreadyExists => {
            "; too many names are taken, clear the directory or set sink.pathManager.prefix"
        }
        _ => "",
    }
}
