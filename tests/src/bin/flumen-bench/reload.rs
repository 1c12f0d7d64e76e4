//! Row (h): reloads under a steady load.
//!
//! One connection sends 20 000 acknowledged lines a second into file_roll. For the first seconds
//! nothing happens: the longest wait for an answer then is the machine's own unrest. After that the
//! configuration is replaced again and again: a second channel with a sink comes and goes, and with
//! it, every other time, an interceptor. Each reload is watched until it has taken effect, that is,
//! until the counters of the second channel appear or disappear.
//!
//! The gap is seen from the client: the longest time between the write of a line and its answer.
//! A source that stands still shows in it, whatever the reason. Afterwards the files are read back:
//! every line once, in order. The connection is the same from the first line to the last, and any
//! answer but `OK` fails the row.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use flumen_tests::agent::Agent;
use flumen_tests::lines::{LineCheck, Verdict};
use flumen_tests::sender::read_acknowledgement;
use flumen_tests::wait::{METRICS_PAUSE, PATIENCE, wait_for_every};

use crate::arguments::Arguments;
use crate::flow::{Flow, Sink};
use crate::table::{Aim, Table, Unit};
use crate::throughput::{start, stop};

/// The steady load: so many lines every [`TICK`] make 20 000 a second.
const LINES_PER_TICK: u64 = 20;
/// The step of the load. Within a step the lines are written at once.
const TICK: Duration = Duration::from_millis(1);
/// Time between two replacements of the configuration.
const RELOAD_INTERVAL: Duration = Duration::from_millis(100);
/// Seconds without and with reloads.
const SECONDS: (u64, u64) = (5, 20);
/// The same, when the benchmark only shows that it works.
const SECONDS_QUICK: (u64, u64) = (1, 3);
/// Longest wait for an answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// When each line was written and answered, in nanoseconds since the beginning.
struct Log {
    begin: Instant,
    /// Fixed before the start: the sender stores, the receiver loads after the answer.
    written_nanos: Vec<AtomicU64>,
}

impl Log {
    fn new(lines: u64) -> Self {
        Self {
            begin: Instant::now(),
            written_nanos: (0..lines).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn now_nanos(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What one run showed.
struct Outcome {
    /// Waits for answers without and with reloads, in nanoseconds.
    quiet: Vec<u64>,
    reloading: Vec<u64>,
    /// How long each reload took until it was seen.
    reloads: Vec<Duration>,
    verdict: Verdict,
}

/// The row, one run for each binary.
pub(crate) fn row(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let (quiet_seconds, reload_seconds) = if arguments.quick {
        SECONDS_QUICK
    } else {
        SECONDS
    };
    for (place, binary) in arguments.binaries.iter().enumerate() {
        let outcome = run(binary, quiet_seconds, reload_seconds)?;
        figures(table, &arguments.label(place), &outcome);
        if !outcome.verdict.is_clean() {
            bail!("the output is not what was sent: {:?}", outcome.verdict);
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people; counts are below 2^52"
)]
fn figures(table: &mut Table, name: &str, outcome: &Outcome) {
    let verdict = &outcome.verdict;
    let mut add = |what: &str, unit, aim, value| {
        table.add('h', &format!("{name}, {what}"), unit, aim, value);
    };
    let none = Aim::AtMost(0.0);
    add("lines seen", Unit::Count, Aim::None, verdict.lines as f64);
    add("lost", Unit::Count, none, verdict.lost as f64);
    add("doubled", Unit::Count, none, verdict.doubled as f64);
    add(
        "out of order or strange",
        Unit::Count,
        none,
        (verdict.disordered + verdict.strange) as f64,
    );
    add(
        "reloads seen to take effect",
        Unit::Count,
        Aim::None,
        outcome.reloads.len() as f64,
    );
    for reload in &outcome.reloads {
        add(
            "replaced file to effect",
            Unit::Millis,
            Aim::None,
            reload.as_secs_f64() * 1e3,
        );
    }
    let waits = |all: &[u64], share: f64| nearest_rank(all, share) as f64 / 1e6;
    let (quiet, reloading) = (&outcome.quiet, &outcome.reloading);
    add(
        "99.9 % of answers, quiet",
        Unit::Millis,
        Aim::None,
        waits(quiet, 0.999),
    );
    add(
        "99.9 % of answers, reloading",
        Unit::Millis,
        Aim::None,
        waits(reloading, 0.999),
    );
    add(
        "longest answer, quiet",
        Unit::Millis,
        Aim::None,
        waits(quiet, 1.0),
    );
    add(
        "longest answer, reloading",
        Unit::Millis,
        Aim::AtMost(5.0),
        waits(reloading, 1.0),
    );
}

/// The value that the given share of all values does not exceed; 0 when there are none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank of a list in memory"
)]
pub(crate) fn nearest_rank(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

fn run(binary: &Path, quiet_seconds: u64, reload_seconds: u64) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("make a folder for the output")?;
    let flow = |port| Flow {
        acknowledge: true,
        ..Flow::new(port, Sink::FileRoll(folder.path()))
    };
    let (mut agent, port) = start(binary, flow)?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;

    let lines_per_second = LINES_PER_TICK * 1000;
    let quiet_lines = quiet_seconds * lines_per_second;
    let lines = quiet_lines + reload_seconds * lines_per_second;
    let log = Log::new(lines);
    let over = AtomicBool::new(false);
    let (mut waits, reloads) = thread::scope(|scope| {
        let sender = scope.spawn(|| send(&stream, &log, lines));
        let receiver = scope.spawn(|| receive(&stream, &log, lines, &over));
        let from = log.begin + Duration::from_secs(quiet_seconds);
        let reloads = replace_repeatedly(&agent, flow(port), from, &over);
        if reloads.is_err() {
            // Ends both threads, which would otherwise go on until the last line.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let sent = sender.join().map_err(|_| anyhow!("the sender panicked"))?;
        let waits = receiver
            .join()
            .map_err(|_| anyhow!("the receiver panicked"))?;
        let reloads = reloads?;
        sent?;
        anyhow::Ok((waits?, reloads))
    })?;
    drop(stream);
    stop(&mut agent)?;

    let mut check = LineCheck::new().expect_lane(0, lines);
    check.folder(folder.path())?;
    let reloading = waits.split_off(usize::try_from(quiet_lines)?.min(waits.len()));
    Ok(Outcome {
        quiet: waits,
        reloading,
        reloads,
        verdict: check.finish(),
    })
}

/// Sends numbered lines at the steady rate. When a step comes late, the following ones catch up.
fn send(mut stream: &TcpStream, log: &Log, lines: u64) -> Result<()> {
    let mut text = String::new();
    let mut due = log.begin;
    for number in 0..lines {
        if number % LINES_PER_TICK == 0 {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due += TICK;
        }
        if let Some(written) = usize::try_from(number)
            .ok()
            .and_then(|n| log.written_nanos.get(n))
        {
            written.store(log.now_nanos(), Ordering::Release);
        }
        text.push_str(&format!("{number:012} {:.<186}\n", ""));
        if number % LINES_PER_TICK == LINES_PER_TICK - 1 {
            stream
                .write_all(text.as_bytes())
                .context("the connection was not kept")?;
            text.clear();
        }
    }
    Ok(())
}

/// Reads the answers; returns the wait for each.
fn receive(stream: &TcpStream, log: &Log, lines: u64, over: &AtomicBool) -> Result<Vec<u64>> {
    let mut reader = BufReader::new(stream);
    let mut waits = Vec::with_capacity(usize::try_from(lines)?);
    let received = log.written_nanos.iter().try_for_each(|written| {
        read_acknowledgement(&mut reader)?;
        waits.push(
            log.now_nanos()
                .saturating_sub(written.load(Ordering::Acquire)),
        );
        Ok(())
    });
    over.store(true, Ordering::Release);
    received.map(|()| waits)
}

/// Replaces the configuration until the lines are over; returns how long each reload took.
fn replace_repeatedly(
    agent: &Agent,
    base: Flow<'_>,
    from: Instant,
    over: &AtomicBool,
) -> Result<Vec<Duration>> {
    let mut reloads = Vec::new();
    let mut due = from;
    for turn in 1_u64.. {
        while Instant::now() < due {
            if over.load(Ordering::Acquire) {
                return Ok(reloads);
            }
            thread::sleep(
                due.saturating_duration_since(Instant::now())
                    .min(RELOAD_INTERVAL),
            );
        }
        if over.load(Ordering::Acquire) {
            break;
        }
        let next = Flow {
            second_sink: turn % 2 == 1,
            timestamp: turn % 4 >= 2,
            ..base
        };
        let begin = Instant::now();
        agent.replace_config(&next.properties())?;
        let what = format!(
            "reload {turn}: channel c2 to {}",
            if next.second_sink { "come" } else { "go" }
        );
        wait_for_every(METRICS_PAUSE, &what, PATIENCE, || {
            let seen = agent.metrics()?.has("CHANNEL.c2") == next.second_sink;
            Ok(seen.then_some(()))
        })
        .with_context(|| format!("the agent printed:\n{}", agent.output().tail()))?;
        reloads.push(begin.elapsed());
        due += RELOAD_INTERVAL;
    }
    Ok(reloads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_is_that_of_the_share() {
        let values: Vec<u64> = (1..=1000).rev().collect();
        assert_eq!(nearest_rank(&values, 1.0), 1000);
        assert_eq!(nearest_rank(&values, 0.999), 999);
        assert_eq!(nearest_rank(&[], 1.0), 0);
    }
}
