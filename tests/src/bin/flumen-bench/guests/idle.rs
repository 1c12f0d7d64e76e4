//! Row (m): start and memory of an agent with components that are compiled already.

use std::path::Path;
use std::thread;

use anyhow::Result;
use flumen_tests::guests::example;
use flumen_tests::process;

use crate::arguments::Arguments;
use crate::flow::{Flow, Guest, Sink};
use crate::lifecycle::{IDLE, STARTS};
use crate::table::{Aim, Table, Unit};
use crate::throughput::{mebibytes, start, stop};

/// Instances of one component beside the first one.
const FURTHER: u32 = 100;

/// The row: from the start of the process to the first accepted connection, and the resident memory
/// of an agent that has nothing to do, with one instance and with many.
pub(crate) fn row(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let component = example("drop_debug")?;
    let guest = Guest {
        component: &component,
        settings: &[],
    };
    // Compiles it, if nobody did.
    for binary in &arguments.binaries {
        life(binary, guest, 1, false)?;
    }
    for _ in 0..arguments.rounds * STARTS {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let (ready_ms, _) = life(binary, guest, 1, false)?;
            let what = format!("{}, start to ready with a guest", arguments.label(place));
            table.add('m', &what, Unit::Millis, Aim::AtMost(50.0), ready_ms);
        }
    }
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            let (_, one) = life(binary, guest, 1, true)?;
            let copies = usize::try_from(FURTHER)? + 1;
            let (_, many) = life(binary, guest, copies, true)?;
            let what = format!("{name}, idle memory with one guest");
            table.add('m', &what, Unit::Mebibytes, Aim::AtMost(20.0), one);
            let each = (many - one) * 1024.0 / f64::from(FURTHER);
            let what = format!("{name}, each further idle instance");
            table.add('m', &what, Unit::Kibibytes, Aim::AtMost(100.0), each);
        }
    }
    Ok(())
}

/// Milliseconds to the first connection, and mebibytes after a time without work, if they are asked
/// for.
fn life(binary: &Path, guest: Guest<'_>, copies: usize, idle: bool) -> Result<(f64, f64)> {
    let (mut agent, ready) = start_timed(binary, guest, copies)?;
    let mut resident = 0.0;
    if idle {
        thread::sleep(IDLE);
        resident = mebibytes(process::resident_bytes(agent.process_id())?);
    }
    stop(&mut agent)?;
    Ok((ready, resident))
}

fn start_timed(
    binary: &Path,
    guest: Guest<'_>,
    copies: usize,
) -> Result<(flumen_tests::agent::Agent, f64)> {
    let flow = |port| Flow {
        guest: Some((guest, copies)),
        ..Flow::new(port, Sink::Null)
    };
    let (agent, _) = start(binary, flow)?;
    let ready = agent.started().elapsed().as_secs_f64() * 1e3;
    Ok((agent, ready))
}
