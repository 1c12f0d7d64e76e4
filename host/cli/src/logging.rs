//! The log: tracing records to standard error, in a readable or a JSON form.
//!
//! A record is one write, so that records of several threads do not mix. A progress line that
//! stands at the bottom of the terminal is taken away before a record and put back after it.

use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::error;
use tracing_subscriber::fmt::MakeWriter;

use crate::system_properties::{AgentSettings, LogFormat};

/// Back to the first column, and clear to the end of the line.
const CLEAR_LINE: &[u8] = b"\r\x1b[2K";

/// Standard error, shared by log and progress line. A plain mutex: held for one write, and never
/// over an await.
#[derive(Clone)]
pub(crate) struct Console {
    screen: Arc<Mutex<Screen<Box<dyn Write + Send>>>>,
}

impl Console {
    /// The console of this process.
    pub(crate) fn standard_error() -> Self {
        Self {
            screen: Arc::new(Mutex::new(Screen::new(Box::new(io::stderr())))),
        }
    }

    /// Puts a progress line in the place of the last one; `None` takes it away. Only for a
    /// terminal.
    pub(crate) fn show_progress(&self, line: Option<String>) {
        // A terminal that is gone is no reason to stop; the next log record fails the same way.
        let _ = self.lock().replace_progress(line);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Screen<Box<dyn Write + Send>>> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands on the terminal's last line, and the way there.
struct Screen<W> {
    out: W,
    progress: Option<String>,
    // Kept between records for its capacity.
    buffer: Vec<u8>,
}

impl<W: Write> Screen<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            progress: None,
            buffer: Vec::new(),
        }
    }

    fn write_record(&mut self, record: &[u8]) -> io::Result<()> {
        let Some(line) = &self.progress else {
            return self.out.write_all(record);
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(CLEAR_LINE);
        self.buffer.extend_from_slice(record);
        self.buffer.extend_from_slice(line.as_bytes());
        self.out.write_all(&self.buffer)
    }

    fn replace_progress(&mut self, line: Option<String>) -> io::Result<()> {
        if self.progress.is_none() && line.is_none() {
            return Ok(());
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(CLEAR_LINE);
        if let Some(line) = &line {
            self.buffer.extend_from_slice(line.as_bytes());
        }
        self.progress = line;
        self.out.write_all(&self.buffer)
    }
}

/// One record on its way to the console.
pub(crate) struct Record(Console);

impl Write for Record {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        // Nobody reads the log any more, or its disk is full: the events flow on. An error would be
        // reported on standard error too, and the failure of that is a panic.
        let _ = self.0.lock().write_record(record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Console {
    type Writer = Record;

    fn make_writer(&'w self) -> Record {
        Record(self.clone())
    }
}

/// Logs to the console from now on; panics are logged too.
pub(crate) fn start(settings: &AgentSettings, console: &Console) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(settings.level)
        .with_writer(console.clone())
        .with_ansi(is_coloured());
    match settings.format {
        LogFormat::Readable => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// Whether standard error is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Colours are for terminals, unless the operator has said no by the usual variable.
fn is_coloured() -> bool {
    is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("no message");
    match panic.location() {
        Some(location) => error!(%location, "internal error, please report it: {what}"),
        None => error!("internal error, please report it: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(screen: &Screen<Vec<u8>>) -> String {
        String::from_utf8(screen.out.clone()).unwrap()
    }

    #[test]
    fn without_a_progress_line_a_record_is_written_as_it_is() {
        let mut screen = Screen::new(Vec::new());
        screen.replace_progress(None).unwrap();
        screen.write_record(b"one\n").unwrap();
        assert_eq!(text(&screen), "one\n");
    }

    #[test]
    fn a_record_stands_above_the_progress_line() {
        let mut screen = Screen::new(Vec::new());
        screen.replace_progress(Some("50/s".to_owned())).unwrap();
        screen.write_record(b"one\n").unwrap();
        screen.replace_progress(Some("60/s".to_owned())).unwrap();
        screen.replace_progress(None).unwrap();
        screen.write_record(b"two\n").unwrap();
        let clear = "\r\x1b[2K";
        let expected = format!("{clear}50/s{clear}one\n50/s{clear}60/s{clear}two\n");
        assert_eq!(text(&screen), expected);
    }

    #[test]
    fn a_log_that_cannot_be_written_fails_nobody() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let console = Console {
            screen: Arc::new(Mutex::new(Screen::new(Box::new(Gone)))),
        };
        assert_eq!(console.make_writer().write(b"one\n").unwrap(), 4);
        console.show_progress(Some("50/s".to_owned()));
    }
}
