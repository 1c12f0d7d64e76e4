//! SQLite as the store of one component: a file that belongs to one process, opened so that a
//! commit survives a power cut.
//!
//! Guarantees
//! * A commit that returned is on the disk: write-ahead log, `synchronous = FULL`.
//! * The file belongs to one holder. A second one, in this process or another, is refused, not made
//!   to wait. Readers with other tools are free to come and go: they never hold a writer up.
//! * A file of another program, or of a newer schema, is refused before anything is written, beside
//!   it or in it.
//! * A new file appears under its name whole, with its schema, or not at all.
//! * Every wait for a lock has a bound.
//!
//! Not guaranteed
//! * SQLite has no checksums over its pages. Damage within a body goes unnoticed; damage to the
//!   tree comes back as [`Failure::Corrupt`].
//! * No network file systems: the write-ahead log needs memory that all users of the file share.
//!
//! ```text
//! file       who may have the file, and what is in it
//! database   one connection: transactions, statements, rows
//! worker     a thread with a queue of jobs, which it does in groups
//! error      what can go wrong
//! ```

mod database;
mod error;
mod file;
#[cfg(test)]
mod tests;
mod worker;

pub use database::{Database, Row, Statements, Value};
pub use error::{Failure, SqliteError};
pub use file::{DatabaseFile, Schema};
pub use worker::{JobQueue, Worker};
