//! A channel on a simulated disk, and what has to be true of it after any crash.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_core::channel::{Channel, Lease};
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, Fault};
use flumen_wal::simulation::{Crash, Disk};
use tokio::runtime::Runtime;

use super::super::options::Setup;
use super::super::patience::Waits;
use super::super::window::Window;
use super::super::{FileChannel, Ground};
use super::{LONG, at_most, clock, events, put_with, record, seen, settings};

/// Room for a dozen segments of the tests.
pub(super) const DISK_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes behind the number in each body.
const MORE: usize = 90;

/// A disk that a test owns is asked again at once.
const SHORT: Waits = Waits {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(1),
    tries: 0,
};

/// A wait for events that is asked for again, because they may be set aside meanwhile.
const MOMENT: Duration = Duration::from_millis(20);

/// What became of an event, as far as anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its put was not confirmed: it is there, or not, together with the others of its put.
    Put { unknown: u64 },
    /// It has to be delivered.
    Waits,
    /// Its acknowledgement was handed in, and may have been lost.
    MayBeGone,
    /// It must never be seen again.
    Gone,
}

/// One life after another of a channel on one disk.
pub(super) struct Rig {
    pub(super) disk: Disk,
    pub(super) runtime: Runtime,
    pub(super) channel: Option<Arc<FileChannel>>,
    strict: bool,
    window: Window,
    waits: Waits,
    /// By number.
    pub(super) known: BTreeMap<u64, Known>,
    puts: u64,
    /// The last put that was confirmed with its record, and those behind it that may have been.
    last_record: Option<u64>,
    unknown_records: Vec<u64>,
}

impl Rig {
    pub(super) fn new(strict: bool, window: Window) -> Self {
        Self {
            disk: Disk::new(DISK_BYTES, 7),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap(),
            channel: None,
            strict,
            window,
            waits: Waits { tries: 3, ..SHORT },
            known: BTreeMap::new(),
            puts: 0,
            last_record: None,
            unknown_records: Vec::new(),
        }
    }

    /// From the next opening on waits for its disk as long as it takes.
    pub(super) fn patient(&mut self) {
        self.waits = Waits {
            tries: u32::MAX,
            ..SHORT
        };
    }

    pub(super) fn settings(&self) -> Settings {
        let word = if self.strict { "strict" } else { "lazy" };
        let text = |text: &str| Value::Text(text.to_owned());
        settings(Path::new("disk"))
            .with("durability", text("sync"))
            .with("acknowledge", text(word))
    }

    pub(super) fn open(&mut self) -> Result<(), Fault> {
        let name = ComponentName::new("c1");
        let mut setup = Setup::read(&name, &self.settings())?;
        setup.changing.free_bytes_min = 0;
        let ground = Ground {
            io: self.disk.io(),
            keyring: Default::default(),
            window: self.window,
            waits: self.waits,
        };
        let channel = FileChannel::open_on(ground, &name, setup, clock(), Path::new("disk"))?;
        self.channel = Some(Arc::new(channel));
        Ok(())
    }

    pub(super) fn channel(&self) -> Arc<FileChannel> {
        Arc::clone(self.channel.as_ref().unwrap())
    }

    /// Puts this many events with a state, and says whether that was confirmed.
    pub(super) fn put(&mut self, count: u64) -> bool {
        let first = self.known.last_key_value().map_or(0, |(last, _)| last + 1);
        let numbers = first..first + count;
        let channel = self.channel();
        self.puts += 1;
        // What was known to be confirmed before need not be found again.
        channel.forget(self.last_record.unwrap_or_default().saturating_sub(1));
        let put = put_with(
            &channel,
            events(numbers.clone(), MORE),
            Some(record(self.puts, &self.puts.to_le_bytes())),
        );
        let result = self.runtime.block_on(put);
        let known = match &result {
            Ok(()) => {
                self.last_record = Some(self.puts);
                self.unknown_records.clear();
                Known::Waits
            }
            Err(_) => {
                self.unknown_records.push(self.puts);
                Known::Put { unknown: self.puts }
            }
        };
        self.known.extend(numbers.map(|number| (number, known)));
        result.is_ok()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<Lease> {
        let lease = self.taken(count)?;
        for (_, number) in seen(&lease) {
            let known = self.known[&number];
            assert!(
                matches!(known, Known::Waits),
                "event {number} is given although it is {known:?}"
            );
        }
        Some(lease)
    }

    /// Takes what there is; nothing when nothing more can come. While the disk is waited for takes
    /// fail.
    fn taken(&self, count: usize) -> Option<Lease> {
        let channel = self.channel();
        let begun = Instant::now();
        loop {
            let fill = channel.fill();
            if fill.moving_events() == fill.leased_events {
                return None;
            }
            let taken = self.runtime.block_on(channel.take(at_most(count), MOMENT));
            match taken {
                Ok(lease) => return Some(lease),
                Err(_) if self.disk.is_stopped() => return None,
                Err(error) => assert!(begun.elapsed() < LONG, "{error:?}"),
            }
        }
    }

    /// Acknowledges a lease but for these of its events.
    pub(super) fn ack(&mut self, lease: Lease, kept: Vec<u32>) {
        let numbers = seen(&lease);
        let delivered = (0_u32..)
            .zip(numbers)
            .filter(|(index, _)| !kept.contains(index));
        let delivered: Vec<u64> = delivered.map(|(_, (_, number))| number).collect();
        let result = self.runtime.block_on(lease.ack_except(kept));
        let known = match result {
            Ok(()) if self.strict => Known::Gone,
            _ => Known::MayBeGone,
        };
        for number in delivered {
            self.known.insert(number, known);
        }
    }

    /// The power goes with the next call: whatever still runs changes nothing after that.
    pub(super) fn power_off(&self) {
        if !self.disk.is_stopped() {
            self.disk.stop_at(1);
        }
    }

    /// Ends this life and begins the next, and holds what is there against what is known. Leases are
    /// dropped before, so that nothing of this life has a hand on the disk of the next.
    pub(super) fn crash(&mut self, crash: Crash) {
        self.power_off();
        self.channel = None;
        self.disk.crash(crash);
        self.open_or_mend();
        self.check();
    }

    /// Ends this life in order.
    pub(super) fn close(&mut self) {
        self.close_unchecked();
        self.check();
    }

    /// The same, without a look at what there is.
    pub(super) fn close_unchecked(&mut self) {
        self.channel = None;
        for known in self.known.values_mut() {
            if *known == Known::MayBeGone && !self.disk.is_stopped() {
                *known = Known::Gone;
            }
        }
        self.open_or_mend();
    }

    /// The disk does not give some block any more, of frames or of snapshots.
    pub(super) fn break_block(&self, which: u64) {
        let names = self.disk.names();
        let segments: Vec<_> = names
            .iter()
            .filter(|own| own.starts_with("segment-"))
            .collect();
        let name = segments[which as usize % segments.len()];
        let blocks = self.disk.bytes(name).len() as u64 / 4096 - 2;
        let block = 2 + which / 64 % blocks;
        self.disk
            .make_unreadable(name, block * 4096..(block + 1) * 4096);
    }

    /// A disk that does not give what has to be known is mended.
    fn open_or_mend(&mut self) {
        if let Err(fault) = self.open() {
            assert!(fault.to_string().contains("salvage"), "{fault}");
            self.disk.make_readable();
            self.open().unwrap();
        }
    }

    /// What the channel holds is what it has to hold, in order. It is given back, and the model
    /// knows more than before: what was unknown is settled.
    pub(super) fn check(&mut self) {
        let channel = self.channel();
        let mut leases = Vec::new();
        let mut found: Vec<(u64, u64)> = Vec::new();
        while let Some(lease) = self.taken(100) {
            found.extend(seen(&lease));
            leases.push(lease);
        }
        let fill = channel.fill();
        let aside = fill.set_aside_events;
        let mut waits_aside = 0;
        assert!(found.is_sorted(), "sequences and numbers rise: {found:?}");
        let numbers: Vec<u64> = found.iter().map(|(_, number)| *number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "none is doubled");
        assert_eq!(fill.events, numbers.len() as u64 + aside);
        assert_eq!(fill.bytes, fill.events * (8 + MORE as u64));
        let mut parts: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for (number, known) in &mut self.known {
            let is_there = numbers.binary_search(number).is_ok();
            match *known {
                Known::Waits if is_there => {}
                // The disk does not give it; how many those may be is held against what is told.
                Known::Waits => {
                    waits_aside += 1;
                    continue;
                }
                _ if aside > 0 && !is_there && *known != Known::Gone => continue,
                Known::Gone => assert!(!is_there, "event {number} was acknowledged"),
                Known::MayBeGone => {}
                Known::Put { unknown } => {
                    let part = parts.entry(unknown).or_default();
                    *(if is_there { &mut part.0 } else { &mut part.1 }) += 1;
                }
            }
            *known = if is_there { Known::Waits } else { Known::Gone };
        }
        assert!(
            waits_aside <= aside,
            "{waits_aside} events are lost, {aside} set aside"
        );
        for (put, (there, missing)) in parts {
            assert!(there == 0 || missing == 0, "put {put} was torn");
        }
        self.check_record();
        drop(leases);
        assert_eq!(channel.fill().leased_events, 0);
    }

    fn check_record(&mut self) {
        let channel = self.channel();
        let (_, records) = channel.recovered();
        let found = records.last().map(|record| {
            let bytes: [u8; 8] = record.bytes[..].try_into().unwrap();
            assert_eq!(record.generation, u64::from_le_bytes(bytes));
            record.generation
        });
        let is_known = found == self.last_record
            || found.is_some_and(|found| self.unknown_records.contains(&found));
        assert!(
            is_known,
            "the record is that of put {found:?}, not of {:?} or {:?}",
            self.last_record, self.unknown_records
        );
        self.last_record = found;
        self.unknown_records.clear();
    }
}
