//! How long a log takes to open that was dropped without being closed, and what it holds in memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use flumen_wal::{Folder, Log, LogIo, Options, Read, Record};

use crate::ITEM_BYTES;

/// Items of one record here: the log counts them, and does not ask for their bytes.
const ITEMS_A_RECORD: u32 = 1000;

/// How often a log is opened after another kill.
const OPENINGS: usize = 5;

/// Measures with a million items of 512 bytes, and with as many as fit the table of segments, whose
/// files are short so that they are made in no time.
pub(crate) fn run(folder: &Path) {
    println!("reopen after dropping, without the sync and the proof that closing writes");
    let whole = Options {
        segments_max: 64,
        free_bytes_min: 0,
        // A log that rests writes nothing.
        witness_delay: None,
        ..Options::default()
    };
    measure(
        "1 M items, 512 MB",
        &folder.join("million"),
        whole,
        1000,
        ITEM_BYTES,
    );
    let many = Options {
        segment_bytes: 1024 * 1024,
        segments_max: 1500,
        free_bytes_min: 0,
        // A log that rests writes nothing.
        witness_delay: None,
        ..Options::default()
    };
    measure(
        "50 M items, 1300 segments",
        &folder.join("many"),
        many,
        50_000,
        26,
    );
}

fn measure(name: &str, folder: &Path, options: Options, records: usize, item_bytes: usize) {
    std::fs::create_dir(folder).expect("a folder for the log");
    let io = |folder: &Path| -> Arc<dyn LogIo> { Arc::new(Folder::new(folder)) };
    let (log, _) = Log::open(io(folder), options.clone(), Box::new(())).expect("a log");
    let payload = Bytes::from(vec![7; ITEMS_A_RECORD as usize * item_bytes]);
    for _ in 0..records {
        let record = Record {
            items: ITEMS_A_RECORD,
            acknowledged: Vec::new(),
            payload: payload.clone(),
        };
        log.append_and_wait(record).expect("a confirmed append");
    }
    let mut times = Vec::new();
    let mut before = folder.to_owned();
    let mut logs = vec![log];
    for number in 0..OPENINGS {
        let killed = folder.with_extension(number.to_string());
        link_all(&before, &killed);
        let began = Instant::now();
        let (log, recovery) = Log::open(io(&killed), options.clone(), Box::new(())).expect("a log");
        times.push(began.elapsed().as_secs_f64() * 1e3);
        let pending = recovery.pending_items;
        assert_eq!(pending, records as u64 * u64::from(ITEMS_A_RECORD));
        let first = log.reader(0).next().expect("a log that can be read");
        assert!(matches!(first, Some(Read::Frame { first_item: 0, .. })));
        // Open as long as its files are looked at, so that it does not close them.
        logs.push(log);
        before = killed;
    }
    let first = times.first().copied().unwrap_or(f64::NAN);
    let worst = times.iter().copied().fold(0.0, f64::max);
    println!(
        "{name:28} first {first:6.0} ms, worst of {} {worst:6.0} ms, resident {:.0} MiB",
        times.len(),
        resident_mib()
    );
}

/// Gives the files of a log a second name in a folder of their own: what a killed process leaves
/// behind, while the one that wrote it still runs and has the lock on the first folder.
fn link_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder for the log");
    for entry in std::fs::read_dir(from).expect("the folder of the log") {
        let entry = entry.expect("a file of the log");
        let name = entry.file_name().to_string_lossy().into_owned();
        // One that is being made may be gone, and is of no use after a kill.
        if name.starts_with("segment-") || name.starts_with("spare-") {
            let to = to.join(entry.file_name());
            std::fs::hard_link(entry.path(), to).expect("a second name");
        }
    }
}

/// Memory of this process that is in use now.
fn resident_mib() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let resident = pages.split(' ').nth(1).and_then(|n| n.parse::<f64>().ok());
    resident.unwrap_or(f64::NAN) * 4096.0 / 1024.0 / 1024.0
}
