//! A real folder on a real disk.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::{LogFile, LogIo, ZERO_BYTES};
use crate::segment::BLOCK_BYTES;

/// The file that is locked.
pub(super) const LOCK_NAME: &str = "lock";

/// Files are for the user who runs the process and for no other.
const MODE: u32 = 0o600;

/// Folders too.
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

    /// A file of this folder that was opened by other means.
    pub(super) fn file(&self, file: File, name: &str) -> Arc<dyn LogFile> {
        Arc::new(DiskFile::new(file, self.path.join(name)))
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
        let path = self.path.join(name);
        let file = Folder::options().open(&path)?;
        Ok(Arc::new(DiskFile::new(file, path)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let path = self.path.join(name);
        let file = Folder::options().create_new(true).open(&path)?;
        Ok(Arc::new(DiskFile::new(file, path)))
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

    fn folder_within(&self, name: &str) -> io::Result<Arc<dyn LogIo>> {
        let path = self.path.join(name);
        match DirBuilder::new().mode(FOLDER_MODE).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Arc::new(Folder { path })),
        }
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
    path: PathBuf,
    /// The same file, for writes past the system's memory. Opened with the first of them, which is
    /// made by the log's one writer, before the file has any other name.
    direct: OnceLock<Option<File>>,
}

impl DiskFile {
    fn new(file: File, path: PathBuf) -> DiskFile {
        DiskFile {
            file,
            path,
            direct: OnceLock::new(),
        }
    }

    fn direct(&self) -> Option<&File> {
        let direct = self.direct.get_or_init(|| {
            let mut options = OpenOptions::new();
            options
                .write(true)
                .custom_flags(OFlags::DIRECT.bits() as i32);
            // Where it cannot be opened so, the file system does not know of it.
            options.open(&self.path).ok()
        });
        direct.as_ref()
    }

    /// Writes through the system's memory and waits for the disk, in one call where there is one.
    fn write_synced_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match write_and_wait(&self.file, offset, bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            // Written in part, or not known to this system: both begin anew.
            Ok(_) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
                self.write_at(offset, bytes)?;
                self.sync()
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Zeros past the system's memory, into blocks that the file was given before: at the speed of
    /// the disk, at next to no cost of processors, and without pushing out what is cached there.
    fn fill_directly(&self, direct: &File, length: u64) -> io::Result<()> {
        rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, length)?;
        let memory = vec![0; ZERO_BYTES + BLOCK_BYTES as usize];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES as usize);
        let zeros = memory.get(start..).unwrap_or_default();
        let zeros = zeros.get(..ZERO_BYTES).unwrap_or_default();
        super::fill(length, zeros, |offset, bytes| {
            direct.write_all_at(bytes, offset)
        })
    }
}

/// One write that comes back when the disk has it; says how much it took.
fn write_and_wait(file: &File, offset: u64, bytes: &[u8]) -> rustix::io::Result<usize> {
    let slices = [IoSlice::new(bytes)];
    rustix::io::pwritev2(file, &slices, offset, ReadWriteFlags::DSYNC)
}

/// Whether memory, offset and length are what a direct write asks for.
fn is_whole_blocks(offset: u64, bytes: &[u8]) -> bool {
    let block = BLOCK_BYTES as usize;
    bytes.as_ptr().align_offset(block) == 0
        && bytes.len().is_multiple_of(block)
        && offset.is_multiple_of(BLOCK_BYTES)
}

impl LogFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Past the system's memory: this saves a copy, and an error belongs to this very write, while
    /// the bytes are still in the log's hands.
    fn write_durably_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let whole = is_whole_blocks(offset, bytes);
        let Some(direct) = self.direct().filter(|_| whole) else {
            return self.write_synced_at(offset, bytes);
        };
        match write_and_wait(direct, offset, bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            // Written in part, or not at all: this disk has larger blocks.
            Ok(_) | Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
                self.write_synced_at(offset, bytes)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn fill_with_zeros(&self, length: u64) -> io::Result<()> {
        if let Some(direct) = self.direct().filter(|_| length.is_multiple_of(BLOCK_BYTES)) {
            match self.fill_directly(direct, length) {
                // Not known to this file system, or it has larger blocks.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidInput
                            | io::ErrorKind::Unsupported
                            | io::ErrorKind::Interrupted
                    ) => {}
                filled => return filled.and_then(|()| self.sync()),
            }
        }
        super::fill_through_memory(self, length)
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

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durable_write_of_any_shape_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let io = Folder::new(folder.path());
        let file = io.create("file").unwrap();
        file.write_at(0, &[0; 64 * 1024]).unwrap();
        file.sync().unwrap();
        let mut memory: Vec<u8> = (0..4 * 4096).map(|n| (n % 251) as u8).collect();
        memory.rotate_left(7);
        let start = memory.as_ptr().align_offset(4096);
        // Whole blocks from a block on; not from one; not to one; not whole.
        for (skip, offset, length) in [(0, 8192, 8192), (3, 8192, 4096), (0, 100, 4096), (0, 0, 77)]
        {
            let bytes = &memory[start + skip..start + skip + length];
            file.write_durably_at(offset, bytes).unwrap();
            let mut read = vec![0; length];
            assert_eq!(file.read_at(offset, &mut read).unwrap(), length);
            assert_eq!(read, bytes);
        }
    }

    #[test]
    fn a_file_is_filled_with_zeros_up_to_any_length() {
        let folder = tempfile::tempdir().unwrap();
        let io = Folder::new(folder.path());
        for (number, length) in [0, 4096, ZERO_BYTES as u64 + 8192, 77, ZERO_BYTES as u64 + 1]
            .into_iter()
            .enumerate()
        {
            let file = io.create(&format!("file-{number}")).unwrap();
            file.write_at(0, &[0x5a; 40]).unwrap();
            file.fill_with_zeros(length).unwrap();
            assert_eq!(file.length().unwrap(), length.max(40));
            let mut read = vec![1; length as usize];
            file.read_at(0, &mut read).unwrap();
            assert!(read.iter().all(|byte| *byte == 0), "{length} bytes");
        }
    }
}
