//! The file of a database: who has it, and whether it is one of ours.
//!
//! The file is looked at before SQLite is: opening a database with SQLite, even to read, may write
//! beside it and roll back what another program left. The first 100 bytes tell what is needed
//! (<https://www.sqlite.org/fileformat2.html#the_database_header>).
//!
//! The lock is on a file of its own, `<database>-lock`, which stays when nobody has it. On the
//! database itself a lock of ours would be in the way of SQLite's: closing any handle of a file
//! releases all locks that the process has on it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::database::Database;
use super::error::SqliteError;

/// What the header of every database of SQLite begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Bytes of the header.
const HEADER_BYTES: usize = 100;

/// Where the header holds `user_version`, big endian.
const USER_VERSION_OFFSET: usize = 60;

/// Where the header holds `application_id`, big endian.
const APPLICATION_ID_OFFSET: usize = 68;

/// Events are nobody else's business: a new database is its owner's alone. SQLite gives the files
/// beside it the same mode, and a mode that somebody sets later stays.
const FILE_MODE: u32 = 0o600;

/// The same for folders that are made on the way.
const FOLDER_MODE: u32 = 0o700;

/// What a database of ours looks like.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// SQLite's `application_id`: which program's file it is.
    pub application_id: i32,
    /// SQLite's `user_version`: the version of the tables, from 1.
    pub version: u32,
    /// The statements that make the tables, in an empty database.
    pub statements: &'static str,
}

/// A database that is ours and in nobody else's hands, until this and all that was made from it is
/// dropped.
#[derive(Clone, Debug)]
pub struct DatabaseFile(Arc<Held>);

#[derive(Debug)]
struct Held {
    path: PathBuf,
    schema: Schema,
    busy_wait: Duration,
    /// After a kill the kernel releases it.
    lock: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // To close the file is not enough: a child process that is just being started has it too, for
        // a moment. When this fails nothing is worse than that.
        drop(self.lock.unlock());
    }
}

impl DatabaseFile {
    /// Takes the file, and makes it when it is not there and `create` allows. Blocks on the disk.
    ///
    /// No statement will wait longer than `busy_wait` for a lock that another process has.
    ///
    /// # Errors
    /// [`SqliteError`]; the file is then as it was.
    pub fn take(
        path: &Path,
        schema: Schema,
        create: bool,
        busy_wait: Duration,
    ) -> Result<Self, SqliteError> {
        let path = resolved(path, create)?;
        let lock_path = beside(&path, "-lock");
        // Whoever has the database has made its lock file before. Without one nobody in this
        // process has it open, so it may be looked at; and nothing is left beside a foreign file.
        if !exists(&lock_path)? && exists(&path)? {
            check_header(&path, schema)?;
        }
        let lock = locked(&path, &lock_path)?;
        if exists(&path)? {
            check_header(&path, schema)?;
        } else if create {
            make(&path, schema)?;
        } else {
            return Err(SqliteError::Missing { path });
        }
        let held = Self(Arc::new(Held {
            path,
            schema,
            busy_wait,
            lock,
        }));
        held.check_version()?;
        Ok(held)
    }

    /// Where it is, as an absolute path without links.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// A connection that may write. Blocks on the disk.
    ///
    /// # Errors
    /// [`SqliteError::Failed`].
    pub fn connect(&self) -> Result<Database, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path(), flags)
            .map_err(SqliteError::failed(self.path()))?;
        Database::configured(connection, self.clone(), self.0.busy_wait)
    }

    /// The header may be older than the log beside it, so SQLite is asked too.
    fn check_version(&self) -> Result<(), SqliteError> {
        let found = self.connect()?.schema_version()?;
        newer_than_known(self.path(), self.0.schema, found)
    }
}

/// The absolute path without links, so that one database has one lock, whatever it is called.
fn resolved(path: &Path, create: bool) -> Result<PathBuf, SqliteError> {
    if exists(path)? {
        return fs::canonicalize(path).map_err(SqliteError::unreachable(path));
    }
    if !create {
        return Err(SqliteError::Missing {
            path: path.to_owned(),
        });
    }
    let absolute = std::path::absolute(path).map_err(SqliteError::unreachable(path))?;
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        let error = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(SqliteError::unreachable(path)(error));
    };
    make_folder(folder).map_err(SqliteError::unreachable(folder))?;
    let folder = fs::canonicalize(folder).map_err(SqliteError::unreachable(folder))?;
    Ok(folder.join(name))
}

/// Makes a folder and those above it. Each is durable only when the one above it is synced.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent();
    if let Some(above) = above {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    above.map_or(Ok(()), |above| File::open(above)?.sync_all())
}

fn exists(path: &Path) -> Result<bool, SqliteError> {
    fs::exists(path).map_err(SqliteError::unreachable(path))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn locked(path: &Path, lock_path: &Path) -> Result<File, SqliteError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    options.mode(FILE_MODE);
    let lock = options
        .open(lock_path)
        .map_err(SqliteError::unreachable(lock_path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SqliteError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(SqliteError::unreachable(lock_path)(error)),
    }
}

/// Whether the file is ours, by its header.
fn check_header(path: &Path, schema: Schema) -> Result<(), SqliteError> {
    let foreign = |what: String| SqliteError::Foreign {
        path: path.to_owned(),
        what,
    };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let file = File::open(path).map_err(SqliteError::unreachable(path))?;
    let mut beginning = file.take(HEADER_BYTES as u64);
    match beginning.read_to_end(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            return Err(foreign("a folder".to_owned()));
        }
        other => other.map_err(SqliteError::unreachable(path))?,
    };
    if header.is_empty() {
        return Err(foreign("an empty file".to_owned()));
    }
    if !header.starts_with(MAGIC) || header.len() < HEADER_BYTES {
        return Err(foreign("not a database of SQLite".to_owned()));
    }
    let found = number_at(&header, APPLICATION_ID_OFFSET);
    if found != schema.application_id.cast_unsigned() {
        return Err(foreign(format!(
            "a database of another program (application_id {found})"
        )));
    }
    newer_than_known(path, schema, number_at(&header, USER_VERSION_OFFSET))
}

fn number_at(header: &[u8], offset: usize) -> u32 {
    let bytes = header.get(offset..offset + 4);
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_be_bytes)
}

fn newer_than_known(path: &Path, schema: Schema, found: u32) -> Result<(), SqliteError> {
    let path = path.to_owned();
    match found {
        0 => Err(SqliteError::Foreign {
            path,
            what: "a database without a version of its schema".to_owned(),
        }),
        found if found > schema.version => Err(SqliteError::Newer {
            path,
            found,
            known: schema.version,
        }),
        _ => Ok(()),
    }
}

/// Makes the database under another name and moves it to its own when it is whole. What an earlier
/// try left under the other name is of no use: it never held an event.
fn make(path: &Path, schema: Schema) -> Result<(), SqliteError> {
    let making = beside(path, "-making");
    for leftover in [&making, &beside(&making, "-journal")] {
        match fs::remove_file(leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SqliteError::unreachable(leftover)(error));
            }
            _ => {}
        }
    }
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(FILE_MODE);
    drop(
        options
            .open(&making)
            .map_err(SqliteError::unreachable(&making))?,
    );
    let connection = Connection::open(&making).map_err(SqliteError::failed(&making))?;
    let Schema {
        application_id,
        version,
        statements,
    } = schema;
    let script = format!(
        "PRAGMA synchronous = FULL;\n\
         BEGIN;\n\
         PRAGMA application_id = {application_id};\n\
         PRAGMA user_version = {version};\n\
         {statements}\n\
         COMMIT;"
    );
    connection
        .execute_batch(&script)
        .map_err(SqliteError::failed(&making))?;
    super::database::use_write_ahead_log(&connection).map_err(SqliteError::failed(&making))?;
    connection
        .close()
        .map_err(|(_, error)| SqliteError::failed(&making)(error))?;
    let moved = fs::rename(&making, path).and_then(|()| match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    });
    moved.map_err(SqliteError::unreachable(path))
}
