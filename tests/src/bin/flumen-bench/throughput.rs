//! Rows (a) to (d): lines without acknowledgements, as fast as they go.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::lines::LineCheck;
use flumen_tests::wait::PATIENCE;
use flumen_tests::{guests, ports, process};

use crate::arguments::Arguments;
use crate::flow::{Flow, Sink};
use crate::helper::{Helper, Load};
use crate::peers;
use crate::table::{Aim, Table, Unit};

/// The connections of row (d).
const MANY_CONNECTIONS: usize = 64;
/// The slowest agent that is waited for, so that a run that has lost lines comes to an end.
const LINES_PER_SECOND_MIN: u64 = 20_000;

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) lines_per_second: f64,
    pub(crate) cpu_micros_per_line: f64,
    pub(crate) generator_cpu_micros_per_line: f64,
    /// Nothing for the raw reader, whose memory is of no interest.
    pub(crate) peak_mebibytes: Option<f64>,
}

impl Sample {
    pub(crate) fn new(lines: u64, wall: Duration, cpu: Duration, generator_cpu: Duration) -> Self {
        Self {
            lines_per_second: per_second(lines, wall),
            cpu_micros_per_line: micros_per_line(cpu, lines),
            generator_cpu_micros_per_line: micros_per_line(generator_cpu, lines),
            peak_mebibytes: None,
        }
    }
}

/// How long `lines` may take at most.
pub(crate) fn limit(lines: u64) -> Duration {
    PATIENCE + Duration::from_secs(lines / LINES_PER_SECOND_MIN)
}

/// Lines in a second.
#[expect(
    clippy::cast_precision_loss,
    reason = "a figure for people; counts are below 2^52"
)]
pub(crate) fn per_second(lines: u64, wall: Duration) -> f64 {
    lines as f64 / wall.as_secs_f64()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a figure for people; counts are below 2^52"
)]
fn micros_per_line(time: Duration, lines: u64) -> f64 {
    time.as_secs_f64() * 1e6 / lines as f64
}

/// Bytes as mebibytes.
#[expect(
    clippy::cast_precision_loss,
    reason = "a figure for people; sizes are below 2^52"
)]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Row (a): beside the raw reader, in turn, each twice a round, so that each is compared with
/// itself too.
pub(crate) fn null_sink(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let peers = peers::from_environment();
    for _ in 0..arguments.rounds {
        let raw = raw_run(arguments, arguments.lines)?;
        raw_figures(table, &raw);
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            let one = null_run(binary, arguments.lines, 1)?;
            let raw_between = raw_run(arguments, arguments.lines)?;
            let two = null_run(binary, arguments.lines, 1)?;
            raw_figures(table, &raw_between);
            for sample in [&one, &two] {
                flumen_figures(table, 'a', &name, sample, Aim::None, Aim::AtMost(0.15));
                let share = sample.lines_per_second / raw_between.lines_per_second;
                table.add(
                    'a',
                    &format!("{name} : raw reader"),
                    Unit::Ratio,
                    Aim::AtLeast(0.5),
                    share,
                );
                if let Some(peak) = sample.peak_mebibytes {
                    let what = format!("{name}, peak memory");
                    table.add('a', &what, Unit::Mebibytes, Aim::AtMost(40.0), peak);
                }
            }
            let noise = two.lines_per_second / one.lines_per_second;
            table.add(
                'a',
                &format!("A/A: {name} : {name}"),
                Unit::Ratio,
                Aim::None,
                noise,
            );
            if place == 0 {
                let noise = raw_between.lines_per_second / raw.lines_per_second;
                table.add('a', "A/A: raw : raw", Unit::Ratio, Aim::None, noise);
            }
        }
        for peer in &peers {
            let sample = peer.run(arguments.lines)?;
            flumen_figures(table, 'a', &peer.name, &sample, Aim::None, Aim::None);
        }
    }
    Ok(())
}

fn raw_figures(table: &mut Table, sample: &Sample) {
    let cpu = Unit::CpuMicrosPerLine;
    table.add(
        'a',
        "raw reader",
        Unit::LinesPerSecond,
        Aim::None,
        sample.lines_per_second,
    );
    table.add(
        'a',
        "raw reader, CPU a line",
        cpu,
        Aim::None,
        sample.cpu_micros_per_line,
    );
    let generator = sample.generator_cpu_micros_per_line;
    table.add(
        'a',
        "generator beside it, CPU a line",
        cpu,
        Aim::None,
        generator,
    );
}

pub(crate) fn flumen_figures(
    table: &mut Table,
    row: char,
    name: &str,
    sample: &Sample,
    rate: Aim,
    cpu: Aim,
) {
    table.add(
        row,
        name,
        Unit::LinesPerSecond,
        rate,
        sample.lines_per_second,
    );
    let what = format!("{name}, CPU a line");
    table.add(
        row,
        &what,
        Unit::CpuMicrosPerLine,
        cpu,
        sample.cpu_micros_per_line,
    );
}

/// Row (b): the output is read back and checked after each run.
pub(crate) fn file_roll(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let lines = (arguments.lines / 4).max(1);
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let folder = tempfile::tempdir().context("make a folder for the output")?;
            let flow = |port| Flow::new(port, Sink::FileRoll(folder.path()));
            let sample = agent_run(binary, flow, lines, 1, lines)?;
            let mut check = LineCheck::new().expect_lane(0, lines);
            check.folder(folder.path())?;
            let verdict = check.finish();
            if !verdict.is_clean() {
                bail!("the output is not what was sent: {verdict:?}");
            }
            let name = format!(
                "{} to file_roll, complete and in order",
                arguments.label(place)
            );
            flumen_figures(table, 'b', &name, &sample, Aim::AtLeast(4e6), Aim::None);
        }
    }
    Ok(())
}

/// Row (c).
pub(crate) fn filter(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let lines = (arguments.lines / 4).max(1);
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let flow = |port| Flow {
                filter: true,
                ..Flow::new(port, Sink::Null)
            };
            // The lines with an odd number have the word, and are dropped.
            let sample = agent_run(binary, flow, lines, 1, lines.div_ceil(2))?;
            let name = format!("{}, filter dropping half", arguments.label(place));
            flumen_figures(table, 'c', &name, &sample, Aim::AtLeast(5e6), Aim::None);
        }
    }
    Ok(())
}

/// Row (d): one and many connections in turn.
pub(crate) fn connections(arguments: &Arguments, table: &mut Table) -> Result<()> {
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            let one = null_run(binary, arguments.lines, 1)?;
            let many = null_run(binary, arguments.lines, MANY_CONNECTIONS)?;
            let named = |count| format!("{name}, {count} connections");
            flumen_figures(table, 'd', &named(1), &one, Aim::None, Aim::None);
            flumen_figures(
                table,
                'd',
                &named(MANY_CONNECTIONS),
                &many,
                Aim::None,
                Aim::None,
            );
            let share = many.lines_per_second / one.lines_per_second;
            let what = format!("{name}, {MANY_CONNECTIONS} : 1");
            table.add('d', &what, Unit::Ratio, Aim::AtLeast(0.9), share);
            if let Some(peak) = many.peak_mebibytes {
                let what = format!("{}, peak memory", named(MANY_CONNECTIONS));
                table.add('d', &what, Unit::Mebibytes, Aim::None, peak);
            }
        }
    }
    Ok(())
}

/// One run of the raw reader on one connection.
pub(crate) fn raw_run(arguments: &Arguments, lines: u64) -> Result<Sample> {
    let (mut reader, port) = Helper::raw_reader(arguments.raw_buffer_bytes, 1)?;
    let mut generator = Helper::generator(port, Load::new(lines, 1))?;
    let begin = Instant::now();
    generator.go()?;
    let (counted, cpu) = reader.done()?;
    let wall = begin.elapsed();
    if counted != lines {
        bail!("the raw reader counted {counted} of {lines} lines");
    }
    let (_, generator_cpu) = generator.done()?;
    Ok(Sample::new(lines, wall, cpu, generator_cpu))
}

fn null_run(binary: &Path, lines: u64, connections: usize) -> Result<Sample> {
    let flow = |port| Flow::new(port, Sink::Null);
    agent_run(binary, flow, lines, connections, lines)
}

/// One run of an agent of its own, until `taken` events have left the channel.
pub(crate) fn agent_run<'paths>(
    binary: &Path,
    flow: impl FnOnce(u16) -> Flow<'paths>,
    lines: u64,
    connections: usize,
    taken: u64,
) -> Result<Sample> {
    let (mut agent, port) = start(binary, flow)?;
    let sample = measured(&agent, port, "CHANNEL.c1", lines, connections, taken)?;
    stop(&mut agent)?;
    Ok(sample)
}

/// Sends lines to a port of an agent that runs, until `taken` events have left the channel.
pub(crate) fn measured(
    agent: &Agent,
    port: u16,
    channel: &str,
    lines: u64,
    connections: usize,
    taken: u64,
) -> Result<Sample> {
    let mut generator = Helper::generator(port, Load::new(lines, connections))?;
    let cpu_before = process::cpu_time(agent.process_id())?;
    let begin = Instant::now();
    generator.go()?;
    // The agent is not asked for its counters while lines still flow: asking costs it time.
    let (_, generator_cpu) = generator.done()?;
    agent.wait_for_count(channel, "EventTakeSuccessCount", taken, limit(lines))?;
    let wall = begin.elapsed();
    let cpu = process::cpu_time(agent.process_id())?.saturating_sub(cpu_before);
    let peak = process::peak_resident_bytes(agent.process_id())?;
    let sample = Sample::new(lines, wall, cpu, generator_cpu);
    Ok(Sample {
        peak_mebibytes: Some(mebibytes(peak)),
        ..sample
    })
}

/// Starts an agent with counters on a flow and waits until its source listens.
pub(crate) fn start<'paths>(
    binary: &Path,
    flow: impl FnOnce(u16) -> Flow<'paths>,
) -> Result<(Agent, u16)> {
    let port = ports::free_port()?;
    let flow = flow(port);
    let mut builder = AgentBuilder::new(flow.properties())
        .with_metrics()
        .binary(binary);
    if flow.has_guest() {
        builder = builder.argument(cache_argument(&guests::compiled_folder()?));
    }
    let mut agent = builder.start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    let metrics_port = agent.metrics_port()?;
    agent.wait_until_listening(metrics_port, PATIENCE)?;
    Ok((agent, port))
}

/// The argument that has an agent keep compiled components in this folder.
pub(crate) fn cache_argument(folder: &Path) -> String {
    format!("-Dflumen.cacheFolder={}", folder.display())
}

/// Asks the agent to end and insists that it ends well.
pub(crate) fn stop(agent: &mut Agent) -> Result<()> {
    agent.terminate()?;
    let status = agent.wait_exit(PATIENCE)?;
    if !status.success() {
        bail!(
            "the agent ended with {status}; last lines:\n{}",
            agent.output().tail()
        );
    }
    Ok(())
}
