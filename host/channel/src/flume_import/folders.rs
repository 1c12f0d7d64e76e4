//! The folders of one channel: which hold logs, which a checkpoint.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flumen_codec::flume_log::LogMeta;

use super::error::ImportError;
use super::locks::FolderLock;

/// Bytes of a `.meta` file at most: Flume writes less than a hundred, and a key's name and parameters
/// with an encrypted log.
const META_BYTES_MAX: u64 = 64 * 1024;

/// The format of the logs that are read.
const VERSION: u32 = 3;

/// One log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    /// When it was opened.
    pub(super) bytes: u64,
    /// When it was written last; its length tells little, because Flume fills it ahead.
    changed: Option<SystemTime>,
}

/// The folders of one file channel of Flume. As long as this lives, a Flume that is started on them
/// finds them locked.
#[derive(Debug)]
pub struct FlumeChannel {
    /// The log files of each folder of `dataDirs`, in the order of their numbers.
    pub(super) logs: Vec<Vec<LogFile>>,
    /// Folders that hold a checkpoint.
    pub(super) checkpoints: Vec<PathBuf>,
    told: String,
    _locks: Vec<FolderLock>,
}

impl FlumeChannel {
    /// Looks at the folders: those of `dataDirs`, `checkpointDir` and `backupCheckpointDir` in any
    /// order, or one that has them as direct children. Reads no event and writes nothing.
    ///
    /// # Errors
    /// [`ImportError`]: a folder that is none of Flume's, in use, encrypted, or of another version.
    pub fn open(given: &[PathBuf]) -> Result<Self, ImportError> {
        let mut channel = Self {
            logs: Vec::new(),
            checkpoints: Vec::new(),
            told: String::new(),
            _locks: Vec::new(),
        };
        let mut folders = Vec::new();
        for folder in given {
            let is_known = channel.add(folder)?;
            folders.push(folder.display().to_string());
            if is_known {
                continue;
            }
            let mut is_any = false;
            for child in children(folder)? {
                is_any |= child.is_dir() && channel.add(&child)?;
            }
            if !is_any {
                return Err(ImportError::NotFlume(folder.clone()));
            }
        }
        channel.told = folders.join(", ");
        if channel.logs.is_empty() {
            return Err(ImportError::NoLogs);
        }
        channel.check_numbers()?;
        for log in channel.logs.iter().flatten() {
            check_meta(log)?;
        }
        Ok(channel)
    }

    /// Whether a folder is one of Flume's file channel, by the names in it. One that cannot be read is
    /// taken for one, so that [`FlumeChannel::open`] says why it cannot.
    pub fn is_folder(folder: &Path) -> bool {
        folder.join("checkpoint").is_file() || logs_in(folder).map_or(true, |logs| !logs.is_empty())
    }

    /// The folders as they were named, for messages.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// How many log files there are.
    pub fn log_files(&self) -> usize {
        self.logs.iter().map(Vec::len).sum()
    }

    /// How many folders hold log files.
    pub fn data_folders(&self) -> usize {
        self.logs.len()
    }

    /// How many log files there would be between the lowest number and the highest, and are not. Flume
    /// numbers those of all its folders together, and deletes old ones.
    pub fn absent_files(&self) -> u64 {
        let numbers = || self.logs.iter().flatten().map(|log| u64::from(log.number));
        let span = numbers().max().zip(numbers().min());
        let span = span.map_or(0, |(last, first)| last - first + 1);
        span.saturating_sub(self.log_files() as u64)
    }

    /// The bytes of all log files, their filling included.
    pub fn log_bytes(&self) -> u64 {
        self.logs.iter().flatten().map(|log| log.bytes).sum()
    }

    /// The log file of a number.
    pub(super) fn log(&self, number: u32) -> Option<&LogFile> {
        self.logs.iter().flatten().find(|log| log.number == number)
    }

    /// Whether every log file is as it was, and no other has come.
    ///
    /// # Errors
    /// [`ImportError::Changed`] when not.
    pub(super) fn check_unchanged(&self) -> Result<(), ImportError> {
        for logs in &self.logs {
            let Some(folder) = logs.first().and_then(|log| log.path.parent()) else {
                continue;
            };
            if logs_in(folder)? != *logs {
                return Err(ImportError::Changed(folder.to_owned()));
            }
        }
        Ok(())
    }

    /// Whether the folder is one of Flume's; it is taken up when it is.
    fn add(&mut self, folder: &Path) -> Result<bool, ImportError> {
        let logs = logs_in(folder)?;
        let has_checkpoint = folder.join("checkpoint").is_file();
        if logs.is_empty() && !has_checkpoint {
            return Ok(false);
        }
        self._locks.push(FolderLock::take(folder)?);
        if has_checkpoint {
            self.checkpoints.push(folder.to_owned());
        }
        if !logs.is_empty() {
            self.logs.push(logs);
        }
        Ok(true)
    }

    fn check_numbers(&self) -> Result<(), ImportError> {
        let mut all: Vec<&LogFile> = self.logs.iter().flatten().collect();
        all.sort_by_key(|log| log.number);
        for (first, second) in all.iter().zip(all.iter().skip(1)) {
            if first.number == second.number {
                return Err(ImportError::SameNumber {
                    first: first.path.clone(),
                    second: second.path.clone(),
                });
            }
        }
        Ok(())
    }
}

/// What a failed access to a path becomes.
pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ImportError + '_ {
    |error| ImportError::Read {
        path: path.to_owned(),
        error,
    }
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        paths.push(entry.map_err(unreadable(folder))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The log files of a folder, in the order of their numbers.
fn logs_in(folder: &Path) -> Result<Vec<LogFile>, ImportError> {
    let mut logs = Vec::new();
    for path in children(folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(digits) = name.and_then(|name| name.strip_prefix("log-")) else {
            continue;
        };
        let Ok(number) = digits.parse::<u32>() else {
            continue;
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let metadata = fs::metadata(&path).map_err(unreadable(&path))?;
        logs.push(LogFile {
            number,
            path,
            bytes: metadata.len(),
            changed: metadata.modified().ok(),
        });
    }
    logs.sort_by_key(|log| log.number);
    Ok(logs)
}

/// Whether the log can be read. One without a readable `.meta` is read: a kill may come between the
/// making of both, and its records tell by themselves whether they are any.
fn check_meta(log: &LogFile) -> Result<(), ImportError> {
    let Some(meta) = read_meta(log)? else {
        return check_first_word(log);
    };
    if let Some(key) = meta.encryption_key {
        return Err(ImportError::Encrypted {
            path: log.path.clone(),
            key,
        });
    }
    match meta.version {
        VERSION => Ok(()),
        version => Err(ImportError::Version {
            path: log.path.clone(),
            version,
        }),
    }
}

/// The `.meta` file, or what a crash while it was replaced has left of it.
fn read_meta(log: &LogFile) -> Result<Option<LogMeta>, ImportError> {
    for ending in ["meta", "meta.tmp", "meta.old"] {
        let name = format!("log-{}.{ending}", log.number);
        let path = log.path.with_file_name(name);
        let Some(bytes) = read_small(&path, META_BYTES_MAX)? else {
            continue;
        };
        if let Ok(meta) = LogMeta::parse(&bytes) {
            return Ok(Some(meta));
        }
    }
    Ok(None)
}

/// Logs of version 2 (Flume 1.2 and 1.3) have no `.meta` and begin with the number of their version.
fn check_first_word(log: &LogFile) -> Result<(), ImportError> {
    let file = fs::File::open(&log.path).map_err(unreadable(&log.path))?;
    let mut word = [0; 4];
    let read = std::os::unix::fs::FileExt::read_exact_at(&file, &mut word, 0);
    match read {
        Ok(()) if matches!(u32::from_be_bytes(word), 1 | 2) => Err(ImportError::Version {
            path: log.path.clone(),
            version: u32::from_be_bytes(word),
        }),
        _ => Ok(()),
    }
}

/// The contents of a file; `None` when there is none or it is larger than `bytes_max`.
pub(super) fn read_small(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, ImportError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > bytes_max => Ok(None),
        Ok(_) => fs::read(path).map(Some).map_err(unreadable(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path)(error)),
    }
}
