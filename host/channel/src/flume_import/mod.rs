//! The backlog of an Apache Flume file channel, moved into a channel of flumen.
//!
//! ```text
//! FlumeChannel::open   folders told apart, locked against a Flume that would start, nothing written
//!              survey  one pass over the logs: which events wait, in Flume's order; pointers only
//! import               a second pass: the events, in puts that carry how far the import is
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
//! Each put carries the number of events that are over, as the state of a component that is named
//! after the backlog ([`ImportState`]). A durable channel writes it in the same frame as the events.
//! An import that was cut off goes on behind the last event that counted, and one that is complete is
//! not begun again.
//!
//! # Bounds
//! About forty bytes of memory for each waiting event, as long as the import takes, and one record.

mod checkpoint;
mod error;
mod folders;
mod locks;
mod merge;
mod moving;
mod reader;
mod replay;
mod state;
mod survey;
#[cfg(test)]
#[cfg(not(feature = "loom"))]
mod tests;

pub use error::ImportError;
pub use folders::FlumeChannel;
pub use moving::{Imported, import};
pub use state::ImportState;
pub use survey::{CheckpointUse, DAMAGE_LISTED_MAX, Damage, Survey};
