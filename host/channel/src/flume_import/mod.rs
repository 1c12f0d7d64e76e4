//! The backlog of an Apache Flume file channel, moved into a channel of flumen.
//!
//! ```text
//! FlumeChannel::open   folders told apart, locked against a Flume that would start, nothing written
//!              survey  one pass over the logs: which events wait, in Flume's order; pointers only
//! import               a second pass: the events
//! Ledger               what was imported, beside the channel's log
//! ```
//!
//! # What waits
//! An event waits when its put's transaction was committed and no take of it was. The logs tell both
//! by themselves, save for takes in log files that Flume has deleted, which it may while a put in a
//! file with a higher number waits; so a checkpoint that agrees with the logs decides what was taken
//! before it. One that does not agree is left out, and that is told.
//!
//! The order is that of the commits, and within a transaction that of the puts, as Flume gives them.
//!
//! # Damage
//! A record that cannot be read is told with its file and offset, and what stands behind it is found
//! again. Where damage leaves open whether a transaction was committed, its events are imported: an
//! event that comes twice can be dealt with, one that is lost cannot. What a crash left half written
//! at the end of a file is not told as damage, but the same holds for it.
//!
//! # Once
//! A file beside the channel's log says which backlog is brought in and from which event of the log on
//! ([`Ledger`]). A put is one frame of the log, there as a whole or not at all, so after a crash the log
//! says how far the import came, and it goes on behind that. No agent runs on the channel before it is
//! complete, and one that is complete is not begun again.
//!
//! # Bounds
//! About forty bytes of memory for each waiting event, as long as the import takes, and one record.

mod checkpoint;
mod error;
mod folders;
mod ledger;
mod locks;
mod merge;
mod moving;
mod reader;
mod replay;
mod survey;
#[cfg(test)]
#[cfg(not(feature = "loom"))]
mod tests;

pub use error::ImportError;
pub use folders::FlumeChannel;
pub use ledger::{LEDGER_NAME, Ledger};
pub use moving::{Imported, import};
pub use survey::{CheckpointUse, DAMAGE_LISTED_MAX, Damage, Survey};
