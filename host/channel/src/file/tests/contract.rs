//! The contract of every channel, over a real folder.

use std::sync::{Arc, Mutex};

use flumen_core::channel::{Channel, ChannelLimits};
use flumen_core::conformance;
use flumen_core::conformance::channel::ChannelMaker;
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, EventBatch};
use tempfile::TempDir;

use super::{clock, folder, settings, with_limits};

struct Maker {
    durability: &'static str,
    acknowledge: &'static str,
    folder: TempDir,
    made: Mutex<u32>,
}

impl Maker {
    fn new(durability: &'static str, acknowledge: &'static str) -> Self {
        Self {
            durability,
            acknowledge,
            folder: folder(),
            made: Mutex::new(0),
        }
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
        let mut made = self.made.lock().unwrap();
        *made += 1;
        let row = crate::rows().find(|row| row.is_called("file")).unwrap();
        let settings = self.place(*made, limits);
        crate::build(row, &ComponentName::new(name), &settings, clock()).unwrap()
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

/// The channel makes a timer when it waits, so the suite runs where there is one; it never fires.
fn run(maker: &Maker) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _context = runtime.enter();
    conformance::channel::run(maker);
}

#[test]
fn the_contract_is_kept() {
    run(&Maker::new("sync", "lazy"));
}

#[test]
fn the_contract_is_kept_with_strict_acknowledgements() {
    run(&Maker::new("os", "strict"));
}
