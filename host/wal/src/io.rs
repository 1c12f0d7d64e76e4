//! What the log asks of a disk. Everything that touches a file goes through here, so that a test
//! can own the disk and take its power away.

use std::io;
use std::sync::Arc;

#[cfg(any(test, feature = "simulation"))]
use crate::mutation::Mutation;

mod disk;
mod read_only;

pub use disk::Folder;
pub use read_only::ReadOnlyFolder;

/// Zeros written at once: from this size on a disk is near its bandwidth.
const ZERO_BYTES: usize = 1024 * 1024;

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

    /// The folder of this name within this one, made when it is not there. Only for copies that
    /// nothing depends on; the log does without where there is none.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::Unsupported`] where it is not built.
    fn folder_within(&self, name: &str) -> io::Result<Arc<dyn LogIo>> {
        let _ = name;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether the log goes without this protection, so that a test sees what it is good for.
    #[cfg(any(test, feature = "simulation"))]
    fn lacks(&self, _: Mutation) -> bool {
        false
    }
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

    /// Writes all the bytes at this offset and makes them durable, them alone: what was written
    /// before without a sync stays without. Cheaper than a write and a sync where the disk can do
    /// both at once, best when memory, offset and length are multiples of 4096 and the
    /// file was written there before.
    ///
    /// # Errors
    /// As those of [`LogFile::write_at`] and [`LogFile::sync`], and to be treated like both.
    fn write_durably_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset, bytes)?;
        self.sync()
    }

    /// Writes zeros from the start up to this length, and makes them durable. Blocks that were
    /// written once are overwritten later without the file system having to note anything.
    ///
    /// # Errors
    /// As those of [`LogFile::write_at`] and [`LogFile::sync`]; then any part may be there.
    fn fill_with_zeros(&self, length: u64) -> io::Result<()> {
        fill_through_memory(self, length)
    }

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

    /// Cuts the file off at this length, to give space back. The log does without where it cannot
    /// be done, and never cuts off what counts.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::Unsupported`] where it is not built.
    fn truncate(&self, length: u64) -> io::Result<()> {
        let _ = length;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// See [`LogIo::lacks`].
    #[cfg(any(test, feature = "simulation"))]
    fn lacks(&self, _: Mutation) -> bool {
        false
    }
}

/// Zeros by ordinary writes.
fn fill_through_memory<F: LogFile + ?Sized>(file: &F, length: u64) -> io::Result<()> {
    let zeros = vec![0; ZERO_BYTES.min(usize::try_from(length).unwrap_or(ZERO_BYTES))];
    fill(length, &zeros, |offset, bytes| file.write_at(offset, bytes))?;
    file.sync()
}

/// Writes a stretch again and again until so many bytes are full.
fn fill(
    length: u64,
    stretch: &[u8],
    write: impl Fn(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut at = 0;
    while at < length {
        let bytes = (length - at).min(stretch.len() as u64);
        write(at, stretch.get(..bytes as usize).unwrap_or_default())?;
        at += bytes;
    }
    Ok(())
}
