//! Row (o): the file channel in a whole agent, with a sync before each answer.
//!
//! The same clients as in rows (a) and (e). The channel is in a folder beside the build, because the
//! system's folder for such things may be memory.

use anyhow::{Context, Result};

use crate::acknowledged::{TURN_CONNECTIONS, send_turns};
use crate::arguments::Arguments;
use crate::flow::{Flow, Sink};
use crate::table::{Aim, Table, Unit};
use crate::throughput::{agent_run, flumen_figures, per_second, start, stop};

/// Of the lines of a run, the part that is sent without answers, and the part that is sent in turns.
const STREAM_DIVISOR: u64 = 10;
const TURN_DIVISOR: u64 = 160;

/// Both figures.
pub(crate) fn row(arguments: &Arguments, table: &mut Table) -> Result<()> {
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = format!("{}, file channel", arguments.label(place));
            let own = std::env::current_exe().context("find this program")?;
            let beside = own.parent().context("this program is in no folder")?;
            let folder = tempfile::tempdir_in(beside).context("make a folder for the channel")?;
            let lines = (arguments.lines / STREAM_DIVISOR).max(1);
            let flow = |port| Flow {
                durable: Some(folder.path()),
                ..Flow::new(port, Sink::Null)
            };
            let sample = agent_run(binary, flow, lines, 1, lines)?;
            flumen_figures(table, 'o', &name, &sample, Aim::AtLeast(1e6), Aim::None);
            if let Some(peak) = sample.peak_mebibytes {
                let what = format!("{name}, peak memory");
                table.add('o', &what, Unit::Mebibytes, Aim::None, peak);
            }

            let folder = folder.path().join("acknowledged");
            let flow = |port| Flow {
                acknowledge: true,
                durable: Some(&folder),
                ..Flow::new(port, Sink::Null)
            };
            let (mut agent, port) = start(binary, flow)?;
            let what = format!("{name}, 1 line in flight on each of {TURN_CONNECTIONS}");
            let turns = (arguments.lines / TURN_DIVISOR / TURN_CONNECTIONS).max(1);
            let wall = send_turns(port, turns)?;
            let rate = per_second(turns * TURN_CONNECTIONS, wall);
            table.add('o', &what, Unit::LinesPerSecond, Aim::AtLeast(40e3), rate);
            stop(&mut agent)?;
        }
    }
    Ok(())
}
