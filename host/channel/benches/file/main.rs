//! What puts and takes of the file channel cost, held against what the disk itself takes for the same
//! bytes: rows take turns round by round, so that noise of the machine and of the disk meets all
//! alike, and two rows are the same one. Run with `cargo bench -p flumen-channel`, on a folder of
//! your choice with `cargo bench -p flumen-channel -- DIR`, and of one part alone with one of the
//! words `rows`, `reopen` and `memory` behind the folder.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run stops"
)]

#[path = "../../../wal/benches/append/floor.rs"]
mod floor;
mod memory;
mod process;
mod reopen;
mod rig;
#[path = "../../../wal/benches/append/series.rs"]
mod series;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_channel::file::FileChannel;
use tokio::runtime::Runtime;

use floor::Floor;
use rig::{BODY_BYTES, Setting, batch, channel, drain, fill, put, take};
use series::Series;

const ROUNDS: usize = 15;

/// How long one row runs in one round.
const TURN: Duration = Duration::from_millis(150);

/// Events that a take finds, for the rows that take: what fits the memory of the channel.
const TAKE_EVENTS: u64 = 40_000;

/// A way to use the channel.
#[derive(Clone, Copy)]
enum Use {
    /// So many tasks put batches of so many events.
    Put { tasks: usize, events: usize },
    /// One task takes what is there, 100 events at a time.
    Take { strict: bool },
    /// Four tasks put, one takes as it comes.
    Both { events: usize },
}

struct Row {
    name: &'static str,
    way: Use,
}

const fn put_row(name: &'static str, tasks: usize, events: usize) -> Row {
    Row {
        name,
        way: Use::Put { tasks, events },
    }
}

const ROWS: [Row; 10] = [
    put_row("put 1 x 1", 1, 1),
    put_row("put 1 x 1 (A/A)", 1, 1),
    put_row("put 16 x 1", 16, 1),
    put_row("put 64 x 1", 64, 1),
    put_row("put 1 x 100", 1, 100),
    put_row("put 4 x 1000", 4, 1000),
    Row {
        name: "take 100, strict",
        way: Use::Take { strict: true },
    },
    Row {
        name: "take 100, lazy",
        way: Use::Take { strict: false },
    },
    put_row("put 4 x 100", 4, 100),
    Row {
        name: "put 4 x 100, take",
        way: Use::Both { events: 100 },
    },
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|own| own != "--bench");
    let given = arguments.next();
    match given.as_deref() {
        Some(reopen::FILL) => reopen::fill_and_wait(arguments),
        Some(memory::IDLE) => return memory::measure_idle(arguments),
        Some(memory::LOAD) => return memory::measure_load(arguments),
        _ => {}
    }
    // Not the system's folder for such things: that may be memory.
    let base = given.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::Builder::new()
        .prefix("bench-file-channel-")
        .tempdir_in(&base)
        .expect("a folder to measure in");
    println!("in {}", base.display());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let only = arguments.next();
    let is_asked = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if is_asked("rows") {
        rows(folder.path(), &runtime);
    }
    if is_asked("reopen") {
        reopen::run(folder.path(), &runtime);
    }
    if is_asked("memory") {
        memory::run(folder.path());
    }
}

fn rows(folder: &Path, runtime: &Runtime) {
    let mut floor = Floor::new(&folder.join("floor"));
    let mut rows: Vec<Series> = ROWS.iter().map(|_| Series::default()).collect();
    let mut groups: Vec<Series> = ROWS.iter().map(|_| Series::default()).collect();
    let mut blocks = Series::default();
    let lazy = channel(&folder.join("lazy"), Setting::default());
    let with_strict = Setting {
        strict: true,
        ..Setting::default()
    };
    let strict = channel(&folder.join("strict"), with_strict);
    for round in 0..=ROUNDS {
        // The first one warms up and learns how large the groups are.
        let counts = round > 0;
        let mut ignored = Series::default();
        floor.measure(4096, if counts { &mut blocks } else { &mut ignored });
        for ((row, series), floors) in ROWS.iter().zip(&mut rows).zip(&mut groups) {
            let series = if counts { series } else { &mut ignored };
            let channel = match row.way {
                Use::Take { strict: true } => &strict,
                _ => &lazy,
            };
            let group_bytes = run_row(channel, row, series, runtime);
            floor.measure(group_bytes, if counts { floors } else { &mut ignored });
        }
    }
    print(&mut rows, &mut blocks, &mut groups, floor.name());
}

/// Runs a row for one turn and gives the mean size of its groups in bytes.
fn run_row(channel: &Arc<FileChannel>, row: &Row, series: &mut Series, runtime: &Runtime) -> usize {
    if let Use::Take { .. } = row.way {
        runtime.block_on(fill(channel, TAKE_EVENTS, 1000));
    }
    let before = channel.statistics();
    let begun = Instant::now();
    let (events, latencies) = match row.way {
        Use::Put { tasks, events } => runtime.block_on(puts(channel, tasks, events, begun)),
        Use::Take { .. } => runtime.block_on(take(channel, TAKE_EVENTS)),
        Use::Both { events } => runtime.block_on(async {
            let taker = tokio::spawn(rig::take_until(Arc::clone(channel), begun + TURN));
            let put = puts(channel, 4, events, begun).await;
            taker.await.unwrap();
            put
        }),
    };
    let took = begun.elapsed();
    let after = channel.statistics();
    runtime.block_on(drain(channel));
    series.groups += after.groups - before.groups;
    series.records += after.records - before.records;
    series.rates.push(events as f64 / took.as_secs_f64());
    series.latencies.extend(latencies);
    let bytes = match row.way {
        Use::Take { .. } => 0,
        _ => events * BODY_BYTES as u64,
    };
    let mean = bytes / (after.groups - before.groups).max(1);
    (mean as usize).next_multiple_of(4096).max(4096)
}

async fn puts(
    channel: &Arc<FileChannel>,
    tasks: usize,
    events: usize,
    begun: Instant,
) -> (u64, Vec<Duration>) {
    let batch = batch(events);
    let putters: Vec<_> = (0..tasks)
        .map(|_| {
            let (channel, batch) = (Arc::clone(channel), batch.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while begun.elapsed() < TURN {
                    let before = Instant::now();
                    put(&channel, &batch).await;
                    latencies.push(before.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for putter in putters {
        latencies.extend(putter.await.unwrap());
    }
    ((latencies.len() * events) as u64, latencies)
}

fn print(rows: &mut [Series], blocks: &mut Series, groups: &mut [Series], floor: &str) {
    let block_us = blocks.percentile_us(0.5);
    println!("{BODY_BYTES} B bodies, headers timestamp and host; {ROUNDS} rounds; floor: {floor}");
    println!(
        "{:18} {:>9} {:>9} {:>11} {:>7} {:>8} {:>9} {:>9}",
        "row", "p50 us", "p99 us", "events/s", "group", "x floor", "MB/s", "% of raw"
    );
    println!(
        "{:18} {block_us:9.0} {:9.0}",
        "floor 4 KiB",
        blocks.percentile_us(0.99)
    );
    for ((row, series), floors) in ROWS.iter().zip(rows).zip(groups) {
        let p50 = series.percentile_us(0.5);
        let p99 = series.percentile_us(0.99);
        let rate = series.rate();
        let bytes = rate * BODY_BYTES as f64;
        println!(
            "{:18} {p50:9.0} {p99:9.0} {rate:11.0} {:7.1} {:8.2} {:9.0} {:9.0}",
            row.name,
            series.records as f64 / series.groups.max(1) as f64,
            p50 / block_us,
            bytes / 1e6,
            100.0 * bytes / floors.rate(),
        );
    }
}
