//! The suite of the contract, and what only this channel promises.

mod crash;
mod disk;
mod model;
mod options;
mod prepared;
mod restart;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use flumen_core::channel::{Channel, ChannelLimits, Lease, PutPart, TakeLimits, put_all};
use flumen_core::clock::ManualClock;
use flumen_core::conformance;
use flumen_core::conformance::channel::{ChannelMaker, DurableChannelMaker};
use flumen_core::option::DefaultValue;
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, EventBatch, Fault};
use tempfile::TempDir;

use super::options::Options;
use super::{Scale, SqlChannel};

/// The settings of a file that names none of the channel's options but the path.
fn defaults(path: &Path) -> Settings {
    let mut settings = Settings::new().with("path", text(path));
    for option in super::ROW.options {
        let DefaultValue::Is(value) = option.default else {
            continue;
        };
        let value = match value.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) if value == "true" => Value::Boolean(true),
            Err(_) => Value::Text(value.to_owned()),
        };
        settings = settings.with(option.name, value);
    }
    settings
}

fn text(path: &Path) -> Value {
    Value::Text(path.to_str().unwrap().to_owned())
}

fn number(value: u64) -> Value {
    Value::Integer(value.try_into().unwrap())
}

fn try_open(settings: &Settings) -> Result<SqlChannel, Fault> {
    open_with(settings, Scale::default())
}

fn open_with(settings: &Settings, scale: Scale) -> Result<SqlChannel, Fault> {
    let name = ComponentName::new("c1");
    let options = Options::read(&name, settings)?;
    let clock = Arc::new(ManualClock::at(1_700_000_000_123));
    super::open(&name, options, clock, scale)
}

fn open(path: &Path) -> Arc<dyn Channel> {
    Arc::new(try_open(&defaults(path)).unwrap())
}

fn events<T: AsRef<str>>(bodies: &[T]) -> EventBatch {
    let data: String = bodies.iter().map(AsRef::as_ref).collect();
    let ends = bodies.iter().scan(0, |end, body| {
        *end += body.as_ref().len() as u32;
        Some(*end)
    });
    EventBatch::from_columns(data.into(), ends.collect()).unwrap()
}

fn numbered(numbers: std::ops::Range<u64>) -> EventBatch {
    let bodies: Vec<String> = numbers.map(|number| number.to_string()).collect();
    events(&bodies)
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
fn shown(lease: &Lease) -> Vec<(u64, String)> {
    let mut shown = Vec::new();
    for segment in lease.segments() {
        let bodies = segment.events.bodies();
        let bodies = bodies.map(|body| String::from_utf8(body.to_vec()).unwrap());
        shown.extend((segment.first_sequence..).zip(bodies));
    }
    shown
}

/// Takes and acknowledges all that there is.
async fn drain(channel: &Arc<dyn Channel>) -> Vec<(u64, String)> {
    let mut drained = Vec::new();
    while let Ok(lease) = channel.take(at_most(usize::MAX), Duration::ZERO).await {
        drained.extend(shown(&lease));
        lease.ack().await.unwrap();
    }
    drained
}

/// What `sqlite3` answers, `None` where there is no such tool.
fn sqlite3(path: &Path, sql: &str) -> Option<String> {
    let asked = Command::new("sqlite3")
        .arg(path)
        .arg(sql)
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    assert!(asked.status.success(), "{sql}");
    Some(String::from_utf8(asked.stdout).unwrap())
}

fn with_memory(memory_bytes_max: u64) -> Scale {
    Scale {
        memory_bytes_max,
        ..Scale::default()
    }
}

/// Each channel of the suite has a file of its own.
struct Maker {
    folder: TempDir,
    made: Mutex<u32>,
    opened: Mutex<Vec<(Weak<dyn Channel>, u32)>>,
    scale: Scale,
}

impl Maker {
    fn new(memory_bytes_max: u64) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            made: Mutex::new(0),
            opened: Mutex::default(),
            scale: with_memory(memory_bytes_max),
        }
    }

    fn next(&self) -> u32 {
        let mut made = self.made.lock().unwrap();
        *made += 1;
        *made
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.path().join(number.to_string())
    }

    fn open(&self, name: &str, number: u32, limits: ChannelLimits) -> Arc<dyn Channel> {
        let name = ComponentName::new(name);
        let options = Options::read(&name, &self.place(number, limits)).unwrap();
        let clock = Arc::new(ManualClock::at(0));
        let channel = super::open(&name, options, clock, self.scale).unwrap();
        let channel: Arc<dyn Channel> = Arc::new(channel);
        let mut opened = self.opened.lock().unwrap();
        opened.retain(|(own, _)| own.strong_count() > 0);
        opened.push((Arc::downgrade(&channel), number));
        channel
    }

    fn place(&self, number: u32, limits: ChannelLimits) -> Settings {
        defaults(&self.path(number))
            .with("maximum.capacity", self::number(limits.capacity_events))
            .with("capacity_bytes", self::number(limits.capacity_bytes))
            .with(
                "transactionCapacity",
                self::number(limits.transaction_events as u64),
            )
            .with("keep-alive", self::number(limits.keep_alive.as_secs()))
    }
}

impl ChannelMaker for Maker {
    fn make(&self, name: &str, limits: ChannelLimits) -> Arc<dyn Channel> {
        self.open(name, self.next(), limits)
    }

    /// The suite changes one channel at a time, and the last one that it made.
    fn settings(&self, limits: ChannelLimits) -> Settings {
        let last = *self.made.lock().unwrap();
        self.place(last, limits)
    }

    fn counted_bytes(&self, events: &EventBatch) -> u64 {
        events.body_bytes()
    }
}

impl DurableChannelMaker for Maker {
    /// The database and its log as they are, as a crash of the agent leaves them.
    fn reopen(&self, channel: &Arc<dyn Channel>) -> Arc<dyn Channel> {
        let found = {
            let opened = self.opened.lock().unwrap();
            let is_it = |own: &&(Weak<dyn Channel>, u32)| {
                own.0
                    .upgrade()
                    .is_some_and(|own| Arc::ptr_eq(&own, channel))
            };
            opened.iter().find(is_it).unwrap().1
        };
        let number = self.next();
        for ending in ["", "-wal"] {
            let of = |number| format!("{}{ending}", self.path(number).display());
            // After an orderly end there is no log.
            let copied = std::fs::copy(of(found), of(number));
            assert!(copied.is_ok() || !ending.is_empty());
        }
        self.open(channel.name().as_str(), number, channel.limits())
    }
}

/// The channel makes a timer when it waits, so the suite runs where there is one; it never fires.
fn run(suite: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _context = runtime.enter();
    suite();
}

#[test]
fn the_contract_is_kept_with_events_in_memory() {
    run(|| conformance::channel::run(&Maker::new(super::MEMORY_BYTES_MAX)));
}

#[test]
fn the_contract_is_kept_with_nearly_all_events_in_the_database_only() {
    run(|| conformance::channel::run(&Maker::new(1)));
}

#[test]
fn the_contract_is_kept_over_a_crash() {
    run(|| conformance::channel::run_durable(&Maker::new(super::MEMORY_BYTES_MAX)));
}
