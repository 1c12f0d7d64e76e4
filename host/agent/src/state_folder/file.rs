//! The file of a state folder: one redb database with four tables.
//!
//! | table | key | value |
//! |---|---|---|
//! | `flumen_meta` | `format` | the version of this layout, 1 |
//! | `guest_state` | component, key | bytes |
//! | `source_cursor` | source | bytes |
//! | `generation` | component or source | the newest generation that is applied to it, 8 bytes |
//! | `generation` | nothing | up to where all generations have ended, 8 bytes |
//!
//! redb keeps a checksum of every page and a magic number of its own at the beginning. All of it is
//! checked when the file is opened, so that damage is found before anything rests on it. A new file
//! is written whole under another name and renamed, so that a file under the right name has all its
//! tables.
//!
//! The folder is locked for as long as the agent runs, also while the file is reopened after an
//! error; the file itself is locked by redb, against tools that know only the file.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use flumen_core::ComponentName;
use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, Table,
    TableDefinition, TableError,
};
use rustix::process::geteuid;

use super::error::OpenError;
use super::memory::{Group, GroupChange, Kept, Key};

/// The version of the layout above.
const FORMAT: u64 = 1;

const FILE_NAME: &str = "state.redb";

/// What a new file is called until it is whole.
const DRAFT_NAME: &str = "state.redb.draft";

/// Bytes of pages that redb keeps in memory. Reading happens once, and a group of changes touches
/// few pages; larger ones spill into the file before the commit.
const CACHE_BYTES: usize = 4 << 20;

/// Others may not write.
const WRITE_OF_OTHERS: u32 = 0o022;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("flumen_meta");
const META_FORMAT: &str = "format";
const STATES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("guest_state");
const CURSORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("source_cursor");
const GENERATIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("generation");
/// No component is called so.
const FLOOR: &str = "";

/// An open state file in a folder that is held.
pub(super) struct StateFile {
    path: PathBuf,
    /// `None` after an error: redb does nothing more until it is opened anew.
    database: Option<Database>,
    /// The folder; its lock ends with this value.
    _folder: File,
}

impl StateFile {
    /// Whether a folder has a state file.
    pub(super) fn exists(folder: &Path) -> bool {
        fs::symlink_metadata(folder.join(FILE_NAME)).is_ok()
    }

    /// Takes hold of the folder, which is made with mode 0700 when there is none, and reads its
    /// file, which is made with mode 0600 when there is none.
    ///
    /// # Errors
    /// [`OpenError`]; a file that is there was left as it is.
    pub(super) fn open(folder: &Path) -> Result<(Self, Kept), OpenError> {
        let held = hold(folder)?;
        let path = folder.join(FILE_NAME);
        if !Self::exists(folder) {
            let draft = folder.join(DRAFT_NAME);
            create(&draft)
                .and_then(|()| Ok(fs::rename(&draft, &path)?))
                .and_then(|()| Ok(held.sync_all()?))
                .map_err(|cause| OpenError::File {
                    file: path.clone(),
                    cause,
                })?;
        }
        let database = open(folder, &path)?;
        check_format(&path, &database)?;
        let kept = read(&database).map_err(|cause| refusal(&path, cause))?;
        let file = Self {
            path,
            database: Some(database),
            _folder: held,
        };
        Ok((file, kept))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a group in one transaction; when `Ok`, it is on the disk. After an error the file is
    /// closed, and the next call opens it anew: redb takes nothing more after a failed sync.
    ///
    /// # Errors
    /// What the disk or the file refused; whether the group is on the disk is not known.
    pub(super) fn write(&mut self, group: &Group) -> Result<(), redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => guarded(|| Ok(connect(&self.path)?))?,
        };
        guarded(|| write(&database, &group.change))?;
        self.database = Some(database);
        Ok(())
    }
}

/// Makes the folder and locks it.
fn hold(folder: &Path) -> Result<File, OpenError> {
    let fail = |cause| OpenError::Folder {
        folder: folder.to_owned(),
        cause,
    };
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(fail)?;
    let file = File::open(folder).map_err(fail)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OpenError::Held {
            folder: folder.to_owned(),
        }),
        // Some file systems lock no folders; redb's lock of the file is left.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn create(draft: &Path) -> Result<(), redb::Error> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    let database = builder().create_with_backend(FileBackend::new(file)?)?;
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert(META_FORMAT, FORMAT)?;
    transaction.open_table(STATES)?;
    transaction.open_table(CURSORS)?;
    transaction.open_table(GENERATIONS)?;
    transaction.commit()?;
    database.close()?;
    Ok(())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    // Without it a damaged page is found when it is met, in the middle of a run.
    builder.set_check_integrity_on_open(true);
    builder
}

fn open(folder: &Path, path: &Path) -> Result<Database, OpenError> {
    let file = open_file(path).map_err(|cause| OpenError::File {
        file: path.to_owned(),
        cause: cause.into(),
    })?;
    let meta = file.metadata().map_err(|cause| OpenError::File {
        file: path.to_owned(),
        cause: cause.into(),
    })?;
    let is_exposed = meta.mode() & WRITE_OF_OTHERS != 0 || meta.uid() != geteuid().as_raw();
    if is_exposed || !meta.is_file() {
        let file = path.to_owned();
        return Err(OpenError::Exposed { file });
    }
    if meta.len() == 0 {
        // redb would begin a new database in it; one of flumen's is never empty.
        let file = path.to_owned();
        return Err(OpenError::Foreign { file });
    }
    guarded(|| Ok(builder().create_with_backend(FileBackend::new(file)?)?)).map_err(|cause| {
        match cause {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                OpenError::Held {
                    folder: folder.to_owned(),
                }
            }
            cause => refusal(path, cause),
        }
    })
}

fn open_file(path: &Path) -> io::Result<File> {
    let no_links = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(no_links);
    options.open(path)
}

/// Opens a file that was ours before.
fn connect(path: &Path) -> Result<Database, DatabaseError> {
    let file = open_file(path)?;
    builder().create_with_backend(FileBackend::new(file)?)
}

/// What an error of redb says about the file.
fn refusal(path: &Path, cause: redb::Error) -> OpenError {
    let file = path.to_owned();
    match cause {
        // So redb says that the magic number is another.
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            OpenError::Foreign { file }
        }
        redb::Error::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => OpenError::File {
            file,
            cause: error.into(),
        },
        cause => OpenError::Damaged { file, cause },
    }
}

fn check_format(path: &Path, database: &Database) -> Result<(), OpenError> {
    let file = path.to_owned();
    let stored = guarded(|| {
        let transaction = database.begin_read()?;
        let meta = match transaction.open_table(META) {
            Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => {
                return Ok(None);
            }
            meta => meta?,
        };
        let format = meta.get(META_FORMAT)?;
        Ok(format.map(|format| format.value()))
    });
    match stored.map_err(|cause| refusal(path, cause))? {
        Some(FORMAT) => Ok(()),
        Some(format) if format > FORMAT => Err(OpenError::Newer {
            file,
            format,
            known: FORMAT,
        }),
        _ => Err(OpenError::Foreign { file }),
    }
}

fn read(database: &Database) -> Result<Kept, redb::Error> {
    guarded(|| {
        let transaction = database.begin_read()?;
        let mut kept = Kept::new();
        for entry in transaction.open_table(STATES)?.iter()? {
            let (key, value) = entry?;
            let (component, key) = key.value();
            let key = Key::State(ComponentName::from(component), key.to_owned());
            kept.insert(key, value.value().into());
        }
        for entry in transaction.open_table(CURSORS)?.iter()? {
            let (source, value) = entry?;
            let key = Key::Cursor(ComponentName::from(source.value()));
            kept.insert(key, value.value().into());
        }
        let generations = match transaction.open_table(GENERATIONS) {
            // Written before there were any.
            Err(TableError::TableDoesNotExist(_)) => return Ok(kept),
            table => table?,
        };
        for entry in generations.iter()? {
            let (owner, value) = entry?;
            kept.insert(generation_key(owner.value()), value.value().into());
        }
        Ok(kept)
    })
}

fn generation_key(owner: &str) -> Key {
    match owner {
        FLOOR => Key::Floor,
        owner => Key::Applied(ComponentName::from(owner)),
    }
}

fn write(database: &Database, change: &GroupChange) -> Result<(), redb::Error> {
    // Durability is immediate unless a transaction says otherwise.
    let transaction = database.begin_write()?;
    {
        let mut tables = Tables {
            states: transaction.open_table(STATES)?,
            cursors: transaction.open_table(CURSORS)?,
            generations: transaction.open_table(GENERATIONS)?,
        };
        match change {
            GroupChange::Keys(changes) => {
                for (key, value) in changes {
                    tables.set(key, value.as_deref())?;
                }
            }
            GroupChange::Everything(kept) => tables.replace(kept)?,
        }
    }
    transaction.commit()?;
    Ok(())
}

struct Tables<'t> {
    states: Table<'t, (&'static str, &'static str), &'static [u8]>,
    cursors: Table<'t, &'static str, &'static [u8]>,
    generations: Table<'t, &'static str, &'static [u8]>,
}

impl Tables<'_> {
    fn set(&mut self, key: &Key, value: Option<&[u8]>) -> Result<(), StorageError> {
        match (key, value) {
            (Key::State(component, key), Some(value)) => {
                self.states
                    .insert((component.as_str(), key.as_str()), value)?;
            }
            (Key::State(component, key), None) => {
                self.states.remove((component.as_str(), key.as_str()))?;
            }
            (Key::Cursor(source), Some(value)) => {
                self.cursors.insert(source.as_str(), value)?;
            }
            (Key::Cursor(source), None) => {
                self.cursors.remove(source.as_str())?;
            }
            (Key::Applied(_) | Key::Floor, Some(value)) => {
                self.generations.insert(generation_owner(key), value)?;
            }
            (Key::Applied(_) | Key::Floor, None) => {
                self.generations.remove(generation_owner(key))?;
            }
        }
        Ok(())
    }

    /// Makes the tables hold this and nothing else, and touches only what differs.
    fn replace(&mut self, kept: &Kept) -> Result<(), StorageError> {
        let is_kept = |key: Key, value: &[u8]| kept.get(&key).is_some_and(|own| **own == *value);
        self.states.retain(|(component, key), value| {
            let key = Key::State(ComponentName::from(component), key.to_owned());
            is_kept(key, value)
        })?;
        self.cursors.retain(|source, value| {
            let key = Key::Cursor(ComponentName::from(source));
            is_kept(key, value)
        })?;
        self.generations
            .retain(|owner, value| is_kept(generation_key(owner), value))?;
        for (key, value) in kept {
            let is_there = match key {
                Key::State(component, key) => {
                    let key = (component.as_str(), key.as_str());
                    self.states.get(key)?.is_some()
                }
                Key::Cursor(source) => self.cursors.get(source.as_str())?.is_some(),
                Key::Applied(_) | Key::Floor => {
                    self.generations.get(generation_owner(key))?.is_some()
                }
            };
            if !is_there {
                self.set(key, Some(value))?;
            }
        }
        Ok(())
    }
}

fn generation_owner(key: &Key) -> &str {
    match key {
        Key::Applied(owner) => owner.as_str(),
        _ => FLOOR,
    }
}

/// redb may panic on a file whose pages contradict one another. Here that is an error like others.
fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let what = "the store gave up on its contents";
        Err(redb::Error::Corrupted(what.to_owned()))
    })
}
