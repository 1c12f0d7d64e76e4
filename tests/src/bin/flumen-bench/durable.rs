//! Row (o): the file channel in a whole agent, with a sync before each answer, and other programs
//! that keep what they read on disk.
//!
//! The same clients as in rows (a) and (e). The channel is in a folder beside the build, because the
//! system's folder for such things may be memory.

use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::acknowledged::{TURN_CONNECTIONS, send_turns};
use crate::arguments::Arguments;
use crate::flow::{Flow, Sink};
use crate::peers::{self, Peer};
use crate::table::{Aim, Table, Unit};
use crate::throughput::{Sample, agent_run, flumen_figures, per_second, start, stop};

/// Of the lines of a run, the part that is sent without answers, and the part that is sent in turns.
const STREAM_DIVISOR: u64 = 10;
const TURN_DIVISOR: u64 = 160;

/// All figures. The agent runs at the beginning of each round, and with other programs between at
/// its end too: that is how far it differs from itself.
pub(crate) fn row(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let peers = peers::durable_from_environment();
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = format!("{}, file channel", arguments.label(place));
            let one = stream(binary, &name, arguments, table)?;
            turns(binary, &name, arguments, table)?;
            if peers.is_empty() {
                continue;
            }
            for peer in &peers {
                peer_run(peer, &name, one, arguments, table)?;
            }
            let two = stream(binary, &name, arguments, table)?;
            let what = format!("A/A: {name} : {name}");
            table.add('o', &what, Unit::Ratio, Aim::None, two / one);
        }
    }
    Ok(())
}

/// The lines of a run without answers.
fn stream_lines(arguments: &Arguments) -> u64 {
    (arguments.lines / STREAM_DIVISOR).max(1)
}

/// Lines without answers; returns how many a second.
fn stream(binary: &Path, name: &str, arguments: &Arguments, table: &mut Table) -> Result<f64> {
    let folder = folder_on_disk()?;
    let lines = stream_lines(arguments);
    let flow = |port| Flow {
        durable: Some(folder.path()),
        ..Flow::new(port, Sink::Null)
    };
    let sample = agent_run(binary, flow, lines, 1, lines)?;
    flumen_figures(table, 'o', name, &sample, Aim::AtLeast(1e6), Aim::None);
    peak(table, name, &sample);
    Ok(sample.lines_per_second)
}

/// One line in flight on each of many connections.
fn turns(binary: &Path, name: &str, arguments: &Arguments, table: &mut Table) -> Result<()> {
    let folder = folder_on_disk()?;
    let flow = |port| Flow {
        acknowledge: true,
        durable: Some(folder.path()),
        ..Flow::new(port, Sink::Null)
    };
    let (mut agent, port) = start(binary, flow)?;
    let what = format!("{name}, 1 line in flight on each of {TURN_CONNECTIONS}");
    let turns = (arguments.lines / TURN_DIVISOR / TURN_CONNECTIONS).max(1);
    let wall = send_turns(port, turns)?;
    let rate = per_second(turns * TURN_CONNECTIONS, wall);
    table.add('o', &what, Unit::LinesPerSecond, Aim::AtLeast(40e3), rate);
    stop(&mut agent)
}

/// Another program, beside the agent's rate of the same round.
fn peer_run(
    peer: &Peer,
    name: &str,
    rate: f64,
    arguments: &Arguments,
    table: &mut Table,
) -> Result<()> {
    let folder = folder_on_disk()?;
    let lines = stream_lines(arguments);
    let sample = peer.durable_run(folder.path(), lines, arguments.peer_seconds)?;
    flumen_figures(table, 'o', &peer.name, &sample, Aim::None, Aim::None);
    peak(table, &peer.name, &sample);
    let what = format!("{} : {name}", peer.name);
    let share = sample.lines_per_second / rate;
    table.add('o', &what, Unit::Ratio, Aim::None, share);
    Ok(())
}

fn peak(table: &mut Table, name: &str, sample: &Sample) {
    if let Some(peak) = sample.peak_mebibytes {
        let what = format!("{name}, peak memory");
        table.add('o', &what, Unit::Mebibytes, Aim::None, peak);
    }
}

/// A new folder beside this program.
fn folder_on_disk() -> Result<TempDir> {
    let own = std::env::current_exe().context("find this program")?;
    let beside = own.parent().context("this program is in no folder")?;
    tempfile::tempdir_in(beside).context("make a folder for the channel")
}
