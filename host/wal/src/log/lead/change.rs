//! Options that change while the log is open.

use std::sync::Arc;

use crate::error::Failure;
use crate::log::Log;
use crate::options::{OptionsError, RunningOptions};

use super::{Shared, Writing};

/// Why a change of options was not done, or not well.
#[derive(Debug)]
pub enum ChangeError {
    /// The options cannot be used. Nothing has changed.
    Options(OptionsError),
    /// The options hold from now on, and what was confirmed before may not be durable, or the log
    /// takes no appends any more.
    Doubtful(Arc<Failure>),
}

impl std::fmt::Display for ChangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChangeError::Options(error) => error.fmt(f),
            ChangeError::Doubtful(_) => f.write_str(
                "the options hold from now on, but what was confirmed before may not be durable",
            ),
        }
    }
}

impl std::error::Error for ChangeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ChangeError::Options(error) => Some(error),
            ChangeError::Doubtful(failure) => Some(failure.as_ref()),
        }
    }
}

impl Log {
    /// Goes on with these options, from the next group on. When the durability is another one, all
    /// that was confirmed before is durable once this returns. Waits for the disk, and for the group
    /// that is being written.
    ///
    /// # Errors
    /// When the options cannot be used, or the disk does not take what was confirmed before.
    pub fn change(&self, to: RunningOptions) -> Result<(), ChangeError> {
        let mut options = self.options.clone();
        options.run_with(to);
        options.check().map_err(ChangeError::Options)?;
        let changed = self.shared.change(to);
        changed.map_err(ChangeError::Doubtful)
    }
}

impl Shared {
    fn change(&self, to: RunningOptions) -> Result<(), Arc<Failure>> {
        let changed = self.with_writing(|writing| writing.change(to));
        changed.unwrap_or_else(|| Err(Arc::new(Failure::Panicked)))
    }
}

impl Writing {
    fn change(&mut self, to: RunningOptions) -> Result<(), Arc<Failure>> {
        self.options.run_with(to);
        let changed = self.writer.change(to);
        // What is left was counted as doubtful, and is never synced again.
        self.unsynced_since = None;
        changed
    }
}
