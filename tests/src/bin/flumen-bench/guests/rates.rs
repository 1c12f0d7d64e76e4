//! Rows (i) to (k): what a component costs an event.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use flumen_tests::agent::AgentBuilder;
use flumen_tests::guests::{compiled_folder, example, fixture};
use flumen_tests::lines::FILTER_WORD;
use flumen_tests::wait::PATIENCE;

use crate::arguments::Arguments;
use crate::flow::{Flow, Guest, Sink};
use crate::table::{Aim, Table, Unit};
use crate::throughput::{
    Sample, agent_run, cache_argument, flumen_figures, limit, per_second, stop,
};

/// Of the lines of a run, the part that these rows send, as rows (b) and (c) do.
const DIVISOR: u64 = 4;

/// The part of the events of a source after which its rate is taken: it begins with the agent.
const HEAD_DIVISOR: u64 = 10;

/// Row (i): a guest that reads every body and sets one header, and no guest, in turn. A read of the
/// source is about 1 300 lines, which is one call.
pub(crate) fn touch(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let component = fixture("transform")?;
    let guest = Guest {
        component: &component,
        settings: &[("config.mode", "touch")],
    };
    let lines = (arguments.lines / DIVISOR).max(1);
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            let without = through(binary, lines, lines, |flow| flow)?;
            let with = through(binary, lines, lines, |flow| Flow {
                guest: Some((guest, 1)),
                ..flow
            })?;
            let again = through(binary, lines, lines, |flow| flow)?;
            let what = format!("{name}, every body touched by a guest");
            flumen_figures(table, 'i', &what, &with, Aim::None, Aim::None);
            let what = format!("{name}, no interceptor");
            flumen_figures(table, 'i', &what, &without, Aim::None, Aim::None);
            let more = with.cpu_micros_per_line - without.cpu_micros_per_line;
            let what = format!("{name}, CPU an event more with the guest");
            let unit = Unit::CpuMicrosPerLine;
            table.add('i', &what, unit, Aim::AtMost(0.060), more);
            let noise = again.cpu_micros_per_line - without.cpu_micros_per_line;
            table.add('i', "A/A: without − without", unit, Aim::None, noise);
        }
    }
    Ok(())
}

/// Row (j): the built-in filter of row (c) and the guest that does the same, in turn.
pub(crate) fn filter(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let component = example("drop_debug")?;
    let guest = Guest {
        component: &component,
        settings: &[("config.word", FILTER_WORD)],
    };
    let lines = (arguments.lines / DIVISOR).max(1);
    // The lines with an odd number have the word, and are dropped.
    let taken = lines.div_ceil(2);
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            let own = through(binary, lines, taken, |flow| Flow {
                filter: true,
                ..flow
            })?;
            let guests = through(binary, lines, taken, |flow| Flow {
                guest: Some((guest, 1)),
                ..flow
            })?;
            let what = format!("{name}, guest filter dropping half");
            flumen_figures(table, 'j', &what, &guests, Aim::AtLeast(3.5e6), Aim::None);
            let what = format!("{name}, built-in filter dropping half");
            flumen_figures(table, 'j', &what, &own, Aim::None, Aim::None);
            let share = guests.lines_per_second / own.lines_per_second;
            let what = format!("{name}, guest : built-in");
            table.add('j', &what, Unit::Ratio, Aim::AtLeast(0.6), share);
        }
    }
    Ok(())
}

/// Row (k): TCP into a guest that hashes every body, and into one that only gets them; a guest that
/// makes events into null.
pub(crate) fn ends(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let digest = example("digest")?;
    let taker = fixture("hostile_sink")?;
    let lines = (arguments.lines / DIVISOR).max(1);
    let sinks = [
        ("guest sink that hashes", &digest, Aim::AtLeast(3e6)),
        ("guest sink that takes", &taker, Aim::AtLeast(3e6)),
    ];
    for _ in 0..arguments.rounds {
        for (place, binary) in arguments.binaries.iter().enumerate() {
            let name = arguments.label(place);
            for (kind, component, aim) in &sinks {
                let guest = Guest {
                    component,
                    settings: &[],
                };
                let sample = through(binary, lines, lines, |flow| Flow {
                    sink: Sink::Guest(guest),
                    ..flow
                })?;
                flumen_figures(
                    table,
                    'k',
                    &format!("{name}, {kind}"),
                    &sample,
                    *aim,
                    Aim::None,
                );
            }
            let rate = source_run(binary, arguments.lines)?;
            let what = format!("{name}, guest source of 200 bytes an event to null");
            table.add('k', &what, Unit::LinesPerSecond, Aim::AtLeast(2e6), rate);
        }
    }
    Ok(())
}

fn through<'paths>(
    binary: &Path,
    lines: u64,
    taken: u64,
    change: impl FnOnce(Flow<'paths>) -> Flow<'paths>,
) -> Result<Sample> {
    let flow = |port| change(Flow::new(port, Sink::Null));
    agent_run(binary, flow, lines, 1, taken)
}

/// Events in a second of a guest that makes them; the first part is not counted.
fn source_run(binary: &Path, events: u64) -> Result<f64> {
    let properties = format!(
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
         a1.sources.r1.type = wasm\na1.sources.r1.component = {}\na1.sources.r1.channels = c1\n\
         a1.sources.r1.config.events = {events}\n\
         a1.channels.c1.type = memory\na1.channels.c1.capacity = 100000\n\
         a1.channels.c1.transactionCapacity = 10000\na1.channels.c1.byteCapacity = 33554432\n\
         a1.sinks.k1.type = null\na1.sinks.k1.batchSize = 10000\na1.sinks.k1.channel = c1\n",
        fixture("torrent")?.display()
    );
    let mut agent = AgentBuilder::new(properties)
        .with_metrics()
        .binary(binary)
        .argument(cache_argument(&compiled_folder()?))
        .start()?;
    agent.wait_until_listening(agent.metrics_port()?, PATIENCE)?;
    let left = |least| {
        let count =
            agent.wait_for_count("CHANNEL.c1", "EventTakeSuccessCount", least, limit(events));
        count.map(|count| (count, Instant::now()))
    };
    let (first, begin) = left(events / HEAD_DIVISOR)?;
    let (last, end) = left(events)?;
    let counted = last.checked_sub(first).filter(|counted| *counted > 0);
    let counted = counted.context("too few events to measure their rate")?;
    stop(&mut agent)?;
    Ok(per_second(counted, end - begin))
}
