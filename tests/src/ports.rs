//! Free TCP ports for agents under test.
//!
//! The ports lie below the range from which the kernel picks the local ends of outgoing
//! connections, so that a client of one test cannot take the port that another is about to bind.
//! Two test processes start at different places of the range. What remains is a small race: the
//! port is free when it is handed out, and is not held until the agent binds it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// The first port that is handed out; above the well-known ones.
const FIRST_PORT: u16 = 15_000;
/// How many follow; the last stays below 32768, where Linux begins its ephemeral range.
const PORT_COUNT: u16 = 17_000;
/// Spreads processes with neighbouring ids over the range: a prime that does not divide the count.
const PROCESS_STRIDE: u32 = 211;

/// How many ports this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 that nothing listens on and that this process has not handed out lately.
///
/// # Errors
/// When every port of the range is taken.
pub fn free_port() -> Result<u16> {
    let start = std::process::id().wrapping_mul(PROCESS_STRIDE);
    for _ in 0..PORT_COUNT {
        let turn = TRIED.fetch_add(1, Ordering::Relaxed);
        let offset = u16::try_from(start.wrapping_add(turn) % u32::from(PORT_COUNT))?;
        let port = FIRST_PORT + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!(
        "no port between {FIRST_PORT} and {} is free",
        FIRST_PORT + PORT_COUNT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_different_ports_that_can_be_bound() {
        let one = free_port().unwrap();
        let other = free_port().unwrap();
        assert_ne!(one, other);
        TcpListener::bind((Ipv4Addr::LOCALHOST, one)).unwrap();
        TcpListener::bind((Ipv4Addr::LOCALHOST, other)).unwrap();
    }

    #[test]
    fn passes_over_a_port_that_is_taken() {
        let port = free_port().unwrap();
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let others: Vec<u16> = (0..3).map(|_| free_port().unwrap()).collect();
        assert!(!others.contains(&port));
    }
}
