//! The driver's way to tell.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::event::Event;

/// Writes events to the standard output.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Held while a line is written, so that lines do not mix. Each is one write: what comes back
    /// from [`Report::tell`] is in the pipe, whatever happens to this process.
    line: Mutex<Vec<u8>>,
}

impl Report {
    /// Tells one event.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn tell(&self, event: &Event) -> Result<()> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        writeln!(line, "{event}")?;
        let mut out = std::io::stdout().lock();
        out.write_all(&line)
            .and_then(|()| out.flush())
            .context("tell the oracle")
    }
}
