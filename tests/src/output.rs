//! What a process under test prints, collected by line, to be searched and waited for.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How many lines are kept; the oldest are forgotten first. An agent that logs every event must
/// not eat the memory of the test.
const LINES_MAX: usize = 200_000;
/// How many of the last lines an error shows.
const TAIL_LINES: usize = 40;

/// Which of the two streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One printed line, without its end. Bytes that are not UTF-8 appear as the replacement sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it was printed.
    pub stream: Stream,
    /// What was printed.
    pub text: String,
}

/// The lines of both streams in the order in which they arrived. Lines of one stream are in the
/// order of printing; between the two there is no promise.
#[derive(Debug, Clone, Default)]
pub struct Output {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// A plain mutex: held for a push or a search, never while waiting for the process.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    forgotten: usize,
}

impl Output {
    /// Starts a thread that collects a stream until its end.
    pub(crate) fn collect(
        &self,
        stream: Stream,
        reader: impl Read + Send + 'static,
    ) -> JoinHandle<()> {
        let output = self.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            // A read error ends the collection like the end of the stream: the process is gone.
            while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
                let text = String::from_utf8_lossy(&line);
                output.push(Line {
                    stream,
                    text: text.trim_end_matches(['\r', '\n']).to_owned(),
                });
                line.clear();
            }
        })
    }

    fn push(&self, line: Line) {
        let mut state = self.lock();
        if state.lines.len() == LINES_MAX {
            state.lines.pop_front();
            state.forgotten += 1;
        }
        state.lines.push_back(line);
        drop(state);
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many lines have been printed so far: a place to start a later search from.
    #[must_use]
    pub fn position(&self) -> usize {
        let state = self.lock();
        state.forgotten + state.lines.len()
    }

    /// The lines of one stream that are still kept.
    #[must_use]
    pub fn lines(&self, stream: Stream) -> Vec<String> {
        let state = self.lock();
        let wanted = state.lines.iter().filter(|line| line.stream == stream);
        wanted.map(|line| line.text.clone()).collect()
    }

    /// How many lines of both streams contain `text`.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.lock()
            .lines
            .iter()
            .filter(|line| line.text.contains(text))
            .count()
    }

    /// Waits for a line of either stream that contains `text`, printed at any time.
    ///
    /// # Errors
    /// After `limit`; the error shows the last lines.
    pub fn wait_for(&self, text: &str, limit: Duration) -> Result<Line> {
        self.wait_for_after(0, text, limit)
    }

    /// As [`wait_for`](Self::wait_for), but looks only at lines printed after `position`.
    ///
    /// # Errors
    /// After `limit`; the error shows the last lines.
    pub fn wait_for_after(&self, position: usize, text: &str, limit: Duration) -> Result<Line> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        let mut searched = position;
        loop {
            let first = searched.saturating_sub(state.forgotten);
            let found = state
                .lines
                .iter()
                .skip(first)
                .find(|line| line.text.contains(text));
            if let Some(line) = found {
                return Ok(line.clone());
            }
            searched = position.max(state.forgotten + state.lines.len());
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                bail!(
                    "waited {limit:?} for a line with {text:?}; last lines:\n{}",
                    self.tail()
                );
            }
            let (next, _) = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }

    /// The last lines of both streams, for the text of an error.
    #[must_use]
    pub fn tail(&self) -> String {
        let state = self.lock();
        let skipped = state.lines.len().saturating_sub(TAIL_LINES);
        let mut text = String::new();
        for line in state.lines.iter().skip(skipped) {
            text.push_str("  | ");
            text.push_str(&line.text);
            text.push('\n');
        }
        if text.is_empty() {
            "  (nothing was printed)".to_owned()
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::PATIENCE;

    fn printed(text: &'static str) -> Output {
        let output = Output::default();
        output.collect(Stream::Out, text.as_bytes()).join().unwrap();
        output
    }

    #[test]
    fn splits_lines_and_keeps_a_last_one_without_end() {
        assert_eq!(
            printed("one\r\ntwo\nthree").lines(Stream::Out),
            ["one", "two", "three"]
        );
        assert!(printed("one\n").lines(Stream::Err).is_empty());
    }

    #[test]
    fn finds_a_line_that_comes_later() {
        let output = Output::default();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let waiting = output.clone();
        let waiter = thread::spawn(move || waiting.wait_for("ready", PATIENCE));
        let collector = output.collect(Stream::Err, reader);
        std::io::Write::write_all(&mut writer, b"starting\nready now\n").unwrap();
        drop(writer);
        collector.join().unwrap();
        let line = waiter.join().unwrap().unwrap();
        assert_eq!(
            line,
            Line {
                stream: Stream::Err,
                text: "ready now".to_owned()
            }
        );
    }

    #[test]
    fn searches_only_behind_the_position() {
        let output = printed("reloaded\n");
        let position = output.position();
        assert!(output.wait_for("reloaded", PATIENCE).is_ok());
        let error = output
            .wait_for_after(position, "reloaded", Duration::ZERO)
            .unwrap_err();
        assert!(error.to_string().contains("| reloaded"), "{error}");
        assert_eq!(output.count("reloaded"), 1);
    }
}
