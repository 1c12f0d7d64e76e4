//! The command line of the benchmark.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};
use flumen_tests::binary;
use lexopt::prelude::{Long, Short, Value, ValueExt};

use crate::helper::Load;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
usage: flumen-bench [ROWS] [FLAGS]

ROWS                letters of the rows to run, such as abh; all of them by default
  a  TCP to null, one connection, beside a raw reader      e  acknowledged lines
  b  TCP to file_roll, output checked                      f  start and stop
  c  a filter that drops half                              g  memory
  d  64 connections instead of one                         h  reload under load
  i  every body touched by a guest                         l  swaps of a guest at full load
  j  a guest's filter beside the built-in one              m  start and memory with guests
  k  guest sink, guest source                              n  a guest that loops, and its neighbour
  o  the file channel, synced
--rows a,b          the same
--binary PATH       the flumen binary; given twice, the two are compared in turn
                    (default: FLUMEN_BINARY, or what cargo builds in this profile)
--rounds N          rounds of each row (5)
--lines N           lines of a run of the rows a to d and i to k (20 million; b, c and i to k: a quarter of N)
--quick             one round of a tenth of the lines: to see that it works
--buffer-kib N      read buffer of the raw reader (128)
--peer-seconds N    for so long lines are sent to another program in row (o), at most (20)

FLUMEN_BENCH_PEER_<NAME>='command with {port}' runs another program in row (a).
FLUMEN_BENCH_DURABLE_PEER_<NAME>='command with {port} and {folder}' runs one in row (o).

flumen-bench generate --port N --lines N [--connections N]     the line generator alone
                      [--seconds N]                            (one connection, so long at most)
flumen-bench raw-reader [--buffer-kib N] [--connections N]     the raw reader alone";

/// Rounds of each row, for a median that one disturbed run does not move.
const ROUNDS: usize = 5;
/// Lines of a run: at the speed of the raw reader more than a second, so that the ticks in which
/// the kernel counts processor time do not matter.
const LINES: u64 = 20_000_000;
/// Fewest lines of a run; below, starting up is what would be measured.
const LINES_MIN: u64 = 1_000;
/// Default read buffer of the raw reader: large enough that system calls do not count, small enough
/// to stay in the cache of a core. `--buffer-kib` tries another.
const RAW_BUFFER_KIB: usize = 128;
/// So long lines are sent to another program in row (o): some do a hundredth of what flumen does.
const PEER_SECONDS: u64 = 20;
/// Most connections of the generator.
const CONNECTIONS_MAX: usize = 64;

/// What this process is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Print [`HELP`].
    Help,
    /// Send lines; started by the benchmark.
    Generate { port: u16, load: Load },
    /// Read lines; started by the benchmark.
    RawReader {
        buffer_bytes: usize,
        connections: usize,
    },
    /// Measure.
    Benchmark(Arguments),
}

/// What to measure, and how long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) rows: Vec<Row>,
    pub(crate) binaries: Vec<PathBuf>,
    pub(crate) rounds: usize,
    pub(crate) lines: u64,
    pub(crate) quick: bool,
    pub(crate) raw_buffer_bytes: usize,
    pub(crate) peer_seconds: u64,
}

impl Arguments {
    /// How a binary is called in the table: flumen, or its path when there are several.
    pub(crate) fn label(&self, place: usize) -> String {
        match self.binaries.get(place) {
            Some(path) if self.binaries.len() > 1 => path.display().to_string(),
            _ => "flumen".to_owned(),
        }
    }
}

/// A row of the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    Null,
    FileRoll,
    Filter,
    Connections,
    Acknowledged,
    StartStop,
    Memory,
    Reload,
    GuestTouch,
    GuestFilter,
    GuestEnds,
    GuestSwap,
    GuestIdle,
    GuestLoop,
    Durable,
}

impl Row {
    const ALL: [(char, Self); 15] = [
        ('a', Self::Null),
        ('b', Self::FileRoll),
        ('c', Self::Filter),
        ('d', Self::Connections),
        ('e', Self::Acknowledged),
        ('f', Self::StartStop),
        ('g', Self::Memory),
        ('h', Self::Reload),
        ('i', Self::GuestTouch),
        ('j', Self::GuestFilter),
        ('k', Self::GuestEnds),
        ('l', Self::GuestSwap),
        ('m', Self::GuestIdle),
        ('n', Self::GuestLoop),
        ('o', Self::Durable),
    ];
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(_, row)| row == self);
        write!(formatter, "{}", found.map_or('?', |(letter, _)| *letter))
    }
}

/// Reads the command line.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Run> {
    let mut given = Given::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Run::Help),
            Long("rows") => rows(&parser.value()?.string()?, &mut given.rows)?,
            Long("binary") => given.binaries.push(parser.value()?.into()),
            Long("rounds") => given.rounds = Some(parser.value()?.parse()?),
            Long("lines") => given.lines = Some(parser.value()?.parse()?),
            Long("quick") => given.quick = true,
            Long("buffer-kib") => given.buffer_kib = Some(parser.value()?.parse()?),
            Long("port") => given.port = Some(parser.value()?.parse()?),
            Long("seconds") => given.seconds = Some(parser.value()?.parse()?),
            Long("peer-seconds") => given.peer_seconds = Some(parser.value()?.parse()?),
            Long("connections") => given.connections = Some(parser.value()?.parse()?),
            Value(word) if word == "generate" || word == "raw-reader" => {
                given.helper = Some(word.string()?);
            }
            Value(word) => rows(&word.string()?, &mut given.rows)?,
            other => return Err(other.unexpected().into()),
        }
    }
    given.run()
}

#[derive(Debug, Default)]
struct Given {
    helper: Option<String>,
    rows: Vec<Row>,
    binaries: Vec<PathBuf>,
    rounds: Option<usize>,
    lines: Option<u64>,
    quick: bool,
    buffer_kib: Option<usize>,
    port: Option<u16>,
    connections: Option<usize>,
    seconds: Option<u64>,
    peer_seconds: Option<u64>,
}

impl Given {
    fn run(self) -> Result<Run> {
        let connections = self.connections.unwrap_or(1);
        if !(1..=CONNECTIONS_MAX).contains(&connections) {
            bail!("--connections must be 1 to {CONNECTIONS_MAX}");
        }
        let buffer_bytes = self.buffer_kib.unwrap_or(RAW_BUFFER_KIB) * 1024;
        if buffer_bytes == 0 {
            bail!("--buffer-kib must be at least 1");
        }
        match (self.helper.as_deref(), self.port, self.lines) {
            (None, _, _) => self.benchmark(buffer_bytes),
            (Some("raw-reader"), _, _) => Ok(Run::RawReader {
                buffer_bytes,
                connections,
            }),
            (Some(_), Some(port), Some(lines)) => {
                if self.seconds.is_some() && connections > 1 {
                    bail!("--seconds is for one connection");
                }
                let load = Load {
                    lines,
                    connections,
                    seconds: self.seconds,
                };
                Ok(Run::Generate { port, load })
            }
            (Some(_), _, _) => bail!("generate needs --port and --lines"),
        }
    }

    fn benchmark(mut self, raw_buffer_bytes: usize) -> Result<Run> {
        if self.rows.is_empty() {
            self.rows.extend(Row::ALL.iter().map(|(_, row)| *row));
        }
        let everyday = if self.quick { LINES / 10 } else { LINES };
        let lines = self.lines.unwrap_or(everyday);
        let rounds = self.rounds.unwrap_or(if self.quick { 1 } else { ROUNDS });
        if rounds == 0 || lines < LINES_MIN {
            bail!("at least one round and {LINES_MIN} lines are needed");
        }
        if self.binaries.is_empty() {
            self.binaries.push(binary::locate()?);
        }
        if let Some(missing) = self.binaries.iter().find(|path| !path.is_file()) {
            bail!("--binary {} is no file", missing.display());
        }
        Ok(Run::Benchmark(Arguments {
            rows: self.rows,
            binaries: self.binaries,
            rounds,
            lines,
            quick: self.quick,
            raw_buffer_bytes,
            peer_seconds: self.peer_seconds.unwrap_or(PEER_SECONDS),
        }))
    }
}

/// Letters of rows, with or without commas.
fn rows(text: &str, rows: &mut Vec<Row>) -> Result<()> {
    for letter in text.chars().filter(|letter| *letter != ',') {
        match Row::ALL.iter().find(|(known, _)| *known == letter) {
            Some((_, row)) if !rows.contains(row) => rows.push(*row),
            Some(_) => {}
            None => bail!("there is no row {letter:?} in {text:?}: the rows are a to o"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<Run> {
        parse(lexopt::Parser::from_args(arguments))
    }

    fn arguments(given: &[&str]) -> Arguments {
        let own = std::env::current_exe().unwrap();
        let mut all = vec!["--binary", own.to_str().unwrap()];
        all.extend(given);
        match run(&all).unwrap() {
            Run::Benchmark(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_rows_are_run_unless_some_are_named() {
        assert_eq!(arguments(&[]).rows.len(), Row::ALL.len());
        assert_eq!(
            arguments(&["ha", "--rows", "a,b"]).rows,
            [Row::Reload, Row::Null, Row::FileRoll]
        );
        assert!(run(&["z"]).unwrap_err().to_string().contains("no row 'z'"));
    }

    #[test]
    fn quick_is_a_tenth_and_one_round() {
        let quick = arguments(&["--quick"]);
        assert_eq!((quick.rounds, quick.lines), (1, LINES / 10));
        assert_eq!(quick.peer_seconds, PEER_SECONDS);
        assert_eq!(arguments(&["--peer-seconds", "2"]).peer_seconds, 2);
        let set = arguments(&["--quick", "--rounds", "3", "--lines", "5000"]);
        assert_eq!((set.rounds, set.lines), (3, 5000));
        assert!(run(&["--rounds", "0"]).is_err());
    }

    #[test]
    fn two_binaries_are_told_apart() {
        let own = std::env::current_exe().unwrap();
        let one = arguments(&[]);
        let two = arguments(&["--binary", own.to_str().unwrap()]);
        assert_eq!(one.label(0), "flumen");
        assert_eq!(two.label(1), own.display().to_string());
        assert!(run(&["--binary", "/nowhere/flumen"]).is_err());
    }

    #[test]
    fn the_helpers_have_their_own_flags() {
        let generate = run(&["generate", "--port", "7", "--lines", "9"]).unwrap();
        let load = Load::new(9, 1);
        assert_eq!(generate, Run::Generate { port: 7, load });
        let bounded = run(&["generate", "--port=7", "--lines=9", "--seconds=3"]).unwrap();
        let load = Load {
            seconds: Some(3),
            ..load
        };
        assert_eq!(bounded, Run::Generate { port: 7, load });
        let several = [
            "generate",
            "--port=7",
            "--lines=9",
            "--seconds=3",
            "--connections=2",
        ];
        assert!(run(&several).is_err());
        assert!(run(&["generate", "--port", "7"]).is_err());
        assert!(run(&["raw-reader", "--connections", "65"]).is_err());
        let reader = run(&["raw-reader", "--buffer-kib", "64", "--connections", "2"]).unwrap();
        assert_eq!(
            reader,
            Run::RawReader {
                buffer_bytes: 65536,
                connections: 2
            }
        );
    }
}
