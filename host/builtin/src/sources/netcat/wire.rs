//! The socket of one connection: reads that do not wait, writes that wait within bounds.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::buffer::BUFFER_BYTES;

/// How long a client that does not read its answers may hold up a source that drains.
const DRAIN_ANSWER_WAIT: Duration = Duration::from_secs(1);

/// How long, and for how many bytes, a connection that is closed for cause goes on discarding what
/// the client sends: a socket that is closed with unread bytes resets, and the reset may reach the
/// client before it has read why.
const LINGER_WAIT: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that are discarded at a time.
const DISCARD_BYTES: usize = 16 * 1024;

/// Lines answered at once from which a client counts as one that sends bursts.
pub(super) const BURST_LINES_MIN: usize = 16;

/// How often the socket of such a client is looked at, other tasks between, before it is waited for:
/// a client on this machine sends its next burst some 20 us after its answers, and being woken takes as
/// long again.
const BURST_LOOKS_MAX: usize = 32;

/// A read of this many bytes makes it likely that more are there by the time they are dealt with.
const FLOOD_BYTES_MIN: usize = BUFFER_BYTES / 8;

/// The socket of one connection. A drain of the source cuts every wait of it short.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    draining: watch::Receiver<bool>,
    /// Whether the last read was a large one.
    floods: bool,
}

impl Wire {
    /// Lets other tasks run for as long as the next burst of a client may still come at once.
    pub(super) async fn look_again(&self) -> io::Result<()> {
        for _ in 0..BURST_LOOKS_MAX {
            tokio::select! {
                biased;
                ready = self.stream.readable() => return ready,
                () = tokio::task::yield_now() => {}
            }
        }
        Ok(())
    }

    /// `draining` becomes true once, when the source drains.
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        draining: watch::Receiver<bool>,
    ) -> Self {
        Self {
            stream,
            peer,
            draining,
            floods: false,
        }
    }

    /// Reads once, without waiting.
    ///
    /// A client that sends little at a time is read through the runtime, which notes from a short
    /// read that the socket is empty, so that no second call to the kernel finds nothing. One that
    /// sends a flood has more by the time its lines are delivered: there the short read is not
    /// noted, and the next read spares the way through the runtime's poll.
    pub(super) async fn fill(&mut self, room: &mut [u8]) -> (usize, Option<io::Result<()>>) {
        let read = if self.floods {
            self.stream.try_read(room)
        } else {
            self.read_and_note(room).await
        };
        match read {
            Ok(0) => (0, Some(Ok(()))),
            Ok(filled) => {
                self.floods = filled >= FLOOD_BYTES_MIN;
                (filled, None)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => (0, None),
                _ => (0, Some(Err(error))),
            },
        }
    }

    async fn read_and_note(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(room);
        poll_fn(|context| {
            let stream = Pin::new(&mut self.stream);
            Poll::Ready(match stream.poll_read(context, &mut buffer) {
                Poll::Ready(read) => read,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            })
        })
        .await?;
        Ok(buffer.filled().len())
    }

    /// Writes all of it. While the source drains, a client that does not read is not waited for
    /// for long.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match self.stream.try_write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let rest = bytes.get(written..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        let Self {
            stream, draining, ..
        } = self;
        let overdue = async {
            let _ = draining.wait_for(|draining| *draining).await;
            tokio::time::sleep(DRAIN_ANSWER_WAIT).await;
        };
        tokio::select! {
            written = stream.write_all(rest) => written,
            () = overdue => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Ends our side and lets the client read what it was told.
    pub(super) async fn linger(&mut self) {
        let Self {
            stream, draining, ..
        } = self;
        if stream.shutdown().await.is_err() {
            return;
        }
        let client_ends = async {
            let mut left = LINGER_BYTES_MAX;
            while left > 0 && stream.readable().await.is_ok() {
                match discard(stream) {
                    Ok(0) => return,
                    Ok(bytes) => left = left.saturating_sub(bytes),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        tokio::select! {
            () = client_ends => {}
            () = tokio::time::sleep(LINGER_WAIT) => {}
            _ = draining.wait_for(|draining| *draining) => {}
        }
    }
}

/// Apart, so that its bytes are no part of a connection's task.
fn discard(stream: &TcpStream) -> io::Result<usize> {
    stream.try_read(&mut [0; DISCARD_BYTES])
}
