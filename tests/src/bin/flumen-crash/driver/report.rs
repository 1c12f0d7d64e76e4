//! The driver's way to tell.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::event::{Event, Told};

/// Writes events to the standard output, each behind the time of the driver.
#[derive(Debug)]
pub(crate) struct Report {
    begin: Instant,
    /// Held while a line is written, so that lines do not mix. Each is one write: what comes back
    /// from [`Report::tell`] is in the pipe, whatever happens to this process.
    line: Mutex<Vec<u8>>,
}

impl Report {
    /// Begins to count the time.
    pub(crate) fn new() -> Report {
        Report {
            begin: Instant::now(),
            line: Mutex::default(),
        }
    }

    /// Tells one event. Its time is not before what it tells of, and not behind the line.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn tell(&self, event: &Event) -> Result<()> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        let now_us = self.begin.elapsed().as_micros() as u64;
        writeln!(line, "{}", Told { now_us, event })?;
        let mut out = std::io::stdout().lock();
        out.write_all(&line)
            .and_then(|()| out.flush())
            .context("tell the oracle")
    }
}
