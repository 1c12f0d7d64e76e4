//! How long a channel takes to open after its process was killed, and how much memory it takes,
//! whatever waits in it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::process::resident_bytes;
use crate::rig::{Setting, channel, put, sized};

/// The word that makes this program fill a channel and wait to be killed.
pub(crate) const FILL: &str = "--fill";

/// Events that wait.
const BACKLOGS: [u64; 3] = [0, 1_000_000, 50_000_000];

/// Small, so that the largest backlog fits most disks; what is read at the start depends on bytes
/// of a segment and not on them.
const BODY_BYTES: usize = 16;

const BATCH_EVENTS: usize = 10_000;

const OPENINGS: usize = 5;

/// What it says then.
const FULL: &str = "full";

/// Fills a channel in the folder that is named, says so, and waits to be killed.
pub(crate) fn fill_and_wait(mut arguments: impl Iterator<Item = String>) -> ! {
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let events: u64 = arguments
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    let body_bytes = arguments.next().expect("a number");
    let body_bytes = body_bytes.parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let channel = channel(&folder, Setting::default());
    let batch = sized(BATCH_EVENTS, body_bytes);
    runtime.block_on(async {
        for _ in 0..events / BATCH_EVENTS as u64 {
            put(&channel, &batch).await;
        }
    });
    println!("{FULL}");
    // Until the one that waits for the word kills it.
    loop {
        std::thread::park();
    }
}

/// Leaves a channel with so many events, as a process that was killed does.
pub(crate) fn fill_and_kill(place: &Path, events: u64, body_bytes: usize) {
    let own = std::env::current_exe().expect("this program");
    let arguments = [
        FILL,
        place.to_str().expect("a plain path"),
        &events.to_string(),
        &body_bytes.to_string(),
    ];
    let mut filler = Command::new(own)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut said = String::new();
    BufReader::new(filler.stdout.take().expect("its words"))
        .read_line(&mut said)
        .expect("a word of the child");
    assert_eq!(said.trim(), FULL);
    filler.kill().expect("a kill");
    filler.wait().expect("an end");
}

pub(crate) fn run(folder: &Path, runtime: &Runtime) {
    println!(
        "\n{:>12} {:>12} {:>12} {:>14} {:>12}",
        "waiting", "open ms", "longest ms", "first take ms", "memory MiB"
    );
    for events in BACKLOGS {
        let place = folder.join(events.to_string());
        fill_and_kill(&place, events, BODY_BYTES);
        let before = resident_bytes();
        let mut openings = Vec::new();
        let mut takes = Vec::new();
        let mut memory = 0;
        for _ in 0..OPENINGS {
            let begun = Instant::now();
            let opened = channel(&place, Setting::default());
            openings.push(begun.elapsed());
            if events > 0 {
                runtime.block_on(crate::rig::take_and_give_back(&opened));
                takes.push(begun.elapsed());
            }
            memory = memory.max(resident_bytes().saturating_sub(before));
            drop(Arc::into_inner(opened));
        }
        openings.sort_unstable();
        takes.sort_unstable();
        let middle = |times: &[Duration]| times.get(times.len() / 2).copied().unwrap_or_default();
        println!(
            "{events:>12} {:>12.1} {:>12.1} {:>14.1} {:>12.1}",
            middle(&openings).as_secs_f64() * 1e3,
            openings.last().copied().unwrap_or_default().as_secs_f64() * 1e3,
            middle(&takes).as_secs_f64() * 1e3,
            memory as f64 / f64::from(1 << 20),
        );
        std::fs::remove_dir_all(&place).expect("a folder to remove");
    }
}
