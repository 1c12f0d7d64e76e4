//! Other programs in rows (a) and (o), for comparison on the same machine.
//!
//! Each variable `FLUMEN_BENCH_PEER_<NAME>` is a shell command that listens on the TCP port written
//! as `{port}`, reads lines, and drops them, for instance:
//!
//! ```text
//! FLUMEN_BENCH_PEER_FLUENTBIT='fluent-bit -q -i tcp -p port={port} -p format=none -o null'
//! ```
//!
//! That is row (a). `FLUMEN_BENCH_DURABLE_PEER_<NAME>` is the same for row (o): what the program
//! keeps on disk it keeps in the folder written as `{folder}`, which is new and empty, and on the
//! disk of flumen's own.
//!
//! A foreign program tells nobody when it has read the last line. Its end is taken from outside:
//! all lines are sent, and its process has used no processor time for a while. Its rate is thereby
//! known to the kernel's tick, and its time is that of the one process that the command becomes.
//!
//! Some are slower than flumen by two orders of magnitude: in row (o) lines are sent for a bounded
//! time, and the rate is that of the lines that were sent by then.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flumen_tests::wait::{PATIENCE, wait_for};
use flumen_tests::{ports, process};

use crate::helper::{Helper, Load};
use crate::throughput::{Sample, limit, mebibytes};

const VARIABLE_PREFIX: &str = "FLUMEN_BENCH_PEER_";
const DURABLE_VARIABLE_PREFIX: &str = "FLUMEN_BENCH_DURABLE_PEER_";
/// A program that used no processor time for so long has nothing left to do.
const QUIET: Duration = Duration::from_millis(500);
/// How long a program may go on with what lies in its sockets and queues when the time for sending
/// is over.
const REST_LIMIT: Duration = Duration::from_secs(240);

/// A program to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    command: String,
}

/// The peers of row (a) that the environment names, in the order of their names.
pub(crate) fn from_environment() -> Vec<Peer> {
    named(VARIABLE_PREFIX, environment())
}

/// Those of row (o).
pub(crate) fn durable_from_environment() -> Vec<Peer> {
    named(DURABLE_VARIABLE_PREFIX, environment())
}

/// The variables that are text.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The peers whose variables begin so.
fn named(prefix: &str, variables: impl Iterator<Item = (String, String)>) -> Vec<Peer> {
    let mut peers: Vec<Peer> = variables
        .filter_map(|(variable, command)| {
            let name = variable.strip_prefix(prefix)?.to_lowercase();
            Some(Peer { name, command })
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
    /// One run of row (a): `lines` lines over one connection.
    pub(crate) fn run(&self, lines: u64) -> Result<Sample> {
        let load = Load::new(lines, 1);
        self.measured(None, load, limit(lines))
    }

    /// One run of row (o): at most so many lines, sent for at most so many seconds, over one
    /// connection.
    pub(crate) fn durable_run(&self, folder: &Path, lines: u64, seconds: u64) -> Result<Sample> {
        let load = Load {
            seconds: Some(seconds),
            ..Load::new(lines, 1)
        };
        self.measured(Some(folder), load, REST_LIMIT)
    }

    /// The command, with its places filled in.
    fn command(&self, port: u16, folder: Option<&Path>) -> String {
        let command = self.command.replace("{port}", &port.to_string());
        match folder {
            Some(folder) => command.replace("{folder}", &folder.display().to_string()),
            None => command,
        }
    }

    fn start(&self, port: u16, folder: Option<&Path>) -> Result<Running> {
        let command = self.command(port, folder);
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let peer = Running(child.with_context(|| format!("start {command}"))?);
        wait_for(&format!("port {port} of {}", self.name), PATIENCE, || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        Ok(peer)
    }

    fn measured(&self, folder: Option<&Path>, load: Load, rest: Duration) -> Result<Sample> {
        let port = ports::free_port()?;
        let peer = self.start(port, folder)?;
        let process_id = peer.0.id();
        let mut generator = Helper::generator(port, load)?;
        let cpu_before = process::cpu_time(process_id)?;
        let begin = Instant::now();
        generator.go()?;
        let (lines, generator_cpu) = generator.done()?;
        let (end, cpu) = quiet(process_id, &self.name, rest)?;
        let cpu = cpu.saturating_sub(cpu_before);
        let peak = process::peak_resident_bytes(process_id)?;
        let wall = end.duration_since(begin);
        Ok(Sample {
            peak_mebibytes: Some(mebibytes(peak)),
            ..Sample::new(lines, wall, cpu, generator_cpu)
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> impl Iterator<Item = (String, String)> {
        [
            ("FLUMEN_BENCH_PEER_SIEVE", "sieve {port}"),
            ("FLUMEN_BENCH_DURABLE_PEER_Z", "z {port} {folder}"),
            ("FLUMEN_BENCH_DURABLE_PEER_BARREL", "barrel {folder}/{port}"),
            ("FLUMEN_BENCH", "no peer"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
    }

    #[test]
    fn each_row_has_its_own_peers_in_the_order_of_their_names() {
        let names = |prefix| {
            let peers = named(prefix, variables()).into_iter();
            peers.map(|peer| peer.name).collect::<Vec<_>>()
        };
        assert_eq!(names(VARIABLE_PREFIX), ["sieve"]);
        assert_eq!(names(DURABLE_VARIABLE_PREFIX), ["barrel", "z"]);
    }

    #[test]
    fn a_command_is_told_its_port_and_its_folder() {
        let peers = named(DURABLE_VARIABLE_PREFIX, variables());
        let command = peers[0].command(7, Some(Path::new("/data")));
        assert_eq!(command, "barrel /data/7");
        assert_eq!(peers[1].command(7, None), "z 7 {folder}");
    }

    #[test]
    fn a_program_is_started_on_its_port_and_with_its_folder() {
        let peer = Peer {
            name: "perl".to_owned(),
            command: "perl -MIO::Socket::INET -e 'open $f, \">\", \"{folder}/lines\"; $l = \
                      IO::Socket::INET->new(Listen => 5, LocalPort => {port}, ReuseAddr => 1) or \
                      die; while ($s = $l->accept) { while (<$s>) { print $f $_ } $f->flush }'"
                .to_owned(),
        };
        let folder = tempfile::tempdir().unwrap();
        let _running = peer
            .start(ports::free_port().unwrap(), Some(folder.path()))
            .unwrap();
        assert!(folder.path().join("lines").is_file());
    }
}
