//! Producers and a taker.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;

use super::Orders;
use super::report::Report;
use super::store::{Batch, Part, PutOutcome, Store, numbered};
use crate::body::{self, Chance};
use crate::event::{Event, Item};
use crate::oracle::FULL;

/// Bodies of one put at most. With [`FILLER_BYTES_MAX`] it fits a record of the smallest segments.
const BATCH_ITEMS_MAX: u64 = 12;

/// Filler of a body at most: a few bodies fill a block, some take several sectors.
const FILLER_BYTES_MAX: u64 = 1_400;

/// Takes that are held at once, so that acknowledgements come out of order.
const HELD_MAX: usize = 4;

/// Items of one take at most.
const TAKE_ITEMS_MAX: u64 = 24;

/// How long a producer whom the store refused waits before the next try: short against a test, long
/// enough that it does not fill the pipe.
const REFUSED_PAUSE: Duration = Duration::from_millis(5);

/// What the rig, the producers and the taker tell each other.
#[derive(Debug)]
pub(crate) struct Switches {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    stop: bool,
    taking: bool,
    /// Nothing more is put.
    resting: bool,
    /// Items that wait in the store. Below nothing for a moment, when what was put is acknowledged
    /// before its producer heard of it.
    waiting: i64,
}

impl Switches {
    pub(crate) fn new(taking: bool, waiting: i64) -> Switches {
        let stop = false;
        Switches {
            state: Mutex::new(State {
                stop,
                taking,
                resting: false,
                waiting,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.change(|state| state.stop = true);
    }

    pub(crate) fn set_taking(&self, taking: bool) {
        self.change(|state| state.taking = taking);
    }

    pub(crate) fn rest(&self) {
        self.change(|state| state.resting = true);
    }

    pub(crate) fn wait_for_stop(&self) {
        self.wait_while(|state| !state.stop);
    }

    /// Whether to go on.
    fn wait_while(&self, mut wait: impl FnMut(&State) -> bool) -> bool {
        let state = self.changed.wait_while(self.lock(), |state| wait(state));
        !state.unwrap_or_else(PoisonError::into_inner).stop
    }

    /// Whether to go on after a pause.
    fn pause(&self) -> bool {
        let pause = self
            .changed
            .wait_timeout_while(self.lock(), REFUSED_PAUSE, |state| !state.stop);
        !pause.unwrap_or_else(PoisonError::into_inner).0.stop
    }
}

/// What both sides of the load work on.
pub(crate) struct Load<'run, S> {
    pub(crate) orders: &'run Orders,
    pub(crate) report: &'run Report,
    pub(crate) store: &'run S,
    pub(crate) switches: &'run Switches,
}

impl<S> Clone for Load<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Load<'_, S> {}

impl<S: Store> Load<'_, S> {
    /// A producer: goes on behind the numbers that the store remembers, and tries what was refused
    /// again under the same numbers.
    pub(crate) fn put(self, producer: u32, cursors: &BTreeMap<u32, u64>) -> Result<()> {
        let own = (0..S::CHANNELS).map(|channel| numbered(producer, channel));
        let mut cursors: Vec<_> = own
            .map(|own| (own, cursors.get(&own).copied().unwrap_or(0)))
            .collect();
        let orders = self.orders;
        let mut chance = Chance::new(orders.seed ^ (orders.run << 16) ^ u64::from(producer) << 8);
        let mut confirmed = 0;
        for attempt in 0u64.. {
            let most = i64::try_from(orders.backlog_max).unwrap_or(i64::MAX);
            let full = |s: &State| !s.stop && (s.resting || s.waiting > most);
            if confirmed == orders.transactions || !self.switches.wait_while(full) {
                break;
            }
            let transaction = orders.run << 40 | u64::from(producer) << 32 | attempt;
            let batch = batch(&cursors, transaction, &mut chance);
            let bodies = batch.parts.iter().flat_map(|part| &part.bodies);
            let items: Vec<Item> = bodies.map(|body| body::read(body)).collect();
            let added = items.len() as i64;
            self.report.tell(&Event::Submit { transaction, items })?;
            let (event, go_on) = match self.store.put(&batch) {
                PutOutcome::Confirmed(place) => {
                    let parts = batch.parts.iter();
                    cursors = parts.map(|part| (part.producer, part.cursor)).collect();
                    confirmed += 1;
                    self.switches.change(|state| state.waiting += added);
                    (Event::Confirmed { transaction, place }, true)
                }
                PutOutcome::Full => (refused(transaction, FULL), self.switches.pause()),
                PutOutcome::Failed(reason) => (refused(transaction, &reason), false),
                PutOutcome::Unknown(reason) => (
                    Event::Unknown {
                        transaction,
                        reason,
                    },
                    false,
                ),
            };
            self.report.tell(&event)?;
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    /// The taker: holds several takes, and acknowledges them out of order, in part, or not at all.
    pub(crate) fn take(self) -> Result<()> {
        let orders = self.orders;
        let mut chance = Chance::new(orders.seed ^ (orders.run << 16) ^ 0x7a6b);
        let mut held = Vec::new();
        let mut step = orders.run << 40;
        while self.switches.wait_while(|s| !s.stop && !s.taking) {
            if let Some((frames, items)) = self.store.lost() {
                self.report.tell(&Event::Lost(frames, items))?;
            }
            if held.len() < HELD_MAX {
                let most = 1 + chance.below(TAKE_ITEMS_MAX);
                match self.store.take(most as usize) {
                    Ok(Some((items, lease))) => {
                        for item in &items {
                            self.report.tell(&Event::Taken(*item))?;
                        }
                        held.push((items, lease));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let reason = format!("{error:#}");
                        self.report.tell(&Event::TakeFailed(reason))?;
                        self.switches.pause();
                    }
                }
            }
            if held.is_empty() || (held.len() < HELD_MAX && chance.once_in(2)) {
                continue;
            }
            let chosen = chance.below(held.len() as u64) as usize;
            let (items, lease) = held.swap_remove(chosen);
            if chance.once_in(10) {
                self.returned(items.iter())?;
                self.store.give_back(lease);
                continue;
            }
            step += 1;
            self.acknowledge(step, items, lease, &mut chance)?;
        }
        Ok(())
    }

    fn acknowledge(
        &self,
        step: u64,
        items: Vec<Item>,
        lease: S::Held,
        chance: &mut Chance,
    ) -> Result<()> {
        let partly = chance.once_in(5);
        let kept: Vec<u32> = (0u32..)
            .zip(&items)
            .filter(|_| partly && chance.once_in(3))
            .map(|(index, _)| index)
            .collect();
        let is_kept = |index: usize| kept.iter().any(|kept| *kept as usize == index);
        let (back, done): (Vec<_>, Vec<_>) = items
            .iter()
            .enumerate()
            .partition(|(index, _)| is_kept(*index));
        let done: Vec<_> = done.iter().map(|(_, i)| (i.producer, i.number)).collect();
        let count = done.len() as u64;
        if count > 0 {
            self.report
                .tell(&Event::Acknowledge { step, items: done })?;
        }
        self.returned(back.into_iter().map(|(_, item)| item))?;
        match self.store.acknowledge(lease, &kept) {
            _ if count == 0 => Ok(()),
            Ok(()) => {
                self.switches.change(|state| state.waiting -= count as i64);
                self.report.tell(&Event::Acknowledged { step })
            }
            Err(error) => {
                let reason = format!("{error:#}");
                self.switches.pause();
                self.report.tell(&Event::AcknowledgeFailed { step, reason })
            }
        }
    }

    fn returned<'item>(&self, mut items: impl Iterator<Item = &'item Item>) -> Result<()> {
        items.try_for_each(|i| self.report.tell(&Event::Returned(i.producer, i.number)))
    }
}

fn refused(transaction: u64, reason: &str) -> Event {
    Event::Refused {
        transaction,
        reason: reason.to_owned(),
    }
}

fn batch(cursors: &[(u32, u64)], transaction: u64, chance: &mut Chance) -> Batch {
    // With several channels one of them gets nothing now and then.
    let channels = cursors.len() as u64;
    let left_out = (channels > 1 && chance.once_in(4)).then(|| chance.below(channels));
    let parts = (0u64..).zip(cursors).map(|(channel, (producer, cursor))| {
        let count = match left_out == Some(channel) {
            true => 0,
            false => 1 + chance.below(BATCH_ITEMS_MAX),
        };
        let bodies = (1..=count).map(|index| {
            let filler = chance.below(FILLER_BYTES_MAX) as usize;
            body::make(*producer, cursor + index, transaction, filler)
        });
        Part {
            producer: *producer,
            bodies: bodies.collect(),
            cursor: cursor + count,
        }
    });
    Batch {
        parts: parts.collect(),
    }
}
