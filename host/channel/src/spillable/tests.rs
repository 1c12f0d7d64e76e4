//! The suite of the contract, and what only this channel promises.

mod model;
mod options;
mod order;
mod restart;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flumen_core::channel::{Channel, ChannelLimits, Lease, PutPart, TakeLimits, put_all};
use flumen_core::clock::ManualClock;
use flumen_core::conformance;
use flumen_core::conformance::channel::ChannelMaker;
use flumen_core::option::DefaultValue;
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, EventBatch};
use tempfile::TempDir;

/// The settings of a file that names none of the channel's options.
fn defaults() -> Settings {
    let mut settings = Settings::new();
    for option in super::ROW.options {
        let DefaultValue::Is(value) = option.default else {
            continue;
        };
        let value = match value.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) if value == "true" || value == "false" => Value::Boolean(value == "true"),
            Err(_) => Value::Text(value.to_owned()),
        };
        settings = settings.with(option.name, value);
    }
    settings
}

fn number(value: u64) -> Value {
    Value::Integer(value.try_into().unwrap())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A channel with this much in memory, which spills at once, into small files without syncs.
fn settings(folder: &Path, memory_events: u64) -> Settings {
    defaults()
        .with("dataDirs", text(folder.to_str().unwrap()))
        .with("maxFileSize", number(64 * 1024))
        .with("minimumRequiredSpace", number(1 << 20))
        .with("durability", text("os"))
        .with("memoryCapacity", number(memory_events))
        .with("overflowTimeout", number(0))
        .with("overflowCapacity", number(1_000_000))
        .with("byteCapacity", number(0))
}

fn open(settings: &Settings) -> Arc<dyn Channel> {
    let clock = Arc::new(ManualClock::at(5000));
    crate::build(&super::ROW, &ComponentName::new("c1"), settings, clock).unwrap()
}

fn numbered(numbers: std::ops::Range<u64>) -> EventBatch {
    let bodies: Vec<String> = numbers.map(|number| number.to_string()).collect();
    let ends = bodies.iter().scan(0, |end, body| {
        *end += body.len() as u32;
        Some(*end)
    });
    EventBatch::from_columns(bodies.concat().into(), ends.collect()).unwrap()
}

async fn put(channel: &Arc<dyn Channel>, events: EventBatch) {
    let channel = Arc::clone(channel);
    put_all(&[PutPart { channel, events }], None).await.unwrap();
}

fn at_most(events: usize) -> TakeLimits {
    TakeLimits {
        events,
        bytes: u64::MAX,
    }
}

async fn take(channel: &Arc<dyn Channel>, events: usize) -> Lease {
    channel.take(at_most(events), Duration::ZERO).await.unwrap()
}

/// Sequences and bodies of a lease.
fn shown(lease: &Lease) -> Vec<(u64, u64)> {
    let mut shown = Vec::new();
    for segment in lease.segments() {
        let bodies = segment.events.bodies();
        let bodies = bodies.map(|body| std::str::from_utf8(body).unwrap().parse().unwrap());
        shown.extend((segment.first_sequence..).zip(bodies));
    }
    shown
}

/// Takes and acknowledges all that there is.
async fn drain(channel: &Arc<dyn Channel>) -> Vec<(u64, u64)> {
    let mut drained = Vec::new();
    while let Ok(lease) = channel.take(at_most(usize::MAX), Duration::ZERO).await {
        drained.extend(shown(&lease));
        lease.ack().await.unwrap();
    }
    drained
}

fn numbers(shown: &[(u64, u64)]) -> Vec<u64> {
    shown.iter().map(|(_, number)| *number).collect()
}

/// Which part of the capacity is in memory.
#[derive(Clone, Copy)]
enum Share {
    All,
    Half,
    None,
}

/// Each channel of the suite has a folder of its own.
struct Maker {
    folder: TempDir,
    made: Mutex<u32>,
    share: Share,
}

impl Maker {
    fn new(share: Share) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            made: Mutex::new(0),
            share,
        }
    }

    /// The folder of the channel that was made last.
    fn path(&self) -> PathBuf {
        let made = *self.made.lock().unwrap();
        self.folder.path().join(made.to_string())
    }
}

impl ChannelMaker for Maker {
    fn make(&self, name: &str, limits: ChannelLimits) -> Arc<dyn Channel> {
        *self.made.lock().unwrap() += 1;
        let clock = Arc::new(ManualClock::at(0));
        let name = ComponentName::new(name);
        crate::build(&super::ROW, &name, &self.settings(limits), clock).unwrap()
    }

    fn settings(&self, limits: ChannelLimits) -> Settings {
        let in_memory = |all: u64| match self.share {
            Share::All => all,
            Share::Half => all / 2,
            Share::None => 0,
        };
        let events = in_memory(limits.capacity_events);
        let bytes = match events {
            0 => 0,
            _ => in_memory(limits.capacity_bytes),
        };
        settings(&self.path(), events)
            .with("overflowCapacity", number(limits.capacity_events - events))
            .with("byteCapacity", number(bytes))
            .with("byteCapacityBufferPercentage", number(0))
            .with("capacity_bytes", number(limits.capacity_bytes - bytes))
            .with(
                "transactionCapacity",
                number(limits.transaction_events as u64),
            )
            .with("keep-alive", number(limits.keep_alive.as_secs()))
    }

    fn counted_bytes(&self, events: &EventBatch) -> u64 {
        events.body_bytes()
    }
}

/// The channel makes a timer when it waits, so the suite runs where there is one; it never fires.
fn keeps_the_contract(share: Share) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _context = runtime.enter();
    conformance::channel::run(&Maker::new(share));
}

#[test]
fn the_contract_is_kept_in_memory_alone() {
    keeps_the_contract(Share::All);
}

#[test]
fn the_contract_is_kept_in_files_alone() {
    keeps_the_contract(Share::None);
}

#[test]
fn the_contract_is_kept_in_memory_and_files() {
    keeps_the_contract(Share::Half);
}
