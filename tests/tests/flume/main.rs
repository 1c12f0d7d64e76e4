//! The same configuration in the real Apache Flume and in flumen: what goes in and what comes out
//! has to be the same, byte for byte where Flume's own output is not random.
//!
//! Each test starts both, tells both the same, and compares what they answer, log and write. What
//! flumen does otherwise on purpose is not compared here; the modules of the components name it.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod backlog;
mod files;
mod interceptors;
mod log;
mod pair;
mod protocol;
