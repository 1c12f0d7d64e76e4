//! A real folder on a real disk.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;

use super::{LogFile, LogIo};

/// The file that is locked.
const LOCK_NAME: &str = "lock";

/// Files are for the user who runs the process and for no other.
const MODE: u32 = 0o600;

/// The same for folders.
const FOLDER_MODE: u32 = 0o700;

/// A folder of the file system. It has to be there.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Uses this folder. Nothing is touched yet.
    pub fn new(path: impl AsRef<Path>) -> Folder {
        Folder {
            path: path.as_ref().to_owned(),
        }
    }

    /// Makes a folder, and those above it that are not there, for the user who runs the process and
    /// for no other. Their names are durable when this returns well. One that is there already is
    /// left as it is.
    ///
    /// # Errors
    /// As the system says; some of the folders may have been made.
    pub fn make(path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let above = match path.parent() {
            Some(above) if above.as_os_str().is_empty() => Path::new("."),
            Some(above) => above,
            None => return Ok(()),
        };
        match DirBuilder::new().mode(FOLDER_MODE).create(path) {
            Ok(()) => {}
            // Whoever made it may have been cut off before its name was durable.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Folder::make(above)?;
                DirBuilder::new().mode(FOLDER_MODE).create(path)?;
            }
            Err(error) => return Err(error),
        }
        File::open(above)?.sync_all()
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(MODE);
        options
    }
}

impl LogIo for Folder {
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        let file = Folder::options()
            .create(true)
            .truncate(false)
            .open(self.path.join(LOCK_NAME))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = Folder::options().open(self.path.join(name))?;
        Ok(Arc::new(DiskFile { file }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = Folder::options()
            .create_new(true)
            .open(self.path.join(name))?;
        Ok(Arc::new(DiskFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let volume = rustix::fs::statvfs(&self.path)?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }

    fn salt(&self) -> io::Result<u64> {
        // The standard library's keys: from the system once per thread, then counted on, and hashed.
        Ok(RandomState::new().build_hasher().finish())
    }
}

struct DiskFile {
    file: File,
}

impl LogFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
