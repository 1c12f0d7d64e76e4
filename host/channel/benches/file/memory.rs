//! How much memory a channel takes: idle, under load whatever waits in it, and afterwards. Each
//! figure comes from a process of its own, so that nothing else is in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flumen_channel::file::FileChannel;
use flumen_core::channel::Channel;
use tokio::runtime::Runtime;

use crate::process::{forget_peak, open_files, peak_bytes, resident_bytes, threads};
use crate::reopen;
use crate::rig::{self, Setting, batch, drain, fill, put};

/// The words that make this program measure itself.
pub(crate) const IDLE: &str = "--idle";
pub(crate) const LOAD: &str = "--load";

/// Channels in one process. The first pays for what all share.
const CHANNELS: [u64; 3] = [1, 11, 101];

/// What waits when the load begins: events, and bytes of their bodies. The largest backlog has small
/// ones, so that it fits most disks.
const BACKLOGS: [(u64, usize); 3] = [(0, rig::BODY_BYTES), (1_000_000, 512), (20_000_000, 16)];

/// Events that go through an idle channel before it is idle.
const USED_EVENTS: u64 = 5000;

/// Small, so that a hundred channels fit most disks. It is no part of what an idle channel keeps.
const IDLE_SEGMENT_BYTES: i64 = 4 << 20;

/// How long a load runs.
const LOAD_TIME: Duration = Duration::from_secs(5);

/// What a slow taker takes a second: a fraction of what four writers put.
const SLOW_EVENTS_PER_SECOND: f64 = 100_000.0;

/// More than any buffer is kept after its last use.
const QUIET: Duration = Duration::from_secs(4);

pub(crate) fn run(folder: &Path) {
    idle(folder);
    load(folder);
}

fn idle(folder: &Path) {
    println!("\nidle: each opened, used, emptied and quiet for {QUIET:?}");
    println!(
        "{:>9} {:>12} {:>18} {:>8} {:>8}",
        "channels", "memory MiB", "MiB each further", "files", "threads"
    );
    let mut before: Option<(u64, f64)> = None;
    for channels in CHANNELS {
        let place = folder.join(format!("idle-{channels}"));
        let told = child(&[IDLE, path(&place), &channels.to_string()]);
        let [memory, files, threads] = told;
        let further = before.map(|(fewer, less)| (memory - less) / (channels - fewer) as f64);
        println!(
            "{channels:>9} {memory:>12.1} {:>18} {:>8.1} {:>8.1}",
            further.map_or_else(String::new, |each| format!("{each:.2}")),
            files / channels as f64,
            threads / channels as f64,
        );
        before = Some((channels, memory));
        std::fs::remove_dir_all(&place).expect("a folder to remove");
    }
    println!("aim: at most 2 MiB each");
}

fn load(folder: &Path) {
    println!("\n4 x 1000 for {LOAD_TIME:?}, take 100; memory above that before opening");
    println!(
        "{:>12} {:>6} {:>10} {:>10} {:>12} {:>12} {:>12}",
        "waiting", "taker", "put k/s", "take k/s", "peak MiB", "quiet MiB", "emptied MiB"
    );
    for (events, body_bytes) in BACKLOGS {
        for taker in ["fast", "slow"] {
            let place = folder.join(format!("load-{events}-{taker}"));
            reopen::fill_and_kill(&place, events, body_bytes);
            let told = child(&[LOAD, path(&place), taker]);
            let [put, taken, peak, quiet, emptied] = told;
            println!(
                "{events:>12} {taker:>6} {put:>10.0} {taken:>10.0} {peak:>12.1} {quiet:>12.1} {emptied:>12.1}",
            );
            std::fs::remove_dir_all(&place).expect("a folder to remove");
        }
    }
    println!("aims: at most 72 MiB at the peak, and 2 MiB emptied and quiet");
}

fn path(place: &Path) -> &str {
    place.to_str().expect("a plain path")
}

/// What this program says of itself with these arguments.
fn child<const FIGURES: usize>(arguments: &[&str]) -> [f64; FIGURES] {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).args(arguments).output().expect("a child");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("figures");
    let figures = said
        .split_whitespace()
        .map(|word| word.parse().expect(word));
    let figures: Vec<f64> = figures.collect();
    figures.try_into().expect("so many figures")
}

fn arguments_of(mut given: impl Iterator<Item = String>) -> (PathBuf, String) {
    let folder = PathBuf::from(given.next().expect("a folder"));
    (folder, given.next().expect("one more word"))
}

fn runtime() -> Runtime {
    // As many threads as the agent has by default.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_time();
    runtime.build().expect("a runtime")
}

fn mebibytes(now: u64, before: u64) -> f64 {
    now.saturating_sub(before) as f64 / f64::from(1 << 20)
}

/// For the process that is measured: says what so many idle channels take.
pub(crate) fn measure_idle(arguments: impl Iterator<Item = String>) {
    let (folder, channels) = arguments_of(arguments);
    let channels: u64 = channels.parse().expect("a number");
    let runtime = runtime();
    runtime.block_on(async { tokio::task::yield_now().await });
    let before = (resident_bytes(), open_files(), threads());
    let setting = Setting {
        strict: false,
        segment_bytes: IDLE_SEGMENT_BYTES,
    };
    let mut all = Vec::new();
    for number in 0..channels {
        let channel = rig::channel(&folder.join(number.to_string()), setting);
        runtime.block_on(async {
            fill(&channel, USED_EVENTS, 100).await;
            drain(&channel).await;
        });
        all.push(channel);
    }
    std::thread::sleep(QUIET);
    println!(
        "{} {} {}",
        mebibytes(resident_bytes(), before.0),
        open_files() - before.1,
        threads() - before.2,
    );
}

/// For the process that is measured: says what a channel takes under load and after it.
pub(crate) fn measure_load(arguments: impl Iterator<Item = String>) {
    let (folder, taker) = arguments_of(arguments);
    let runtime = runtime();
    let batch = batch(1000);
    assert!(forget_peak(), "the system keeps the peak of a process");
    let before = resident_bytes();
    let channel = rig::channel(&folder, Setting::default());
    let is_over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let taking = runtime.spawn(take_while(
        Arc::clone(&channel),
        Arc::clone(&is_over),
        taker == "slow",
    ));
    let putting: Vec<_> = (0..4)
        .map(|_| {
            let (channel, batch) = (Arc::clone(&channel), batch.clone());
            runtime.spawn(async move {
                let mut puts = 0_u64;
                while begun.elapsed() < LOAD_TIME {
                    put(&channel, &batch).await;
                    puts += 1;
                }
                puts
            })
        })
        .collect();
    let mut puts = 0;
    for task in putting {
        puts += runtime.block_on(task).expect("a writer");
    }
    is_over.store(true, Ordering::Relaxed);
    let taken = runtime.block_on(taking).expect("a taker");
    let seconds = begun.elapsed().as_secs_f64();
    let peak = peak_bytes();
    std::thread::sleep(QUIET);
    let quiet = resident_bytes();
    runtime.block_on(drain(&channel));
    std::thread::sleep(QUIET);
    println!(
        "{} {} {} {} {}",
        puts as f64 / seconds,
        taken as f64 / seconds / 1000.0,
        mebibytes(peak, before),
        mebibytes(quiet, before),
        mebibytes(resident_bytes(), before),
    );
}

/// Takes 100 at a time until it is over, and says how many events.
async fn take_while(channel: Arc<FileChannel>, is_over: Arc<AtomicBool>, is_slow: bool) -> u64 {
    let begun = Instant::now();
    let mut taken = 0;
    while !is_over.load(Ordering::Relaxed) {
        let wait = Duration::from_millis(1);
        if let Ok(lease) = channel.take(rig::TAKE_LIMITS, wait).await {
            taken += lease.len() as u64;
            lease.ack().await.expect("an acknowledgement");
        }
        let due = Duration::from_secs_f64(taken as f64 / SLOW_EVENTS_PER_SECOND);
        if is_slow {
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        }
    }
    taken
}
