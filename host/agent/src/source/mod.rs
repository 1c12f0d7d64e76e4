//! Sources at work: each runs in a task of its own that prepares it, runs it, and tries again
//! after a fault.

mod polled;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use polled::PolledDriver;
pub(crate) use task::{MakeSource, SourceParts, SourceTask};
