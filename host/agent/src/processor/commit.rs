//! The last step of a put: the events into their channels, and what the source and the interceptors
//! remember of them. A commit that has begun is not given up.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flumen_core::channel::{PutError, PutPart, SourceState, put_all};
use flumen_core::source::ProcessFailure;
use flumen_core::state::{PendingState, StateRecord};
use flumen_core::{BoxFuture, ComponentName, Fault, Side};
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::error;

use super::{Pipeline, component_failure};
use crate::build::source_name;
use crate::poison::{Found, Stage};
use crate::state_folder::record::{self, Change};
use crate::state_folder::{Generation, StateFolder};

/// Bytes of records that a channel may keep before puts with further ones are refused. They are
/// forgotten within a moment while the state folder can be written.
const KEPT_RECORD_BYTES_MAX: u64 = 2 << 20;

/// A batch behind its interceptors and its selector, on its way into the channels.
pub(super) struct Commit {
    /// In use until the events are in.
    pub(super) _pipeline: Arc<Pipeline>,
    pub(super) parts: Vec<PutPart>,
    pub(super) found: Vec<(Arc<Stage>, Found)>,
    pub(super) pending: Pending,
    pub(super) state: Option<SourceState>,
    pub(super) states: Arc<StateFolder>,
}

impl Commit {
    /// Whether more than one thing has to happen or none: states beside the events, or events in
    /// several durable channels.
    pub(super) fn is_whole(&self) -> bool {
        self.changes_state() || durable(&self.parts).nth(1).is_some()
    }

    fn changes_state(&self) -> bool {
        !self.pending.0.is_empty() || self.state.is_some()
    }

    /// What durable channels keep with the events; nothing when there is none.
    fn record(&self, generation: &Generation<'_>) -> Result<Option<StateRecord>, ProcessFailure> {
        let Some(first) = durable(&self.parts).next() else {
            return Ok(None);
        };
        let is_full = |part: &&PutPart| part.channel.kept_record_bytes() > KEPT_RECORD_BYTES_MAX;
        if let Some(full) = durable(&self.parts).find(is_full) {
            return Err(self.too_many_records(full.channel.name()));
        }
        let name = first.channel.name();
        let changes = self.pending.changes(self.state.as_ref());
        let bytes = record::bounded(&changes, name);
        let bytes = bytes.map_err(|fault| component_failure(name, fault))?;
        Ok(Some(StateRecord {
            generation: generation.number(),
            bytes,
        }))
    }

    /// A channel keeps as many records as it may. Those that are kept for puts which a failed disk
    /// left open are let go: what is gained by them is less than that all sources stand still.
    fn too_many_records(&self, channel: &ComponentName) -> ProcessFailure {
        let given_up = self.states.give_up_left_open();
        if given_up > 0 {
            error!(
                %channel,
                "{given_up} puts that a failed disk left open are not decided any more, so that states can be written; each may be in one of its channels alone, or come twice"
            );
        }
        let message = "the states of guests and sources cannot be written, and the channel keeps as many as it can; make room where the state folder is";
        component_failure(channel, Fault::transient(Side::Machine, message))
    }

    /// One transaction: nothing of it is put, or all of it.
    pub(super) async fn run(self) -> Result<(), ProcessFailure> {
        // Ends when the put is through, or not to be. Most puts need no number, and pay nothing for
        // those that do.
        let generation = match self.is_whole() {
            true => self.states.begin(),
            false => None,
        };
        let state = self.state.as_ref();
        let record = match &generation {
            Some(generation) => self.record(generation)?,
            None => None,
        };
        if let Err(error) = put_all(&self.parts, record.as_ref()).await {
            if let (PutError::CommitFailed { is_open: true, .. }, Some(own)) = (&error, generation)
            {
                own.leave_open();
            }
            return Err(ProcessFailure::Put(error));
        }
        self.pending
            .commit(generation.as_ref(), state, &self.states);
        for (stage, found) in &self.found {
            stage.committed(found);
        }
        Ok(())
    }
}

/// What the interceptors of one batch remember of it, until it is put.
#[derive(Default)]
pub(super) struct Pending(Vec<(ComponentName, Box<dyn PendingState>)>);

impl Pending {
    pub(super) fn add(&mut self, name: &ComponentName, pending: Option<Box<dyn PendingState>>) {
        self.0
            .extend(pending.map(|pending| (name.clone(), pending)));
    }

    /// What changes with the events.
    fn changes(&self, state: Option<&SourceState>) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(state) = state {
            let component = source_name(&state.source);
            changes.extend(state.writes.iter().map(|write| Change::Write {
                component: component.clone(),
                write: write.clone(),
            }));
            changes.push(Change::Cursor {
                source: state.source.clone(),
                bytes: Arc::clone(&state.bytes),
            });
        }
        for (_, pending) in &self.0 {
            let component = pending.component();
            changes.extend(pending.writes().into_iter().map(|write| Change::Write {
                component: component.clone(),
                write,
            }));
        }
        changes
    }

    /// The batch is put: what follows from that happens in one step, and nothing of it is written
    /// without the rest. A state that cannot be kept is told and no reason to put the batch again.
    fn commit(
        self,
        generation: Option<&Generation<'_>>,
        state: Option<&SourceState>,
        states: &StateFolder,
    ) {
        if self.0.is_empty() && state.is_none() {
            return;
        }
        let _whole = states.hold();
        let applied = |owner: &ComponentName| {
            if let Some(generation) = generation {
                generation.applied(owner);
            }
        };
        for (name, pending) in self.0 {
            applied(pending.component());
            if let Err(fault) = pending.commit() {
                error!(component = %name, "the state of an interceptor is lost, its events are not: {fault}");
            }
        }
        if let Some(state) = state {
            states.put_cursor(state);
            applied(&state.source);
            if !state.writes.is_empty() {
                applied(&source_name(&state.source));
            }
        }
    }
}

/// The parts whose channels are durable.
fn durable(parts: &[PutPart]) -> impl Iterator<Item = &PutPart> {
    parts.iter().filter(|part| part.channel.is_durable())
}

/// Commits whose sources were ended in the middle of them. They go on in tasks of their own: a put
/// that is in the channel, or in one of several, without what belongs to it would be put again.
pub(super) struct Unfinished {
    left: watch::Sender<usize>,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self {
            left: watch::Sender::new(0),
        }
    }
}

impl Unfinished {
    /// Runs a commit here as long as somebody waits for it, and elsewhere after that.
    pub(super) fn to_its_end<F>(self: &Arc<Self>, commit: F) -> ToItsEnd
    where
        F: Future<Output = Result<(), ProcessFailure>> + Send + 'static,
    {
        ToItsEnd {
            commit: Some(Box::pin(commit)),
            unfinished: Arc::clone(self),
        }
    }

    /// Ready when none is left.
    pub(super) async fn none_left(&self) {
        // The sender is here, so it is not gone.
        let _ = self.left.subscribe().wait_for(|left| *left == 0).await;
    }

    fn take_over(self: &Arc<Self>, commit: BoxFuture<'static, Result<(), ProcessFailure>>) {
        // Without a runtime the agent is at its end, as after a crash.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let one = OneLeft::new(self);
        runtime.spawn(async move {
            // Nobody hears of a failure: then nothing of the put counts, and its source gives it
            // again.
            let _ = AssertUnwindSafe(commit).catch_unwind().await;
            drop(one);
        });
    }
}

/// One that is counted until it is dropped, also when its task is.
struct OneLeft(Arc<Unfinished>);

impl OneLeft {
    fn new(unfinished: &Arc<Unfinished>) -> Self {
        unfinished.left.send_modify(|left| *left += 1);
        Self(Arc::clone(unfinished))
    }
}

impl Drop for OneLeft {
    fn drop(&mut self) {
        self.0.left.send_modify(|left| *left -= 1);
    }
}

/// See [`Unfinished::to_its_end`].
pub(super) struct ToItsEnd {
    /// Nothing once it has ended, or panicked.
    commit: Option<BoxFuture<'static, Result<(), ProcessFailure>>>,
    unfinished: Arc<Unfinished>,
}

impl Future for ToItsEnd {
    type Output = Result<(), ProcessFailure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut commit) = self.commit.take() else {
            return Poll::Pending;
        };
        let polled = commit.as_mut().poll(context);
        if polled.is_pending() {
            self.commit = Some(commit);
        }
        polled
    }
}

impl Drop for ToItsEnd {
    fn drop(&mut self) {
        if let Some(commit) = self.commit.take() {
            self.unfinished.take_over(commit);
        }
    }
}
