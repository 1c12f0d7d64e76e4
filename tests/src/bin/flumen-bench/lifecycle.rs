//! Rows (f) and (g): start, stop, and memory.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use flumen_tests::agent::AgentBuilder;
use flumen_tests::wait::PATIENCE;
use flumen_tests::{ports, process};

use crate::arguments::Arguments;
use crate::flow::{Flow, Sink};
use crate::table::{Aim, Table, Unit};
use crate::throughput::{mebibytes, start, stop};

/// Starts of a round: they are short, and scatter.
pub(crate) const STARTS: usize = 4;
/// An agent that has had nothing to do for so long is idle. Not a synchronisation: what is measured
/// is the state after this time.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// Row (f): from the start of the process to the first accepted connection, and from SIGTERM to
/// the end of the process.
pub(crate) fn start_and_stop(arguments: &Arguments, table: &mut Table) -> Result<()> {
    for _ in 0..arguments.rounds * STARTS {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            let (ready, stopped) = one_life(binary)?;
            let ready = ready.as_secs_f64() * 1e3;
            let stopped = stopped.as_secs_f64() * 1e3;
            let what = format!("{name}, start to ready");
            table.add('f', &what, Unit::Millis, Aim::AtMost(20.0), ready);
            let what = format!("{name}, stop when empty");
            table.add('f', &what, Unit::Millis, Aim::AtMost(50.0), stopped);
        }
    }
    Ok(())
}

fn one_life(binary: &Path) -> Result<(Duration, Duration)> {
    let port = ports::free_port()?;
    let properties = Flow::new(port, Sink::Null).properties();
    let mut agent = AgentBuilder::new(properties)
        .with_metrics()
        .binary(binary)
        .start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    let ready = agent.started().elapsed();
    let begin = Instant::now();
    stop(&mut agent)?;
    Ok((ready, begin.elapsed()))
}

/// Row (g): resident memory of an agent that has nothing to do. The peak under load is among the
/// figures of row (a).
pub(crate) fn memory(arguments: &Arguments, table: &mut Table) -> Result<()> {
    for (place, binary) in arguments.binaries.iter().enumerate() {
        let (mut agent, _) = start(binary, |port| Flow::new(port, Sink::Null))?;
        thread::sleep(IDLE);
        let resident = mebibytes(process::resident_bytes(agent.process_id())?);
        let what = format!("{}, idle memory", arguments.label(place));
        table.add('g', &what, Unit::Mebibytes, Aim::AtMost(10.0), resident);
        stop(&mut agent)?;
    }
    Ok(())
}
