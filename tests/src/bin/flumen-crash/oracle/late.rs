//! What a crash may undo: answers that were younger than the store's window when it came.
//!
//! Times are the driver's own, so that a line which is read late changes nothing. An answer is as
//! old as its line, or older. When the crash came is known from below: not before the last line.
//! Where the power goes, or the log has failed, the driver goes on telling after that; then the crash
//! came not before the last confirmed put was handed in, because the disk took it, and not before
//! the scenario last saw the power on. So what is called old was old.

use std::collections::BTreeMap;

use super::{Gone, Key, Oracle, Put};

/// Added to each window: a thread that comes late on a busy machine, and a sync of a busy disk.
pub(crate) const MARGIN_US: u64 = 2_000_000;

/// The answers of one run, with their times.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// Of the line that is looked at.
    pub(super) now_us: u64,
    /// When puts without an answer were handed in.
    submitted: BTreeMap<u64, u64>,
    /// When the last of those was handed in that were confirmed.
    proved_us: u64,
    /// When the scenario last saw the power on.
    power_us: Option<u64>,
    /// The log takes nothing more.
    failed: bool,
    puts: Vec<(u64, u64)>,
    steps: Vec<(u64, u64, Vec<Key>)>,
}

impl Late {
    pub(super) fn submitted(&mut self, transaction: u64) {
        self.submitted.insert(transaction, self.now_us);
    }

    pub(super) fn confirmed(&mut self, transaction: u64) {
        let submitted = self.submitted.remove(&transaction);
        self.proved_us = self.proved_us.max(submitted.unwrap_or(0));
        self.puts.push((self.now_us, transaction));
    }

    /// A put counts, and the answer is not told yet.
    pub(super) fn seen(&mut self, transaction: u64) {
        self.puts.push((self.now_us, transaction));
    }

    pub(super) fn acknowledged(&mut self, step: u64, keys: Vec<Key>) {
        self.steps.push((self.now_us, step, keys));
    }

    pub(super) fn fails(&mut self) {
        self.failed = true;
    }

    pub(super) fn power_is_on(&mut self) {
        self.power_us = Some(self.now_us);
    }

    /// The store was closed: nothing is late any more.
    pub(super) fn closed(&mut self) {
        self.puts.clear();
        self.steps.clear();
    }

    /// The crash came at this time or later.
    fn crash_us(&self, power_may_go: bool) -> u64 {
        match self.power_us {
            Some(power_us) if !self.failed => power_us,
            _ if power_may_go || self.failed => self.proved_us,
            _ => self.now_us,
        }
    }
}

impl Oracle {
    /// The run before has crashed, or was closed. Takes back what it may have undone.
    pub(super) fn take_back_young(&mut self) {
        let late = std::mem::take(&mut self.late);
        let power_us = self.promises.at_power_cut_us.filter(|_| self.power_may_go);
        // Nothing that such a store confirms proves that the disk has anything.
        let crash_us = match power_us {
            Some(_) => late.power_us.unwrap_or(0),
            None => late.crash_us(self.power_may_go),
        };
        let is_young = |told_us: u64, window_us: Option<u64>| {
            window_us.is_some_and(|window_us| {
                crash_us.saturating_sub(told_us) <= window_us.saturating_add(MARGIN_US)
            })
        };
        for (told_us, step, keys) in late.steps {
            if is_young(told_us, self.promises.acknowledged_us.max(power_us)) {
                for key in &keys {
                    self.set_gone(*key, Gone::Perhaps);
                }
                self.steps.insert(step, keys);
            }
        }
        for (told_us, transaction) in late.puts {
            if is_young(told_us, power_us) {
                self.set_put(transaction, Put::Submitted);
            }
        }
    }
}
