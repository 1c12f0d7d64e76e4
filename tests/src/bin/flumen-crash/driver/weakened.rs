//! A disk whose protections are switched off one by one, to see that the rig notices.

use std::io;
use std::sync::Arc;

use flumen_wal::{LogFile, LogIo};

use crate::mutation::Mutation;

/// The real folder, less one protection.
pub(crate) struct Weakened {
    inner: Arc<dyn LogIo>,
    mutation: Mutation,
}

struct WeakenedFile {
    inner: Arc<dyn LogFile>,
    mutation: Mutation,
}

impl Weakened {
    pub(crate) fn new(inner: Arc<dyn LogIo>, mutation: Mutation) -> Arc<dyn LogIo> {
        Arc::new(Weakened { inner, mutation })
    }

    fn file(&self, inner: Arc<dyn LogFile>) -> Arc<dyn LogFile> {
        let mutation = self.mutation;
        Arc::new(WeakenedFile { inner, mutation })
    }
}

impl LogIo for Weakened {
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        match self.mutation {
            Mutation::NoLock => Ok(Box::new(())),
            _ => self.inner.lock(),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        Ok(self.file(self.inner.open(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        Ok(self.file(self.inner.create(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        match self.mutation {
            Mutation::NoFolderSync => Ok(()),
            _ => self.inner.sync_folder(),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }

    fn salt(&self) -> io::Result<u64> {
        match self.mutation {
            Mutation::SameSalt => Ok(0x5a17),
            _ => self.inner.salt(),
        }
    }
}

impl LogFile for WeakenedFile {
    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn sync(&self) -> io::Result<()> {
        match self.mutation {
            Mutation::NoSync => Ok(()),
            Mutation::SyncAgain => self.inner.sync().or_else(|_| self.inner.sync()),
            _ => self.inner.sync(),
        }
    }
}
