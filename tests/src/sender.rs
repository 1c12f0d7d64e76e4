//! Writes numbered lines to a netcat source.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lines::LANE_LINES;

/// What a netcat source answers to an accepted line.
pub const ACKNOWLEDGEMENT: &[u8; 3] = b"OK\n";
/// Longest wait for an acknowledgement, or for room in the socket.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// Lines that are written at once, so that a large number of lines is few system calls.
const LINES_PER_WRITE: u64 = 1000;

/// One connection and its lane of numbers.
#[derive(Debug)]
pub struct NumberedSender {
    stream: TcpStream,
    lane: u64,
    next: u64,
}

impl NumberedSender {
    /// Connects to a port of 127.0.0.1. No other sender of the same test may have the lane.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(port: u16, lane: u64) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("connect to port {port}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_LIMIT))?;
        stream.set_write_timeout(Some(SILENCE_LIMIT))?;
        Ok(Self {
            stream,
            lane,
            next: 0,
        })
    }

    /// How many lines have been sent, for [`LineCheck::expect_lane`](crate::lines::LineCheck).
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.next
    }

    /// The connection, for what this type does not do.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends the next `lines` lines and waits for no answer.
    ///
    /// # Errors
    /// When the connection fails, or the other side takes nothing for a minute.
    pub fn send(&mut self, lines: u64) -> Result<()> {
        let end = self.next + lines;
        while self.next < end {
            let stop = end.min(self.next + LINES_PER_WRITE);
            let mut text = Vec::new();
            for position in self.next..stop {
                let number = self.lane * LANE_LINES + position;
                writeln!(text, "{number:012} lane {} line {position}", self.lane)?;
            }
            self.stream
                .write_all(&text)
                .context("send numbered lines")?;
            self.next = stop;
        }
        Ok(())
    }

    /// Sends the next `lines` lines, at most 1000 at a time in flight, and reads an `OK` for each.
    ///
    /// # Errors
    /// When the connection fails, an answer is not `OK`, or none comes for a minute.
    pub fn send_acknowledged(&mut self, lines: u64) -> Result<()> {
        let end = self.next + lines;
        while self.next < end {
            let part = LINES_PER_WRITE.min(end - self.next);
            self.send(part)?;
            for _ in 0..part {
                read_acknowledgement(&mut self.stream)?;
            }
        }
        Ok(())
    }
}

/// Reads one `OK` and its line feed.
///
/// # Errors
/// When the connection fails, or something else was answered; the error shows what.
pub fn read_acknowledgement(stream: &mut impl Read) -> Result<()> {
    let mut answer = [0; ACKNOWLEDGEMENT.len()];
    stream
        .read_exact(&mut answer)
        .context("read an acknowledgement")?;
    if answer != *ACKNOWLEDGEMENT {
        bail!(
            "answered {:?} where OK was due",
            String::from_utf8_lossy(&answer)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::lines::LineCheck;

    /// Answers every line of one connection, and checks the lines.
    fn serve(listener: TcpListener, answer: &'static [u8], check: LineCheck) -> LineCheck {
        let (stream, _) = listener.accept().unwrap();
        let mut writer = stream.try_clone().unwrap();
        let mut check = check;
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).unwrap() > 0 {
            check.line(&line);
            line.clear();
            writer.write_all(answer).unwrap();
        }
        check
    }

    #[test]
    fn every_line_is_acknowledged_and_numbered_in_its_lane() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server =
            thread::spawn(move || serve(listener, b"OK\n", LineCheck::new().expect_lane(7, 2500)));
        let mut sender = NumberedSender::connect(port, 7).unwrap();
        sender.send_acknowledged(2500).unwrap();
        assert_eq!(sender.sent(), 2500);
        drop(sender);
        let verdict = server.join().unwrap().finish();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!(verdict.lines, 2500);
    }

    #[test]
    fn another_answer_is_an_error_that_shows_it() {
        let error = read_acknowledgement(&mut &b"FAILED: x\n"[..]).unwrap_err();
        assert!(error.to_string().contains("FAI"), "{error}");
        assert!(read_acknowledgement(&mut &b"OK"[..]).is_err());
        assert!(read_acknowledgement(&mut &b"OK\n"[..]).is_ok());
    }
}
