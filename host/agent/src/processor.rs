//! The way from a source into its channels: interceptors, selector, put (Flume's channel
//! processor). What is behind it can be replaced between two batches.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use flumen_core::channel::{Channel, PutPart, SourceState};
use flumen_core::selector::{ChannelSelector, Route};
use flumen_core::source::{ChannelProcessor, ProcessError, ProcessFailure};
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault};
use tokio::sync::oneshot;

use crate::metrics::FlowCounters;
use crate::poison::{Refused, Stage};
use crate::state_folder::StateFolder;
use commit::{Commit, Pending, Unfinished};

mod commit;

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
        self: &Arc<Self>,
        batch: EventBatch,
        state: Option<&SourceState>,
        processor: &Processor,
    ) -> Result<(), NotPut> {
        let Processor {
            counters,
            stopping,
            states,
            unfinished,
            ..
        } = processor;
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
            found.extend(sifted.found.map(|found| (Arc::clone(stage), found)));
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
        let commit = Commit {
            _pipeline: Arc::clone(self),
            parts,
            found,
            pending,
            state: state.cloned(),
            states: Arc::clone(states),
        };
        match commit.is_whole() {
            true => unfinished.to_its_end(commit.run()).await?,
            false => commit.run().await?,
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
    unfinished: Arc<Unfinished>,
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
            unfinished: Arc::default(),
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

    /// Ready when no commit goes on whose source was ended in the middle of it. Until then it is not
    /// known where the source left off.
    pub(crate) async fn settled(&self) {
        self.unfinished.none_left().await;
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
            match pipeline.put(piece, piece_state, self).await {
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
