//! The contract of every channel, over a real folder.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use flumen_core::channel::{Channel, ChannelLimits};
use flumen_core::conformance;
use flumen_core::conformance::channel::{ChannelMaker, DurableChannelMaker};
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, EventBatch};
use tempfile::TempDir;

use super::{clock, folder, settings, with_limits};

struct Maker {
    durability: &'static str,
    acknowledge: &'static str,
    folder: TempDir,
    made: Mutex<u32>,
    opened: Mutex<Vec<Opened>>,
}

struct Opened {
    channel: Weak<dyn Channel>,
    number: u32,
}

impl Maker {
    fn new(durability: &'static str, acknowledge: &'static str) -> Self {
        Self {
            durability,
            acknowledge,
            folder: folder(),
            made: Mutex::new(0),
            opened: Mutex::default(),
        }
    }

    fn next(&self) -> u32 {
        let mut made = self.made.lock().unwrap();
        *made += 1;
        *made
    }

    fn open(&self, name: &str, number: u32, limits: ChannelLimits) -> Arc<dyn Channel> {
        let row = crate::rows().find(|row| row.is_called("file")).unwrap();
        let settings = self.place(number, limits);
        let channel = crate::build(row, &ComponentName::new(name), &settings, clock()).unwrap();
        let mut opened = self.opened.lock().unwrap();
        opened.retain(|own| own.channel.strong_count() > 0);
        opened.push(Opened {
            channel: Arc::downgrade(&channel),
            number,
        });
        channel
    }

    fn place(&self, number: u32, limits: ChannelLimits) -> Settings {
        let folder = self.folder.path().join(number.to_string());
        let text = |text: &str| Value::Text(text.to_owned());
        with_limits(settings(&folder), limits)
            .with("durability", text(self.durability))
            .with("acknowledge", text(self.acknowledge))
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
    /// A copy of the files as they are, as a crash of the agent leaves them.
    fn reopen(&self, channel: &Arc<dyn Channel>) -> Arc<dyn Channel> {
        let found = {
            let opened = self.opened.lock().unwrap();
            let is_it = |own: &&Opened| Arc::ptr_eq(&own.channel.upgrade().unwrap(), channel);
            opened.iter().find(is_it).unwrap().number
        };
        let from = self.folder.path().join(found.to_string());
        let number = self.next();
        let to = self.folder.path().join(number.to_string());
        copy(&from, &to);
        self.open(channel.name().as_str(), number, channel.limits())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &place),
            // A file that is being made or removed may be gone by now.
            false => drop(fs::copy(entry.path(), place)),
        }
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
fn the_contract_is_kept() {
    run(|| conformance::channel::run(&Maker::new("sync", "lazy")));
}

#[test]
fn the_contract_is_kept_with_strict_acknowledgements() {
    run(|| conformance::channel::run(&Maker::new("os", "strict")));
}

#[test]
fn the_contract_is_kept_over_a_crash() {
    run(|| conformance::channel::run_durable(&Maker::new("sync", "lazy")));
}

#[test]
fn the_contract_is_kept_over_a_crash_with_strict_acknowledgements() {
    run(|| conformance::channel::run_durable(&Maker::new("os", "strict")));
}
