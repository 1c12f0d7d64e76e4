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
//!   and never in the way. A disk that is full refuses puts; takes and acknowledgements go on.
//! * A start reads one segment of the log, whatever waits in the channel.
//!
//! Not guaranteed
//! * With `acknowledge = lazy`, the default, a crash delivers again what was acknowledged within the
//!   last 20 ms. How often events were delivered is forgotten at a restart.
//! * Bytes are counted as bytes of bodies. After damage they may be counted too high until the
//!   channel was empty once.
//!
//! Limits: one put is at most [`flumen_wal::Options::record_bytes_max`] (16 MiB); states of
//! components are at most [`STATES_BYTES_MAX`] together. Memory: a window of 32 MiB (what was put
//! last and what is taken next), 16 MiB of records on their way to the disk, and 6 MiB of buffers,
//! whatever the backlog; a moment after the last event less than 2 MiB.
//!
//! ```text
//! file      the channel as the contract wants it
//! options   the row, and what settings come to
//! folder    where the log is, and what must not be there
//! put       permits and commits        lease     takes and how they end
//! sending   a record on its way into the log
//! owner     what the channel, its permits and its leases hold, and its end
//! keeper    a thread: reads the backlog, writes acknowledgements nobody took along, closes
//! core      the lock, and what the log says
//! state     queue and accounts, a plain value
//! window    which frames have their events in memory
//! acks      acknowledgements that are not yet in the log
//! kept      what a restart has to know: a fold over the log
//! payload   the bytes of a frame
//! ```

mod acks;
mod core;
mod folder;
mod keeper;
mod kept;
mod lease;
mod options;
mod owner;
pub mod payload;
mod put;
mod sending;
mod state;
#[cfg(test)]
#[cfg(not(feature = "loom"))]
mod tests;
mod window;

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flumen_core::channel::{
    Channel, ChannelFill, ChannelLimits, Lease, Permit, ReserveError, TakeError, TakeLimits,
};
use flumen_core::clock::Clock;
use flumen_core::metric::ChannelCounters;
use flumen_core::settings::Settings;
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, FaultKind, Side};
use flumen_wal::{Folder, Log, LogIo, Recovery, Statistics};
use tracing::{error, info};

pub use folder::{Beside, LOG_FOLDER};
pub use options::ROW;
pub use owner::STATES_BYTES_MAX;
pub use payload::KeptState;

use self::core::Core;
use crate::bounded::{Nothing, Refusal, Room, RoomWait, TimeLimit};
use kept::Kept;
use lease::EventWait;
use options::{Fixed, Setup};
use owner::Owner;
use put::{FilePermit, Granted};
use state::{Bodies, NoEvents, State};
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

/// Whether a channel of the first settings can get the second in place. Touches no file.
///
/// # Errors
/// A configuration fault when settings contradict each other, or when they change how the log in
/// the same folder is kept, which takes a restart.
pub fn changes_in_place(
    name: &ComponentName,
    old: &Settings,
    new: &Settings,
) -> Result<bool, Fault> {
    let (old, new) = (Setup::read(name, old)?.fixed, Setup::read(name, new)?.fixed);
    if old != new && old.data_folders.first() == new.data_folders.first() {
        return Err(Fault::configuration(format!(
            "channel {name}: dataDirs behind the first, maxFileSize, minimumRequiredSpace, \
             durability and the times of syncs cannot change while the channel is open; restart \
             the agent to change them"
        )));
    }
    Ok(old == new)
}

/// The folder in which a channel of these settings keeps its log. Touches no file.
///
/// # Errors
/// A configuration fault when settings contradict each other.
pub fn log_folder(name: &ComponentName, settings: &Settings) -> Result<PathBuf, Fault> {
    let folders = Setup::read(name, settings)?.fixed.data_folders;
    folders
        .first()
        .map(|first| first.join(LOG_FOLDER))
        .ok_or_else(|| Fault::configuration(format!("channel {name}: dataDirs names no folder")))
}

/// Bytes of memory that a frame takes whose events are in the window: the payload that the bodies
/// share, and the columns that were decoded from it.
fn weight(payload_bytes: usize, events: &EventBatch) -> u64 {
    let payload = payload_bytes as u64;
    payload + payload.saturating_sub(events.body_bytes())
}

/// A file channel.
pub struct FileChannel {
    owner: Arc<Owner>,
    fixed: Fixed,
    clock: Arc<dyn Clock>,
    recovery: Recovery,
    recovered: Vec<KeptState>,
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
        let folder = folder::prepare(name, &setup.fixed.data_folders, beside)?;
        let io = Arc::new(Folder::new(&folder));
        Self::open_on(io, name, setup, Window::default(), clock, &folder)
    }

    fn open_on(
        io: Arc<dyn LogIo>,
        name: &ComponentName,
        setup: Setup,
        window: Window,
        clock: Arc<dyn Clock>,
        folder: &Path,
    ) -> Result<Self, Fault> {
        let options = setup.log();
        let record_bytes_max = options.record_bytes_max();
        let kept = Kept::default();
        let opened = Log::open(io, options, Box::new(kept.clone()));
        let (log, recovery) = opened.map_err(|error| folder::refused(name, folder, error))?;
        if let Some(problem) = kept.take_problem() {
            let message = format!(
                "channel {name}: {} holds frames that are whole and cannot be read",
                folder.display()
            );
            return Err(Fault::configuration(message).with_cause(problem));
        }
        let waiting = Room {
            events: recovery.pending_items,
            size: match recovery.pending_items {
                0 => 0,
                _ => kept.size_bytes(),
            },
        };
        let range = log.acknowledged_at_open().frontier()..log.count().item;
        let state = State::new(setup.changing.bounds, window, range, waiting);
        let core = Arc::new(Core::new(name.clone(), state));
        core.counters.start_time.set(now_ms(&*clock));
        tell(name, folder, &recovery);
        let recovered = kept.states();
        let owner = Owner::start(core, log, kept, record_bytes_max)?;
        owner.set_strict(setup.changing.strict);
        Ok(Self {
            owner: Arc::new(owner),
            fixed: setup.fixed,
            clock,
            recovery,
            recovered,
        })
    }

    /// What was found when the channel was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The states of components that were in the channel when it was opened, each the newest of its
    /// component: those of the last puts that survived.
    pub fn recovered_states(&self) -> &[KeptState] {
        &self.recovered
    }

    /// What the log did since the channel was opened.
    pub fn statistics(&self) -> Statistics {
        self.owner.log().statistics()
    }

    /// Events that were found to be lost to damage since the channel was opened, those that were
    /// found by opening it left out.
    pub fn lost_events(&self) -> u64 {
        self.owner.core().with(|state, _| state.lost_events)
    }

    fn count_put_attempt(&self, need: Room) {
        let counters = &self.owner.core().counters;
        counters.event_put_attempt.add(need.events);
    }

    /// What the batch takes, if it is not larger than a frame.
    fn need(&self, batch: &EventBatch) -> Result<Room, ReserveError> {
        let bytes = payload::encoded_bytes_max(batch, &[]);
        let most = self.owner.record_bytes_max();
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

    fn permit(&self, room: Room, batch: &EventBatch) -> Box<dyn Permit> {
        let granted = Granted::new(&self.owner, room, batch.clone());
        Box::new(FilePermit(granted))
    }

    /// A refusal in the words of the contract.
    fn refused(&self, refusal: Refusal, need: Room, waited: Duration) -> ReserveError {
        let core = self.owner.core();
        let channel = core.name.clone();
        match refusal {
            Refusal::Full => ReserveError::Full { channel, waited },
            Refusal::Closed => ReserveError::Closed { channel },
            Refusal::TooManyEvents { bound } => ReserveError::TooLarge {
                channel,
                reason: format!(
                    "{} events are more than transactionCapacity {bound}; raise it or lower the \
                     batch size of the source",
                    need.events
                ),
            },
            Refusal::TooLarge { bound } => ReserveError::TooLarge {
                channel,
                reason: format!(
                    "{} bytes are more than capacity_bytes {bound}; raise it or lower the batch \
                     size of the source",
                    need.size
                ),
            },
            Refusal::Failed => {
                let failure = core.with(|state, _| state.failure.clone());
                match failure {
                    Some(failure) => ReserveError::Failed {
                        channel,
                        fault: core.failed(&failure),
                    },
                    None => ReserveError::Closed { channel },
                }
            }
        }
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

impl Channel for FileChannel {
    fn name(&self) -> &ComponentName {
        &self.owner.core().name
    }

    fn limits(&self) -> ChannelLimits {
        let bounds = self.owner.core().with(|state, _| state.accounts.bounds());
        options::limits(&bounds)
    }

    fn fill(&self) -> ChannelFill {
        self.owner.core().with(|state, _| state.fill())
    }

    fn counters(&self) -> &Arc<ChannelCounters> {
        &self.owner.core().counters
    }

    fn try_reserve(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError> {
        let need = self.need(batch)?;
        let core = self.owner.core();
        let answer = core.with(|state, _| state.accounts.try_reserve(need));
        // A put that finds no room goes on to wait for it, and is counted there.
        if answer != Err(Refusal::Full) {
            self.count_put_attempt(need);
        }
        match answer {
            Ok(()) => Ok(self.permit(need, batch)),
            Err(refusal) => Err(self.refused(refusal, need, Duration::ZERO)),
        }
    }

    fn reserve<'a>(
        &'a self,
        batch: &'a EventBatch,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Permit>, ReserveError>> {
        Box::pin(async move {
            let need = self.need(batch)?;
            self.count_put_attempt(need);
            let mut room = RoomWait::new(&**self.owner.core(), need);
            let mut time = TimeLimit::new(wait);
            let answer = poll_fn(|context| match room.poll(context) {
                Poll::Pending => time.poll(context).map(|()| room.expire()),
                ready => ready,
            });
            match answer.await {
                Ok(()) => Ok(self.permit(need, batch)),
                Err(refusal) => Err(self.refused(refusal, need, time.waited())),
            }
        })
    }

    fn take(&self, limits: TakeLimits, wait: Duration) -> BoxFuture<'_, Result<Lease, TakeError>> {
        Box::pin(async move {
            let core = self.owner.core();
            core.counters.event_take_attempt.add(1);
            let mut events = EventWait::new(&self.owner, limits);
            let mut time = TimeLimit::new(wait);
            let answer = poll_fn(|context| match events.poll(context) {
                Poll::Pending => time.poll(context).map(|()| events.expire()),
                ready => ready,
            });
            answer.await.map_err(|none| match none {
                NoEvents::Nothing(Nothing::Empty) => TakeError::Empty,
                NoEvents::Nothing(Nothing::Closed) => TakeError::Closed,
                NoEvents::Unreadable(why) => {
                    let message = format!("channel {}: {}", core.name, why.message);
                    TakeError::Failed(match why.may_pass {
                        true => Fault::transient(Side::Machine, message),
                        false => Fault::new(FaultKind::Broken, Side::Machine, message),
                    })
                }
            })
        })
    }

    fn close(&self) {
        let core = self.owner.core();
        core.with(|state, outside| state.accounts.close(outside));
        core.counters.stop_time.set(now_ms(&*self.clock));
    }

    fn settle(&self) -> BoxFuture<'_, Result<(), Fault>> {
        lease::settle(&self.owner)
    }

    fn reconfigure(&self, settings: &Settings) -> Result<bool, Fault> {
        let setup = Setup::read(self.name(), settings)?;
        if setup.fixed != self.fixed {
            return Ok(false);
        }
        let changing = setup.changing;
        self.owner.set_strict(changing.strict);
        self.owner
            .core()
            .with(|state, outside| state.accounts.set_bounds(changing.bounds, outside));
        Ok(true)
    }
}
