//! Whether a Flume works on a folder, found out without writing into it.
//!
//! Flume locks a file in each folder; but it tries each lock a second time, and closing the second
//! handle gives the first lock free again, as POSIX has it. So a Flume that runs holds no lock. It
//! does hold the file open, which the system tells of processes of the same user, and of all to root.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::error::ImportError;
use super::folders::unreadable;

/// The file that Flume locks in each folder of a file channel. It deletes it at its end, unless it was
/// killed.
const LOCK_FILE: &str = "in_use.lock";

/// A folder that no Flume works on, as far as can be told. While this lives a Flume that starts is
/// refused, because it finds the file locked; the lock is a shared one, which needs no right to write.
/// Where a Flume that ended in order has left no file, there is nothing to lock, and the check for
/// changes at the end has to do.
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
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => return Err(ImportError::InUse(folder.to_owned())),
            Err(error) => return Err(unreadable(&path)(error.into())),
        }
        if is_open_elsewhere(&path) {
            return Err(ImportError::InUse(folder.to_owned()));
        }
        Ok(Self { _file: Some(file) })
    }
}

/// Whether another process has the file open. What cannot be looked at counts as not.
fn is_open_elsewhere(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else {
        return false;
    };
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = processes.filter(|process| {
        let name = process.file_name();
        let name = name.to_string_lossy();
        *name != own && name.bytes().all(|byte| byte.is_ascii_digit())
    });
    let mut files = others.flat_map(|process| {
        let handles = fs::read_dir(process.path().join("fd"));
        handles.into_iter().flatten().flatten()
    });
    files.any(|file| fs::read_link(file.path()).is_ok_and(|target| target == path))
}
