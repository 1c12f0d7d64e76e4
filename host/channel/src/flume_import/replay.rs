//! Which events wait, from what transactions did. Pure: no files.

use std::collections::{HashMap, HashSet};

use flumen_codec::flume_log::{FlumePointer, InflightTakes};

use super::checkpoint::Checkpoint;
use super::error::ImportError;
use super::reader::{Summary, What};

/// Waiting events at most. Flume's own capacity is a number of 31 bits; at this many the import takes
/// about forty gigabytes of memory, and a channel like that has other problems.
const WAITING_MAX: usize = 1 << 30;

/// What the records have told so far.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Transactions without an end yet.
    open: HashMap<u64, Transaction>,
    /// Committed puts that are not taken, with their place in the queue.
    waiting: HashMap<u64, u64>,
    /// Takes that were committed before their puts were, which only a log that is out of order has.
    taken_early: HashSet<u64>,
    next_place: u64,
    damage: Vec<FolderDamage>,
    /// The numbers of all log files.
    files: HashSet<u32>,
    snapshot: Option<Snapshot>,
}

#[derive(Debug, Default)]
struct Transaction {
    puts: Vec<OpenPut>,
    takes: Vec<u64>,
}

#[derive(Debug)]
struct OpenPut {
    folder: usize,
    pointer: u64,
    /// Where it would stand if it were committed at once.
    place: u64,
    damage_before: u64,
    damage_behind_checkpoint_before: u64,
}

/// Stretches of damage in one folder, which may have hit the end of a transaction.
#[derive(Clone, Copy, Debug, Default)]
struct FolderDamage {
    all: u64,
    /// Those that do not lie wholly before the checkpoint.
    behind_checkpoint: u64,
    /// Those of which that is not known before the next record.
    undecided: u64,
}

/// What the checkpoint says, compared with the records as they come.
#[derive(Debug)]
struct Snapshot {
    write_order: u64,
    /// The place in the queue at which it was written; before it, what it lists decides.
    place: Option<u64>,
    listed: HashMap<u64, Listed>,
    inflight: Vec<InflightTakes>,
    /// Whether the logs say otherwise.
    is_contradicted: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Listed {
    /// The place of its put, when that was seen.
    place: Option<u64>,
    is_taken: bool,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// In Flume's order.
    pub(super) pointers: Vec<u64>,
    /// Of them, those whose transaction may not have been committed: damage hides its end.
    pub(super) doubtful: u64,
    /// Puts without a commit that are left out.
    pub(super) uncommitted: u64,
    /// Events that the checkpoint lists and whose puts are damaged.
    pub(super) lost: u64,
    /// Whether the checkpoint did not fit the logs, and was left out.
    pub(super) is_checkpoint_wrong: bool,
}

impl Replay {
    /// Nothing seen yet, of so many folders with these log files.
    pub(super) fn new(
        folders: usize,
        files: HashSet<u32>,
        checkpoint: Option<&Checkpoint>,
    ) -> Self {
        Self {
            damage: vec![FolderDamage::default(); folders],
            files,
            snapshot: checkpoint.map(Snapshot::new),
            ..Self::default()
        }
    }

    /// Damage in a folder, before the record of it that comes next.
    pub(super) fn damaged(&mut self, folder: usize) {
        if let Some(damage) = self.damage.get_mut(folder) {
            damage.all += 1;
            damage.undecided += 1;
        }
    }

    /// A record that may be damaged although its form is right.
    fn doubt(&mut self, folder: usize, is_before: bool) {
        if let Some(damage) = self.damage.get_mut(folder) {
            damage.all += 1;
            damage.behind_checkpoint += u64::from(!is_before);
        }
    }

    /// The next record.
    pub(super) fn record(&mut self, folder: usize, summary: &Summary) -> Result<(), ImportError> {
        let is_before = self.pass(summary.write_order);
        if let Some(damage) = self.damage.get_mut(folder) {
            let undecided = std::mem::take(&mut damage.undecided);
            if !is_before {
                damage.behind_checkpoint += undecided;
            }
        }
        match summary.what {
            What::Put => self.put(folder, summary),
            What::Take(pointer) => {
                let open = self.open.entry(summary.transaction).or_default();
                open.takes.push(pointer.word());
            }
            What::Rollback => self.rollback(summary.transaction),
            What::CommitPuts => self.commit_puts(folder, summary.transaction, is_before),
            What::CommitTakes => self.commit_takes(summary.transaction, is_before),
        }
        match self.waiting.len() > WAITING_MAX {
            true => Err(ImportError::TooMany),
            false => Ok(()),
        }
    }

    /// Whether this place is before the checkpoint. The first one behind it takes over what was in
    /// flight: a take may stand in a log file that Flume has deleted since.
    fn pass(&mut self, write_order: u64) -> bool {
        let Some(snapshot) = &mut self.snapshot else {
            return false;
        };
        if write_order <= snapshot.write_order {
            return true;
        }
        if snapshot.place.is_none() {
            snapshot.place = Some(self.next_place);
            for inflight in &snapshot.inflight {
                let open = self.open.entry(inflight.transaction).or_default();
                let own: HashSet<u64> = open.takes.iter().copied().collect();
                let words = inflight.pointers.iter().map(|pointer| pointer.word());
                open.takes.extend(words.filter(|word| !own.contains(word)));
            }
        }
        false
    }

    fn put(&mut self, folder: usize, summary: &Summary) {
        let pointer = summary.pointer.word();
        let damage = self.damage.get(folder).copied().unwrap_or_default();
        let open = self.open.entry(summary.transaction).or_default();
        open.puts.push(OpenPut {
            folder,
            pointer,
            place: self.next_place,
            damage_before: damage.all,
            damage_behind_checkpoint_before: damage.behind_checkpoint,
        });
        let place = self.next_place;
        if let Some(listed) = self.listed(pointer) {
            listed.place = Some(place);
        }
    }

    fn rollback(&mut self, transaction: u64) {
        let Some(open) = self.open.remove(&transaction) else {
            return;
        };
        if open
            .puts
            .iter()
            .any(|put| self.listed(put.pointer).is_some())
        {
            self.contradict();
        }
    }

    fn commit_puts(&mut self, folder: usize, transaction: u64, is_before: bool) {
        let Some(open) = self.open.remove(&transaction) else {
            // Flume commits no transaction without puts. They may stand in a file that is gone; or
            // the number of the transaction is damaged, which no checksum tells.
            self.doubt(folder, is_before);
            return;
        };
        for put in open.puts {
            let place = self.next_place;
            self.next_place += 1;
            if !is_before && self.listed(put.pointer).is_some() {
                self.contradict();
            }
            if !self.taken_early.remove(&put.pointer) {
                self.waiting.insert(put.pointer, place);
            }
        }
    }

    fn commit_takes(&mut self, transaction: u64, is_before: bool) {
        let Some(open) = self.open.remove(&transaction) else {
            return;
        };
        for pointer in open.takes {
            // A put in a file that is gone cannot come any more.
            let is_early = self.waiting.remove(&pointer).is_none();
            if is_early && self.files.contains(&FlumePointer::from_word(pointer).file) {
                self.taken_early.insert(pointer);
            }
            match self.listed(pointer) {
                Some(_) if is_before => self.contradict(),
                Some(listed) => listed.is_taken = true,
                None => {}
            }
        }
    }

    fn listed(&mut self, pointer: u64) -> Option<&mut Listed> {
        self.snapshot.as_mut()?.listed.get_mut(&pointer)
    }

    fn contradict(&mut self) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.is_contradicted = true;
        }
    }

    /// What waits, when there are no more records. `is_damaged` tells whether damage covers a place.
    pub(super) fn finish(
        mut self,
        is_damaged: impl Fn(FlumePointer) -> bool,
    ) -> Result<Waiting, ImportError> {
        for damage in &mut self.damage {
            damage.behind_checkpoint += std::mem::take(&mut damage.undecided);
        }
        let mut snapshot = self.snapshot.take();
        let mut result = Waiting::default();
        if let Some(own) = &snapshot {
            own.check_files(&self.files)?;
            result.is_checkpoint_wrong = !own.fits(&is_damaged);
        }
        if result.is_checkpoint_wrong {
            snapshot = None;
        }
        let mut places = match &snapshot {
            None => self.waiting.drain().collect(),
            Some(snapshot) => {
                result.lost = snapshot.lost();
                self.by_checkpoint(snapshot)
            }
        };
        self.add_doubtful(snapshot.as_ref(), &mut places, &mut result);
        places.sort_unstable_by_key(|(pointer, place)| (*place, *pointer));
        result.pointers = places.into_iter().map(|(pointer, _)| pointer).collect();
        Ok(result)
    }

    /// What waits by the checkpoint, and by the records behind it.
    fn by_checkpoint(&mut self, snapshot: &Snapshot) -> Vec<(u64, u64)> {
        let boundary = snapshot.place.unwrap_or(self.next_place);
        let mut places: Vec<(u64, u64)> = Vec::new();
        for (pointer, place) in self.waiting.drain() {
            let was_listed = snapshot.listed.contains_key(&pointer);
            if was_listed || place >= boundary {
                places.push((pointer, place));
            } else {
                // Taken in a log file that is gone; so no doubt may bring it back.
                self.taken_early.insert(pointer);
            }
        }
        let found: HashSet<u64> = places.iter().map(|(pointer, _)| *pointer).collect();
        let more = snapshot
            .listed
            .iter()
            .filter(|(pointer, listed)| !listed.is_taken && !found.contains(*pointer));
        // Its commit is damaged, and the checkpoint knows of it.
        places.extend(more.filter_map(|(pointer, listed)| Some((*pointer, listed.place?))));
        places
    }

    /// Puts without an end: those whose end may be hidden by damage wait, to lose nothing.
    fn add_doubtful(
        &mut self,
        snapshot: Option<&Snapshot>,
        places: &mut Vec<(u64, u64)>,
        result: &mut Waiting,
    ) {
        for open in self.open.values() {
            for put in &open.puts {
                let is_listed = snapshot.is_some_and(|own| own.listed.contains_key(&put.pointer));
                if is_listed || self.taken_early.contains(&put.pointer) {
                    continue;
                }
                let damage = self.damage.get(put.folder).copied().unwrap_or_default();
                let is_doubtful = match snapshot {
                    None => damage.all > put.damage_before,
                    Some(_) => damage.behind_checkpoint > put.damage_behind_checkpoint_before,
                };
                if is_doubtful {
                    result.doubtful += 1;
                    places.push((put.pointer, put.place));
                } else {
                    result.uncommitted += 1;
                }
            }
        }
    }
}

impl Snapshot {
    fn new(checkpoint: &Checkpoint) -> Self {
        let inflight = checkpoint.inflight.iter().flat_map(|one| &one.pointers);
        let pointers = checkpoint.queue.iter().chain(inflight);
        let mut listed = HashMap::new();
        let mut is_contradicted = false;
        for pointer in pointers {
            // No event waits twice.
            is_contradicted |= listed.insert(pointer.word(), Listed::default()).is_some();
        }
        Self {
            write_order: checkpoint.write_order,
            place: None,
            listed,
            inflight: checkpoint.inflight.clone(),
            is_contradicted,
        }
    }

    /// Whether all files that it names are there.
    fn check_files(&self, files: &HashSet<u32>) -> Result<(), ImportError> {
        let named = self.listed.keys();
        let named = named.map(|word| FlumePointer::from_word(*word).file);
        let mut missing: HashMap<u32, u64> = HashMap::new();
        for file in named.filter(|file| !files.contains(file)) {
            *missing.entry(file).or_default() += 1;
        }
        match missing.into_iter().min() {
            None => Ok(()),
            Some((file, events)) => Err(ImportError::MissingLog { file, events }),
        }
    }

    /// Whether each event that it lists is a put that was seen, or lies in damage.
    fn fits(&self, is_damaged: &impl Fn(FlumePointer) -> bool) -> bool {
        !self.is_contradicted
            && self.listed.iter().all(|(pointer, listed)| {
                listed.place.is_some() || is_damaged(FlumePointer::from_word(*pointer))
            })
    }

    fn lost(&self) -> u64 {
        let lost = self.listed.values();
        lost.filter(|listed| listed.place.is_none() && !listed.is_taken)
            .count() as u64
    }
}
