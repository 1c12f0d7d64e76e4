//! A folder that is only looked at.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;

use super::disk::LOCK_NAME;
use super::{Folder, LogFile, LogIo};

/// A folder of the file system in which nothing is changed: files are opened for reading, and every
/// call that would change one is refused. The lock is shared with others that only look, and keeps
/// away a log that would write; where there is no file to lock, none is made.
#[derive(Debug)]
pub struct ReadOnlyFolder {
    path: PathBuf,
    folder: Folder,
}

impl ReadOnlyFolder {
    /// Uses this folder. Nothing is touched yet.
    pub fn new(path: impl AsRef<Path>) -> ReadOnlyFolder {
        ReadOnlyFolder {
            path: path.as_ref().to_owned(),
            folder: Folder::new(path),
        }
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl LogIo for ReadOnlyFolder {
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        let file = match File::open(self.path.join(LOCK_NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Box::new(())),
            Err(error) => return Err(error),
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)?;
        Ok(Box::new(file))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = File::open(self.path.join(name))?;
        Ok(Arc::new(ReadOnlyFile {
            inner: self.folder.file(file, name),
        }))
    }

    fn create(&self, _name: &str) -> io::Result<Arc<dyn LogFile>> {
        refused()
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        refused()
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.folder.free_bytes()
    }

    fn salt(&self) -> io::Result<u64> {
        self.folder.salt()
    }
}

struct ReadOnlyFile {
    inner: Arc<dyn LogFile>,
}

impl LogFile for ReadOnlyFile {
    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        refused()
    }

    fn write_durably_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        refused()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    /// Nothing was written, so there is nothing to make durable.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
