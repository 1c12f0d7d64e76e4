//! The contract of a source: what brings events in.
//!
//! A source has no transaction of its own. It hands a batch to its [`ChannelProcessor`], which
//! runs the interceptors, asks the selector, and puts into all required channels or none. The
//! source answers its client (the `OK` of netcat, a reply, an offset, a renamed file) only after
//! that has returned `Ok`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::EventBatch;
use crate::channel::{PutError, SourceState};
use crate::clock::Clock;
use crate::fault::{Fault, FaultKind};
use crate::future::BoxFuture;
use crate::metric::SourceCounters;
use crate::name::ComponentName;
use crate::state::StateWrite;

/// Why events were not accepted, and how many were before that.
#[derive(Debug)]
pub struct ProcessError {
    /// Events of the batch, counted from its start, that *are* accepted: committed or dropped by an
    /// interceptor. The caller tries again with the rest, or tells its client. Greater than 0 only
    /// when the batch was put in more than one transaction.
    pub accepted: usize,
    /// What failed with the event after those.
    pub cause: ProcessFailure,
}

/// What failed in a [`ChannelProcessor`].
#[derive(Debug)]
pub enum ProcessFailure {
    /// The put failed; nothing of this part is in any channel unless the error says so.
    Put(PutError),
    /// An interceptor or the selector failed; nothing was put.
    Component {
        /// Its name.
        component: ComponentName,
        /// How.
        fault: Fault,
    },
    /// The agent is stopping and takes nothing more.
    Stopping,
}

impl ProcessError {
    /// Whether the same events may be accepted later.
    pub fn may_succeed_later(&self) -> bool {
        use crate::channel::ReserveError;
        match &self.cause {
            ProcessFailure::Put(PutError::Refused(ReserveError::TooLarge { .. })) => false,
            ProcessFailure::Put(_) => true,
            ProcessFailure::Component { fault, .. } => fault.kind() != FaultKind::Poison,
            ProcessFailure::Stopping => false,
        }
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            ProcessFailure::Put(error) => error.fmt(f),
            ProcessFailure::Component { component, fault } => write!(f, "{component}: {fault}"),
            ProcessFailure::Stopping => f.write_str("the agent is stopping"),
        }
    }
}

impl std::error::Error for ProcessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            ProcessFailure::Put(error) => Some(error),
            ProcessFailure::Component { fault, .. } => Some(fault),
            ProcessFailure::Stopping => None,
        }
    }
}

/// The way from a source into its channels (Flume's channel processor): interceptors, selector,
/// put. A reload replaces what is behind it between two batches; the source does not notice.
pub trait ChannelProcessor: Send + Sync {
    /// Takes a batch into the channels. When `Ok`, every event is committed to all channels that
    /// the selector requires for it, or was dropped by an interceptor. Waits for room at most the
    /// channels' `keep-alive`.
    ///
    /// A batch larger than the channels' transaction capacity, or with many events on which an
    /// interceptor fails, is put in several transactions, in order; `state` goes with the last one.
    ///
    /// Several calls may be under way at once; events of calls that follow one another stay in
    /// order.
    ///
    /// # Errors
    /// [`ProcessError`], with the number of events that are accepted all the same.
    fn process<'a>(
        &'a self,
        batch: EventBatch,
        state: Option<SourceState>,
    ) -> BoxFuture<'a, Result<(), ProcessError>>;

    /// How many events fit one transaction now; larger batches are split.
    fn transaction_events(&self) -> usize;
}

/// How a running source is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Take nothing more in, finish what is in hand, close what is open.
    Drain,
    /// A successor takes over (see [`Source::handover`]): finish what is in hand and leave open what
    /// was handed over.
    HandOver,
}

/// A promise that is kept when the source is to end. Cheap to clone; every task of a source has
/// one.
pub trait StopSignal: Send + Sync {
    /// Ready as soon as the source is to end; ready again whenever asked after that.
    fn stopped(&self) -> BoxFuture<'_, StopReason>;

    /// The reason, if the source is to end.
    fn reason(&self) -> Option<StopReason>;
}

/// What a source gets from the agent for one run.
#[derive(Clone)]
pub struct SourceContext {
    /// Its name in the plan.
    pub name: ComponentName,
    /// The way into its channels.
    pub processor: Arc<dyn ChannelProcessor>,
    /// When to end.
    pub stop: Arc<dyn StopSignal>,
    /// Its counters.
    pub counters: Arc<SourceCounters>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where it left off: the state of its last committed put, when the channel kept one.
    pub state: Option<SourceState>,
}

/// Something that an old source leaves to its successor: listening sockets, open connections. The
/// successor of the same type knows what is inside.
pub type Handover = Arc<dyn Any + Send + Sync>;

/// A source.
///
/// # Life
/// `prepare` once, then `run` until it ends. After a fault the agent calls `prepare` and `run`
/// again on the same instance ([`FaultKind::Transient`]) or on a new one ([`FaultKind::Broken`])
/// after a back-off. A source that has nothing more to give and was not told to stop returns
/// `Ok` from `run`; it counts as finished and is not restarted.
///
/// # Delivery
/// An event that a client was told is accepted has been accepted by the processor. What the
/// processor refuses for now (channel full) is tried again for as long as no client is harmed by
/// waiting, or refused to the client; it is never dropped in silence.
///
/// # Stop
/// After the stop signal `run` takes nothing more in and returns soon. Events that were read but
/// not accepted are tried until the agent's drain deadline drops the future.
///
/// # Reload
/// When only settings change, the agent makes a new instance, calls its `prepare` with the old
/// one's `handover`, stops the old one with [`StopReason::HandOver`], and runs the new one. Open
/// connections stay open and lose nothing. When `prepare` fails the old one runs on.
pub trait Source: Send + Sync {
    /// Gets everything that can fail before the first event: binds sockets, opens files, checks
    /// permissions. Uses `predecessor` where it fits instead of opening anew.
    ///
    /// # Errors
    /// A fault that names what is wrong and the remedy; nothing is left open.
    fn prepare(&mut self, predecessor: Option<Handover>) -> BoxFuture<'_, Result<(), Fault>>;

    /// Brings events in until the stop signal, the end of its input, or a fault.
    ///
    /// # Errors
    /// The fault that ended it.
    fn run(&mut self, context: SourceContext) -> BoxFuture<'_, Result<(), Fault>>;

    /// What a successor may take over, while this one goes on running. `None` when there is
    /// nothing, or before `prepare`.
    fn handover(&self) -> Option<Handover> {
        None
    }

    /// Where clients reach it, for logs and tests (`127.0.0.1:44444`); `None` when nobody does.
    fn address(&self) -> Option<String> {
        None
    }
}

/// What a polled source has to give.
#[derive(Debug, Default)]
pub struct Polled {
    /// The events; may be empty.
    pub events: EventBatch,
    /// The position after these events.
    pub cursor: Option<Arc<[u8]>>,
    /// Changes of its own state that the source applies when it hears that these events are put. Only
    /// told, so that a durable channel can keep them with the events.
    pub writes: Arc<[StateWrite]>,
    /// What the source expects next.
    pub next: PollNext,
}

/// What a polled source expects after a poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PollNext {
    /// More is ready: poll again at once.
    Again,
    /// Nothing for now: wait as the back-off says (Flume's BACKOFF).
    #[default]
    BackOff,
    /// Nothing before this time has passed.
    Wait(Duration),
    /// The input has ended for good.
    End,
}

/// A source that is asked for events (Flume's pollable source): generators, files, guests.
///
/// The driver (in the agent's rooms) turns it into a [`Source`]: it polls, puts the events with the
/// cursor as source state, tries again for as long as the channel is full, and calls `ack` after
/// the commit. A poll is never repeated for events that were given before.
pub trait PolledSource: Send + Sync {
    /// Gets everything that can fail before the first event and does not depend on the position,
    /// while a predecessor may still be at work. Nothing to do unless a source says otherwise.
    ///
    /// # Errors
    /// A fault that names what is wrong and the remedy; nothing is left open.
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        crate::future::ready(Ok(()))
    }

    /// Starts at the position of the last commit. Without a cursor a used instance goes on behind
    /// what was acknowledged last, and a new one starts at the beginning.
    ///
    /// # Errors
    /// A fault; the driver tries again after a back-off.
    fn open(&mut self, cursor: Option<&[u8]>) -> BoxFuture<'_, Result<(), Fault>>;

    /// Gives at most `events_max` events. The future may be dropped before it is ready, when the
    /// source is to stop: then nothing was given, and nothing may be lost by it.
    ///
    /// # Errors
    /// A fault; nothing was given.
    fn poll(&mut self, events_max: usize) -> BoxFuture<'_, Result<Polled, Fault>>;

    /// The events up to this cursor are committed.
    fn ack(&mut self, cursor: Option<&[u8]>);
}

/// How long the driver of a polled source waits when there is nothing: `n` times the increment
/// after the `n`th time in a row, at most the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollBackOff {
    /// Flume's `backoffSleepIncrement`.
    pub increment: Duration,
    /// Flume's `maxBackoffSleep`.
    pub maximum: Duration,
}

impl Default for PollBackOff {
    /// Flume's defaults: 1 s more each time, at most 5 s.
    fn default() -> Self {
        Self {
            increment: Duration::from_millis(1000),
            maximum: Duration::from_millis(5000),
        }
    }
}

/// A source as a component's constructor gives it.
pub enum SourceInstance {
    /// It runs by itself.
    EventDriven(Box<dyn Source>),
    /// It is driven by polls.
    Polled {
        /// The source.
        source: Box<dyn PolledSource>,
        /// How the driver waits.
        back_off: PollBackOff,
    },
}
