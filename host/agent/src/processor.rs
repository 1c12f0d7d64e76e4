//! The way from a source into its channels: interceptors, selector, put (Flume's channel
//! processor). What is behind it can be replaced between two batches.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use flumen_core::channel::{Channel, PutError, PutPart, SourceState, put_all};
use flumen_core::selector::{ChannelSelector, Route};
use flumen_core::source::{ChannelProcessor, ProcessError, ProcessFailure};
use flumen_core::state::{PendingState, StateRecord};
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, Side};
use tokio::sync::oneshot;
use tracing::error;

use crate::build::source_name;
use crate::metrics::FlowCounters;
use crate::poison::{Refused, Stage};
use crate::state_folder::record::{self, Change};
use crate::state_folder::{Generation, StateFolder};

/// Bytes of records that a channel may keep before puts with further ones are refused. They are
/// forgotten within a moment while the state folder can be written.
const KEPT_RECORD_BYTES_MAX: u64 = 2 << 20;

/// Interceptors, selector and channels of one source, as one value that is swapped as a whole: a
/// batch sees all of the old one or all of the new one.
pub(crate) struct Pipeline {
    stages: Vec<Arc<Stage>>,
    selector: Box<dyn ChannelSelector>,
    channels: Vec<Arc<dyn Channel>>,
    // Closed when the last batch that used this pipeline is through.
    _through: oneshot::Sender<()>,
}

/// Ready when no batch uses a replaced pipeline any more.
pub(crate) type Through = oneshot::Receiver<()>;

impl Pipeline {
    pub(crate) fn new(
        stages: Vec<Arc<Stage>>,
        selector: Box<dyn ChannelSelector>,
        channels: Vec<Arc<dyn Channel>>,
    ) -> (Arc<Self>, Through) {
        let (sender, through) = oneshot::channel();
        let pipeline = Arc::new(Self {
            stages,
            selector,
            channels,
            _through: sender,
        });
        (pipeline, through)
    }

    fn transaction_events(&self) -> usize {
        let limits = self.channels.iter().map(|channel| channel.limits());
        let least = limits.map(|limits| limits.transaction_events).min();
        least.unwrap_or(usize::MAX).max(1)
    }

    /// One transaction: nothing of the batch is put, or all of it, dead letters included.
    async fn put(
        &self,
        batch: EventBatch,
        state: Option<&SourceState>,
        counters: &FlowCounters,
        stopping: &AtomicBool,
        states: &StateFolder,
    ) -> Result<(), NotPut> {
        let mut batch = batch;
        let mut found = Vec::new();
        let mut pending = Pending::default();
        for stage in &self.stages {
            if batch.is_empty() {
                break;
            }
            let sifted = stage.handle(batch, stopping).await;
            let sifted = sifted.map_err(|refused| refusal(stage, refused))?;
            pending.add(stage.name(), sifted.pending);
            batch = sifted.events;
            found.extend(sifted.found.map(|found| (stage, found)));
        }
        let routes = match batch.is_empty() {
            true => Vec::new(),
            false => self
                .selector
                .select(&batch)
                .map_err(|fault| component_failure(&ComponentName::from("selector"), fault))?,
        };
        let mut parts = self.required_parts(&routes, counters);
        for (stage, found) in &found {
            let letters = stage.parts(found);
            parts.extend(letters.map_err(|fault| component_failure(stage.name(), fault))?);
        }
        // Ends when the put is through, or not to be.
        let generation = pending.generation(&parts, state, states);
        let record = match &generation {
            Some(generation) => pending.record(generation, &parts, state)?,
            None => None,
        };
        if let Err(error) = put_all(&parts, record.as_ref()).await {
            if let (PutError::CommitFailed { is_open: true, .. }, Some(own)) = (&error, generation)
            {
                own.leave_open();
            }
            return Err(ProcessFailure::Put(error).into());
        }
        pending.commit(generation.as_ref(), state, states);
        for (stage, found) in &found {
            stage.committed(found);
        }
        for route in &routes {
            for index in &route.optional {
                self.put_optional(*index, &route.events, counters).await;
            }
        }
        Ok(())
    }

    fn required_parts(&self, routes: &[Route], counters: &FlowCounters) -> Vec<PutPart> {
        let mut parts = Vec::with_capacity(routes.len());
        for route in routes {
            if route.required.is_empty() && route.optional.is_empty() {
                counters.unrouted.add(route.events.len() as u64);
            }
            for channel in route
                .required
                .iter()
                .filter_map(|at| self.channels.get(*at))
            {
                // An interceptor may have made more events than one transaction takes.
                for events in pieces(&route.events, channel.limits().transaction_events) {
                    parts.push(PutPart {
                        channel: Arc::clone(channel),
                        events,
                    });
                }
            }
        }
        parts
    }

    /// An optional channel gets the events if it has room at once; a refusal is counted.
    async fn put_optional(&self, index: usize, events: &EventBatch, counters: &FlowCounters) {
        let Some(channel) = self.channels.get(index) else {
            return;
        };
        for piece in pieces(events, channel.limits().transaction_events) {
            let put = match channel.try_reserve(&piece) {
                Ok(permit) => permit.commit(None).await.is_ok(),
                Err(_) => false,
            };
            if !put {
                counters.optional_refused.add(piece.len() as u64);
            }
        }
    }
}

/// What the interceptors of one batch remember of it, until it is put.
#[derive(Default)]
struct Pending(Vec<(ComponentName, Box<dyn PendingState>)>);

impl Pending {
    fn add(&mut self, name: &ComponentName, pending: Option<Box<dyn PendingState>>) {
        self.0
            .extend(pending.map(|pending| (name.clone(), pending)));
    }

    /// A number for a put that changes state, or that several durable channels have to agree on.
    /// Most puts do neither, and pay nothing for those that do.
    fn generation<'s>(
        &self,
        parts: &[PutPart],
        state: Option<&SourceState>,
        states: &'s StateFolder,
    ) -> Option<Generation<'s>> {
        let changes_state = !self.0.is_empty() || state.is_some();
        let is_due = changes_state || durable(parts).nth(1).is_some();
        is_due.then(|| states.begin()).flatten()
    }

    /// What durable channels keep with the events; nothing when there is none.
    fn record(
        &self,
        generation: &Generation<'_>,
        parts: &[PutPart],
        state: Option<&SourceState>,
    ) -> Result<Option<StateRecord>, ProcessFailure> {
        let Some(first) = durable(parts).next() else {
            return Ok(None);
        };
        if let Some(full) =
            durable(parts).find(|part| part.channel.kept_record_bytes() > KEPT_RECORD_BYTES_MAX)
        {
            let message = "the states of guests and sources cannot be written, and the channel keeps as many as it can; make room where the state folder is";
            let fault = Fault::transient(Side::Machine, message);
            return Err(component_failure(full.channel.name(), fault));
        }
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
        let name = first.channel.name();
        let bytes = record::bounded(&changes, name);
        let bytes = bytes.map_err(|fault| component_failure(name, fault))?;
        Ok(Some(StateRecord {
            generation: generation.number(),
            bytes,
        }))
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

/// Why nothing of a batch was put.
enum NotPut {
    Failed(ProcessFailure),
    /// Smaller transactions may succeed; the failure holds when there are none.
    Smaller(ProcessFailure),
}

impl From<ProcessFailure> for NotPut {
    fn from(failure: ProcessFailure) -> Self {
        NotPut::Failed(failure)
    }
}

fn refusal(stage: &Stage, refused: Refused) -> NotPut {
    match refused {
        Refused::Fault(fault) => NotPut::Failed(component_failure(stage.name(), fault)),
        Refused::Smaller(fault) => NotPut::Smaller(component_failure(stage.name(), fault)),
        Refused::Stopping => NotPut::Failed(ProcessFailure::Stopping),
    }
}

fn component_failure(name: &ComponentName, fault: Fault) -> ProcessFailure {
    ProcessFailure::Component {
        component: name.clone(),
        fault,
    }
}

/// The batch in slices of at most `events_max` events; the batch itself when it fits.
fn pieces(batch: &EventBatch, events_max: usize) -> impl Iterator<Item = EventBatch> + '_ {
    let step = events_max.max(1);
    (0..batch.len())
        .step_by(step)
        .map(move |start| batch.slice(start..start.saturating_add(step)))
}

/// The processor of one source. It lives as long as the source's name is in the plan.
pub(crate) struct Processor {
    pipeline: ArcSwap<Pipeline>,
    through: Mutex<Through>,
    counters: Arc<FlowCounters>,
    stopping: AtomicBool,
    // Where the source left off, for its next life in this agent or a later one.
    states: Arc<StateFolder>,
}

impl Processor {
    pub(crate) fn new(
        (pipeline, through): (Arc<Pipeline>, Through),
        counters: Arc<FlowCounters>,
        states: Arc<StateFolder>,
    ) -> Arc<Self> {
        Arc::new(Self {
            pipeline: ArcSwap::new(pipeline),
            through: Mutex::new(through),
            counters,
            stopping: AtomicBool::new(false),
            states,
        })
    }

    /// Puts another pipeline in place. Ready when no batch uses the old one any more.
    pub(crate) fn replace(&self, (pipeline, through): (Arc<Pipeline>, Through)) -> Through {
        let mut current = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        self.pipeline.store(pipeline);
        std::mem::replace(&mut *current, through)
    }

    /// Refuses everything from now on: the last step of a stop.
    pub(crate) fn refuse(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The state of the last committed put of a source.
    pub(crate) fn last_state(&self, source: &ComponentName) -> Option<SourceState> {
        self.states.cursor(source)
    }

    async fn process_pieces(
        &self,
        batch: EventBatch,
        state: Option<SourceState>,
    ) -> Result<(), ProcessError> {
        let mut accepted = 0;
        // A batch without events may still move the source's position.
        let mut is_due = state.is_some();
        let mut events_max = usize::MAX;
        while is_due || accepted < batch.len() {
            if self.stopping.load(Ordering::Relaxed) {
                let cause = ProcessFailure::Stopping;
                return Err(ProcessError { accepted, cause });
            }
            let pipeline = self.pipeline.load_full();
            let end = accepted
                .saturating_add(pipeline.transaction_events().min(events_max))
                .min(batch.len());
            let piece = batch.slice(accepted..end);
            let piece_state = state.as_ref().filter(|_| end == batch.len());
            let put = pipeline.put(
                piece,
                piece_state,
                &self.counters,
                &self.stopping,
                &self.states,
            );
            match put.await {
                Ok(()) => {
                    is_due &= end < batch.len();
                    accepted = end;
                    events_max = events_max.saturating_mul(2);
                }
                Err(NotPut::Smaller(_)) if end - accepted > 1 => {
                    events_max = (end - accepted) / 2;
                }
                Err(NotPut::Failed(cause) | NotPut::Smaller(cause)) => {
                    return Err(ProcessError { accepted, cause });
                }
            }
        }
        Ok(())
    }
}

impl ChannelProcessor for Processor {
    fn process<'a>(
        &'a self,
        batch: EventBatch,
        state: Option<SourceState>,
    ) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(self.process_pieces(batch, state))
    }

    fn transaction_events(&self) -> usize {
        self.pipeline.load().transaction_events()
    }
}
