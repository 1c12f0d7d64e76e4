//! The folders of durable channels, worked on while no agent runs on them.
//!
//! * `place`: which folder is meant, by its path or by a channel of a configuration.
//! * `import`: the backlog of Apache Flume's file channel, into a channel of flumen.
//! * The rest is what the room of channels tells of a folder: [`ChannelImage`], [`salvage`].

mod import;
mod place;

pub use flumen_channel::file::image::{ChannelImage, ImageError, SegmentImage, Stored};
pub use flumen_channel::file::payload::Keyring;
pub use flumen_channel::file::salvage::{SalvageError, Salvaged, salvage};
pub use flumen_channel::flume_import::{CheckpointUse, Damage, ImportError, Imported, Survey};
pub use import::{ImportFailure, ImportReport, ImportRequest, import};
pub use place::{ChannelPlace, PlaceError};
