//! The process that crashes: it opens a store, tells what waits in it, and puts and takes until it
//! is stopped, killed, or has done what it was asked to.
//!
//! Everything is told before it is tried and again when it is answered, so that the oracle knows of
//! each promise and of each attempt. Nothing here knows what is going to happen to the process.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::event::Event;
use crate::oracle::Promises;
use channel_store::ChannelStore;
use load::{Load, Switches};
use log_store::LogStore;
use pair_store::PairStore;
use report::Report;
use store::{Seen, Store};

mod channel_store;
mod driven;
mod load;
mod log_store;
mod pair_store;
mod report;
mod states;
mod store;

/// Which kind of store is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The log alone.
    Log,
    /// The file channel, everything on the disk before it is answered.
    Channel,
    /// The file channel with `acknowledge = lazy`, its default.
    Lazy,
    /// The file channel with `durability = interval`.
    Interval,
    /// The file channel with `durability = os`.
    Os,
    /// Two file channels with their defaults, puts into both, and states as an agent keeps them.
    Pair,
}

/// Time between two syncs of [`Kind::Interval`].
const SYNC_INTERVAL_MS: u64 = 50;

/// Within this a file channel begins to write an acknowledgement.
const LAZY_US: u64 = 20_000;

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Kind; 6] = [
        Kind::Log,
        Kind::Channel,
        Kind::Lazy,
        Kind::Interval,
        Kind::Os,
        Kind::Pair,
    ];

    /// Its word on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Log => "log",
            Kind::Channel => "channel",
            Kind::Lazy => "lazy",
            Kind::Interval => "interval",
            Kind::Os => "os",
            Kind::Pair => "pair",
        }
    }

    /// What it promises.
    pub(crate) fn promises(self) -> Promises {
        let is_lazy = matches!(self, Kind::Lazy | Kind::Pair);
        Promises {
            tells_state: matches!(self, Kind::Log | Kind::Pair),
            acknowledged_us: is_lazy.then_some(LAZY_US),
            at_power_cut_us: match self {
                Kind::Interval => Some(SYNC_INTERVAL_MS * 1_000),
                Kind::Os => Some(u64::MAX),
                _ => None,
            },
        }
    }

    /// The file channels in it.
    pub(crate) fn channels(self) -> u64 {
        match self {
            Kind::Log => 0,
            Kind::Pair => 2,
            _ => 1,
        }
    }
}

/// What a driver is to do. Travels over its command line.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) kind: Kind,
    pub(crate) folder: PathBuf,
    pub(crate) seed: u64,
    /// Which run on this folder it is; keeps the numbers of transactions apart.
    pub(crate) run: u64,
    pub(crate) producers: u32,
    /// Transactions of each producer, after which the driver ends by itself; 0: none at all, it
    /// only opens, lists and closes.
    pub(crate) transactions: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) segments_max: u64,
    /// Events that the channel may hold.
    pub(crate) capacity_events: u64,
    /// Items that may wait before the producers do.
    pub(crate) backlog_max: u64,
    /// Whether anything is taken from the start.
    pub(crate) take: bool,
    /// Descriptors that the driver may have beside those that it has at its start.
    pub(crate) descriptors: Option<u64>,
    /// The name of a protection that the log goes without.
    pub(crate) mutation: Option<String>,
}

impl Orders {
    /// The usual load: small segments, so that everything that happens between segments happens
    /// all the time.
    pub(crate) fn new(kind: Kind, folder: &Path, seed: u64) -> Orders {
        Orders {
            kind,
            folder: folder.to_owned(),
            seed,
            run: 0,
            producers: 3,
            transactions: u64::MAX,
            segment_bytes: 64 * 1024,
            segments_max: 100,
            capacity_events: 100_000,
            backlog_max: 300,
            take: true,
            descriptors: None,
            mutation: None,
        }
    }

    /// Where the segments of the log are.
    pub(crate) fn log_folder(&self) -> PathBuf {
        match self.kind {
            Kind::Log => self.folder.clone(),
            Kind::Pair => driven::log_folder(&self.folder.join(pair_store::FIRST)),
            _ => driven::log_folder(&self.folder),
        }
    }

    /// The words behind `flumen-crash drive`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut flag = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
        flag("store", self.kind.name().to_owned());
        flag("folder", self.folder.display().to_string());
        flag("seed", self.seed.to_string());
        flag("run", self.run.to_string());
        flag("producers", self.producers.to_string());
        flag("transactions", self.transactions.to_string());
        flag("segment-bytes", self.segment_bytes.to_string());
        flag("segments-max", self.segments_max.to_string());
        flag("backlog-max", self.backlog_max.to_string());
        flag("take", self.take.to_string());
        if let Some(descriptors) = self.descriptors {
            flag("descriptors", descriptors.to_string());
        }
        if let Some(mutation) = &self.mutation {
            flag("mutation", mutation.clone());
        }
        arguments
    }
}

/// Does what was ordered. A store that does not open is told, not an error.
///
/// # Errors
/// When nobody listens any more, or the folder cannot be made.
pub(crate) fn run(orders: &Orders) -> Result<()> {
    std::fs::create_dir_all(&orders.folder).context("make the folder of the store")?;
    if let Some(more) = orders.descriptors {
        let current = Some(open_descriptors() + more);
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = current;
        setrlimit(Resource::Nofile, limit).context("bound the descriptors")?;
    }
    let report = Arc::new(Report::new());
    match orders.kind {
        Kind::Log => open_and_drive(orders, &report, LogStore::open),
        Kind::Pair => open_and_drive(orders, &report, PairStore::open),
        _ => open_and_drive(orders, &report, ChannelStore::open),
    }
}

fn open_and_drive<S: Store>(
    orders: &Orders,
    report: &Arc<Report>,
    open: impl FnOnce(&Orders) -> Result<S>,
) -> Result<()> {
    match open(orders) {
        Ok(store) => drive(orders, report, Arc::new(store)),
        Err(error) => report.tell(&Event::NotOpened(format!("{error:#}"))),
    }
}

fn drive<S: Store>(orders: &Orders, report: &Arc<Report>, store: Arc<S>) -> Result<()> {
    report.tell(&Event::Opened(store.opened()))?;
    let cursors = store.cursors();
    for (producer, number) in cursors.iter().flatten() {
        report.tell(&Event::Cursor(*producer, *number))?;
    }
    let mut waiting = 0;
    let listed = store.list(&mut |seen| match seen {
        Seen::Item(item) => {
            waiting += 1;
            report.tell(&Event::Listed(item))
        }
        Seen::Lost { frames, items } => report.tell(&Event::Lost(frames, items)),
    });
    if let Err(error) = listed {
        return report.tell(&Event::NotOpened(format!("cannot be listed: {error:#}")));
    }
    report.tell(&Event::Ready)?;
    if orders.transactions > 0 {
        let cursors = match cursors {
            Some(cursors) => cursors,
            None => told_cursors()?,
        };
        put_and_take(orders, report, &store, cursors, waiting)?;
    }
    let descriptors = open_descriptors();
    let store = Arc::into_inner(store).context("a thread still has the store")?;
    report.tell(&match store.close() {
        Ok(()) => Event::Closed(descriptors),
        Err(error) => Event::NotClosed(format!("{error:#}")),
    })
}

fn open_descriptors() -> u64 {
    let open = std::fs::read_dir("/proc/self/fd");
    // That of the folder itself is among them.
    open.map_or(0, |open| open.count() as u64 - 1)
}

fn put_and_take<S: Store>(
    orders: &Orders,
    report: &Arc<Report>,
    store: &Arc<S>,
    cursors: BTreeMap<u32, u64>,
    waiting: i64,
) -> Result<()> {
    let switches = Arc::new(Switches::new(orders.take, waiting));
    let listener = Arc::clone(&switches);
    // Not waited for: it ends with the process.
    let told = Arc::clone(report);
    thread::spawn(move || listen(&listener, &told));
    thread::scope(|scope| -> Result<()> {
        let load = Load {
            orders,
            report,
            store: store.as_ref(),
            switches: &switches,
        };
        let taker = scope.spawn(move || load.take());
        let cursors = &cursors;
        let producers: Vec<_> = (0..orders.producers)
            .map(|producer| scope.spawn(move || load.put(producer, cursors)))
            .collect();
        for producer in producers {
            producer.join().ok().context("a producer panicked")??;
        }
        // Those who may go on for ever end when they are stopped, or when the store has failed;
        // then taking goes on until the rig has seen enough.
        if orders.transactions == u64::MAX {
            switches.wait_for_stop();
        }
        switches.stop();
        taker.join().ok().context("the taker panicked")?
    })
}

/// Where the producers are to go on, as the rig says: pairs of producer and number on a line.
fn told_cursors() -> Result<BTreeMap<u32, u64>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let mut words = line.split_ascii_whitespace();
    let mut cursors = BTreeMap::new();
    while let Some((producer, number)) = words.next().zip(words.next()) {
        cursors.insert(producer.parse()?, number.parse()?);
    }
    Ok(cursors)
}

/// Obeys the rig: `stop`, `take`, `hold`, `rest`, `tell`. When it is gone, so is the reason to go on.
fn listen(switches: &Switches, report: &Report) {
    for line in std::io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("take") => switches.set_taking(true),
            Ok("hold") => switches.set_taking(false),
            Ok("rest") => switches.rest(),
            Ok("tell") => match report.tell(&Event::Here) {
                Ok(()) => {}
                Err(_) => break,
            },
            Ok(_) | Err(_) => break,
        }
    }
    switches.stop();
}
