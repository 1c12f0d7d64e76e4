//! What a confirmed append costs, held against what the disk itself takes for the same bytes: rows
//! take turns round by round, so that noise of the machine and of the disk meets all alike. Run with
//! `cargo bench -p flumen-wal`, on a folder of your choice with `cargo bench -p flumen-wal -- DIR`.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run stops"
)]

mod floor;
mod reopen;
mod series;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flumen_wal::{Folder, Log, LogIo, Options, Record};

use floor::Floor;
use series::Series;

/// Bytes of an item, as an event of a log line has them.
const ITEM_BYTES: usize = 512;

const ROUNDS: usize = 15;

/// How long one row runs in one round.
const TURN: Duration = Duration::from_millis(150);

/// A way to use the log.
struct Row {
    name: &'static str,
    writers: usize,
    items: u32,
}

const ROWS: [Row; 6] = [
    row("1 x 1", 1, 1),
    row("1 x 1 (A/A)", 1, 1),
    row("4 x 1", 4, 1),
    row("16 x 1", 16, 1),
    row("1 x 100", 1, 100),
    row("4 x 1000", 4, 1000),
];

const fn row(name: &'static str, writers: usize, items: u32) -> Row {
    Row {
        name,
        writers,
        items,
    }
}

fn main() {
    let given = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    // Not the system's folder for such things: that may be memory.
    let base = given.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::Builder::new()
        .prefix("bench-append-")
        .tempdir_in(&base)
        .expect("a folder to measure in");
    println!("in {}", base.display());
    appends(folder.path());
    reopen::run(folder.path());
}

fn appends(folder: &Path) {
    let mut floor = Floor::new(&folder.join("floor"));
    let logs = folder.join("log");
    std::fs::create_dir(&logs).expect("a folder for the log");
    let io: Arc<dyn LogIo> = Arc::new(Folder::new(&logs));
    let options = Options {
        segments_max: 64,
        free_bytes_min: 0,
        ..Options::default()
    };
    let (log, _) = Log::open(io, options, Box::new(())).expect("a log");
    let mut rows: Vec<Series> = ROWS.iter().map(|_| Series::default()).collect();
    let mut blocks = Series::default();
    let mut groups: Vec<Series> = ROWS.iter().map(|_| Series::default()).collect();
    for round in 0..=ROUNDS {
        // The first one warms up and learns how large the groups are.
        let counts = round > 0;
        let mut ignored = Series::default();
        floor.measure(4096, if counts { &mut blocks } else { &mut ignored });
        for ((row, series), floors) in ROWS.iter().zip(&mut rows).zip(&mut groups) {
            let group_bytes = run_row(&log, row, if counts { series } else { &mut ignored });
            floor.measure(group_bytes, if counts { floors } else { &mut ignored });
        }
    }
    print(&mut rows, &mut blocks, &mut groups, floor.name());
    log.close().expect("a log that closes");
}

/// Runs a row for one turn and gives the mean size of its groups in bytes.
fn run_row(log: &Log, row: &Row, series: &mut Series) -> usize {
    let payload = Bytes::from(vec![0x5a; row.items as usize * ITEM_BYTES]);
    let before = log.statistics();
    let begun = Instant::now();
    let mut latencies = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..row.writers)
            .map(|_| scope.spawn(|| write(log, row.items, &payload, begun)))
            .collect();
        for writer in writers {
            latencies.extend(writer.join().unwrap());
        }
    });
    let took = begun.elapsed();
    let after = log.statistics();
    // What was measured makes room for the next turn.
    let free = Record {
        acknowledged: std::iter::once(0..log.count().item).collect(),
        ..Record::default()
    };
    log.append_and_wait(free).expect("an acknowledgement");
    let groups = after.groups - before.groups;
    let records = after.records - before.records;
    series.groups += groups;
    series.records += records;
    let items = latencies.len() as u64 * u64::from(row.items);
    series.rates.push(items as f64 / took.as_secs_f64());
    series.latencies.extend(latencies);
    let mean = records * payload.len() as u64 / groups.max(1);
    (mean as usize).next_multiple_of(4096).max(4096)
}

fn write(log: &Log, items: u32, payload: &Bytes, begun: Instant) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while begun.elapsed() < TURN {
        let record = Record {
            items,
            acknowledged: Vec::new(),
            payload: payload.clone(),
        };
        let before = Instant::now();
        log.append_and_wait(record).expect("a confirmed append");
        latencies.push(before.elapsed());
    }
    latencies
}

fn print(rows: &mut [Series], blocks: &mut Series, groups: &mut [Series], floor: &str) {
    let block_us = blocks.percentile_us(0.5);
    println!("{ITEM_BYTES} B an item, {ROUNDS} rounds; floor: {floor}");
    println!(
        "{:12} {:>9} {:>9} {:>11} {:>7} {:>8} {:>9} {:>9}",
        "row", "p50 us", "p99 us", "items/s", "group", "x floor", "MB/s", "% of raw"
    );
    println!(
        "{:12} {block_us:9.0} {:9.0}",
        "floor 4 KiB",
        blocks.percentile_us(0.99)
    );
    for ((row, series), floors) in ROWS.iter().zip(rows).zip(groups) {
        let p50 = series.percentile_us(0.5);
        let p99 = series.percentile_us(0.99);
        let rate = series.rate();
        let bytes = rate * ITEM_BYTES as f64;
        println!(
            "{:12} {p50:9.0} {p99:9.0} {rate:11.0} {:7.1} {:8.2} {:9.0} {:9.0}",
            row.name,
            series.records as f64 / series.groups.max(1) as f64,
            p50 / block_us,
            bytes / 1e6,
            100.0 * bytes / floors.rate(),
        );
    }
}
