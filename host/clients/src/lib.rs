//! Drivers of databases and of other systems, each behind a narrow interface of its own.
//!
//! A driver brings a heavy dependency with it. It stands here so that one room names it and every
//! other room is built without it: each module has a feature of its own, and none is on by default.
//!
//! Feature `sqlite`: [`sqlite`], SQLite compiled in.

#[cfg(feature = "sqlite")]
pub mod sqlite;
