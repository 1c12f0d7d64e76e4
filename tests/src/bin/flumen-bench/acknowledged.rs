//! Row (e): every line is answered with `OK` once it is in the channel.
//!
//! Two clients, each on one thread of this process:
//! * a window: a hundred lines are written at once, a hundred answers read, and so on;
//! * a turn: of many connections each has one line in flight. The client reads the answer of the
//!   first, writes its next line, goes to the second, and so on. A connection that is slow holds
//!   up the others, so the figure is rather too low than too high.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flumen_tests::lines::Block;
use flumen_tests::sender::{ACKNOWLEDGEMENT, read_acknowledgement};

use crate::arguments::Arguments;
use crate::flow::{Flow, Sink};
use crate::table::{Aim, Table, Unit};
use crate::throughput::{per_second, start, stop};

/// Lines in flight on the one connection.
const WINDOW_LINES: u64 = 100;
/// Connections with one line in flight each.
pub(crate) const TURN_CONNECTIONS: u64 = 64;
/// Longest wait for an answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// Of the lines of a run, the part that is sent with a window: a run of a second or so.
const WINDOW_DIVISOR: u64 = 10;
/// The part that is sent in turns.
const TURN_DIVISOR: u64 = 80;

/// Both figures of the row.
pub(crate) fn rows(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let rate = Unit::LinesPerSecond;
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            let flow = |port| Flow {
                acknowledge: true,
                ..Flow::new(port, Sink::Null)
            };
            let (mut agent, port) = start(binary, flow)?;

            let what = format!("{name}, {WINDOW_LINES} lines in flight on 1 connection");
            let windows = (arguments.lines / WINDOW_DIVISOR / WINDOW_LINES).max(1);
            let wall = send_windows(port, windows)?;
            table.add(
                'e',
                &what,
                rate,
                Aim::AtLeast(1.5e6),
                per_second(windows * WINDOW_LINES, wall),
            );

            let what =
                format!("{name}, 1 line in flight on each of {TURN_CONNECTIONS} connections");
            let turns = (arguments.lines / TURN_DIVISOR / TURN_CONNECTIONS).max(1);
            let wall = send_turns(port, turns)?;
            table.add(
                'e',
                &what,
                rate,
                Aim::AtLeast(80e3),
                per_second(turns * TURN_CONNECTIONS, wall),
            );

            stop(&mut agent)?;
        }
    }
    Ok(())
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect to the agent")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;
    Ok(stream)
}

/// Sends windows and reads their answers; tells how long it took.
fn send_windows(port: u16, windows: u64) -> Result<Duration> {
    let mut stream = connect(port)?;
    let block = Block::new();
    let lines = block.first(WINDOW_LINES);
    let due = ACKNOWLEDGEMENT.repeat(usize::try_from(WINDOW_LINES)?);
    let mut answers = vec![0; due.len()];
    let begin = Instant::now();
    for _ in 0..windows {
        stream.write_all(lines).context("send a window of lines")?;
        stream
            .read_exact(&mut answers)
            .context("read the answers to a window")?;
        anyhow::ensure!(
            answers == due,
            "answered {:?}",
            String::from_utf8_lossy(&answers)
        );
    }
    Ok(begin.elapsed())
}

/// Sends `turns` lines on each connection; tells how long it took.
pub(crate) fn send_turns(port: u16, turns: u64) -> Result<Duration> {
    let block = Block::new();
    let line = block.first(1);
    let mut streams = Vec::new();
    for _ in 0..TURN_CONNECTIONS {
        streams.push(connect(port)?);
    }
    let begin = Instant::now();
    for stream in &mut streams {
        stream.write_all(line).context("send a line")?;
    }
    for _ in 1..turns {
        for stream in &mut streams {
            read_acknowledgement(stream)?;
            stream.write_all(line).context("send a line")?;
        }
    }
    for stream in &mut streams {
        read_acknowledgement(stream)?;
    }
    Ok(begin.elapsed())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    /// Answers each line of `connections` connections; returns how many lines there were.
    fn echo(connections: u64, answer: &'static [u8]) -> (u16, JoinHandle<usize>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let clients: Vec<_> = (0..connections)
                .map(|_| listener.accept().unwrap().0)
                .map(|stream| {
                    thread::spawn(move || {
                        let mut writer = stream.try_clone().unwrap();
                        let lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
                        lines
                            .map(|_| writer.write_all(answer))
                            .take_while(Result::is_ok)
                            .count()
                    })
                })
                .collect();
            clients
                .into_iter()
                .map(|client| client.join().unwrap())
                .sum()
        });
        (port, server)
    }

    #[test]
    fn a_window_waits_for_all_its_answers() {
        let (port, server) = echo(1, b"OK\n");
        send_windows(port, 3).unwrap();
        assert_eq!(server.join().unwrap(), 300);
    }

    #[test]
    fn every_connection_takes_its_turns() {
        let (port, server) = echo(TURN_CONNECTIONS, b"OK\n");
        send_turns(port, 2).unwrap();
        assert_eq!(server.join().unwrap(), 128);
    }

    #[test]
    fn a_refusal_is_an_error() {
        let (port, _server) = echo(1, b"NO\n");
        assert!(
            send_windows(port, 1)
                .unwrap_err()
                .to_string()
                .contains("NO")
        );
    }
}
