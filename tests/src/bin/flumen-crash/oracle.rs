//! What a store promised, held outside of the process that crashes.
//!
//! The oracle reads what drivers tell, run after run, and after each opening compares what the
//! store holds with what it had promised. The promises, with the numbers that violations carry:
//!
//! | | |
//! |---|---|
//! | I1 | a confirmed put is delivered or still there |
//! | I2 | a transaction is there whole or not at all; a step of acknowledgements too |
//! | I3 | what comes out is byte for byte what went in, and nothing is invented |
//! | I4 | the items of a producer keep their order |
//! | I5 | what was acknowledged durably never comes again, and nothing comes twice |
//! | I6 | the state is that of the last transaction that survived, so going on from it loses and doubles nothing |
//! | I7 | a refused transaction is not there |
//! | I8 | a crash while recovering changes nothing about the above |
//! | I9 | opening reads one segment, one more when a crash left it unfinished, and one more for each snapshot that cannot be used |
//! | I10 | a full disk stops puts, never takes, acknowledgements or opening |
//! | I11 | what damage took is told exactly, and hits nothing but the transactions in the damaged bytes |
//! | I12 | files and descriptors stay within their bounds |
//! | I13 | after a failed sync nothing that is confirmed later is missing after a power cut |
//!
//! What a store promises later than it answers ([`Promises`]) counts from then on.
//!
//! I8 and I13 are the same checks after a special history; I10 and I12 are in the scenarios.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::event::{Event, Item, Opened, Place};

mod judgement;
mod late;
#[cfg(test)]
mod tests;

use late::Late;
pub(crate) use late::MARGIN_US;

/// Violations that are kept; the first ones tell the story, and a store that lost everything would
/// fill the memory with the rest.
const VIOLATIONS_KEPT_MAX: usize = 20;

/// The reason of a refusal that a later try may not meet.
pub(crate) const FULL: &str = "full";

/// An item's producer and number.
pub(crate) type Key = (u32, u64);

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which, as in the table above.
    pub(crate) invariant: &'static str,
    /// What was seen.
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// Whether an item is in the store, as far as was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    /// Handed in, and no answer yet. After a crash it may be there or not.
    Submitted,
    /// Confirmed, or seen.
    Confirmed,
}

/// Whether an item has left the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    No,
    /// Its acknowledgement was handed in and not answered.
    Perhaps,
    Yes,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    hash: u64,
    transaction: u64,
    put: Put,
    gone: Gone,
}

/// Bytes that a test damaged while nothing was running.
#[derive(Debug, Clone)]
pub(crate) struct Damage {
    /// The number of the segment.
    pub(crate) segment: u64,
    /// The bytes of its file.
    pub(crate) bytes: std::ops::Range<u64>,
}

/// What a kind of store promises.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Promises {
    /// It tells where the producers are.
    pub(crate) tells_state: bool,
    /// How long after its answer an acknowledgement may be undone by a crash; never when nothing is
    /// said.
    pub(crate) acknowledged_us: Option<u64>,
    /// How long after their answers puts and acknowledgements may be undone by a power cut.
    pub(crate) at_power_cut_us: Option<u64>,
}

/// What the present run told.
#[derive(Debug, Default)]
struct Run {
    opened: Option<Opened>,
    cursors: BTreeMap<u32, u64>,
    listed: Vec<Item>,
    lost_items: u64,
    lost_frames: u64,
    ready: bool,
    /// Items that are out and not given back.
    out: BTreeSet<Key>,
    last_taken: BTreeMap<u32, u64>,
    confirmed: u64,
    refused: u64,
    refused_reason: String,
    acknowledged: u64,
    closed: Option<u64>,
    not_opened: Option<String>,
}

/// The ledger.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    items: BTreeMap<Key, Known>,
    transactions: BTreeMap<u64, Vec<Key>>,
    places: BTreeMap<u64, Place>,
    steps: BTreeMap<u64, Vec<Key>>,
    run: Run,
    /// Damage since the last opening; empty in every scenario that is not about it.
    damage: Vec<Damage>,
    damaged: bool,
    violations: Vec<Violation>,
    /// The power goes while the driver runs, and what cannot be read then may be there again later.
    power_may_go: bool,
    promises: Promises,
    /// What the present run was told and a crash may undo.
    late: Late,
    /// Openings are not judged.
    blind: bool,
    /// Bytes of a segment, for I9; 0 when it is not looked at.
    segment_bytes: u64,
}

impl Oracle {
    /// An empty ledger for a store with segments of this size.
    pub(crate) fn new(segment_bytes: u64, promises: Promises) -> Oracle {
        Oracle {
            segment_bytes,
            promises,
            ..Oracle::default()
        }
    }

    /// A driver is about to start on the same store.
    pub(crate) fn begin_run(&mut self) {
        self.take_back_young();
        self.run = Run::default();
    }

    /// The closed store was damaged. From here on what stood there may be missing, if the store
    /// says so; producers must not go on.
    pub(crate) fn damaged(&mut self, damage: Damage) {
        self.damage.push(damage);
        self.damaged = true;
    }

    /// From here on the power may go while a driver runs, which goes on telling then.
    pub(crate) fn let_power_go(&mut self) {
        self.power_may_go = true;
    }

    /// The power is still on, and is about to go.
    pub(crate) fn see_power(&mut self) {
        self.late.power_is_on();
    }

    /// The time of the driver when it told what is seen next.
    pub(crate) fn see_time(&mut self, now_us: u64) {
        self.late.now_us = now_us;
    }

    /// Microseconds that the present run has taken.
    pub(crate) fn now_us(&self) -> u64 {
        self.late.now_us
    }

    /// Whether runs may fail to read what is there. They are not judged, as they could not see.
    pub(crate) fn forgive_reads(&mut self, forgiven: bool) {
        self.blind = forgiven;
    }

    /// A step of the present run.
    pub(crate) fn see(&mut self, event: Event) {
        match event {
            Event::NotOpened(reason) => self.run.not_opened = Some(reason),
            Event::Opened(opened) => self.run.opened = Some(opened),
            Event::Cursor(producer, number) => {
                self.run.cursors.insert(producer, number);
            }
            Event::Listed(item) => self.run.listed.push(item),
            Event::Lost(frames, items) => {
                self.run.lost_frames += frames;
                self.run.lost_items += items;
                if self.run.ready && !self.damaged && !self.power_may_go && !self.blind {
                    let what = format!("{items} items turned out to be unreadable while running");
                    self.violate("I11", what);
                }
            }
            Event::Ready => {
                self.run.ready = true;
                if !self.blind {
                    self.judge();
                }
            }
            Event::Submit { transaction, items } => {
                self.late.submitted(transaction);
                self.submit(transaction, items);
            }
            Event::Confirmed { transaction, place } => {
                self.late.confirmed(transaction);
                self.set_put(transaction, Put::Confirmed);
                self.places.insert(transaction, place);
                self.run.confirmed += 1;
            }
            Event::Refused {
                transaction,
                reason,
            } => self.refuse(transaction, reason),
            Event::Unknown { .. }
            | Event::TakeFailed(_)
            | Event::AcknowledgeFailed { .. }
            | Event::NotClosed(_) => self.late.fails(),
            Event::Taken(item) => self.take(item),
            Event::Returned(producer, number) => {
                self.run.out.remove(&(producer, number));
                let last = self.run.last_taken.entry(producer).or_default();
                *last = (*last).min(number.saturating_sub(1));
            }
            Event::Acknowledge { step, items } => {
                for key in &items {
                    self.set_gone(*key, Gone::Perhaps);
                }
                self.steps.insert(step, items);
            }
            Event::Acknowledged { step } => {
                self.run.acknowledged += 1;
                self.acknowledge(step);
            }
            Event::Here => {}
            Event::Closed(descriptors) => {
                self.late.closed();
                self.run.closed = Some(descriptors);
            }
        }
    }

    fn submit(&mut self, transaction: u64, items: Vec<Item>) {
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            let key = (item.producer, item.number);
            keys.push(key);
            let known = Known {
                hash: item.hash,
                transaction,
                put: Put::Submitted,
                gone: Gone::No,
            };
            if let Some(before) = self.items.insert(key, known) {
                // The producer goes on from what the store said, so the store forgot it.
                let what = format!(
                    "{} was to be put again although transaction {} had put it",
                    name(key),
                    before.transaction
                );
                self.violate("I6", what);
            }
        }
        self.transactions.insert(transaction, keys);
    }

    fn refuse(&mut self, transaction: u64, reason: String) {
        if reason != FULL {
            self.late.fails();
        }
        self.withdraw(transaction);
        self.run.refused += 1;
        self.run.refused_reason = reason;
    }

    fn acknowledge(&mut self, step: u64) {
        let keys = self.steps.remove(&step).unwrap_or_default();
        for key in &keys {
            self.set_gone(*key, Gone::Yes);
        }
        self.late.acknowledged(step, keys);
    }

    fn set_put(&mut self, transaction: u64, put: Put) {
        for key in self.transactions.get(&transaction).into_iter().flatten() {
            if let Some(known) = self.items.get_mut(key) {
                known.put = put;
            }
        }
    }

    fn withdraw(&mut self, transaction: u64) {
        for key in self.transactions.remove(&transaction).unwrap_or_default() {
            self.items.remove(&key);
        }
    }

    fn take(&mut self, item: Item) {
        let key = (item.producer, item.number);
        let Some(known) = self.items.get(&key).copied() else {
            return self.violate("I3", format!("{} was taken and never put", name(key)));
        };
        if known.hash != item.hash {
            self.violate("I3", format!("{} was taken with other bytes", name(key)));
        }
        if known.gone == Gone::Yes && !self.damaged {
            let what = format!("{} was taken again after its acknowledgement", name(key));
            self.violate("I5", what);
        }
        if !self.run.out.insert(key) {
            self.violate("I5", format!("{} was taken twice", name(key)));
        }
        let last = self.run.last_taken.insert(item.producer, item.number);
        if let Some(last) = last.filter(|last| *last >= item.number) {
            let what = format!("{} was taken behind number {last}", name(key));
            self.violate("I4", what);
        }
        // It can only be seen when it is as durable as its put will be.
        if known.put == Put::Submitted {
            self.late.seen(known.transaction);
            self.set_put(known.transaction, Put::Confirmed);
        }
    }

    fn set_gone(&mut self, key: Key, gone: Gone) {
        if let Some(known) = self.items.get_mut(&key) {
            known.gone = gone;
        }
        if gone == Gone::Yes {
            self.run.out.remove(&key);
        }
    }

    pub(crate) fn violate(&mut self, invariant: &'static str, what: String) {
        if self.violations.len() < VIOLATIONS_KEPT_MAX {
            self.violations.push(Violation { invariant, what });
        }
    }

    /// The promises that were broken so far.
    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Whether the present run listed all that waits.
    pub(crate) fn is_ready(&self) -> bool {
        self.run.ready
    }

    /// Why the present run did not open the store.
    pub(crate) fn not_opened(&self) -> Option<&str> {
        self.run.not_opened.as_deref()
    }

    /// Descriptors before the store was closed, when the present run got so far.
    pub(crate) fn closed(&self) -> Option<u64> {
        self.run.closed
    }

    /// Transactions that were confirmed in this run.
    pub(crate) fn confirmed(&self) -> u64 {
        self.run.confirmed
    }

    /// Transactions that were refused in this run, and why the last one was.
    pub(crate) fn refused(&self) -> (u64, &str) {
        (self.run.refused, &self.run.refused_reason)
    }

    /// Steps of acknowledgements that were confirmed in this run.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.run.acknowledged
    }

    /// Confirmed items that were not acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        let waits = |known: &&Known| known.put == Put::Confirmed && known.gone != Gone::Yes;
        self.items.values().filter(waits).count()
    }

    /// Where the producers are to go on, as a line for a driver whose store does not know.
    pub(crate) fn cursors(&self) -> String {
        let mut last: BTreeMap<u32, u64> = BTreeMap::new();
        for (producer, number) in self.items.keys() {
            last.insert(*producer, *number);
        }
        let words: Vec<_> = last.iter().map(|(p, n)| format!("{p} {n}")).collect();
        words.join(" ")
    }
}

/// How an item is called in a violation.
fn name((producer, number): Key) -> String {
    format!("item {number} of producer {producer}")
}
