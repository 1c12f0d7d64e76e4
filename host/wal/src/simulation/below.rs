//! A folder within the one folder of a simulated disk: names with a path before them.

use std::io;
use std::sync::Arc;

use super::Disk;
use crate::io::{LogFile, LogIo};

/// The folder of one name.
pub(super) struct Below {
    disk: Disk,
    prefix: String,
}

impl Below {
    pub(super) fn new(disk: Disk, name: &str) -> Below {
        let prefix = format!("{name}/");
        Below { disk, prefix }
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl LogIo for Below {
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.disk.list()?;
        let within = names.iter().filter_map(|n| n.strip_prefix(&self.prefix));
        Ok(within.map(str::to_owned).collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        self.disk.open(&self.path(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        self.disk.create(&self.path(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&self.path(from), &self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(&self.path(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn salt(&self) -> io::Result<u64> {
        self.disk.salt()
    }
}
