//! States and positions as they count now, and what of that is not on disk. Pure: no files, no
//! threads, no time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flumen_core::ComponentName;
use flumen_core::channel::SourceState;
use flumen_wasm::StateWrite;
use flumen_wasm::limits::STATE_ENTRY_BYTES;

use super::generations::Generations;
use super::record::Change;

/// Changed keys that are remembered one by one between two transactions. A guest that writes and
/// deletes ever new keys while a disk hangs would otherwise grow the list without bound; beyond
/// this all that is on disk is compared with all that is in memory, which is bounded.
const CHANGED_KEYS_MAX: usize = 1 << 16;

/// What has a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A key in the state of a guest.
    State(ComponentName, String),
    /// The position of a source.
    Cursor(ComponentName),
    /// The newest generation of a guest's state or of a source's position, in eight bytes.
    Applied(ComponentName),
    /// Up to where all generations have ended, in eight bytes.
    Floor,
}

/// Everything that is kept, by key.
pub(super) type Kept = BTreeMap<Key, Arc<[u8]>>;

/// What differs from the disk.
#[derive(Debug)]
enum Changed {
    Keys(BTreeSet<Key>),
    /// Perhaps anything.
    Everything,
}

impl Changed {
    fn nothing() -> Self {
        Changed::Keys(BTreeSet::new())
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Changed::Keys(keys) if keys.is_empty())
    }
}

/// What one transaction writes.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) change: GroupChange,
    /// The newest commit in it; all older ones are in it or on disk.
    pub(super) newest: u64,
    /// Everything up to this generation is in it or on disk.
    pub(super) floor: u64,
}

#[derive(Debug)]
pub(super) enum GroupChange {
    /// These keys have these values now; `None` is deleted.
    Keys(Vec<(Key, Option<Arc<[u8]>>)>),
    /// This and nothing else is to be on disk.
    Everything(Kept),
}

#[derive(Debug, Default)]
struct Entries {
    values: BTreeMap<String, Arc<[u8]>>,
    bytes: u64,
}

/// A commit of a source between its put and the source's hearing of it.
#[derive(Debug, Default)]
struct OpenCommit {
    opened: usize,
    is_holding: bool,
}

/// What the writer is to do next.
#[derive(Debug)]
pub(super) enum Task {
    /// Nothing has changed.
    Rest,
    /// Something has changed.
    Write,
    /// End now, and write nothing more.
    End,
}

#[derive(Debug)]
pub(super) struct Memory {
    components: BTreeMap<ComponentName, Entries>,
    cursors: BTreeMap<ComponentName, Arc<[u8]>>,
    generations: Generations,
    /// The newest generation of each that had one.
    applied: BTreeMap<ComponentName, u64>,
    /// Whether there is a folder; without one nothing is noted for a writer.
    is_kept: bool,
    is_loaded: bool,
    changed: Changed,
    /// Commits so far.
    commits: u64,
    /// While there is any, no group is cut.
    holds: usize,
    open: BTreeMap<ComponentName, OpenCommit>,
    /// The writer wants a group as soon as nothing holds.
    is_cut_wanted: bool,
    cut: Option<Group>,
    /// Somebody waits for the disk: the next transaction begins at once.
    is_hurried: bool,
    is_closing: bool,
    /// The writer sleeps until something changes.
    is_writer_idle: bool,
    /// Whoever made the last change has to wake the writer.
    is_wake_due: bool,
    /// As after a kill: nothing more is written.
    #[cfg(test)]
    pub(super) is_killed: bool,
}

impl Memory {
    pub(super) fn new(is_kept: bool) -> Self {
        Self {
            components: BTreeMap::new(),
            cursors: BTreeMap::new(),
            generations: Generations::default(),
            applied: BTreeMap::new(),
            is_kept,
            is_loaded: false,
            changed: Changed::nothing(),
            commits: 0,
            holds: 0,
            open: BTreeMap::new(),
            is_cut_wanted: false,
            cut: None,
            is_hurried: false,
            is_closing: false,
            is_writer_idle: false,
            is_wake_due: false,
            #[cfg(test)]
            is_killed: false,
        }
    }

    /// Takes in what a file kept. What was put before it was opened is newer.
    pub(super) fn load(&mut self, kept: Kept) {
        let (mut floor, mut seen) = (0, 0);
        for (key, value) in kept {
            match key {
                Key::State(component, key) => {
                    let entries = self.components.entry(component).or_default();
                    if !entries.values.contains_key(&key) {
                        entries.bytes += entry_bytes(&key, &value);
                        entries.values.insert(key, value);
                    }
                }
                Key::Cursor(source) => {
                    self.cursors.entry(source).or_insert(value);
                }
                Key::Applied(owner) => {
                    let generation = number(&value);
                    let applied = self.applied.entry(owner).or_default();
                    *applied = generation.max(*applied);
                    seen = generation.max(seen);
                }
                Key::Floor => floor = number(&value),
            }
        }
        self.generations.load(floor, seen);
        self.is_loaded = true;
    }

    /// Opens a commit that gets a number, when there is somebody who keeps it.
    pub(super) fn begin(&mut self) -> Option<u64> {
        (self.is_kept && self.is_loaded).then(|| self.generations.begin())
    }

    /// A commit has ended, well or not.
    pub(super) fn end(&mut self, generation: u64) {
        self.generations.end(generation);
        self.commits += 1;
        note(&mut self.changed, || Key::Floor);
        self.wake_if_idle();
    }

    /// A commit stays open, for the next life to decide.
    pub(super) fn leave(&mut self, generation: u64) {
        self.generations.leave(generation);
    }

    /// Ends the commits that were left for the next life, and says how many they were.
    pub(super) fn give_up_left(&mut self) -> usize {
        let given_up = self.generations.give_up_left();
        if given_up > 0 {
            self.commits += 1;
            note(&mut self.changed, || Key::Floor);
            self.wake_if_idle();
        }
        given_up
    }

    /// The state of this owner is that of this generation now.
    pub(super) fn applied(&mut self, owner: &ComponentName, generation: u64) {
        self.applied.insert(owner.clone(), generation);
        note(&mut self.changed, || Key::Applied(owner.clone()));
    }

    /// Every generation up to this one has ended.
    pub(super) fn floor(&self) -> u64 {
        self.generations.floor()
    }

    /// Takes in a commit of an earlier life that this memory may know already.
    pub(super) fn recover(&mut self, generation: u64, changes: Vec<Change>) {
        self.generations.pass(generation);
        self.commits += 1;
        note(&mut self.changed, || Key::Floor);
        let is_known = |owner: &&ComponentName| {
            let applied = self.applied.get(*owner);
            applied.is_some_and(|applied| *applied >= generation)
        };
        let owners = changes.iter().map(Change::owner);
        let new: BTreeSet<_> = owners.filter(|own| !is_known(own)).cloned().collect();
        for change in changes.into_iter().filter(|own| new.contains(own.owner())) {
            match change {
                Change::Cursor { source, bytes } => self.put_cursor(&SourceState {
                    source,
                    bytes,
                    writes: Arc::default(),
                }),
                Change::Write { component, write } => self.apply(&component, vec![write]),
            }
        }
        for owner in &new {
            self.applied(owner, generation);
        }
        self.wake_if_idle();
    }

    /// All commits of earlier lives were taken in, or withdrawn.
    pub(super) fn decided(&mut self) {
        if self.generations.decided() {
            self.commits += 1;
            note(&mut self.changed, || Key::Floor);
            self.wake_if_idle();
        }
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    pub(super) fn get(&self, component: &ComponentName, key: &str) -> Option<Vec<u8>> {
        let value = self.components.get(component)?.values.get(key)?;
        Some(value.to_vec())
    }

    pub(super) fn bytes(&self, component: &ComponentName) -> u64 {
        let entries = self.components.get(component);
        entries.map_or(0, |entries| entries.bytes)
    }

    pub(super) fn cursor(&self, source: &ComponentName) -> Option<Arc<[u8]>> {
        self.cursors.get(source).cloned()
    }

    pub(super) fn apply(&mut self, component: &ComponentName, writes: Vec<StateWrite>) {
        if writes.is_empty() {
            return;
        }
        self.commits += 1;
        let entries = self.components.entry(component.clone()).or_default();
        for StateWrite { key, value } in writes {
            if self.is_kept {
                note(&mut self.changed, || {
                    Key::State(component.clone(), key.clone())
                });
            }
            let old = entries.values.remove(&key);
            let old = old.map_or(0, |old| entry_bytes(&key, &old));
            entries.bytes = entries.bytes.saturating_sub(old);
            if let Some(value) = value {
                entries.bytes += entry_bytes(&key, &value);
                entries.values.insert(key, value.into());
            }
        }
        self.wake_if_idle();
    }

    pub(super) fn put_cursor(&mut self, state: &SourceState) {
        self.commits += 1;
        let SourceState { source, bytes, .. } = state;
        if let Some(open) = self.open.get_mut(source)
            && !open.is_holding
        {
            open.is_holding = true;
            self.holds += 1;
        }
        if self.is_kept {
            note(&mut self.changed, || Key::Cursor(source.clone()));
        }
        self.cursors.insert(source.clone(), Arc::clone(bytes));
        self.wake_if_idle();
    }

    #[cfg(test)]
    pub(super) fn is_held(&self) -> bool {
        self.holds > 0
    }

    pub(super) fn hold(&mut self) {
        self.holds += 1;
    }

    /// Ends a hold. The moment in which nothing holds is used at once, so that commits that overlap
    /// do not keep the writer waiting for a moment that is gone when it looks.
    pub(super) fn release(&mut self) {
        self.holds = self.holds.saturating_sub(1);
        if self.holds == 0 && self.is_cut_wanted {
            self.is_cut_wanted = false;
            self.cut = Some(self.group());
            self.is_wake_due = true;
        }
    }

    pub(super) fn open_commit(&mut self, source: &ComponentName) {
        self.open.entry(source.clone()).or_default().opened += 1;
    }

    pub(super) fn close_commit(&mut self, source: &ComponentName) {
        let Some(open) = self.open.get_mut(source) else {
            return;
        };
        open.opened = open.opened.saturating_sub(1);
        if open.opened == 0
            && let Some(open) = self.open.remove(source)
            && open.is_holding
        {
            self.release();
        }
    }

    /// Asks for a transaction without the usual wait, and gives the newest commit.
    #[cfg(test)]
    pub(super) fn hurry(&mut self) -> u64 {
        self.is_hurried = true;
        self.is_wake_due = true;
        self.commits
    }

    /// Asks for the last transaction and gives the newest commit; `None` when nobody writes.
    pub(super) fn close(&mut self) -> Option<u64> {
        self.is_closing = true;
        self.is_wake_due = true;
        self.is_loaded.then_some(self.commits)
    }

    /// Commits that a writer owes: none when there is no folder.
    pub(super) fn commits_to_write(&self) -> u64 {
        match self.is_kept {
            true => self.commits,
            false => 0,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether the next transaction is not to wait for further changes.
    pub(super) fn is_urgent(&self) -> bool {
        self.is_hurried || self.is_closing
    }

    /// What the writer is to do.
    pub(super) fn task(&mut self) -> Task {
        #[cfg(test)]
        if self.is_killed {
            return Task::End;
        }
        self.is_writer_idle = false;
        match self.changed.is_nothing() && self.cut.is_none() {
            false => Task::Write,
            true if self.is_closing => Task::End,
            true => {
                self.is_writer_idle = true;
                Task::Rest
            }
        }
    }

    /// Whether the writer is to be woken, told once. Waking it at each change would cost a call of
    /// the system for each batch of events.
    pub(super) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.is_wake_due)
    }

    fn wake_if_idle(&mut self) {
        if self.is_kept && self.is_writer_idle {
            self.is_writer_idle = false;
            self.is_wake_due = true;
        }
    }

    /// What is to be written now; `None` while a commit is open: then it is there when that is over.
    pub(super) fn cut(&mut self) -> Option<Group> {
        if let Some(group) = self.cut.take() {
            return Some(group);
        }
        if self.holds > 0 {
            self.is_cut_wanted = true;
            return None;
        }
        self.is_cut_wanted = false;
        Some(self.group())
    }

    fn group(&mut self) -> Group {
        self.is_hurried = false;
        let change = match std::mem::replace(&mut self.changed, Changed::nothing()) {
            Changed::Keys(keys) => {
                let with_value = |key: Key| {
                    let value = self.value(&key);
                    (key, value)
                };
                GroupChange::Keys(keys.into_iter().map(with_value).collect())
            }
            Changed::Everything => GroupChange::Everything(self.everything()),
        };
        Group {
            change,
            newest: self.commits,
            floor: self.generations.floor(),
        }
    }

    /// A group did not reach the disk, or it is not known whether it did.
    pub(super) fn suspect_everything(&mut self) {
        self.changed = Changed::Everything;
        self.is_hurried = false;
    }

    fn value(&self, key: &Key) -> Option<Arc<[u8]>> {
        match key {
            Key::State(component, key) => self.components.get(component)?.values.get(key).cloned(),
            Key::Cursor(source) => self.cursor(source),
            Key::Applied(owner) => self.applied.get(owner).map(|own| bytes_of(*own)),
            Key::Floor => Some(bytes_of(self.generations.floor())),
        }
    }

    fn everything(&self) -> Kept {
        let states = self.components.iter().flat_map(|(component, entries)| {
            let values = entries.values.iter();
            values.map(|(key, value)| {
                let key = Key::State(component.clone(), key.clone());
                (key, Arc::clone(value))
            })
        });
        let cursors = self.cursors.iter();
        let cursors =
            cursors.map(|(source, bytes)| (Key::Cursor(source.clone()), Arc::clone(bytes)));
        let applied = self.applied.iter();
        let applied = applied.map(|(owner, at)| (Key::Applied(owner.clone()), bytes_of(*at)));
        let floor = Some(self.generations.floor()).filter(|floor| *floor > 0);
        let floor = floor.map(|floor| (Key::Floor, bytes_of(floor)));
        states.chain(cursors).chain(applied).chain(floor).collect()
    }
}

fn bytes_of(number: u64) -> Arc<[u8]> {
    Arc::from(number.to_le_bytes())
}

/// A number that was written by [`bytes_of`]; anything else is none.
fn number(bytes: &[u8]) -> u64 {
    bytes.as_array().map_or(0, |own| u64::from_le_bytes(*own))
}

fn note(changed: &mut Changed, key: impl FnOnce() -> Key) {
    if let Changed::Keys(keys) = changed {
        if keys.len() >= CHANGED_KEYS_MAX {
            *changed = Changed::Everything;
        } else {
            keys.insert(key());
        }
    }
}

fn entry_bytes(key: &str, value: &[u8]) -> u64 {
    STATE_ENTRY_BYTES + key.len() as u64 + value.len() as u64
}
