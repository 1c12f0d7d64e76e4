//! The limit: a plain program that reads sockets into a fixed buffer and counts line ends with
//! memchr. It does nothing with the lines; no agent can be faster on the same machine.
//!
//! With one connection it keeps to the first processor, away from the generator, which keeps to the
//! last: the limit is that of a machine whose kernel has placed both well.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::helper::{Processor, keep_to_processor, own_cpu_time};

/// The sub-command: listens, says `ready PORT`, counts to the end of all connections, says
/// `done LINES CPU_NANOS`.
pub(crate) fn run(buffer_bytes: usize, connections: usize) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
    println!("ready {}", listener.local_addr()?.port());
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(listener.accept().context("accept")?.0);
    }
    if connections == 1 {
        keep_to_processor(Processor::First)?;
    }
    let cpu_before = own_cpu_time();
    let lines = count_all(streams, buffer_bytes)?;
    println!("done {lines} {}", (own_cpu_time() - cpu_before).as_nanos());
    Ok(())
}

/// Counts the lines of all streams; the first on this thread, each other on its own.
fn count_all(streams: Vec<TcpStream>, buffer_bytes: usize) -> Result<u64> {
    let mut streams = streams.into_iter();
    let first = streams.next().context("no connection")?;
    let others: Vec<_> = streams
        .map(|stream| thread::spawn(move || count(stream, buffer_bytes)))
        .collect();
    let mut lines = count(first, buffer_bytes)?;
    for other in others {
        lines += other
            .join()
            .map_err(|_| anyhow!("a reading thread panicked"))??;
    }
    Ok(lines)
}

/// Counts the line ends up to the end of the stream.
fn count(mut stream: impl Read, buffer_bytes: usize) -> Result<u64> {
    let mut buffer = vec![0; buffer_bytes];
    let mut lines = 0;
    loop {
        let length = stream.read(&mut buffer).context("read lines")?;
        if length == 0 {
            return Ok(lines);
        }
        let read = buffer.get(..length).unwrap_or_default();
        // Found one by one, as any reader must that keeps the lines: memchr's own count would be
        // faster, and no limit for anybody.
        lines += u64::try_from(
            memchr::memchr_iter(b'\n', read)
                .map(std::hint::black_box)
                .count(),
        )?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn counts_line_ends_across_small_buffers() {
        let text = b"one\ntwo\n\nno end";
        for buffer_bytes in 1..20 {
            assert_eq!(count(&text[..], buffer_bytes).unwrap(), 3);
        }
    }

    #[test]
    fn counts_several_connections() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut streams = Vec::new();
        for _ in 0..3 {
            TcpStream::connect(address)
                .unwrap()
                .write_all(b"a\nb\n")
                .unwrap();
            streams.push(listener.accept().unwrap().0);
        }
        assert_eq!(count_all(streams, 1024).unwrap(), 6);
    }
}
