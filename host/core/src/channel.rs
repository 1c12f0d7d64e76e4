//! The contract of a channel: a bounded, transactional, first-in-first-out queue of events between
//! sources and sinks.
//!
//! ```text
//! put   try_reserve / reserve ─▶ Permit ─▶ commit          (dropped: nothing was put)
//! take  take ─▶ Lease ─▶ ack | ack_partial | give_back     (dropped: given back)
//! ```
//!
//! # All or nothing over several channels
//! A put reserves room in every channel first and commits only when all have granted it. A full
//! channel refuses before anything is written anywhere, so a retry makes no duplicate in the
//! channels that had room. [`put_all`] does this; sources never talk to a channel directly.
//!
//! # All or nothing over a crash
//! A put into several durable channels is prepared in all but the last and committed in the last,
//! which thereby decides. What is prepared cannot be taken. After a crash a channel that finds a
//! prepared put tells who decides ([`Channel::recovered`]); the agent asks that one and lets the
//! events go or withdraws them ([`Channel::settle`]).

mod put;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::EventBatch;
use crate::fault::Fault;
use crate::future::BoxFuture;
use crate::metric::ChannelCounters;
use crate::name::ComponentName;
use crate::settings::Settings;
use crate::state::{Recovered, StateRecord, StateWrite};

pub use put::{PutError, PutPart, put_all};

/// The opaque position of a source after the events that it is put with (a cursor), and what else it
/// keeps of them. It is part of the put's [`StateRecord`]: after a crash it agrees with the events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceState {
    /// The source whose state it is.
    pub source: ComponentName,
    /// At most [`crate::limits::SOURCE_STATE_BYTES_MAX`] bytes.
    pub bytes: Arc<[u8]>,
    /// Changes of the source's own state that it applies when it hears that the events are put.
    pub writes: Arc<[StateWrite]>,
}

/// The bounds of a channel as they are now; a reload may change them between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelLimits {
    /// Events that the channel holds, those under lease included.
    pub capacity_events: u64,
    /// Bytes of bodies that it holds, as the channel counts them.
    pub capacity_bytes: u64,
    /// Events in one put or one take (Flume's `transactionCapacity`).
    pub transaction_events: usize,
    /// How long a put waits for room, and a take for events (Flume's `keep-alive`).
    pub keep_alive: Duration,
}

/// What a channel holds at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelFill {
    /// Committed events that are not acknowledged: queued or under lease.
    pub events: u64,
    /// Those of them that are under lease.
    pub leased_events: u64,
    /// Their bytes, as the channel counts them.
    pub bytes: u64,
    /// Those of them that no take gives before the channel is opened again, because its disk does
    /// not give them. They take no room from puts, and a closed channel ends without them.
    pub set_aside_events: u64,
}

impl ChannelFill {
    /// Events that are delivered sooner or later as long as the channel is open.
    pub fn moving_events(&self) -> u64 {
        self.events.saturating_sub(self.set_aside_events)
    }
}

/// Why room was not reserved. The caller still has the batch: it was only looked at.
#[derive(Debug)]
pub enum ReserveError {
    /// No room (yet): a later try may succeed.
    Full {
        /// The channel.
        channel: ComponentName,
        /// How long the call waited.
        waited: Duration,
    },
    /// The batch can never fit as a whole: more events than the transaction capacity or more
    /// bytes than the channel's.
    TooLarge {
        /// The channel.
        channel: ComponentName,
        /// Why, in words.
        reason: String,
    },
    /// The channel is closed and takes nothing more.
    Closed {
        /// The channel.
        channel: ComponentName,
    },
    /// The channel failed.
    Failed {
        /// The channel.
        channel: ComponentName,
        /// How.
        fault: Fault,
    },
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReserveError::Full { channel, waited } => write!(
                f,
                "channel {channel} is full after waiting {} ms; its sink may be slow or its capacity too small",
                waited.as_millis()
            ),
            ReserveError::TooLarge { channel, reason } => {
                write!(f, "batch does not fit channel {channel}: {reason}")
            }
            ReserveError::Closed { channel } => write!(f, "channel {channel} is closed"),
            ReserveError::Failed { channel, fault } => write!(f, "channel {channel}: {fault}"),
        }
    }
}

impl std::error::Error for ReserveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReserveError::Failed { fault, .. } => Some(fault),
            _ => None,
        }
    }
}

/// Why a take gave nothing.
#[derive(Debug)]
pub enum TakeError {
    /// Nothing came within the wait.
    Empty,
    /// The channel is closed and empty: nothing will ever come. A closed channel that still holds
    /// events goes on giving them.
    Closed,
    /// The channel failed.
    Failed(Fault),
}

/// Room that is reserved for one batch in one channel.
///
/// Dropping a permit releases the room and puts nothing. Permits are committed in the order in
/// which the caller likes; the events take their place in the queue at the commit.
pub trait Permit: Send {
    /// Puts the batch that was reserved for, with a record of the state that belongs to it. When the
    /// future is ready with `Ok` the events are in the channel, as durably as the channel promises,
    /// and will be delivered. Dropping the future before that leaves it open whether they are.
    ///
    /// # Errors
    /// A fault of the channel's store; the events are not in the channel, and the caller still has
    /// its batch. A restart may find them nonetheless when the fault is [`Fault::is_uncertain`].
    fn commit(
        self: Box<Self>,
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>>;

    /// Writes the batch as durably as a commit, for a put that counts once `decider` has committed
    /// the same generation. Nobody can take the events until they are published. For durable
    /// channels only; the others commit when it is decided.
    ///
    /// # Errors
    /// As [`Permit::commit`]; [`crate::FaultKind::Configuration`] when the channel is not durable.
    fn prepare(
        self: Box<Self>,
        record: StateRecord,
        decider: ComponentName,
    ) -> BoxFuture<'static, Result<Box<dyn PreparedPut>, Fault>> {
        let generation = record.generation;
        crate::future::ready(Err(Fault::configuration(format!(
            "put {generation}, which channel {decider} decides, cannot be prepared in a channel that is not durable"
        ))))
    }
}

/// A put that is written and does not count yet. Dropping it withdraws it without waiting.
pub trait PreparedPut: Send {
    /// It counts: the events can be taken, in the order of the publishing.
    fn publish(self: Box<Self>);

    /// It does not count: the events leave the channel, as durably as an acknowledgement.
    ///
    /// # Errors
    /// A fault of the channel's store: after a restart it is decided again by whether the decider
    /// has it.
    fn withdraw(self: Box<Self>) -> BoxFuture<'static, Result<(), Fault>>;
}

/// Events under lease that follow one another in the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The identity of the first event: its place in the sequence of all events that were ever put
    /// into this channel. The others follow by one. It stays the same however often the event is
    /// given back and taken again, so a redelivery can be recognised.
    pub first_sequence: u64,
    /// How often these events were delivered before and given back.
    pub redeliveries: u32,
    /// The events.
    pub events: EventBatch,
}

/// What a lease does with its channel; implemented by each channel, used through [`Lease`].
pub trait LeaseOwner: Send {
    /// All events are delivered and leave the channel. As durable as the channel promises; with a
    /// record as durable as a put, in one step with it.
    ///
    /// # Errors
    /// A fault of the channel's store: the events may be delivered again.
    fn ack(self: Box<Self>, record: Option<StateRecord>) -> BoxFuture<'static, Result<(), Fault>>;

    /// The events at these indices (counted over all segments, strictly increasing, in range) go
    /// back to their place; all others are delivered and leave the channel, as in
    /// [`LeaseOwner::ack`].
    ///
    /// # Errors
    /// As [`LeaseOwner::ack`].
    fn ack_except(
        self: Box<Self>,
        kept: Vec<u32>,
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>>;

    /// All events go back to their place at the head, in order, before anything that was put
    /// later. Never waits and never fails; also what a dropped lease does.
    fn give_back(self: Box<Self>);
}

/// Events that are taken but not yet acknowledged. Nobody else gets them meanwhile. Dropping a
/// lease gives its events back.
pub struct Lease {
    segments: Vec<Segment>,
    owner: Option<Box<dyn LeaseOwner>>,
}

impl Lease {
    /// A lease of these segments, which are in order and not empty.
    pub fn new(segments: Vec<Segment>, owner: Box<dyn LeaseOwner>) -> Self {
        Self {
            segments,
            owner: Some(owner),
        }
    }

    /// The events in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many events.
    pub fn len(&self) -> usize {
        self.segments
            .iter()
            .map(|segment| segment.events.len())
            .sum()
    }

    /// Whether there are none, which no channel gives out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See [`LeaseOwner::ack`].
    ///
    /// # Errors
    /// See [`LeaseOwner::ack`].
    pub async fn ack(self) -> Result<(), Fault> {
        self.ack_with(None).await
    }

    /// The same with a record of state.
    ///
    /// # Errors
    /// See [`LeaseOwner::ack`].
    pub async fn ack_with(mut self, record: Option<StateRecord>) -> Result<(), Fault> {
        match self.owner.take() {
            Some(owner) => owner.ack(record).await,
            None => Ok(()),
        }
    }

    /// See [`LeaseOwner::ack_except`].
    ///
    /// # Errors
    /// See [`LeaseOwner::ack`]; [`crate::FaultKind::Broken`] when the indices are not strictly
    /// increasing and in range: then everything is given back.
    pub async fn ack_except(self, kept: Vec<u32>) -> Result<(), Fault> {
        self.ack_except_with(kept, None).await
    }

    /// The same with a record of state.
    ///
    /// # Errors
    /// See [`Lease::ack_except`].
    pub async fn ack_except_with(
        mut self,
        kept: Vec<u32>,
        record: Option<StateRecord>,
    ) -> Result<(), Fault> {
        let in_range = kept.last().is_none_or(|last| (*last as usize) < self.len());
        if !in_range || !kept.is_sorted_by(|a, b| a < b) {
            return Err(Fault::new(
                crate::fault::FaultKind::Broken,
                crate::fault::Side::Component,
                "a sink named events to keep that are out of order or out of range",
            ));
        }
        match self.owner.take() {
            Some(owner) => owner.ack_except(kept, record).await,
            None => Ok(()),
        }
    }

    /// See [`LeaseOwner::give_back`].
    pub fn give_back(self) {
        drop(self);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            owner.give_back();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("segments", &self.segments)
            .finish()
    }
}

/// How much a take wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeLimits {
    /// Events at most; the channel's transaction capacity bounds it further.
    pub events: usize,
    /// Bytes of bodies at most; one event is given even when it alone is larger.
    pub bytes: u64,
}

/// A channel.
///
/// # Order
/// Events of one put stay together in order, and puts stand in the order of their commits. A take
/// gives the oldest events that nobody holds. Events that come back stand at their old place. With
/// one taker the order of delivery is the order of the commits.
///
/// # Bounds
/// Reserved, queued and leased events together stay within the capacity in events and in bytes. One
/// put and one take stay within the transaction capacity.
///
/// # Waiting
/// Waiters for room are served in the order in which they came, so that a large batch is not
/// starved by small ones. No wake-up is lost: a waiter whose condition holds is served without any
/// further call. Dropping a waiting future withdraws it.
///
/// # Concurrency
/// All methods may be called from any task at any time.
///
/// # End
/// After [`Channel::close`] reservations are refused, waiting ones too, while takes go on until the
/// channel is empty. A permit granted before the close still commits.
pub trait Channel: Send + Sync {
    /// Its name in the plan.
    fn name(&self) -> &ComponentName;

    /// Figures of its own beside those that every channel has: attribute names with values, by the
    /// names of [`crate::metric::OWN_CHANNEL_ATTRIBUTES`].
    fn figures(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Its bounds now.
    fn limits(&self) -> ChannelLimits;

    /// What it holds now.
    fn fill(&self) -> ChannelFill;

    /// Flume's counters of this channel. The channel counts attempts and successes itself, per
    /// batch.
    fn counters(&self) -> &Arc<ChannelCounters>;

    /// Reserves room for a batch without waiting. Refuses also when others wait in line.
    ///
    /// # Errors
    /// [`ReserveError`]; nothing is reserved.
    fn try_reserve(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError>;

    /// Reserves room for a batch and waits for it in line, at most `wait`.
    ///
    /// # Errors
    /// [`ReserveError`]; nothing is reserved.
    fn reserve<'a>(
        &'a self,
        batch: &'a EventBatch,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Permit>, ReserveError>>;

    /// Takes the oldest events, at least one, and waits at most `wait` for the first. Does not wait
    /// to fill the limits.
    ///
    /// # Errors
    /// [`TakeError`].
    fn take(&self, limits: TakeLimits, wait: Duration) -> BoxFuture<'_, Result<Lease, TakeError>>;

    /// Takes no more puts; see the contract's end.
    fn close(&self);

    /// Whether what it holds outlives the process. If not, the four calls below do nothing.
    fn is_durable(&self) -> bool {
        false
    }

    /// The records that it found when it was opened and was not told to forget since.
    fn recovered(&self) -> Recovered {
        Recovered::default()
    }

    /// Ends the recovery: of the prepared puts that were found, those of these generations are
    /// withdrawn, all others count. Until then what is prepared cannot be taken. Called once, before
    /// the first put and take.
    ///
    /// # Errors
    /// A fault of the channel's store; it may be called again.
    fn settle<'a>(&'a self, withdrawn: &'a [u64]) -> BoxFuture<'a, Result<(), Fault>> {
        let _ = withdrawn;
        crate::future::ready(Ok(()))
    }

    /// Records up to this generation are of no use any more: the agent's own store has them, and
    /// each put among them is decided. Never waits; takes effect with some later frame.
    fn forget(&self, generation: u64) {
        let _ = generation;
    }

    /// Bytes of the records that it keeps because it was not told to forget them. A put with a record
    /// waits while they are many.
    fn kept_record_bytes(&self) -> u64 {
        0
    }

    /// The end, when nobody puts or takes any more: makes as durable as it can what was promised at
    /// leisure, such as acknowledgements, and lets go of its files, so that another process may open
    /// them. Without it events that were delivered may come again after a restart. Not to be used
    /// afterwards.
    ///
    /// # Errors
    /// A fault of the channel's store.
    fn release(&self) -> BoxFuture<'_, Result<(), Fault>> {
        crate::future::ready(Ok(()))
    }

    /// Applies changed settings in place and keeps all events. Shrinking below the fill is allowed:
    /// the events stay, and puts wait until there is room again. `Ok(false)` when these settings
    /// need a new channel. A durable channel may wait for its disk, because what was promised under
    /// the old settings is kept: call it where that is allowed.
    ///
    /// # Errors
    /// A configuration fault; nothing changed.
    fn reconfigure(&self, settings: &Settings) -> Result<bool, Fault>;
}
