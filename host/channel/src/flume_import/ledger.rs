//! Which backlogs were brought into a channel: a file beside its log, named `flume-import`.
//!
//! ```text
//! flume imports, version 1
//! FINGERPRINT FIRST TOTAL begun|complete FOLDERS        a line for each import
//! ```
//!
//! The fingerprint is in hexadecimal digits; `FIRST` is the sequence that the channel's next event had
//! when the import began. From there on the import is alone in the channel: an agent is refused until it
//! is complete. So the events that the log has from `FIRST` on are those that were imported, and a log
//! that was cut off by a crash says by itself how far the import came.
//!
//! The log leaves files with such a name alone.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use flumen_wal::{Folder, LogIo};

use super::error::ImportError;
use super::survey::Survey;

/// The file.
pub const LEDGER_NAME: &str = "flume-import";

/// The same while it is written.
const NEW_NAME: &str = "flume-import.new";

/// The first line.
const FIRST_LINE: &str = "flume imports, version 1";

/// Bytes of the file at most; more than any number of imports into one channel takes.
const BYTES_MAX: u64 = 1 << 20;

/// The imports into one channel.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    fingerprint: u64,
    first_sequence: u64,
    total: u64,
    is_complete: bool,
    folders: String,
}

impl Ledger {
    /// Reads the ledger of the log in this folder; one that is not there is empty.
    ///
    /// # Errors
    /// [`ImportError::Ledger`] when it cannot be read, or is of another version.
    pub fn read(log_folder: &Path) -> Result<Self, ImportError> {
        let mut ledger = Self {
            folder: log_folder.to_owned(),
            entries: Vec::new(),
        };
        let path = log_folder.join(LEDGER_NAME);
        let text = match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ledger),
            Err(error) => return Err(ledger.failed(error)),
            Ok(metadata) if metadata.len() > BYTES_MAX => {
                return Err(ledger.failed(io::ErrorKind::FileTooLarge.into()));
            }
            Ok(_) => std::fs::read_to_string(&path).map_err(|error| ledger.failed(error))?,
        };
        let mut lines = text.lines();
        let entries: Option<Vec<Entry>> = match lines.next() {
            Some(FIRST_LINE) => lines.map(Entry::parse).collect(),
            _ => None,
        };
        match entries {
            Some(entries) => ledger.entries = entries,
            None => return Err(ledger.failed(io::ErrorKind::InvalidData.into())),
        }
        Ok(ledger)
    }

    /// The folders and the number of events of an import that was begun and is not complete.
    pub fn unfinished(&self) -> Option<(&str, u64)> {
        let open = self.entries.iter().find(|entry| !entry.is_complete)?;
        Some((&open.folders, open.total))
    }

    /// Begins an import, or finds the one that was cut off. `next_sequence` is that of the channel's
    /// next event. Returns how many events of the backlog are in the channel already. The channel has to
    /// be open, so that nobody else is in it, and nothing else may be put before [`Ledger::complete`].
    ///
    /// # Errors
    /// [`ImportError`]: this backlog was imported before, or another import is not complete.
    pub fn begin(
        &mut self,
        survey: &Survey,
        folders: &str,
        next_sequence: u64,
    ) -> Result<u64, ImportError> {
        let fingerprint = survey.fingerprint();
        for entry in &self.entries {
            let done = next_sequence.saturating_sub(entry.first_sequence);
            match (entry.fingerprint == fingerprint, entry.is_complete) {
                (true, true) => {
                    return Err(ImportError::AlreadyImported {
                        events: entry.total,
                    });
                }
                (true, false) if done <= entry.total => return Ok(done),
                (false, true) => {}
                (_, false) => {
                    return Err(ImportError::OtherImport {
                        folders: entry.folders.clone(),
                        done,
                        total: entry.total,
                    });
                }
            }
        }
        self.entries.push(Entry {
            fingerprint,
            first_sequence: next_sequence,
            total: survey.events(),
            is_complete: false,
            folders: folders.replace(['\n', '\r'], " "),
        });
        self.write()?;
        Ok(0)
    }

    /// Says durably that the import is complete.
    ///
    /// # Errors
    /// [`ImportError::Ledger`]; the next import of this backlog then finds nothing to do, and says it.
    pub fn complete(&mut self, survey: &Survey) -> Result<(), ImportError> {
        let fingerprint = survey.fingerprint();
        for entry in &mut self.entries {
            entry.is_complete |= entry.fingerprint == fingerprint;
        }
        self.write()
    }

    fn write(&self) -> Result<(), ImportError> {
        let mut text = format!("{FIRST_LINE}\n");
        for entry in &self.entries {
            entry.append(&mut text);
        }
        let replaced = || -> io::Result<()> {
            let folder = Folder::new(&self.folder);
            // What an earlier attempt has left.
            match folder.remove(NEW_NAME) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = folder.create(NEW_NAME)?;
            file.write_at(0, text.as_bytes())?;
            file.sync()?;
            folder.rename(NEW_NAME, LEDGER_NAME)?;
            folder.sync_folder()
        };
        replaced().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> ImportError {
        ImportError::Ledger {
            path: self.folder.join(LEDGER_NAME),
            error,
        }
    }
}

impl Entry {
    fn append(&self, text: &mut String) {
        let word = match self.is_complete {
            true => "complete",
            false => "begun",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:016x} {} {} {word} {}",
            self.fingerprint, self.first_sequence, self.total, self.folders
        );
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(5, ' ');
        Some(Self {
            fingerprint: u64::from_str_radix(words.next()?, 16).ok()?,
            first_sequence: words.next()?.parse().ok()?,
            total: words.next()?.parse().ok()?,
            is_complete: match words.next()? {
                "complete" => true,
                "begun" => false,
                _ => return None,
            },
            folders: words.next()?.to_owned(),
        })
    }
}
