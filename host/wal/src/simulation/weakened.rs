//! A disk, real or simulated, without one of the log's protections.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::io::{LogFile, LogIo};
use crate::mutation::Mutation;
use crate::segment::MAGIC;

/// The disk behind it, under a log that goes without one protection. What can be done between the
/// log and its disk is done here; the rest the log asks about.
pub struct Weakened {
    io: Arc<dyn LogIo>,
    without: Mutation,
}

impl Weakened {
    /// Puts itself before a disk.
    pub fn new(io: Arc<dyn LogIo>, without: Mutation) -> Weakened {
        Weakened { io, without }
    }

    fn file(&self, file: Arc<dyn LogFile>) -> Arc<dyn LogFile> {
        Arc::new(WeakenedFile {
            file,
            without: self.without,
            held_back: Mutex::default(),
        })
    }
}

impl LogIo for Weakened {
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        if self.without == Mutation::Lock {
            return Ok(Box::new(()));
        }
        self.io.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.io.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        self.io.open(name).map(|file| self.file(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        self.io.create(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.io.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.io.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        if self.without == Mutation::FolderSync {
            return Ok(());
        }
        self.io.sync_folder()
    }

    fn folder_within(&self, name: &str) -> io::Result<Arc<dyn LogIo>> {
        self.io.folder_within(name)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.io.free_bytes()
    }

    fn salt(&self) -> io::Result<u64> {
        self.io.salt()
    }

    fn lacks(&self, protection: Mutation) -> bool {
        self.without == protection
    }
}

struct WeakenedFile {
    file: Arc<dyn LogFile>,
    without: Mutation,
    /// The head of a segment, until its first group is confirmed.
    held_back: Mutex<Vec<u8>>,
}

impl WeakenedFile {
    fn held_back(&self) -> MutexGuard<'_, Vec<u8>> {
        let held_back = self.held_back.lock();
        held_back.unwrap_or_else(PoisonError::into_inner)
    }

    fn write_held_back(&self) -> io::Result<()> {
        let head = std::mem::take(&mut *self.held_back());
        if head.is_empty() {
            return Ok(());
        }
        self.file.write_at(0, &head)
    }
}

impl LogFile for WeakenedFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.without == Mutation::HeadFirst && bytes.starts_with(&MAGIC) {
            *self.held_back() = bytes.to_vec();
            return Ok(());
        }
        self.file.write_at(offset, bytes)
    }

    fn write_durably_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.without {
            Mutation::GroupSync => self.file.write_at(offset, bytes),
            Mutation::SecondSync => {
                let written = self.file.write_durably_at(offset, bytes);
                written.or_else(|_| self.file.sync())
            }
            _ => self.file.write_durably_at(offset, bytes),
        }?;
        self.write_held_back()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn sync(&self) -> io::Result<()> {
        match self.without {
            Mutation::GroupSync => Ok(()),
            Mutation::SecondSync => self.file.sync().or_else(|_| self.file.sync()),
            _ => self.file.sync(),
        }?;
        self.write_held_back()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn lacks(&self, protection: Mutation) -> bool {
        self.without == protection
    }
}
