//! Row (n): a guest that never comes back from a call, and the flow beside it.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::guests::{compiled_folder, fixture};
use flumen_tests::ports;
use flumen_tests::wait::PATIENCE;

use crate::arguments::Arguments;
use crate::lifecycle::STARTS;
use crate::table::{Aim, Table, Unit};
use crate::throughput::{Sample, cache_argument, flumen_figures, measured, stop};

/// The CPU time that a call may take.
const CPU_MS: u32 = 100;

/// Of the lines of a run, the part that the neighbour gets.
const DIVISOR: u64 = 2;

/// What the log says of a call that took longer.
const STOPPED: &str = "it computed longer than limits.cpu_ms";

/// The row: from the line that makes the guest loop to the line in the log that says that it was
/// stopped; and the rate of a neighbour in the same agent, while the guest loops, is stopped and
/// made anew again and again, and while it has nothing to do.
pub(crate) fn row(arguments: &Arguments, table: &mut Table) -> Result<()> {
    for _ in 0..arguments.rounds * STARTS {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let mut flows = Flows::start(binary)?;
            let stopped_ms = flows.attack()?.as_secs_f64() * 1e3;
            kill(&mut flows.agent);
            let name = arguments.label(place);
            let what = format!("{name}, endless loop with {CPU_MS} ms of CPU stopped");
            table.add('n', &what, Unit::Millis, Aim::AtMost(130.0), stopped_ms);
        }
    }
    let lines = (arguments.lines / DIVISOR).max(1);
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            let idle = neighbour(binary, lines, false)?;
            let looping = neighbour(binary, lines, true)?;
            let again = neighbour(binary, lines, false)?;
            for (what, sample) in [("looping", &looping), ("idle", &idle)] {
                let what = format!("{name}, neighbour of a guest that is {what}");
                flumen_figures(table, 'n', &what, sample, Aim::None, Aim::None);
            }
            let share = looping.lines_per_second / idle.lines_per_second;
            let what = format!("{name}, neighbour's rate, looping : idle");
            table.add('n', &what, Unit::Ratio, Aim::AtLeast(0.95), share);
            let noise = again.lines_per_second / idle.lines_per_second;
            table.add('n', "A/A: idle : idle", Unit::Ratio, Aim::None, noise);
        }
    }
    Ok(())
}

/// One agent: `r1` into a guest that loops at its first event, `r2` into null.
struct Flows {
    agent: Agent,
    hostile_port: u16,
    neighbour_port: u16,
}

impl Flows {
    fn start(binary: &Path) -> Result<Self> {
        let (hostile_port, neighbour_port) = (ports::free_port()?, ports::free_port()?);
        let mut text = String::from("a1.sources = r1 r2\na1.channels = c1 c2\na1.sinks = k1 k2\n");
        for (number, port) in [(1, hostile_port), (2, neighbour_port)] {
            text.push_str(&format!(
                "a1.sources.r{number}.type = netcat\na1.sources.r{number}.bind = 127.0.0.1\n\
                 a1.sources.r{number}.port = {port}\na1.sources.r{number}.channels = c{number}\n\
                 a1.sources.r{number}.ack-every-event = false\n\
                 a1.channels.c{number}.type = memory\n\
                 a1.channels.c{number}.capacity = 100000\n\
                 a1.channels.c{number}.transactionCapacity = 10000\n\
                 a1.channels.c{number}.byteCapacity = 16777216\n\
                 a1.sinks.k{number}.channel = c{number}\n"
            ));
        }
        text.push_str(&format!(
            "a1.sinks.k1.type = wasm\na1.sinks.k1.component = {}\n\
             a1.sinks.k1.limits.cpu_ms = {CPU_MS}\na1.sinks.k1.config.mode = endless loop\n\
             a1.sinks.k2.type = null\na1.sinks.k2.batchSize = 10000\n",
            fixture("hostile_sink")?.display()
        ));
        let mut agent = AgentBuilder::new(text)
            .with_metrics()
            .binary(binary)
            .argument(cache_argument(&compiled_folder()?))
            .start()?;
        for port in [hostile_port, neighbour_port, agent.metrics_port()?] {
            agent.wait_until_listening(port, PATIENCE)?;
        }
        Ok(Self {
            agent,
            hostile_port,
            neighbour_port,
        })
    }

    /// Sends the guest an event; tells how long it took until the log says that it was stopped.
    fn attack(&self) -> Result<Duration> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.hostile_port))
            .context("connect to the hostile flow")?;
        let position = self.agent.output().position();
        let begin = Instant::now();
        stream.write_all(b"loop\n").context("send the line")?;
        self.agent
            .output()
            .wait_for_after(position, STOPPED, PATIENCE)?;
        Ok(begin.elapsed())
    }
}

fn neighbour(binary: &Path, lines: u64, looping: bool) -> Result<Sample> {
    let mut flows = Flows::start(binary)?;
    if looping {
        flows.attack()?;
    }
    let sample = measured(
        &flows.agent,
        flows.neighbour_port,
        "CHANNEL.c2",
        lines,
        1,
        lines,
    )?;
    match looping {
        true => kill(&mut flows.agent),
        false => stop(&mut flows.agent)?,
    }
    Ok(sample)
}

/// An agent whose sink never delivers uses up its time to drain, which nobody measures here.
fn kill(agent: &mut Agent) {
    // It fails only when the process has ended; dropping the agent kills it in any case.
    let _ = agent.signal(rustix::process::Signal::KILL);
}
