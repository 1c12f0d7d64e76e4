//! Flume's lock on a folder, without writing into it.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::error::ImportError;
use super::folders::unreadable;

/// The file that Flume locks in each folder of a file channel. It deletes it at its end, unless it was
/// killed.
const LOCK_FILE: &str = "in_use.lock";

/// A folder that no Flume works on. Flume takes an exclusive lock; this is a shared one, which needs
/// no right to write and keeps Flume from taking its own. Where a Flume that ended in order has left
/// no file, there is nothing to lock, and the check for changes at the end has to do.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: Option<File>,
}

impl FolderLock {
    pub(super) fn take(folder: &Path) -> Result<Self, ImportError> {
        let path = folder.join(LOCK_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { _file: None });
            }
            Err(error) => return Err(unreadable(&path)(error)),
        };
        match fcntl_lock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(Errno::AGAIN | Errno::ACCESS) => Err(ImportError::InUse(folder.to_owned())),
            Err(error) => Err(unreadable(&path)(error.into())),
        }
    }
}
