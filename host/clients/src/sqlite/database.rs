//! One connection: transactions, statements and rows, without a type of the driver in sight.

use std::ops::ControlFlow;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, TransactionBehavior, params_from_iter};

use super::error::{Failure, SqliteError};
use super::file::DatabaseFile;

/// Pages of the write-ahead log after which a commit moves them into the database: 16 MiB of pages
/// of 4 KiB. Fewer mean more commits that wait for it; more mean a longer log to read after a crash.
const CHECKPOINT_PAGES: u32 = 4096;

/// The log keeps this much of its size when it begins anew, so that small transactions find room in
/// it on a disk that has become full.
const LOG_BYTES_KEPT: u32 = 64 << 20;

/// Memory for pages of one connection.
const CACHE_KIB: u32 = 8 << 10;

/// Statements that stay prepared. No user of this room has half as many.
const STATEMENTS_MAX: usize = 64;

/// A connection. It is used by one thread at a time.
#[derive(Debug)]
pub struct Database {
    // In this order: the lock is released after the connection is closed.
    connection: Connection,
    file: DatabaseFile,
}

/// A value that goes into a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A number.
    Integer(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

pub(super) fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    // SQLite answers with the mode that it stays in, where shared memory is not to be had.
    Err(rusqlite::Error::InvalidParameterName(format!(
        "no write-ahead log on this file system, journal_mode stays {mode}"
    )))
}

impl Database {
    pub(super) fn configured(
        connection: Connection,
        file: DatabaseFile,
        busy_wait: Duration,
    ) -> Result<Self, SqliteError> {
        let configure = || {
            connection.busy_timeout(busy_wait)?;
            use_write_ahead_log(&connection)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
            connection.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
            // Nothing that somebody wrote into the schema may do more than hold data.
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.pragma_update(None, "cell_size_check", true)
        };
        configure().map_err(SqliteError::failed(file.path()))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(Self { connection, file })
    }

    /// The file.
    pub fn file(&self) -> &DatabaseFile {
        &self.file
    }

    pub(super) fn schema_version(&self) -> Result<u32, SqliteError> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(SqliteError::failed(self.file.path()))
    }

    /// Does `work` in one transaction that writes. All of it is on the disk when this returns `Ok`,
    /// and none of it is visible when it returns an error.
    ///
    /// After an error of the commit's sync the disk is not believed: nothing of it is taken for
    /// written, and the next transaction writes and syncs the same place of the log anew. Until it
    /// has, a crash may bring the failed transaction back whole.
    ///
    /// # Errors
    /// What `work` returns, or [`SqliteError::Failed`].
    pub fn transaction<T, E: From<SqliteError>>(
        &mut self,
        work: impl FnOnce(&Statements<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = self.file.path();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(SqliteError::failed(path))?;
        // Dropped without a commit it is rolled back.
        let value = work(&Statements {
            connection: &transaction,
            file: &self.file,
        })?;
        transaction.commit().map_err(SqliteError::failed(path))?;
        Ok(value)
    }

    /// Statements that only read, each by itself.
    pub fn statements(&self) -> Statements<'_> {
        Statements {
            connection: &self.connection,
            file: &self.file,
        }
    }
}

/// What can be asked of a connection.
#[derive(Debug)]
pub struct Statements<'a> {
    connection: &'a Connection,
    file: &'a DatabaseFile,
}

impl Statements<'_> {
    /// Runs a statement that gives no rows, and tells how many rows it changed. It stays prepared.
    ///
    /// # Errors
    /// [`SqliteError::Failed`].
    pub fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, SqliteError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.execute(params_from_iter(values))
        };
        let changed = run().map_err(SqliteError::failed(self.file.path()))?;
        Ok(changed as u64)
    }

    /// Gives each row to `take`, until it has enough. The statement stays prepared.
    ///
    /// # Errors
    /// What `take` returns, or [`SqliteError::Failed`]; rows before it were given.
    pub fn query(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        mut take: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, SqliteError>,
    ) -> Result<(), SqliteError> {
        let failed = SqliteError::failed(self.file.path());
        let mut statement = self.connection.prepare_cached(sql).map_err(&failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let row = Row {
                row,
                file: self.file,
            };
            if take(&row)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A row. Columns are counted from 0.
#[derive(Debug)]
pub struct Row<'a> {
    row: &'a rusqlite::Row<'a>,
    file: &'a DatabaseFile,
}

impl Row<'_> {
    /// A number.
    ///
    /// # Errors
    /// [`Failure::Malformed`] when it is none.
    pub fn integer(&self, column: usize) -> Result<i64, SqliteError> {
        match self.value(column)? {
            ValueRef::Integer(value) => Ok(value),
            other => Err(self.malformed(column, "a number", other)),
        }
    }

    /// A number, or `None` for SQL's null.
    ///
    /// # Errors
    /// [`Failure::Malformed`] when it is neither.
    pub fn optional_integer(&self, column: usize) -> Result<Option<i64>, SqliteError> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            _ => self.integer(column).map(Some),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// [`Failure::Malformed`] when it is none, or not UTF-8.
    pub fn text(&self, column: usize) -> Result<&str, SqliteError> {
        match self.value(column)? {
            ValueRef::Text(value) => std::str::from_utf8(value)
                .map_err(|_| self.malformed(column, "a text in UTF-8", ValueRef::Text(value))),
            other => Err(self.malformed(column, "a text", other)),
        }
    }

    /// Bytes. A text is taken for its bytes: a tool may have written one.
    ///
    /// # Errors
    /// [`Failure::Malformed`] when it is neither.
    pub fn bytes(&self, column: usize) -> Result<&[u8], SqliteError> {
        match self.value(column)? {
            ValueRef::Blob(value) | ValueRef::Text(value) => Ok(value),
            other => Err(self.malformed(column, "bytes", other)),
        }
    }

    fn value(&self, column: usize) -> Result<ValueRef<'_>, SqliteError> {
        self.row
            .get_ref(column)
            .map_err(SqliteError::failed(self.file.path()))
    }

    /// An error that says what was found, and not its contents: they are the operator's data.
    fn malformed(&self, column: usize, wanted: &str, found: ValueRef<'_>) -> SqliteError {
        let found = found.data_type();
        SqliteError::Failed {
            path: self.file.path().to_owned(),
            failure: Failure::Malformed,
            source: format!("column {column} is not {wanted} but {found}").into(),
        }
    }
}
