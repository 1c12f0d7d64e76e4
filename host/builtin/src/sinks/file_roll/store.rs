//! What the sink asks of a file system, so that a test can make it fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A place for files.
pub(super) trait FileStore: Send + Sync {
    /// Makes a file that did not exist.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::AlreadyExists`] when the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn RollFile>>;

    /// Makes the names in a directory survive the end of the machine.
    ///
    /// # Errors
    /// The system's.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// A file that only grows at its end. All bytes given to it are with the system when a call returns.
pub(super) trait RollFile: Send + Sync {
    /// Writes some of the bytes at the end and says how many.
    ///
    /// # Errors
    /// The system's; nothing was written.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts that many bytes off the end.
    ///
    /// # Errors
    /// The system's.
    fn cut(&self, bytes: u64) -> io::Result<()>;

    /// Makes the contents survive the end of the machine.
    ///
    /// # Errors
    /// The system's; it is then unknown what survives.
    fn sync(&self) -> io::Result<()>;

    /// Whether somebody deleted the file: what is written to it then is gone when it is closed.
    fn is_deleted(&self) -> bool;
}

/// The file system of the machine.
pub(super) struct Disk;

impl FileStore for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn RollFile>> {
        // Appending, so that a file that somebody else cut short goes on at its end, without a
        // hole.
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

impl RollFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        file.write(bytes)
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        let length = self.metadata()?.len();
        self.set_len(length.saturating_sub(bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    #[cfg(unix)]
    fn is_deleted(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        self.metadata().is_ok_and(|found| found.nlink() == 0)
    }

    /// Other systems do not let an open file be deleted.
    #[cfg(not(unix))]
    fn is_deleted(&self) -> bool {
        false
    }
}
