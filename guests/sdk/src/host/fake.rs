//! A host in memory, one for each thread: the test runner gives every test a thread or runs one
//! after the other, and each harness begins with a fresh one.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::logging::Level;
use crate::bindings::types::{Column, HeaderColumn};
use crate::column::{HeaderColumnBuilder, column_of};
use crate::error::Error;
use crate::testing::TestBatch;

/// The time when a test begins: not 0, so that a component that mixes up durations and times shows.
const START_MS: u64 = 1_700_000_000_000;

pub(crate) type State = BTreeMap<String, Vec<u8>>;

pub(crate) struct FakeHost {
    pub(crate) level: Level,
    pub(crate) lines: Vec<(Level, String)>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) gauges: BTreeMap<String, f64>,
    pub(crate) state: State,
    pub(crate) now_ms: u64,
    pub(crate) stopping: bool,
}

impl FakeHost {
    pub(crate) const fn new() -> Self {
        FakeHost {
            level: Level::Trace,
            lines: Vec::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            state: State::new(),
            now_ms: START_MS,
            stopping: false,
        }
    }
}

thread_local! {
    static HOST: RefCell<FakeHost> = const { RefCell::new(FakeHost::new()) };
}

/// Works on this thread's host. Nothing in here calls back, so the borrow is never taken twice.
pub(crate) fn with<R>(work: impl FnOnce(&mut FakeHost) -> R) -> R {
    HOST.with_borrow_mut(work)
}

pub(crate) fn log_enabled(level: Level) -> bool {
    with(|host| level >= host.level)
}

pub(crate) fn log(level: Level, message: &str) {
    with(|host| host.lines.push((level, message.to_owned())));
}

pub(crate) struct Counter(String);

impl Counter {
    pub(crate) fn new(name: &str) -> Self {
        with(|host| *host.counters.entry(name.to_owned()).or_default() += 0);
        Counter(name.to_owned())
    }

    pub(crate) fn add(&self, count: u64) {
        with(|host| *host.counters.entry(self.0.clone()).or_default() += count);
    }
}

pub(crate) struct Gauge(String);

impl Gauge {
    pub(crate) fn new(name: &str) -> Self {
        Gauge(name.to_owned())
    }

    pub(crate) fn set(&self, value: f64) {
        with(|host| host.gauges.insert(self.0.clone(), value));
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the real host can refuse")]
pub(crate) fn state_get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(with(|host| host.state.get(key).cloned()))
}

/// Bytes of keys and values together: the bound that the real host has unless configured.
const STATE_BYTES_MAX: usize = 1 << 20;

pub(crate) fn state_set(key: &str, value: &[u8]) -> Result<(), Error> {
    with(|host| {
        let others = host.state.iter().filter(|(own, _)| *own != key);
        let held: usize = others.map(|(own, value)| own.len() + value.len()).sum();
        if held + key.len() + value.len() > STATE_BYTES_MAX {
            return Err(Error::broken(format!(
                "state would grow past {STATE_BYTES_MAX} bytes: keep less"
            )));
        }
        host.state.insert(key.to_owned(), value.to_vec());
        Ok(())
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the real host can refuse")]
pub(crate) fn state_delete(key: &str) -> Result<(), Error> {
    with(|host| host.state.remove(key));
    Ok(())
}

pub(crate) fn now_ms() -> u64 {
    with(|host| host.now_ms)
}

/// Moves the clock instead of waiting.
pub(crate) fn sleep_ms(duration_ms: u32) -> bool {
    with(|host| {
        if !host.stopping {
            host.now_ms += u64::from(duration_ms);
        }
        host.stopping
    })
}

pub(crate) fn stopping() -> bool {
    with(|host| host.stopping)
}

/// A batch of a test in the form in which the real host gives one.
#[derive(Clone, Copy)]
pub(crate) struct FakeBatch<'a>(pub(crate) &'a TestBatch);

impl FakeBatch<'_> {
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn bodies(&self) -> Column {
        let mut column = Column::empty();
        for event in self.0.events() {
            // A batch of a test that is larger than 4 GiB ends early; nobody writes one.
            if column.push(&event.body).is_err() {
                break;
            }
        }
        column
    }

    pub(crate) fn body(&self, row: u32) -> Option<Vec<u8>> {
        Some(self.0.events().get(row as usize)?.body.clone())
    }

    pub(crate) fn header(&self, name: &str) -> Option<HeaderColumn> {
        self.headers()
            .into_iter()
            .find(|column| column.name == name)
    }

    pub(crate) fn headers(&self) -> Vec<HeaderColumn> {
        let mut columns: Vec<HeaderColumnBuilder> = Vec::new();
        for (event, row) in self.0.events().iter().zip(0..) {
            for (name, value) in &event.headers {
                if let Some(column) = column_of(&mut columns, name)
                    && column.push(row, value).is_err()
                {
                    break;
                }
            }
        }
        let columns = columns.into_iter();
        columns.map(|column| column.finish(self.0.len())).collect()
    }

    pub(crate) fn header_names(&self) -> Vec<String> {
        let columns = self.headers().into_iter();
        columns.map(|column| column.name).collect()
    }
}
