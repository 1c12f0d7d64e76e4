//! The file channel: Flume's options, a log of `flumen-wal` beneath, a queue of whole batches.
//!
//! Guarantees
//! * The contract of [`flumen_core::channel::Channel`], each promise of which the conformance suite
//!   checks.
//! * With `durability = sync` a commit that came back well survives the end of the agent, of the
//!   machine and of its power. Events, the states of components and the acknowledgements that ride
//!   with them are one frame: all of it is there after a crash, or nothing.
//! * A put whose outcome the disk left open is there after a restart as a whole or not at all.
//! * After a restart events stand at their old places, with the identities that they had.
//! * Damage takes the frames that it hit and no others; how many events that were is counted, told
//!   and never in the way. What the disk does not give is waited for about a minute, then set aside: not
//!   lost, and tried again when the channel is opened. A disk that is full refuses puts; takes and acknowledgements go on.
//! * A start reads one segment of the log, whatever waits in the channel.
//!
//! Not guaranteed
//! * With `acknowledge = lazy`, the default, a crash delivers again what was acknowledged within the
//!   last 20 ms. How often events were delivered is forgotten at a restart.
//! * Bytes are counted as bytes of bodies. After damage they may be counted too high until the
//!   channel was empty once.
//!
//! Limits: one put is at most [`flumen_wal::Options::record_bytes_max`] (16 MiB); records of state
//! that wait for the agent's own store are an eighth of a segment together. Memory: a window of
//! 32 MiB (what was put last and what is taken next), 16 MiB of records on their way to the disk,
//! 6 MiB of buffers and 8 MiB that are kept for the next payloads, whatever the backlog; a moment
//! after the last event less than 2 MiB.
//!
//! ```text
//! file      the channel as the contract wants it
//! contract  the contract's words for what stands here
//! options   the row, and what settings come to
//! folder    where the log is, and what must not be there
//! put       permits and commits        lease     takes and how they end
//! sending   a record on its way into the log
//! change    other settings for a channel that is open
//! owner     what the channel, its permits and its leases hold, and its end
//! keeper    a thread: reads the backlog, writes acknowledgements nobody took along, closes
//! patience  how long a disk that gives nothing is waited for
//! core      the lock, and what the log says
//! state     queue and accounts, a plain value
//! window    which frames have their events in memory
//! acks      acknowledgements that are not yet in the log
//! figures   what is counted beside Flume's counters
//! kept      what a restart has to know: a fold over the log
//! image     the channel looked at, while no agent runs on it
//! salvage   what is whole of it, copied
//! payload   the bytes of a frame      head      the fixed part of them
//! snapshot  what stands in a snapshot of the log
//! seal      encryption at rest
//! ```

mod acks;
mod change;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod contract;
mod core;
mod figures;
mod folder;
mod head;
pub mod image;
mod keeper;
mod kept;
mod lease;
mod options;
mod owner;
mod patience;
pub mod payload;
mod put;
pub mod salvage;
mod seal;
mod sending;
mod snapshot;
mod state;
#[cfg(test)]
#[cfg(not(feature = "loom"))]
mod tests;
mod window;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_core::channel::{Channel, ReserveError};
use flumen_core::clock::Clock;
use flumen_core::settings::Settings;
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, FaultKind, Side};
use flumen_wal::{Folder, Log, LogIo, Recovery, Statistics};
use tracing::{error, info};

pub use change::change;
pub use folder::{Beside, LOG_FOLDER};
pub use options::ROW;

use self::core::Core;
use crate::bounded::{Outside, Refusal, Room};
use keeper::Reading;
use kept::Kept;
use options::{Fixed, Setup};
use owner::{LogBounds, Owner};
use patience::{Patience, Waits};
use payload::{KeptRecord, Keyring};
use put::Granted;
use state::{Bodies, State};
use window::Window;

/// Opens a file channel, or makes one. Works on files, so it blocks.
///
/// # Errors
/// A configuration fault when settings contradict each other or the folder cannot be used; a
/// transient one when the disk refuses. Nothing that was there is lost, and the fault says what is
/// safe to do.
pub fn build(
    name: &ComponentName,
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    let channel = FileChannel::open(name, settings, clock, Beside::Nothing)?;
    Ok(Arc::new(channel))
}

/// The folder in which a channel of these settings keeps its log. Touches no file.
///
/// # Errors
/// A configuration fault when settings contradict each other.
pub fn log_folder(name: &ComponentName, settings: &Settings) -> Result<PathBuf, Fault> {
    let fixed = Setup::read(name, settings)?.fixed;
    fixed
        .log_home()
        .map(|first| first.join(LOG_FOLDER))
        .ok_or_else(|| Fault::configuration(format!("channel {name}: dataDirs names no folder")))
}

/// The folders in which Apache Flume keeps its own file channel with these settings: `dataDirs`,
/// `checkpointDir` and `backupCheckpointDir`, whether they are there or not. Touches no file.
///
/// # Errors
/// A configuration fault when settings contradict each other.
pub fn flume_folders(name: &ComponentName, settings: &Settings) -> Result<Vec<PathBuf>, Fault> {
    let mut folders = folder::data_folders(name, settings.text("dataDirs")?)?;
    folders.extend(folder::data_folders(name, settings.text("checkpointDir")?)?);
    if let Some(backup) = settings.optional_text("backupCheckpointDir")? {
        folders.extend(folder::data_folders(name, backup)?);
    }
    Ok(folders)
}

/// The keys that these settings name, from their files.
///
/// # Errors
/// A configuration fault when settings contradict each other or a key cannot be had.
pub fn keyring(name: &ComponentName, settings: &Settings) -> Result<Keyring, Fault> {
    Setup::read(name, settings)?.fixed.keys.read(name)
}

/// Bytes of memory that a frame takes whose events are in the window: the payload that the bodies
/// share, and the columns that were decoded from it.
fn weight(payload_bytes: usize, events: &EventBatch) -> u64 {
    let payload = payload_bytes as u64;
    payload + payload.saturating_sub(events.body_bytes())
}

/// A record of the log that acknowledges, with a record of state where there is one.
fn acknowledging(
    owner: &Owner,
    acknowledged: Vec<Range<u64>>,
    released_bytes: u64,
    record: Option<&payload::Record>,
) -> Result<flumen_wal::Record, Fault> {
    let core = owner.core();
    let tail = head::Tail {
        released_bytes,
        forgotten: core.with(|state, _| state.forgotten()),
    };
    let plain = payload::encode(&EventBatch::empty(), record, tail);
    let sealed = plain.and_then(|plain| core.keyring.seal(plain, payload::MAGIC));
    let payload = sealed.map_err(|error| {
        let message = format!("channel {}: a delivery cannot be written", core.name);
        Fault::new(FaultKind::Broken, Side::Component, message).with_cause(error)
    })?;
    Ok(flumen_wal::Record {
        items: 0,
        acknowledged,
        payload,
    })
}

/// Bytes of the channel's part of a snapshot beside its records: its head, its seal, and some keys.
const SNAPSHOT_OVERHEAD_BYTES: u64 = 1024;

/// A file channel.
pub struct FileChannel {
    owner: Arc<Owner>,
    fixed: Fixed,
    clock: Arc<dyn Clock>,
    recovery: Recovery,
    recovery_time: Duration,
    /// Puts that were found in the log and wait for the word of their deciders.
    undecided: Vec<KeptRecord>,
}

/// What a channel stands on, which a test chooses.
struct Ground {
    io: Arc<dyn LogIo>,
    keyring: Keyring,
    window: Window,
    waits: Waits,
}

impl FileChannel {
    /// Opens the channel of these settings, or makes one. Works on files, so it blocks.
    ///
    /// # Errors
    /// As [`build`].
    pub fn open(
        name: &ComponentName,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        beside: Beside,
    ) -> Result<Self, Fault> {
        let setup = Setup::read(name, settings)?;
        // Before the folder is made: a channel without its keys leaves nothing behind.
        let keyring = setup.fixed.keys.read(name)?;
        let folder = folder::prepare(name, &setup.fixed.data_folders, beside)?;
        let ground = Ground {
            io: Arc::new(Folder::new(&folder)),
            keyring,
            window: Window::default(),
            waits: Waits::default(),
        };
        Self::open_on(ground, name, setup, clock, &folder)
    }

    fn open_on(
        ground: Ground,
        name: &ComponentName,
        setup: Setup,
        clock: Arc<dyn Clock>,
        folder: &Path,
    ) -> Result<Self, Fault> {
        let Ground {
            io,
            keyring,
            window,
            waits,
        } = ground;
        let options = setup.log();
        let bounds = LogBounds {
            record_bytes_max: options.record_bytes_max(),
            states_bytes_max: options.state_bytes_max() - SNAPSHOT_OVERHEAD_BYTES,
        };
        let keyring = Arc::new(keyring);
        let kept = Kept::new(Arc::clone(&keyring));
        let begun = Instant::now();
        let opened = Log::open(io, options, Box::new(kept.clone()));
        let recovery_time = begun.elapsed();
        let (log, recovery) = opened.map_err(|error| match kept.take_problem() {
            Some(problem) => folder::unreadable(name, folder, problem),
            None => folder::refused(name, folder, error),
        })?;
        let waiting = Room {
            events: recovery.pending_items,
            size: match recovery.pending_items {
                0 => 0,
                _ => kept.size_bytes(),
            },
        };
        let acknowledged = log.acknowledged_at_open();
        let range = acknowledged.frontier()..log.count().item;
        let mut undecided = kept.records();
        undecided.retain(|kept| {
            let items = kept.first_item..kept.first_item + u64::from(kept.items);
            kept.record.decider.is_some() && !acknowledged.covers(items)
        });
        let mut state = State::new(setup.changing.bounds, window, range, waiting);
        state.forget(kept.forgotten());
        if undecided.is_empty() {
            state.settle(&[], &mut Outside::default());
        }
        let core = Arc::new(Core::new(name.clone(), keyring, state));
        core.counters.start_time.set(now_ms(&*clock));
        tell(name, folder, &recovery);
        let reading = Reading {
            patience: Patience::new(waits),
            folder: folder.to_owned(),
        };
        let owner = Owner::start(core, log, kept, bounds, reading)?;
        owner.set_strict(setup.changing.strict);
        Ok(Self {
            owner: Arc::new(owner),
            fixed: setup.fixed,
            clock,
            recovery,
            recovery_time,
            undecided,
        })
    }

    /// What was found when the channel was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The sequence that the next event gets; nothing once the log was released.
    pub fn next_sequence(&self) -> Option<u64> {
        self.owner.log().map(|log| log.count().item)
    }

    /// What the log did since the channel was opened; nothing once it was released.
    pub fn statistics(&self) -> Statistics {
        let log = self.owner.log();
        log.map(|log| log.statistics()).unwrap_or_default()
    }

    /// Events that were found to be lost to damage since the channel was opened, those that were
    /// found by opening it left out.
    pub fn lost_events(&self) -> u64 {
        self.owner.core().with(|state, _| state.lost_events)
    }

    /// Up to which generation records were forgotten, and those behind that, by generation. Of a put
    /// that another channel decides there is one as long as that is open.
    pub fn recovered(&self) -> (u64, Vec<payload::Record>) {
        let kept = self.owner.kept();
        let is_open = |own: &KeptRecord| {
            let is_it = |open: &KeptRecord| open.sequence == own.sequence;
            own.record.decider.is_none() || self.undecided.iter().any(is_it)
        };
        let records = kept.records().into_iter().filter(is_open);
        (kept.forgotten(), records.map(|own| own.record).collect())
    }

    /// Records up to this generation are of no use any more. Takes effect with some later frame.
    pub fn forget(&self, generation: u64) {
        self.owner.forget(generation);
    }

    /// Bytes of the records that were not forgotten.
    pub fn kept_record_bytes(&self) -> u64 {
        self.owner.kept().records_bytes()
    }

    fn count_put_attempt(&self, need: Room) {
        let counters = &self.owner.core().counters;
        counters.event_put_attempt.add(need.events);
    }

    /// What the batch takes, if it is not larger than a frame.
    fn need(&self, batch: &EventBatch) -> Result<Room, ReserveError> {
        let bytes = payload::encoded_bytes_max(batch, None);
        let most = self.owner.batch_bytes_max();
        if bytes <= most {
            return Ok(Room::of::<Bodies>(batch));
        }
        self.count_put_attempt(Room::of::<Bodies>(batch));
        Err(ReserveError::TooLarge {
            channel: self.owner.core().name.clone(),
            reason: format!(
                "it takes {bytes} bytes, more than the {most} of a transaction; lower the batch \
                 size of the source, or raise maxFileSize where it is below 32 MiB"
            ),
        })
    }

    fn granted(&self, room: Room, batch: &EventBatch) -> Granted {
        Granted::new(&self.owner, room, batch.clone())
    }

    /// Ends the recovery: of the undecided puts those of these generations do not count.
    fn settle_recovery(&self, withdrawn: &[u64]) -> BoxFuture<'static, Result<(), Fault>> {
        let those = |kept: &&KeptRecord| withdrawn.contains(&kept.record.generation);
        let frame = |kept: &KeptRecord| {
            let items = kept.first_item..kept.first_item + u64::from(kept.items);
            (items, kept.size_bytes)
        };
        let gone: Vec<(Range<u64>, u64)> = self.undecided.iter().filter(those).map(frame).collect();
        let core = Arc::clone(self.owner.core());
        if core.with(|state, _| state.is_settled()) || gone.is_empty() {
            core.with(|state, outside| state.settle(&[], outside));
            return flumen_core::future::ready(Ok(()));
        }
        let ranges = gone.iter().map(|(frame, _)| frame.clone()).collect();
        let size = gone.iter().map(|(_, size)| size).sum();
        let written = lease::write_acks(&self.owner, ranges, size);
        Box::pin(async move {
            // Written first: who asks again after a crash is told the same.
            written.await?;
            core.with(|state, outside| state.settle(&gone, outside));
            Ok(())
        })
    }

    /// A refusal in the words of the contract.
    fn refused(&self, refusal: Refusal, need: Room, waited: Duration) -> ReserveError {
        let core = self.owner.core();
        let failure = core.with(|state, _| state.failure.clone());
        if let (Refusal::Failed, Some(failure)) = (refusal, failure) {
            return ReserveError::Failed {
                channel: core.name.clone(),
                fault: core.failed(&failure),
            };
        }
        refusal.told(&core.name, need, waited, |bound| {
            format!(
                "{} bytes are more than capacity_bytes {bound}; raise it or lower the batch size of \
                 the source",
                need.size
            )
        })
    }
}

/// Says what was found, where there is something to say.
fn tell(name: &ComponentName, folder: &Path, recovery: &Recovery) {
    let place = folder.display();
    if recovery.quarantined_items > 0 {
        error!(
            channel = %name,
            "{} events in {} damaged frames of {place} are lost; all others are delivered",
            recovery.quarantined_items, recovery.quarantined_frames
        );
    }
    if recovery.without_snapshot {
        error!(
            channel = %name,
            "no snapshot in {place} was whole; events that were delivered before may come again"
        );
    }
    if !recovery.created {
        info!(
            channel = %name,
            "opened {place}: {} events wait",
            recovery.pending_items
        );
    }
}

fn now_ms(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now_ms()).unwrap_or(0)
}
