//! What runs now, and how a plan becomes what runs.
//!
//! Starting is a reload from the empty plan; stopping is not a reload to it, because it drains
//! everything under one deadline. One task owns a [`Running`]; nothing here is shared.

mod apply;
mod drain;
mod groups;
mod prepare;
mod recovery;

use std::collections::BTreeMap;
use std::sync::Arc;

use flumen_config::plan::{InterceptorPlan, Plan};
use flumen_core::channel::Channel;
use flumen_core::clock::Clock;
use flumen_core::metric::{SinkCounters, SourceCounters};
use flumen_core::{AgentName, ComponentName};
use tokio::task::JoinSet;

use crate::build::Guests;
use crate::metrics::{FlowCounters, Registry};
use crate::poison::{ChannelDirectory, PoisonFigures, PoisonHandler, Policy, Stage};
use crate::probation::Versions;
use crate::processor::Processor;
use crate::sink::{GroupTask, MakeSink};
use crate::source::{MakeSource, SourceTask};
use crate::state::StateCell;

pub use drain::StopReport;
pub(crate) use groups::GroupKey;
pub use prepare::ReloadRefused;
pub(crate) use recovery::forget_written;

/// Whether a component that cannot start now keeps the plan from being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// A start: a component that fails is tried again, the others run.
    Start,
    /// A reload: on any problem nothing changes.
    Reload,
}

/// An interceptor at work, with the plan that it was made from: one that did not change is kept.
#[derive(Clone)]
struct RunningInterceptor {
    plan: InterceptorPlan,
    stage: Arc<Stage>,
}

struct RunningSource {
    task: SourceTask,
    processor: Arc<Processor>,
    interceptors: Vec<RunningInterceptor>,
    versions: Arc<Versions<MakeSource>>,
    counters: Arc<SourceCounters>,
    state: Arc<StateCell>,
}

#[derive(Clone)]
struct RunningSink {
    versions: Arc<Versions<MakeSink>>,
    poison: Option<Policy>,
    counters: Arc<SinkCounters>,
    state: Arc<StateCell>,
}

/// A removed channel that still holds events, with the groups that go on emptying it.
struct Retiring {
    channels: Vec<Arc<dyn Channel>>,
}

/// All that runs for one agent.
pub(crate) struct Running {
    clock: Arc<dyn Clock>,
    guests: Arc<Guests>,
    registry: Arc<Registry>,
    poison: Arc<PoisonFigures>,
    plan: Plan,
    channels: BTreeMap<ComponentName, Arc<dyn Channel>>,
    // The same channels, for dead letters.
    directory: Arc<ChannelDirectory>,
    sources: BTreeMap<ComponentName, RunningSource>,
    sinks: BTreeMap<ComponentName, RunningSink>,
    groups: BTreeMap<GroupKey, GroupTask>,
    retiring: Vec<Retiring>,
    // Closings and drains that go on beside the flow; awaited at the stop.
    background: JoinSet<()>,
}

impl Running {
    /// Nothing runs yet.
    pub(crate) fn new(
        agent: AgentName,
        clock: Arc<dyn Clock>,
        guests: Arc<Guests>,
        registry: Arc<Registry>,
        poison: Arc<PoisonFigures>,
    ) -> Self {
        Self {
            clock,
            guests,
            registry,
            poison,
            directory: Arc::default(),
            plan: Plan {
                agent,
                sources: BTreeMap::new(),
                channels: BTreeMap::new(),
                sinks: BTreeMap::new(),
                sink_groups: BTreeMap::new(),
            },
            channels: BTreeMap::new(),
            sources: BTreeMap::new(),
            sinks: BTreeMap::new(),
            groups: BTreeMap::new(),
            retiring: Vec::new(),
            background: JoinSet::new(),
        }
    }

    /// What follows a component's policy for poison events.
    fn poison_handler(&self, component: &ComponentName, policy: Policy) -> PoisonHandler {
        PoisonHandler::new(
            component.clone(),
            policy,
            Arc::clone(&self.directory),
            self.poison.of(component),
            Arc::clone(&self.clock),
        )
    }

    /// The channels that run, as they are at any time.
    pub(crate) fn directory(&self) -> &Arc<ChannelDirectory> {
        &self.directory
    }

    /// The plan that runs.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where clients reach each source that has an address.
    pub(crate) fn addresses(&self) -> BTreeMap<ComponentName, String> {
        let address = |(name, source): (&ComponentName, &RunningSource)| {
            Some((name.clone(), source.task.address()?))
        };
        self.sources.iter().filter_map(address).collect()
    }
}

/// Counters of one source, made once and kept across reloads.
struct SourceFigures {
    counters: Arc<SourceCounters>,
    flow: Arc<FlowCounters>,
    state: Arc<StateCell>,
}

impl SourceFigures {
    fn new() -> Self {
        Self {
            counters: Arc::new(SourceCounters::default()),
            flow: Arc::new(FlowCounters::default()),
            state: Arc::new(StateCell::new()),
        }
    }
}
