//! A disk that a test owns: what is in the page cache and what is on the medium are two things,
//! power can be cut at any call, and calls can be made to fail.
//!
//! All of it is deterministic: the same calls with the same seed end in the same bytes. It is
//! harsher than most disks: what was not synced when the power goes is kept or dropped sector by
//! sector, in any combination, and a sector may be torn in the middle. Names that were not synced
//! are kept up to some point in their order, as a journal does it. A sync that fails forgets what
//! it should have written, while reads go on to show it, and the next sync comes back well.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::io::{LogFile, LogIo};

/// What a medium writes at once.
const SECTOR_BYTES: usize = 512;

/// What can be asked of the disk and be refused or be the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`LogFile::write_at`].
    Write,
    /// [`LogFile::sync`].
    Sync,
    /// [`LogIo::sync_folder`].
    SyncFolder,
    /// [`LogIo::create`].
    Create,
    /// [`LogIo::rename`].
    Rename,
    /// [`LogIo::remove`].
    Remove,
    /// [`LogFile::truncate`].
    Truncate,
}

/// How a run of the machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed: the system still has all that it was given.
    Kill,
    /// The power goes, and nothing that was not synced is left.
    PowerCutDropsAll,
    /// The power goes, and everything happens to be on the medium.
    PowerCutKeepsAll,
    /// The power goes, and chance decides for each sector, by this seed.
    PowerCut {
        /// The seed.
        seed: u64,
    },
}

/// A simulated disk with one folder. Clones are the same disk.
#[derive(Clone)]
pub struct Disk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    /// On the medium.
    stable: Vec<u8>,
    /// In the page cache.
    cached: Vec<u8>,
    /// What was written since the last sync, in order.
    pending: Vec<Pending>,
    /// The file was cut off here since the last sync.
    cut_off: Option<usize>,
}

#[derive(Debug, Clone)]
struct Pending {
    offset: usize,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, u64),
    Unlink(String),
    /// From, to.
    Move(String, String, u64),
}

struct Inner {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    stable_names: BTreeMap<String, u64>,
    pending_names: Vec<NameChange>,
    next_inode: u64,
    /// Handles of an earlier run are of no use.
    run: u64,
    locked: bool,
    salt: u64,
    capacity_bytes: u64,
    calls: u64,
    /// The power goes at this call.
    stop_at: Option<u64>,
    stopped: bool,
    by_kind: BTreeMap<Call, u64>,
    failing: Vec<(Call, u64, io::ErrorKind)>,
    unreadable: Vec<(String, std::ops::Range<u64>)>,
}

impl Disk {
    /// An empty disk of this size. The seed decides the salts that it gives.
    pub fn new(capacity_bytes: u64, seed: u64) -> Disk {
        Disk {
            inner: Arc::new(Mutex::new(Inner {
                inodes: BTreeMap::new(),
                names: BTreeMap::new(),
                stable_names: BTreeMap::new(),
                pending_names: Vec::new(),
                next_inode: 1,
                run: 1,
                locked: false,
                salt: seed,
                capacity_bytes,
                calls: 0,
                stop_at: None,
                stopped: false,
                by_kind: BTreeMap::new(),
                failing: Vec::new(),
                unreadable: Vec::new(),
            })),
        }
    }

    /// The disk as the log uses it.
    pub fn io(&self) -> Arc<dyn LogIo> {
        Arc::new(self.clone())
    }

    /// Calls that change something, since the disk was made.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Calls of one kind, since the disk was made.
    pub fn calls_of(&self, call: Call) -> u64 {
        self.lock().by_kind.get(&call).copied().unwrap_or_default()
    }

    /// Ends the run with this call, counted as [`Disk::calls`] does: it and all after it fail. A
    /// write that is the last reached the page cache.
    pub fn stop_at(&self, call: u64) {
        self.lock().stop_at = Some(call);
    }

    /// Whether the run has ended.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Lets the next calls of a kind pass and the one after them fail. A write that fails has
    /// taken half of its bytes.
    pub fn fail(&self, call: Call, passing: u64, error: io::ErrorKind) {
        let mut inner = self.lock();
        let done = inner.by_kind.get(&call).copied().unwrap_or_default();
        inner.failing.push((call, done + passing + 1, error));
    }

    /// Sets the size of the disk.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity_bytes = bytes;
    }

    /// Makes a stretch of a file unreadable.
    pub fn make_unreadable(&self, name: &str, bytes: std::ops::Range<u64>) {
        self.lock().unreadable.push((name.to_owned(), bytes));
    }

    /// Makes all of it readable again.
    pub fn make_readable(&self) {
        self.lock().unreadable.clear();
    }

    /// The names in the folder.
    pub fn names(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    /// The bytes of a file; empty when there is none.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let inner = self.lock();
        let inode = inner.names.get(name).and_then(|id| inner.inodes.get(id));
        inode.map(|inode| inode.cached.clone()).unwrap_or_default()
    }

    /// Puts bytes into a file behind the log's back, on the medium too. Makes the file when there
    /// is none.
    pub fn set_bytes(&self, name: &str, bytes: Vec<u8>) {
        let mut inner = self.lock();
        let id = match inner.names.get(name) {
            Some(id) => *id,
            None => inner.link_new(name),
        };
        inner.stable_names.insert(name.to_owned(), id);
        let inode = inner.inodes.entry(id).or_default();
        inode.pending.clear();
        inode.stable.clone_from(&bytes);
        inode.cached = bytes;
    }

    /// Ends this run and begins the next: locks are free, handles dead, faults gone.
    pub fn crash(&self, crash: Crash) {
        let mut inner = self.lock();
        inner.run += 1;
        inner.locked = false;
        inner.stop_at = None;
        inner.stopped = false;
        inner.failing.clear();
        match crash {
            Crash::Kill => {}
            Crash::PowerCutDropsAll => inner.cut(&mut |_| 0),
            Crash::PowerCutKeepsAll => inner.cut(&mut |most| most),
            Crash::PowerCut { seed } => {
                let mut chance = Chance(seed);
                inner.cut(&mut |most| chance.up_to(most));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers that look like chance: xorshift behind a multiplication.
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and with `most`.
    pub fn up_to(&mut self, most: u64) -> u64 {
        self.draw() % most.saturating_add(1)
    }
}

impl Inner {
    fn link_new(&mut self, name: &str) -> u64 {
        let id = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(id, Inode::default());
        self.names.insert(name.to_owned(), id);
        id
    }

    /// Counts a call and says how it ends. `Ok(false)`: it is done, and is the last of the run.
    fn call(&mut self, run: u64, call: Call) -> io::Result<bool> {
        self.alive(run)?;
        self.calls += 1;
        let of_kind = self.by_kind.entry(call).or_default();
        *of_kind += 1;
        let number = *of_kind;
        if self.stop_at.is_some_and(|stop| self.calls >= stop) {
            self.stopped = true;
            return Ok(false);
        }
        let fails = |(kind, at, _): &(Call, u64, io::ErrorKind)| *kind == call && *at == number;
        match self.failing.iter().find(|failing| fails(failing)) {
            Some((_, _, error)) => Err(io::Error::from(*error)),
            None => Ok(true),
        }
    }

    fn alive(&self, run: u64) -> io::Result<()> {
        if self.stopped || run != self.run {
            return Err(power_is_off());
        }
        Ok(())
    }

    fn used_bytes(&self) -> u64 {
        let held = self.names.values().filter_map(|id| self.inodes.get(id));
        held.map(|inode| inode.cached.len() as u64).sum()
    }

    /// Takes the power away; `chance` gives a number from 0 up to its argument.
    fn cut(&mut self, chance: &mut dyn FnMut(u64) -> u64) {
        let changes = std::mem::take(&mut self.pending_names);
        let kept = chance(changes.len() as u64) as usize;
        for change in changes.into_iter().take(kept) {
            apply_name(&mut self.stable_names, change);
        }
        self.names.clone_from(&self.stable_names);
        for inode in self.inodes.values_mut() {
            for pending in std::mem::take(&mut inode.pending) {
                keep_sectors(&mut inode.stable, pending.offset, &pending.bytes, chance);
            }
            if let Some(length) = inode.cut_off.take()
                && chance(1) == 1
            {
                inode.stable.truncate(length);
            }
            inode.cached.clone_from(&inode.stable);
        }
    }
}

/// Keeps some sectors of a write, and of some only a part.
fn keep_sectors(
    stable: &mut Vec<u8>,
    offset: usize,
    bytes: &[u8],
    chance: &mut dyn FnMut(u64) -> u64,
) {
    for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
        let at = offset + index * SECTOR_BYTES;
        // None, all, or rarely a part: 0 and 8 are what the extremes draw.
        let kept = match chance(8) {
            0..=3 => 0,
            4 => chance(sector.len() as u64) as usize,
            _ => sector.len(),
        };
        if let Some(kept) = sector.get(..kept) {
            put(stable, at, kept);
        }
    }
}

fn put(target: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if target.len() < end && !bytes.is_empty() {
        target.resize(end, 0);
    }
    if let Some(place) = target.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

fn apply_name(names: &mut BTreeMap<String, u64>, change: NameChange) {
    match change {
        NameChange::Link(name, id) => {
            names.insert(name, id);
        }
        NameChange::Unlink(name) => {
            names.remove(&name);
        }
        NameChange::Move(from, to, id) => {
            names.remove(&from);
            names.insert(to, id);
        }
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

mod below;
mod files;
mod oracle;
mod weakened;

pub use crate::mutation::{Mutation, UnknownMutation};
pub use oracle::check_decode;
pub use weakened::Weakened;
