//! The line generator: numbered lines of 200 bytes over TCP, at the least cost.
//!
//! A whole block of 2 MB goes into one write: smaller writes, and sendfile from memory, were tried and
//! are slower, while numbering the lines anew costs nothing that could be seen. On loopback the
//! sender's processor also does most of the work of TCP, so that even so the generator spends about
//! as much as a plain reader.
//!
//! The generator keeps to the last processor it may use. Left to itself, the kernel at times puts
//! both ends of the connection on the same one, where they take turns at half the speed; the same
//! program then differs from itself by a factor of two.
//!
//! One connection: the lines are numbered from 0 without a gap, so that an output can be checked.
//! Several connections: all send the same block again and again, each line number in it stands many
//! times in the output, and only the count can be checked. To number them would need a block for
//! each connection, and their sum would not fit the cache.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flumen_tests::lines::{BLOCK_LINES, Block};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::helper::{Load, Processor, keep_to_processor, own_cpu_time};

/// The most bytes of one write on one of several connections, so that all get their turn.
const TURN_BYTES: usize = 256 << 10;

/// Longest time in which the other side may take nothing: a reader that stands still is an error,
/// not a benchmark that never ends.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// The sub-command: connects, says `ready`, waits for `go`, sends, says `done LINES CPU_NANOS`.
pub(crate) fn run(port: u16, load: Load) -> Result<()> {
    let Load {
        mut lines,
        connections,
        seconds,
    } = load;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(TcpStream::connect(address).with_context(|| format!("connect to {address}"))?);
    }
    keep_to_processor(Processor::Last)?;
    let block = Block::new();
    println!("ready");
    let mut word = String::new();
    io::stdin()
        .read_line(&mut word)
        .context("wait for the word to begin")?;
    if word.trim() != "go" {
        bail!("was told {word:?} where \"go\" was due");
    }
    let cpu_before = own_cpu_time();
    match streams.as_mut_slice() {
        [only] => lines = send_numbered(only, block, lines, seconds)?,
        several => send_repeated(several, &block, lines)?,
    }
    println!("done {lines} {}", (own_cpu_time() - cpu_before).as_nanos());
    Ok(())
}

/// Sends the lines with the numbers from 0 to `lines`, and begins no block when `seconds` are over.
/// Returns how many were sent.
pub(crate) fn send_numbered(
    stream: &mut TcpStream,
    mut block: Block,
    lines: u64,
    seconds: Option<u64>,
) -> Result<u64> {
    stream.set_write_timeout(Some(SILENCE_LIMIT))?;
    let begin = Instant::now();
    let time = seconds.map_or(Duration::MAX, Duration::from_secs);
    let mut sent = 0;
    while sent < lines && begin.elapsed() < time {
        block.renumber(sent / BLOCK_LINES);
        let part = block.first(lines - sent);
        stream.write_all(part).context("send lines")?;
        sent += BLOCK_LINES.min(lines - sent);
    }
    Ok(sent)
}

/// A connection and what it still has to send.
struct Turn<'streams> {
    stream: &'streams mut TcpStream,
    lines_left: u64,
    /// Sent bytes of the part of the block that is under way.
    offset: usize,
}

/// Sends the block again and again until all connections together have sent `lines`.
pub(crate) fn send_repeated(streams: &mut [TcpStream], block: &Block, lines: u64) -> Result<()> {
    let mut lines_left = lines;
    let mut streams_left = u64::try_from(streams.len())?;
    let mut turns = Vec::new();
    for stream in streams {
        stream.set_nonblocking(true)?;
        let share = lines_left / streams_left;
        lines_left -= share;
        streams_left -= 1;
        turns.push(Turn {
            stream,
            lines_left: share,
            offset: 0,
        });
    }
    loop {
        turns.retain(|turn| turn.lines_left > 0);
        if turns.is_empty() {
            return Ok(());
        }
        let writable = wait_writable(&turns)?;
        for (turn, writable) in turns.iter_mut().zip(writable) {
            if writable {
                turn.write(block)?;
            }
        }
    }
}

fn wait_writable(turns: &[Turn<'_>]) -> Result<Vec<bool>> {
    let mut interest: Vec<PollFd<'_>> = turns
        .iter()
        .map(|turn| PollFd::new(&*turn.stream, PollFlags::OUT))
        .collect();
    let limit = Timespec::try_from(SILENCE_LIMIT)?;
    let ready = poll(&mut interest, Some(&limit)).context("wait for room in a socket")?;
    if ready == 0 {
        bail!("nothing was taken for {SILENCE_LIMIT:?}");
    }
    Ok(interest.iter().map(|fd| !fd.revents().is_empty()).collect())
}

impl Turn<'_> {
    fn write(&mut self, block: &Block) -> Result<()> {
        let part = block.first(self.lines_left);
        let rest = part.get(self.offset..).unwrap_or_default();
        let piece = rest.get(..TURN_BYTES).unwrap_or(rest);
        match self.stream.write(piece) {
            Ok(written) => self.offset += written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("send lines"),
        }
        if self.offset == part.len() {
            self.lines_left -= self.lines_left.min(BLOCK_LINES);
            self.offset = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};
    use std::net::TcpListener;
    use std::thread;

    use flumen_tests::lines::{LINE_BYTES, LineCheck};

    use super::*;

    #[test]
    fn one_connection_sends_every_number_once_and_in_order() {
        let lines = 2 * BLOCK_LINES + 345;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let sender = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            send_numbered(&mut stream, Block::new(), lines, None).unwrap()
        });
        let mut check = LineCheck::new().expect_lane(0, lines);
        check
            .reader(&mut BufReader::new(listener.accept().unwrap().0))
            .unwrap();
        assert_eq!(sender.join().unwrap(), lines);
        let verdict = check.finish();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!(verdict.lines, lines);
    }

    #[test]
    fn no_block_is_begun_when_the_time_is_over() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut send = |seconds| send_numbered(&mut stream, Block::new(), 7, seconds).unwrap();
        assert_eq!(send(Some(0)), 0);
        assert_eq!(send(Some(60)), 7);
    }

    #[test]
    fn several_connections_share_the_lines() {
        let lines = 3 * BLOCK_LINES + 2;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut senders: Vec<_> = (0..3)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let readers: Vec<_> = (0..3)
            .map(|_| listener.accept().unwrap().0)
            .map(|mut stream| {
                thread::spawn(move || {
                    let mut bytes = Vec::new();
                    stream.read_to_end(&mut bytes).unwrap();
                    assert_eq!(bytes.len() % LINE_BYTES, 0);
                    assert_eq!(
                        bytes
                            .chunks(LINE_BYTES)
                            .filter(|l| !l.ends_with(b"\n"))
                            .count(),
                        0
                    );
                    bytes.len() / LINE_BYTES
                })
            })
            .collect();
        send_repeated(&mut senders, &Block::new(), lines).unwrap();
        drop(senders);
        let mut counts: Vec<_> = readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .collect();
        counts.sort_unstable();
        assert_eq!(counts, [10_000, 10_001, 10_001]);
    }
}
