//! What the log asks of a disk. Everything that touches a file goes through here, so that a test
//! can own the disk and take its power away.

use std::io;
use std::sync::Arc;

mod disk;
mod read_only;

pub use disk::Folder;
pub use read_only::ReadOnlyFolder;

/// One folder that holds one log.
///
/// Names are plain file names. Calls may come from several threads. What a call did survives the
/// end of the process; the end of the power it survives once [`LogFile::sync`] (bytes and length of
/// a file) or [`LogIo::sync_folder`] (names) came back well after it.
pub trait LogIo: Send + Sync + 'static {
    /// Takes the folder for this process until the guard is dropped or the process ends.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another holds it; else why the lock cannot be had.
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>>;

    /// The names in the folder, in any order.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], or as the system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;

    /// Makes an empty file.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], or as the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;

    /// Gives a file another name. A file that has that name already is replaced.
    ///
    /// # Errors
    /// As the system says; then the old name holds.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Handles on it go on working.
    ///
    /// # Errors
    /// As the system says; then the file is still there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable as they are now.
    ///
    /// # Errors
    /// When they may not be.
    fn sync_folder(&self) -> io::Result<()>;

    /// Bytes that may still be written to the volume by this user.
    ///
    /// # Errors
    /// As the system says.
    fn free_bytes(&self) -> io::Result<u64>;

    /// A number that was never given before and that nobody can guess.
    ///
    /// # Errors
    /// When the system has none.
    fn salt(&self) -> io::Result<u64>;
}

/// An open file of the log.
pub trait LogFile: Send + Sync {
    /// Bytes of the file.
    ///
    /// # Errors
    /// As the system says.
    fn length(&self) -> io::Result<u64>;

    /// Writes all the bytes at this offset; the file grows when they reach past its end.
    ///
    /// # Errors
    /// When not all were taken; then any part of them may have been.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Fills the buffer from this offset and says how much; less only at the end of the file.
    ///
    /// # Errors
    /// When a part cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// When it may not be. A second call may then come back well without having written anything,
    /// so it proves nothing: write the bytes again, to another file.
    fn sync(&self) -> io::Result<()>;
}
