//! The client of a program under trial.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use flumen_tests::lines::{BLOCK_LINES, Block, LINE_BYTES};
use flumen_tests::sender::ACKNOWLEDGEMENT;
use flumen_tests::wait::wait_for;

/// So many times a second lines are sent to a program that does not answer.
const BURSTS_PER_SECOND: u64 = 100;
/// Lines in flight to a program that answers.
const WINDOW_LINES: u64 = 100;
/// Longest wait for an answer, or for room in a socket.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for all the answers that a trial is to have.
const ANSWERS_LIMIT: Duration = Duration::from_secs(300);

/// All lines there are, one after the other.
struct Lines {
    block: Block,
    next: u64,
}

impl Lines {
    fn new() -> Lines {
        Lines {
            block: Block::new(),
            next: 0,
        }
    }

    /// The next lines, fewer when the block ends before.
    fn take(&mut self, lines: u64) -> &[u8] {
        let offset = self.next % BLOCK_LINES;
        if offset == 0 {
            self.block.renumber(self.next / BLOCK_LINES);
        }
        let end = BLOCK_LINES.min(offset + lines);
        self.next += end - offset;
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        let skipped = skipped.saturating_mul(LINE_BYTES);
        self.block.first(end).get(skipped..).unwrap_or_default()
    }
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;
    stream.set_write_timeout(Some(SILENCE_LIMIT))?;
    Ok(stream)
}

/// Sends `lines` lines, `rate` a second, and returns the connection, which stays open: a program
/// may do more when it is closed.
///
/// # Errors
/// When the program takes nothing for a minute, or closes the connection.
pub(super) fn send_paced(port: u16, lines: u64, rate: u64) -> Result<TcpStream> {
    let mut stream = connect(port)?;
    let burst = (rate / BURSTS_PER_SECOND).max(1);
    let mut all = Lines::new();
    let begin = Instant::now();
    while all.next < lines {
        let due = begin + Duration::from_micros(all.next.saturating_mul(1_000_000) / rate);
        // To keep the pace, not to wait for the program.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let piece = all.take(burst.min(lines - all.next));
        stream.write_all(piece).context("send lines")?;
    }
    Ok(stream)
}

/// A client that sends lines and reads their answers until the connection ends.
pub(super) struct Answers {
    answered: Arc<AtomicU64>,
    thread: JoinHandle<Result<u64>>,
}

impl Answers {
    /// Begins to send.
    ///
    /// # Errors
    /// When nobody listens.
    pub(super) fn begin(port: u16) -> Result<Answers> {
        let stream = connect(port)?;
        let answered = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&answered);
        let thread = thread::spawn(move || send_answered(stream, &told));
        Ok(Answers { answered, thread })
    }

    /// Waits until so many lines are answered, and returns how many are.
    ///
    /// # Errors
    /// When that takes minutes, or the client has ended.
    pub(super) fn wait_for(&self, lines: u64) -> Result<u64> {
        wait_for("lines to be answered", ANSWERS_LIMIT, || {
            if self.thread.is_finished() {
                bail!("the connection ended before the cut");
            }
            let answered = self.answered.load(Ordering::SeqCst);
            Ok((answered >= lines).then_some(answered))
        })
    }

    /// How many lines were sent, once the program is gone.
    ///
    /// # Errors
    /// When the client waited for an answer in vain.
    pub(super) fn end(self) -> Result<u64> {
        let sent = self.thread.join();
        sent.map_err(|_| anyhow!("the client broke"))?
    }
}

/// Sends windows until the connection ends; returns how many lines were sent. What was sent in part
/// counts.
fn send_answered(mut stream: TcpStream, answered: &AtomicU64) -> Result<u64> {
    let mut all = Lines::new();
    loop {
        let before = all.next;
        let piece = all.take(WINDOW_LINES);
        let ended = stream.write_all(piece).is_err();
        for _ in before..all.next {
            let mut answer = [0; ACKNOWLEDGEMENT.len()];
            match stream.read_exact(&mut answer) {
                Ok(()) if answer == *ACKNOWLEDGEMENT => answered.fetch_add(1, Ordering::SeqCst),
                // Whatever else it says, it does not say that it has the line.
                Ok(()) => return Ok(all.next),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    bail!("no answer for {SILENCE_LIMIT:?}")
                }
                Err(_) => return Ok(all.next),
            };
        }
        if ended {
            return Ok(all.next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn all_lines_are_sent_over_the_end_of_a_block() {
        let (listener, port) = listener();
        let lines = BLOCK_LINES + 7;
        let sender = thread::spawn(move || send_paced(port, lines, 700_000).map(drop).unwrap());
        let reader = BufReader::new(listener.accept().unwrap().0);
        let numbers = reader
            .lines()
            .map(|line| line.unwrap()[..12].parse::<u64>().unwrap());
        assert!(numbers.eq(0..lines));
        sender.join().unwrap();
    }

    #[test]
    fn only_what_was_answered_counts_as_answered() {
        let (listener, port) = listener();
        let answers = Answers::begin(port).unwrap();
        let mut stream = listener.accept().unwrap().0;
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for _ in lines.take(250) {
            stream.write_all(ACKNOWLEDGEMENT).unwrap();
        }
        assert_eq!(answers.wait_for(250).unwrap(), 250);
        drop(stream);
        assert_eq!(answers.end().unwrap(), 300);
    }
}
