//! The benchmark of flumen, as one command:
//!
//! ```text
//! cargo run --release -p flumen-tests --bin flumen-bench
//! ```
//!
//! It prints a table in Markdown: for each row of the promise (a to o) what was measured, the
//! median, the range, and whether the aim is reached. A plain program that only reads the socket
//! and finds the line ends runs in turn with flumen and shows the limit of the machine; the rows
//! called "A/A" compare a thing with itself and show the noise: a difference smaller than theirs
//! means nothing.
//!
//! What is measured and how:
//! * Rate: from the moment the generator is told to begin until the agent's counter shows that the
//!   last event has left the channel. The generator is a process of its own on the same machine.
//! * Processor time: of the agent's process, user and system, over the same span, a line.
//! * Memory: the resident peak that the kernel recorded.
//! * Acknowledgement rows: the client runs in this process.
//!
//! Other programs can run in the rows (a) and (o): see [`peers`]. Nothing of this is a timed test: an aim that is
//! not reached is shown in the table. The command fails only when something does not work, a line
//! that was lost, doubled or out of order included.

mod acknowledged;
mod arguments;
mod durable;
mod flow;
mod generator;
mod guests;
mod helper;
mod lifecycle;
mod peers;
mod raw_reader;
mod reload;
mod table;
mod throughput;

use std::process::ExitCode;

use anyhow::{Result, bail};
use arguments::{Arguments, Row, Run};
use table::Table;

fn main() -> ExitCode {
    let outcome = arguments::parse(lexopt::Parser::from_env()).and_then(|run| match run {
        Run::Help => {
            println!("{}", arguments::HELP);
            Ok(())
        }
        Run::Generate { port, load } => generator::run(port, load),
        Run::RawReader {
            buffer_bytes,
            connections,
        } => raw_reader::run(buffer_bytes, connections),
        Run::Benchmark(arguments) => benchmark(&arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flumen-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the rows. One that fails does not keep the others from being measured; the table is printed
/// in any case, and the failures are told at the end.
fn benchmark(arguments: &Arguments) -> Result<()> {
    let mut table = Table::new();
    let mut failures = Vec::new();
    for row in &arguments.rows {
        eprintln!("row ({row}) …");
        if let Err(error) = measure(*row, arguments, &mut table) {
            failures.push(format!("row ({row}): {error:#}"));
        }
    }
    print!("{table}");
    if failures.is_empty() {
        return Ok(());
    }
    bail!(
        "{} of the rows failed\n{}",
        failures.len(),
        failures.join("\n")
    )
}

fn measure(row: Row, arguments: &Arguments, table: &mut Table) -> Result<()> {
    match row {
        Row::Null => throughput::null_sink(arguments, table),
        Row::FileRoll => throughput::file_roll(arguments, table),
        Row::Filter => throughput::filter(arguments, table),
        Row::Connections => throughput::connections(arguments, table),
        Row::Acknowledged => acknowledged::rows(arguments, table),
        Row::StartStop => lifecycle::start_and_stop(arguments, table),
        Row::Memory => lifecycle::memory(arguments, table),
        Row::Reload => reload::row(arguments, table),
        Row::GuestTouch => guests::rates::touch(arguments, table),
        Row::GuestFilter => guests::rates::filter(arguments, table),
        Row::GuestEnds => guests::rates::ends(arguments, table),
        Row::GuestSwap => guests::swap::row(arguments, table),
        Row::GuestIdle => guests::idle::row(arguments, table),
        Row::GuestLoop => guests::runaway::row(arguments, table),
        Row::Durable => durable::row(arguments, table),
    }
}
