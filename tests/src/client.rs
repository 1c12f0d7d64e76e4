//! A client that speaks raw bytes to a listener on 127.0.0.1 and reads its answers by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longest silence of the other side that is put up with.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("connect to port {port}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_LIMIT))?;
        stream.set_write_timeout(Some(SILENCE_LIMIT))?;
        let answers = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, answers })
    }

    /// Sends bytes, with nothing added.
    ///
    /// # Errors
    /// When the connection fails, or the other side takes nothing for a minute.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("send")
    }

    /// Sends bytes and a line feed, and reads one line of answer.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`answer`](Self::answer).
    pub fn ask(&mut self, line: impl AsRef<[u8]>) -> Result<String> {
        let mut bytes = line.as_ref().to_vec();
        bytes.push(b'\n');
        self.send(&bytes)?;
        self.answer()
    }

    /// Reads one line of answer, without its line feed.
    ///
    /// # Errors
    /// When none comes within a minute, or the connection ends before its line feed.
    pub fn answer(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.answers
            .read_until(b'\n', &mut line)
            .context("read an answer")?;
        if line.pop() != Some(b'\n') {
            bail!("the connection ended where an answer was due");
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Says that nothing more will be sent, and reads all answers until the other side closes.
    ///
    /// # Errors
    /// When the connection fails, or the other side stays silent for a minute.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.stream.shutdown(Shutdown::Write)?;
        self.rest()
    }

    /// Reads all answers until the other side closes, without closing this side.
    ///
    /// # Errors
    /// When the connection fails, or the other side stays silent for a minute.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.answers
            .read_to_end(&mut bytes)
            .context("read until the other side closes")?;
        Ok(bytes)
    }

    /// The connection, for what this type does not do.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn asks_and_reads_to_the_end() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"OK\nmore").unwrap();
            let mut sent = Vec::new();
            stream.read_to_end(&mut sent).unwrap();
            sent
        });
        let mut client = Client::connect(port).unwrap();
        assert_eq!(client.ask("hello").unwrap(), "OK");
        client.send(b"\xff").unwrap();
        let stream = client.stream().try_clone().unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), port);
        drop(stream);
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.join().unwrap(), b"hello\n\xff");
        assert_eq!(client.rest().unwrap(), b"more");
        assert!(client.answer().is_err());
    }
}
