//! What a program has been sent and has not read yet, as the kernel counts it.

use std::fs;

use anyhow::{Context, Result};
use flumen_tests::lines::LINE_BYTES;

/// The kernel's word for a connection that is open.
const ESTABLISHED: &str = "01";

/// Lines that lie in the sockets of the connections to this port of this machine, in part or whole.
///
/// # Errors
/// When `/proc` does not speak as expected.
pub(super) fn lines(port: u16) -> Result<u64> {
    let mut bytes = 0;
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
        bytes += queued(&table, port).with_context(|| format!("no connections in {path}"))?;
    }
    Ok(bytes.div_ceil(LINE_BYTES as u64))
}

/// Bytes of one table: those that lie at this port, and those on the way to it.
fn queued(table: &str, port: u16) -> Option<u64> {
    let is_port = |address: &str| {
        let hex = address.rsplit_once(':').map(|(_, hex)| hex);
        hex.is_some_and(|hex| u16::from_str_radix(hex, 16) == Ok(port))
    };
    let mut bytes = 0;
    for line in table.lines().skip(1) {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (fields.next()?, fields.next()?);
        let (state, queues) = (fields.next()?, fields.next()?);
        let (sending, received) = queues.split_once(':')?;
        if state == ESTABLISHED && is_port(local) {
            bytes += u64::from_str_radix(received, 16).ok()?;
        }
        if state == ESTABLISHED && is_port(remote) {
            bytes += u64::from_str_radix(sending, 16).ok()?;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_lies_in_the_sockets_is_counted_until_it_is_read() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut server = listener.accept().unwrap().0;
        client.write_all(&[b'x'; 3 * LINE_BYTES]).unwrap();
        assert_eq!(lines(port).unwrap(), 3);
        server.read_exact(&mut [0; 2 * LINE_BYTES]).unwrap();
        assert_eq!(lines(port).unwrap(), 1);
    }

    #[test]
    fn other_ports_and_listeners_do_not_count() {
        let table = "head\n 0: 0100007F:0007 00000000:0000 0A 00000001:00000009\n \
                     1: 0100007F:0008 0100007F:0009 01 00000010:00000020\n";
        assert_eq!(queued(table, 7), Some(0));
        assert_eq!(queued(table, 8), Some(0x20));
        assert_eq!(queued(table, 9), Some(0x10));
        assert_eq!(queued("head\n 0: nothing", 9), None);
    }
}
