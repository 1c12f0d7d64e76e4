//! The comparison after an opening: what the store holds, and what it had promised.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gone, Key, Oracle, Put, name};

impl Oracle {
    /// Compares, then takes what was found for what is, so that later runs are measured by it.
    pub(super) fn judge(&mut self) {
        let listed = self.check_listed();
        self.check_steps(&listed);
        let missing = self.check_transactions(&listed);
        self.check_losses(missing);
        self.check_effort();
        self.settle(&listed);
        if !self.damaged {
            self.check_cursors();
        }
    }

    /// Bytes, doubles and order of what is there.
    fn check_listed(&mut self) -> BTreeSet<Key> {
        let mut listed = BTreeSet::new();
        let mut last: BTreeMap<u32, u64> = BTreeMap::new();
        let all = std::mem::take(&mut self.run.listed);
        for item in &all {
            let key = (item.producer, item.number);
            match self.items.get(&key).copied() {
                None => self.violate("I3", format!("{} is there and should not be", name(key))),
                Some(known) if known.hash != item.hash => {
                    self.violate("I3", format!("{} is there with other bytes", name(key)));
                }
                Some(known) if known.gone == Gone::Yes && !self.damaged => {
                    let what = format!("{} is there after its acknowledgement", name(key));
                    self.violate("I5", what);
                }
                Some(_) => {}
            }
            if !listed.insert(key) {
                self.violate("I5", format!("{} is there twice", name(key)));
            }
            let before = last.insert(item.producer, item.number);
            if let Some(before) = before.filter(|before| *before > item.number) {
                let what = format!("{} stands behind number {before}", name(key));
                self.violate("I4", what);
            }
        }
        self.run.listed = all;
        listed
    }

    /// Acknowledgements without an answer: all of a step took effect, or none.
    fn check_steps(&mut self, listed: &BTreeSet<Key>) {
        let steps = std::mem::take(&mut self.steps);
        for (step, mut keys) in steps {
            // A put that a power cut may have undone says nothing about its acknowledgement.
            let counts = |key: &Key| self.items.get(key).is_some_and(|k| k.put == Put::Confirmed);
            keys.retain(counts);
            let there = keys.iter().filter(|key| listed.contains(key)).count();
            if there != 0 && there != keys.len() && !self.damaged {
                let all = keys.len();
                let what = format!("{there} of the {all} items of step {step} are still there");
                self.violate("I2", what);
            }
        }
    }

    /// Whole or not at all; what was confirmed is there. Returns how many items are missing.
    fn check_transactions(&mut self, listed: &BTreeSet<Key>) -> u64 {
        let mut missing = 0;
        let mut broken = Vec::new();
        for (transaction, keys) in &self.transactions {
            let known = keys
                .iter()
                .filter_map(|key| Some((*key, *self.items.get(key)?)));
            // What may have been acknowledged says nothing about the put.
            let kept: Vec<_> = known.filter(|(_, known)| known.gone == Gone::No).collect();
            let absent: Vec<Key> = kept
                .iter()
                .filter(|(key, _)| !listed.contains(key))
                .map(|(key, _)| *key)
                .collect();
            let Some(first) = absent.first() else {
                continue;
            };
            let confirmed = kept.iter().any(|(_, known)| known.put == Put::Confirmed);
            if absent.len() != kept.len() {
                let (count, all) = (absent.len(), kept.len());
                broken.push((
                    "I2",
                    format!("{count} of the {all} items of transaction {transaction} are missing"),
                ));
            }
            if !confirmed {
                continue;
            }
            missing += absent.len() as u64;
            if !self.may_be_lost(*transaction) {
                let what = format!(
                    "{} of confirmed transaction {transaction} is missing",
                    name(*first)
                );
                broken.push(("I1", what));
            }
        }
        for (invariant, what) in broken {
            self.violate(invariant, what);
        }
        missing
    }

    /// Whether damage hit the frame of this transaction. A store that does not tell where its
    /// frames stand is believed.
    fn may_be_lost(&self, transaction: u64) -> bool {
        let place = self.places.get(&transaction).copied().unwrap_or_default();
        if place.segment == 0 {
            return self.damaged;
        }
        let frame = place.offset..place.offset + place.length;
        self.damage.iter().any(|damage| {
            damage.segment == place.segment
                && damage.bytes.start < frame.end
                && frame.start < damage.bytes.end
        })
    }

    /// What is missing was told, to the item.
    fn check_losses(&mut self, missing: u64) {
        let opened = self.run.opened.unwrap_or_default();
        let told = opened.lost_items + self.run.lost_items;
        let frames = opened.lost_frames + self.run.lost_frames;
        if !self.damaged {
            if told > 0 || frames > 0 || opened.missing_segments > 0 {
                let what = format!(
                    "{told} items in {frames} frames and {} segments are said to be lost, and nothing was damaged",
                    opened.missing_segments
                );
                self.violate("I11", what);
            }
            return;
        }
        let one_byte = self
            .damage
            .iter()
            .all(|damage| damage.bytes.end - damage.bytes.start == 1);
        if one_byte && !self.damage.is_empty() && opened.without_snapshot > 0 {
            let what = "one byte was damaged, and no snapshot is left".to_owned();
            self.violate("I11", what);
        }
        // An acknowledgement that was hit leaves its items waiting, or lost with their frames.
        let gone = self.items.values().filter(|k| k.gone != Gone::No);
        let most = missing + gone.count() as u64;
        if told < missing || told > most {
            let what = format!("{missing} items are missing, and {told} are said to be lost");
            self.violate("I11", what);
        }
    }

    fn check_effort(&mut self) {
        let opened = self.run.opened.unwrap_or_default();
        // One more for a segment that had its name and nothing else when the crash came.
        let segments = 2 + opened.damaged_snapshots;
        if self.segment_bytes > 0
            && !self.damaged
            && opened.scanned_bytes > segments * self.segment_bytes
        {
            let what = format!(
                "opening looked through {} bytes, more than {segments} segments",
                opened.scanned_bytes
            );
            self.violate("I9", what);
        }
    }

    /// What was open is decided by what is there. Items are looked at in order: what is not there
    /// behind a put that is not there is not there either, whatever was acknowledged of it.
    fn settle(&mut self, listed: &BTreeSet<Key>) {
        let mut absent = BTreeSet::new();
        let mut ended = None;
        for (key, known) in &mut self.items {
            match (listed.contains(key), known.put) {
                (true, _) => {
                    known.put = Put::Confirmed;
                    known.gone = Gone::No;
                }
                (false, Put::Confirmed) => known.gone = Gone::Yes,
                (false, Put::Submitted) if known.gone == Gone::No || ended == Some(key.0) => {
                    ended = Some(key.0);
                    absent.insert(known.transaction);
                }
                (false, Put::Submitted) => {
                    known.put = Put::Confirmed;
                    known.gone = Gone::Yes;
                }
            }
        }
        for transaction in absent {
            self.withdraw(transaction);
        }
        self.damage.clear();
    }

    /// Going on from the state that was found neither loses nor doubles anything.
    fn check_cursors(&mut self) {
        let mut last: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for (producer, number) in self.items.keys() {
            let (count, highest) = last.entry(*producer).or_default();
            *count += 1;
            *highest = (*highest).max(*number);
        }
        let producers: BTreeSet<u32> = last
            .keys()
            .chain(self.run.cursors.keys())
            .copied()
            .collect();
        for producer in producers {
            let (count, highest) = last.get(&producer).copied().unwrap_or_default();
            let cursor = self.run.cursors.get(&producer).copied().unwrap_or_default();
            if cursor != highest && self.promises.tells_state {
                let what = format!(
                    "the state says that producer {producer} is at {cursor}, and its last item is {highest}"
                );
                self.violate("I6", what);
            }
            if count != highest {
                let what = format!("producer {producer} is at {highest} with {count} items");
                self.violate("I6", what);
            }
        }
    }
}
