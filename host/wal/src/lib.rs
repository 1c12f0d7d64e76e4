//! A log of opaque frames in segments, for queues that must not lose what they confirmed.
//!
//! * [`Log`]: opening, appending with group commit, reading, closing. [`Record`] is what goes in,
//!   [`Reader`] what comes out, [`LogState`] what the user wants to know after a restart.
//! * [`Image`]: a log that is only looked at.
//! * [`LogIo`]: the disk, real ([`Folder`]) or simulated (feature `simulation`).
//! * [`frame`], [`SegmentHeader`]: the bytes, specified in `docs/spec/wal.md`.
//!
//! What it promises: a confirmed append is there after a crash, in order and once; what was not
//! confirmed is there whole or not at all; damage is told from a torn tail, counted exactly and
//! never in the way of the rest; opening reads one segment, whatever waits in the others.
//!
//! What it is not: it knows no events, channels or time of day, and needs no asynchronous runtime.
//! It does not encrypt or compress.

mod acknowledged;
mod buffers;
mod error;
pub mod frame;
mod image;
mod io;
mod layout;
mod log;
mod mutation;
mod options;
mod pool;
mod position;
mod quarantine;
mod reader;
mod record;
mod recovery;
mod scan;
mod segment;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod snapshot;
mod statistics;
mod view;
mod writer;

pub use acknowledged::Acknowledged;
pub use buffers::{Buffer, Buffers};
pub use error::{AppendError, Failure, OpenError, ReadError, Refusal};
pub use image::{Image, SegmentImage};
pub use io::{Folder, LogFile, LogIo, ReadOnlyFolder};
pub use log::{ChangeError, Completion, Log};
pub use options::{
    Durability, GROUP_BYTES_MAX, GROUP_RECORDS_MAX, Options, OptionsError, RESERVED_SEGMENTS,
    RunningOptions, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
pub use position::{Count, Position};
pub use quarantine::QUARANTINE_BYTES_MAX;
pub use reader::{Read, Reader};
pub use record::{Appended, LogState, Passing, Record};
pub use recovery::Recovery;
pub use segment::{HeaderDamage, LogId, SegmentHeader};
pub use snapshot::Lost;
pub use statistics::{Space, Statistics};
