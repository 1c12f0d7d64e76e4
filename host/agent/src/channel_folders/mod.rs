//! The folders of durable channels, worked on while no agent runs on them.
//!
//! * `place`: which folder is meant, by its path or by a channel of a configuration.
//! * `import`: the backlog of Apache Flume's file channel, into a channel of flumen.

mod import;
mod place;

pub use flumen_channel::flume_import::{CheckpointUse, Damage, ImportError, Imported, Survey};
pub use import::{ImportFailure, ImportReport, ImportRequest, import};
pub use place::{ChannelPlace, PlaceError};
