//! What an agent keeps over its restarts: the small states of its guests and the positions
//! (cursors) of its sources, in one embedded store (`state.redb`) in a folder of its own.
//!
//! Guarantees
//! * A change counts at once: every later look sees it. It is written behind the commit, by one
//!   thread, in group transactions that are on the disk when they end, begun at most
//!   [`WRITE_INTERVAL`] after the first change of the group.
//! * After a kill or a power cut the file holds all commits up to some point and nothing of those
//!   behind it. What that point is behind the last commit is [`WRITE_INTERVAL`], the time of one
//!   transaction, and the time for which the disk refused.
//! * What was committed together is written together: see [`StateFolder::hold`] and
//!   [`StateFolder::commit_of`].
//! * A file that is damaged, foreign or of a newer flumen is refused and left as it is. So is a
//!   folder that another agent holds.
//! * A disk that refuses stops nothing: what is in memory counts, the failure is logged once and
//!   counted, and writing is tried again until it succeeds.
//!
//! What follows for events: a position is written after the put that it belongs to. After a kill a
//! source may therefore stand *before* events that are in its channel, and give them again; it
//! never stands behind events that were not put. Whether events that were put survive the kill is
//! the channel's matter: a memory channel loses what it holds, and a position written before the
//! kill does not bring that back.
//!
//! Limits: the copy in memory is the state itself. It is bounded by `limits.state_bytes` of each
//! guest and by [`flumen_core::limits::SOURCE_STATE_BYTES_MAX`] of each source. States of names that
//! are gone from the configuration stay, in the file and in memory, because the name may come back;
//! moving the file away between two runs forgets them.

mod error;
mod file;
mod generations;
mod memory;
pub(crate) mod record;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flumen_core::channel::SourceState;
use flumen_core::{ComponentName, Fault, Side};
use flumen_wasm::{StateStore, StateWrite};
use tokio::sync::watch;
use tracing::warn;

use file::StateFile;
use memory::Memory;
use record::Change;
use writer::Writer;

/// How long a change waits for others before a transaction is begun. A transaction costs one sync of
/// the disk, some milliseconds: at this pace a busy guest takes a fraction of a disk, and a kill
/// repeats the events of a moment.
pub(crate) const WRITE_INTERVAL: Duration = Duration::from_millis(20);

/// The least time that a stop leaves for the last transaction, whatever the drain has used up. A
/// sync of a loaded disk takes some hundred milliseconds.
pub(crate) const CLOSE_DEADLINE_LEAST: Duration = Duration::from_secs(1);

/// The states and positions of one agent. Cheap while nobody needs it: the folder is touched by
/// [`StateFolder::open`], with the first guest or the first source that gives a position.
///
/// It ends with [`StateFolder::close`]. When it is only dropped, the writer makes one last try
/// without anybody waiting for it.
pub(crate) struct StateFolder {
    folder: Option<PathBuf>,
    shared: Arc<Shared>,
    interval: Duration,
    /// Held while the folder is opened, which blocks; what it guards is whether that was done.
    opened: Mutex<bool>,
}

/// What the agent and the writer's thread share.
struct Shared {
    /// A short lock: held for one look-up, one commit or one cut, never over an await or a write.
    memory: Mutex<Memory>,
    /// Tells the writer that there is something to do.
    work: Condvar,
    progress: watch::Sender<Progress>,
}

/// What the writer has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// The newest commit that is on disk.
    written: u64,
    /// Everything up to this generation is on disk.
    floor: u64,
    /// Transactions that failed.
    failures: u64,
    /// The writer has let go of the file.
    is_closed: bool,
}

/// How writing the state goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateWriting {
    /// Tries to write that failed, since the agent began.
    pub failures: u64,
    /// Commits of guests and sources that are not on disk now: few while all is well.
    pub unwritten: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the memory, and wakes the writer when that gives it something to do.
    fn change<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.lock();
        let result = change(&mut memory);
        let wake = memory.take_wake();
        drop(memory);
        if wake {
            self.work.notify_all();
        }
        result
    }
}

impl StateFolder {
    /// The states of an agent that keeps them in this folder; without one they live as long as the
    /// agent. Nothing is read or made yet.
    pub(crate) fn new(folder: Option<PathBuf>) -> Arc<Self> {
        Self::with_interval(folder, WRITE_INTERVAL)
    }

    fn with_interval(folder: Option<PathBuf>, interval: Duration) -> Arc<Self> {
        let memory = Memory::new(folder.is_some());
        let shared = Shared {
            memory: Mutex::new(memory),
            work: Condvar::new(),
            progress: watch::Sender::new(Progress::default()),
        };
        Arc::new(Self {
            folder,
            shared: Arc::new(shared),
            interval,
            opened: Mutex::new(false),
        })
    }

    /// Takes hold of the folder, reads all that is in it, and writes from now on. Does nothing when
    /// that was done. Blocks for as long as the disk takes: not for a thread that serves tasks.
    ///
    /// # Errors
    /// A fault that names the folder and the remedy: it cannot be made, another agent holds it, its
    /// file is damaged, foreign, of a newer flumen, or others may write it. Nothing was changed, and
    /// opening may be tried again.
    pub(crate) fn open(&self) -> Result<(), Fault> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if *opened {
            return Ok(());
        }
        let Some(folder) = &self.folder else {
            warn!(
                "states of guests and positions of sources live only as long as this agent; name a folder with -Dflumen.stateFolder=DIR"
            );
            *opened = true;
            return Ok(());
        };
        let (file, kept) = StateFile::open(folder)?;
        self.shared.lock().load(kept);
        let writer = Writer::new(Arc::clone(&self.shared), file, self.interval);
        writer.spawn().map_err(|error| {
            let message = "cannot start the thread that writes states";
            Fault::transient(Side::Machine, message).with_cause(error)
        })?;
        *opened = true;
        Ok(())
    }

    /// [`StateFolder::open`] on a thread of its own. With `only_existing` a folder without a state
    /// file is left alone: there is nothing to go on from.
    ///
    /// # Errors
    /// As [`StateFolder::open`].
    pub(crate) async fn ready(self: &Arc<Self>, only_existing: bool) -> Result<(), Fault> {
        if self.shared.lock().is_loaded() {
            return Ok(());
        }
        let Some(folder) = self.folder.clone() else {
            return Ok(());
        };
        let own = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || {
            if only_existing && !StateFile::exists(&folder) {
                return Ok(());
            }
            own.open()
        });
        opened.await.unwrap_or_else(|error| {
            let message = "the state folder could not be opened";
            Err(Fault::transient(Side::Machine, message).with_cause(error))
        })
    }

    /// Where a source left off.
    pub(crate) fn cursor(&self, source: &ComponentName) -> Option<SourceState> {
        let bytes = self.shared.lock().cursor(source)?;
        Some(SourceState {
            source: source.clone(),
            bytes,
            writes: Arc::default(),
        })
    }

    /// Keeps where a source left off, once its events are put. A commit of that source that is open
    /// ([`StateFolder::commit_of`]) holds the writer from here on.
    pub(crate) fn put_cursor(&self, state: &SourceState) {
        self.shared.change(|memory| memory.put_cursor(state));
    }

    /// Begins a commit that channels keep a record of: gives its generation, which ends when the value
    /// is dropped. `None` when there is no folder, so that no record would ever be forgotten again,
    /// or it is not opened yet.
    pub(crate) fn begin(&self) -> Option<Generation<'_>> {
        let number = self.shared.lock().begin()?;
        Some(Generation {
            states: self,
            number,
        })
    }

    /// Ends the commits that were left open for the next life, and says how many they were. For when
    /// channels can keep no more records for their sake: one failed disk must not stop everybody.
    pub(crate) fn give_up_left_open(&self) -> usize {
        self.shared.change(Memory::give_up_left)
    }

    /// Every commit up to this generation has ended, in this life or an earlier one.
    pub(crate) fn floor(&self) -> u64 {
        self.shared.lock().floor()
    }

    /// Takes in the commits that durable channels have kept, in the order of their generations. What
    /// is known already stays as it is. Until then the floor is that of the earlier life: a commit
    /// that was under way at its end is above it, though a later one has ended.
    pub(crate) fn recover(&self, commits: BTreeMap<u64, Vec<Change>>) {
        let _whole = self.hold();
        for (generation, changes) in commits {
            self.shared
                .change(|memory| memory.recover(generation, changes));
        }
        self.shared.change(Memory::decided);
    }

    /// Ready when everything up to a higher generation than `known` is on disk, with that generation;
    /// `None` when nothing is written any more.
    pub(crate) async fn written_beyond(&self, known: u64) -> Option<u64> {
        let mut progress = self.shared.progress.subscribe();
        let reached = progress
            .wait_for(|progress| progress.floor > known || progress.is_closed)
            .await;
        let floor = reached.ok()?.floor;
        (floor > known).then_some(floor)
    }

    /// Holds the writer: what is applied and put while the hold lives is written in one transaction
    /// with whatever else is in memory, or not at all. For the steps of one commit that follow one
    /// another without waiting; a hold delays the writing of all.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.shared.lock().hold();
        Hold(self)
    }

    /// Opens a commit of a source: from the moment its position is put until this value is dropped
    /// the writer is held. What the source itself keeps when it hears of the commit is then written
    /// with the position, although the put before it may have waited for room for long, which holds
    /// nothing.
    pub(crate) fn commit_of(&self, source: &ComponentName) -> SourceCommit<'_> {
        self.shared.lock().open_commit(source);
        SourceCommit {
            states: self,
            source: source.clone(),
        }
    }

    /// Whether a commit is under way, so that nothing is written.
    #[cfg(test)]
    pub(crate) fn is_held(&self) -> bool {
        self.shared.lock().is_held()
    }

    /// Waits until all that counts now is on disk, at most `deadline`; whether it is.
    #[cfg(test)]
    async fn flush(&self, deadline: Duration) -> bool {
        let wanted = self.shared.change(|memory| memory.hurry());
        self.wait(deadline, |progress| progress.written >= wanted)
            .await;
        self.shared.progress.borrow().written >= wanted
    }

    /// Writes what is left, lets go of the folder, and says whether all is on disk; at most
    /// `deadline`. What is changed after that lives in memory only.
    pub(crate) async fn close(&self, deadline: Duration) -> bool {
        let Some(wanted) = self.shared.change(|memory| memory.close()) else {
            return true;
        };
        self.wait(deadline, |progress| progress.is_closed).await;
        self.shared.progress.borrow().written >= wanted
    }

    async fn wait(&self, deadline: Duration, until: impl FnMut(&Progress) -> bool) {
        let mut progress = self.shared.progress.subscribe();
        // Both ends, the deadline's and the writer's, show in the progress.
        let _ = tokio::time::timeout(deadline, progress.wait_for(until)).await;
    }

    /// How the writing goes.
    pub(crate) fn writing(&self) -> StateWriting {
        let commits = self.shared.lock().commits_to_write();
        let progress = *self.shared.progress.borrow();
        StateWriting {
            failures: progress.failures,
            unwritten: commits.saturating_sub(progress.written),
        }
    }
}

impl StateStore for StateFolder {
    fn get(&self, component: &ComponentName, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.shared.lock().get(component, key))
    }

    fn bytes(&self, component: &ComponentName) -> Result<u64, Fault> {
        Ok(self.shared.lock().bytes(component))
    }

    fn apply(&self, component: &ComponentName, writes: Vec<StateWrite>) -> Result<(), Fault> {
        self.shared.change(|memory| memory.apply(component, writes));
        Ok(())
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        self.shared.change(|memory| memory.close());
    }
}

/// A commit under way that has a number.
pub(crate) struct Generation<'s> {
    states: &'s StateFolder,
    number: u64,
}

impl Generation<'_> {
    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// It does not end in this life: the next start asks the channels whether it counts. The floor
    /// stays below it, and channels keep their records, up to their bound.
    pub(crate) fn leave_open(self) {
        self.states
            .shared
            .change(|memory| memory.leave(self.number));
        std::mem::forget(self);
    }

    /// Notes that the state of an owner is that of this generation now. Under the same hold as the
    /// change of the state itself.
    pub(crate) fn applied(&self, owner: &ComponentName) {
        let number = self.number;
        self.states
            .shared
            .change(|memory| memory.applied(owner, number));
    }
}

impl Drop for Generation<'_> {
    fn drop(&mut self) {
        self.states.shared.change(|memory| memory.end(self.number));
    }
}

/// Holds the writer while it lives: see [`StateFolder::hold`].
pub(crate) struct Hold<'s>(&'s StateFolder);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.shared.change(Memory::release);
    }
}

/// A commit of a source that is open: see [`StateFolder::commit_of`].
pub(crate) struct SourceCommit<'s> {
    states: &'s StateFolder,
    source: ComponentName,
}

impl Drop for SourceCommit<'_> {
    fn drop(&mut self) {
        self.states
            .shared
            .change(|memory| memory.close_commit(&self.source));
    }
}
