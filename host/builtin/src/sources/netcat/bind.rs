//! From the options to a listening socket.

use std::io;
use std::net::SocketAddr;

use flumen_core::{Fault, Side};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted. The kernel cuts it to its own bound; below it a burst
/// of clients after a restart of this side would be refused.
const BACKLOG: u32 = 4096;

/// The addresses of a host name or an address, IPv4 first, as Java orders them.
pub(super) async fn resolve(bind: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    let found = tokio::net::lookup_host((bind, port))
        .await
        .map_err(|error| {
            let message = format!(
                "cannot find the address of {bind:?} to listen on; correct the option bind"
            );
            Fault::transient(Side::Operator, message).with_cause(error)
        })?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

/// Listens on the first address that can be bound.
pub(super) fn listen(
    addresses: &[SocketAddr],
    bind: &str,
    port: u16,
) -> Result<TcpListener, Fault> {
    let mut last = None;
    for address in addresses {
        match listen_on(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some((*address, error)),
        }
    }
    Err(match last {
        Some((address, error)) => cannot_listen(address, error),
        None => Fault::transient(
            Side::Operator,
            format!("host name {bind:?} has no address to listen on port {port}"),
        ),
    })
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for connections of the last run that linger in the kernel.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> Fault {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program or another source listens there: stop it or choose another port"
        }
        io::ErrorKind::PermissionDenied => {
            "; choose a port from 1024 on, or grant the right to bind lower ones"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; the address is none of this machine's: correct the option bind"
        }
        _ => "",
    };
    Fault::transient(
        Side::Operator,
        format!("cannot listen on {address}{remedy}"),
    )
    .with_cause(error)
}
