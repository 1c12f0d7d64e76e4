//! What guests say: a bounded number of lines in a second, from the logging interface and from
//! standard output and error alike.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flumen_core::ComponentName;
use tracing::{debug, enabled, error, info, trace, warn};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bindings::logging::Level;
use crate::figures::Figures;
use crate::limits::{LAST_WORDS_BYTES_MAX, LOG_LINE_BYTES_MAX};
use crate::text::one_line;

/// The target under which lines of guests are logged, for filters.
pub const LOG_TARGET: &str = "flumen::guest";

const WINDOW: Duration = Duration::from_secs(1);

/// The log of one component, shared by its instances.
pub(crate) struct GuestLog {
    component: ComponentName,
    lines_per_second: u32,
    figures: Arc<Figures>,
    window: Mutex<Window>,
}

struct Window {
    began: Instant,
    lines: u32,
    suppressed: u64,
}

impl GuestLog {
    /// Lines that are left out are counted in `figures`.
    pub(crate) fn new(
        component: ComponentName,
        lines_per_second: u32,
        figures: &Arc<Figures>,
    ) -> Self {
        Self {
            component,
            lines_per_second,
            figures: Arc::clone(figures),
            window: Mutex::new(Window {
                began: Instant::now(),
                lines: 0,
                suppressed: 0,
            }),
        }
    }

    pub(crate) fn is_enabled(level: Level) -> bool {
        match level {
            Level::Trace => enabled!(target: LOG_TARGET, tracing::Level::TRACE),
            Level::Debug => enabled!(target: LOG_TARGET, tracing::Level::DEBUG),
            Level::Info => enabled!(target: LOG_TARGET, tracing::Level::INFO),
            Level::Warn => enabled!(target: LOG_TARGET, tracing::Level::WARN),
            Level::Error => enabled!(target: LOG_TARGET, tracing::Level::ERROR),
        }
    }

    /// Logs a line, unless there were too many in this second.
    pub(crate) fn line(&self, level: Level, message: &str) {
        if !Self::is_enabled(level) || !self.admits(Instant::now()) {
            return;
        }
        let line = one_line(message, LOG_LINE_BYTES_MAX);
        let component = &self.component;
        match level {
            Level::Trace => trace!(target: LOG_TARGET, %component, "{line}"),
            Level::Debug => debug!(target: LOG_TARGET, %component, "{line}"),
            Level::Info => info!(target: LOG_TARGET, %component, "{line}"),
            Level::Warn => warn!(target: LOG_TARGET, %component, "{line}"),
            Level::Error => error!(target: LOG_TARGET, %component, "{line}"),
        }
    }

    fn admits(&self, now: Instant) -> bool {
        let mut window = self.lock();
        if now.duration_since(window.began) >= WINDOW {
            self.say_suppressed(&mut window);
            window.began = now;
            window.lines = 0;
        }
        if window.lines < self.lines_per_second {
            window.lines += 1;
            return true;
        }
        window.suppressed += 1;
        self.figures.log_lines_suppressed.add(1);
        false
    }

    fn say_suppressed(&self, window: &mut Window) {
        let lines = std::mem::take(&mut window.suppressed);
        if lines > 0 {
            warn!(
                target: LOG_TARGET, component = %self.component, lines,
                "log lines above limits.log_lines_per_second were left out"
            );
        }
    }

    /// A short lock: held to count one line.
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        let mut window = std::mem::replace(
            &mut *self.lock(),
            Window {
                began: Instant::now(),
                lines: 0,
                suppressed: 0,
            },
        );
        self.say_suppressed(&mut window);
    }
}

/// The last bytes that an instance wrote to standard error: a panic says there what happened.
#[derive(Clone, Default)]
pub(crate) struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    fn push(&self, bytes: &[u8]) {
        let mut kept = self.lock();
        kept.extend_from_slice(bytes);
        let surplus = kept.len().saturating_sub(LAST_WORDS_BYTES_MAX);
        kept.drain(..surplus);
    }

    pub(crate) fn text(&self) -> String {
        one_line(&String::from_utf8_lossy(&self.lock()), LAST_WORDS_BYTES_MAX)
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// A short lock: held to copy some bytes.
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard output or error of an instance: its lines go to the log.
#[derive(Clone)]
pub(crate) struct Output {
    log: Arc<GuestLog>,
    level: Level,
    last_words: Option<LastWords>,
    /// The begin of a line whose end has not come yet, at most [`LOG_LINE_BYTES_MAX`] bytes.
    line: Arc<Mutex<Vec<u8>>>,
}

impl Output {
    pub(crate) fn new(log: Arc<GuestLog>, level: Level, last_words: Option<LastWords>) -> Self {
        Self {
            log,
            level,
            last_words,
            line: Arc::default(),
        }
    }

    fn take_in(&self, bytes: &[u8]) {
        if let Some(last_words) = &self.last_words {
            last_words.push(bytes);
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LOG_LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
            if part.ends_with(b"\n") {
                self.log.line(self.level, &String::from_utf8_lossy(&line));
                line.clear();
            }
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 and inherited streams use it; what is linked goes through `p2_stream`.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.take_in(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LOG_LINE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_limit_are_counted_and_the_next_second_begins_anew() {
        let figures = Arc::default();
        let log = GuestLog::new("i1".into(), 3, &figures);
        let now = Instant::now();
        assert_eq!((0..10).filter(|_| log.admits(now)).count(), 3);
        assert_eq!(figures.log_lines_suppressed.get(), 7);
        assert!(log.admits(now + WINDOW));
        assert_eq!(figures.log_lines_suppressed.get(), 7);
    }

    #[test]
    fn the_end_of_standard_error_is_kept() {
        let log = Arc::new(GuestLog::new("i1".into(), 0, &Arc::default()));
        let words = LastWords::default();
        let output = Output::new(log, Level::Warn, Some(words.clone()));
        output.take_in(&vec![b'x'; 2 * LAST_WORDS_BYTES_MAX]);
        output.take_in(b"\npanicked at src/lib.rs:1\n");
        assert!(words.text().ends_with("panicked at src/lib.rs:1"));
        assert!(words.text().len() <= LAST_WORDS_BYTES_MAX);
        output.take_in(&vec![b'x'; 2 * LOG_LINE_BYTES_MAX]);
        assert_eq!(output.line.lock().unwrap().len(), LOG_LINE_BYTES_MAX);
    }
}
