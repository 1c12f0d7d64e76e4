//! One GET over a fresh connection to 127.0.0.1: what the tests of the metrics pages need.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// Longest silence of the server that is put up with.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// Longest reply that is read; a metrics page of thousands of components is below it.
const REPLY_BYTES_MAX: u64 = 64 << 20;

/// An answer of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The number in the status line.
    pub status: u16,
    /// The status line and the header lines, as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Sends a request with the given method and reads the reply to its end.
///
/// The request speaks HTTP/1.0, so that the reply is neither chunked nor kept open.
///
/// # Errors
/// When the connection fails, or the reply is not HTTP in UTF-8.
pub fn request(port: u16, method: &str, path: &str) -> Result<HttpReply> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("connect to the metrics port {port}"))?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    stream.write_all(format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream
        .take(REPLY_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("read the reply to {method} {path} on port {port}"))?;
    parse(&text).with_context(|| format!("understand the reply to {method} {path}"))
}

/// [`request`] with the method GET.
///
/// # Errors
/// Those of [`request`].
pub fn get(port: u16, path: &str) -> Result<HttpReply> {
    request(port, "GET", path)
}

fn parse(text: &str) -> Result<HttpReply> {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .context("no end of the header lines")?;
    let status = head.split_ascii_whitespace().nth(1).context("no status")?;
    Ok(HttpReply {
        status: status.parse().context("status is not a number")?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_reply_apart() {
        let reply = parse("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\ngone").unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (404, "gone"));
        assert!(reply.head.contains("A: b"));
    }

    #[test]
    fn refuses_what_is_not_http() {
        assert!(parse("hello").is_err());
        assert!(parse("HTTP/1.1\r\n\r\n").is_err());
    }
}
