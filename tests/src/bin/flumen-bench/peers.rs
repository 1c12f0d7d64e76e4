//! Other programs in row (a), for comparison on the same machine.
//!
//! Each variable `FLUMEN_BENCH_PEER_<NAME>` is a shell command that listens on the TCP port written
//! as `{port}`, reads lines, and drops them, for instance:
//!
//! ```text
//! FLUMEN_BENCH_PEER_FLUENTBIT='fluent-bit -q -i tcp -p port={port} -p format=none -o null'
//! ```
//!
//! A foreign program tells nobody when it has read the last line. Its end is taken from outside:
//! all lines are sent, and its process has used no processor time for a while. Its rate is thereby
//! known to the kernel's tick, and its time is that of the one process that the command becomes.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flumen_tests::wait::{PATIENCE, wait_for};
use flumen_tests::{ports, process};

use crate::helper::Helper;
use crate::throughput::{Sample, limit};

const VARIABLE_PREFIX: &str = "FLUMEN_BENCH_PEER_";
/// A program that used no processor time for so long has nothing left to do.
const QUIET: Duration = Duration::from_millis(500);

/// A program to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    command: String,
}

/// The peers that the environment names, in the order of their names.
pub(crate) fn from_environment() -> Vec<Peer> {
    let mut peers: Vec<Peer> = std::env::vars_os()
        .filter_map(|(name, command)| {
            let name = name.to_str()?.strip_prefix(VARIABLE_PREFIX)?.to_lowercase();
            Some(Peer {
                name,
                command: command.into_string().ok()?,
            })
        })
        .collect();
    peers.sort_by(|one, other| one.name.cmp(&other.name));
    peers
}

/// A process that ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has ended and was waited for, which is the aim.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Peer {
    /// One run: `lines` lines over one connection.
    pub(crate) fn run(&self, lines: u64) -> Result<Sample> {
        let port = ports::free_port()?;
        let command = self.command.replace("{port}", &port.to_string());
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let peer = Running(child.with_context(|| format!("start {command}"))?);
        let process_id = peer.0.id();
        wait_for(&format!("port {port} of {}", self.name), PATIENCE, || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        let mut generator = Helper::generator(port, lines, 1)?;
        let cpu_before = process::cpu_time(process_id)?;
        let begin = Instant::now();
        generator.go()?;
        let (_, generator_cpu) = generator.done()?;
        let (end, cpu) = quiet(process_id, &self.name, limit(lines))?;
        let cpu = cpu.saturating_sub(cpu_before);
        Ok(Sample::new(
            lines,
            end.duration_since(begin),
            cpu,
            generator_cpu,
        ))
    }
}

/// Waits until the process has been quiet for [`QUIET`]; tells when that began, and its processor
/// time.
fn quiet(process_id: u32, name: &str, limit: Duration) -> Result<(Instant, Duration)> {
    let mut last_cpu = process::cpu_time(process_id)?;
    let mut last_change = Instant::now();
    wait_for(&format!("{name} to be quiet"), limit, || {
        let cpu = process::cpu_time(process_id)?;
        if cpu != last_cpu {
            last_cpu = cpu;
            last_change = Instant::now();
        }
        Ok((last_change.elapsed() >= QUIET).then_some((last_change, last_cpu)))
    })
}
