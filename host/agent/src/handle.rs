//! The one door to a running agent.
//!
//! One task owns all that runs and does one thing at a time: a reload is finished before the next
//! one, or the stop, begins. The flow itself never waits for that task.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flumen_config::PlanDiff;
use flumen_config::plan::Plan;
use flumen_core::ComponentName;
use flumen_core::clock::{Clock, SystemClock};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use crate::build::Guests;
use crate::component_files::{self, Examples};
use crate::metrics::{ComponentMetrics, GuestFigures, Registry};
use crate::poison::{PoisonCounts, PoisonFigures};
use crate::running::{ReloadRefused, Running, StopReport, Strictness, forget_written};
use crate::state_folder::{CLOSE_DEADLINE_LEAST, StateFolder, StateWriting};

/// Requests that wait while one is carried out. Requests come from people and file watchers, one at
/// a time; more than a few waiting means that something asks in a loop, and should wait itself.
const REQUESTS_MAX: usize = 8;

/// How long a stop may take by default. Service managers kill after 10 s (containers) to 90 s; this
/// leaves room below the shortest.
pub const DEFAULT_DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// What an agent needs beside its plan.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where compiled guests are kept between two runs; without it each start compiles them.
    pub cache_folder: Option<PathBuf>,
    /// Components inside the binary, which a configuration names `example:NAME`.
    pub examples: Examples,
    /// Where states of guests and positions of sources are kept over a restart; one folder for each
    /// agent. Without it they live as long as the agent. It is made when it is first needed.
    pub state_folder: Option<PathBuf>,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            cache_folder: None,
            examples: &[],
            state_folder: None,
        }
    }
}

enum Request {
    Reload(Box<Plan>, oneshot::Sender<Result<(), ReloadRefused>>),
    Addresses(oneshot::Sender<BTreeMap<ComponentName, String>>),
    Stop(Duration, oneshot::Sender<StopReport>),
}

/// Why a request was not carried out.
#[derive(Debug)]
pub enum RequestError {
    /// The new plan was refused; everything runs on as before.
    Refused(ReloadRefused),
    /// The new plan is of another agent.
    OtherAgent {
        /// The agent that runs.
        runs: String,
        /// The agent of the plan.
        plan: String,
    },
    /// The agent has stopped.
    Stopped,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Refused(refused) => refused.fmt(f),
            RequestError::OtherAgent { runs, plan } => {
                write!(
                    f,
                    "agent {runs} runs, the new configuration is of agent {plan}"
                )
            }
            RequestError::Stopped => f.write_str("the agent has stopped"),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RequestError::Refused(refused) => Some(refused),
            _ => None,
        }
    }
}

/// A running agent, seen from outside. Cheap to clone; the agent runs on when all handles are
/// dropped, until the runtime ends.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    registry: Arc<Registry>,
    states: Arc<StateFolder>,
    poison: Arc<PoisonFigures>,
    plan: Arc<ArcSwap<Plan>>,
    guests: Arc<Guests>,
    examples: Examples,
}

impl Handle {
    /// Starts an agent in the current runtime. Components that cannot start now are tried again;
    /// the others run.
    ///
    /// # Errors
    /// [`ReloadRefused`] when a component cannot even be made from its settings.
    pub async fn start(plan: Plan, options: AgentOptions) -> Result<Self, ReloadRefused> {
        let clock = Arc::clone(&options.clock);
        let states = StateFolder::new(options.state_folder);
        let guests = Guests::new(
            options.cache_folder,
            options.examples,
            clock,
            Arc::clone(&states),
        );
        let poison = Arc::new(PoisonFigures::default());
        let (reported, counted) = (Arc::clone(&guests), Arc::clone(&poison));
        let registry = Arc::new(Registry::new(GuestFigures {
            reports: Box::new(move || reported.reports()),
            poison: Box::new(move || counted.counts()),
        }));
        let plan = guests.identified(plan).await;
        let agent = plan.agent.clone();
        let mut running = Running::new(
            agent,
            options.clock,
            Arc::clone(&guests),
            Arc::clone(&registry),
            Arc::clone(&poison),
        );
        if let Err(refused) = running.apply(plan, Strictness::Start).await {
            // The next one who wants the folder gets it.
            states.close(CLOSE_DEADLINE_LEAST).await;
            return Err(refused);
        }
        let shared = Arc::new(ArcSwap::from_pointee(running.plan().clone()));
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let channels = Arc::clone(running.directory());
        tokio::spawn(forget_written(Arc::clone(&states), channels));
        tokio::spawn(serve(running, receiver, Arc::clone(&shared)));
        Ok(Self {
            requests,
            registry,
            states,
            poison,
            plan: shared,
            guests,
            examples: options.examples,
        })
    }

    /// Makes what runs agree with a new plan, and gives what was different: nothing, if the plan runs
    /// already. The file of a guest belongs to the plan: another content is a difference. What both
    /// plans have in common is not touched; on any problem nothing changes.
    ///
    /// # Errors
    /// [`RequestError`]; everything runs on as before.
    pub async fn reload(&self, plan: Plan) -> Result<PlanDiff, RequestError> {
        let runs = self.plan.load_full();
        if runs.agent != plan.agent {
            return Err(RequestError::OtherAgent {
                runs: runs.agent.to_string(),
                plan: plan.agent.to_string(),
            });
        }
        let plan = self.guests.identified(plan).await;
        let difference = PlanDiff::between(&runs, &plan);
        if difference.is_empty() {
            return Ok(difference);
        }
        let (sender, answer) = oneshot::channel();
        let request = Request::Reload(Box::new(plan), sender);
        self.requests
            .send(request)
            .await
            .map_err(|_| RequestError::Stopped)?;
        let done = answer.await.map_err(|_| RequestError::Stopped)?;
        done.map_err(RequestError::Refused)?;
        Ok(difference)
    }

    /// The files of the guests that run.
    pub fn component_files(&self) -> BTreeSet<PathBuf> {
        let plan = self.plan.load();
        let files = plan.components().filter_map(component_files::file_of);
        files.collect()
    }

    /// Whether a file still has the content of the guests that run from it. Reads the file.
    pub(crate) fn is_current(&self, file: &Path) -> bool {
        let plan = self.plan.load();
        let mut of_file = plan
            .components()
            .filter(|component| component_files::file_of(component).as_deref() == Some(file));
        of_file.all(|component| component_files::is_current(component, self.examples))
    }

    /// Takes nothing more in, delivers what the channels hold, closes everything; at most
    /// `deadline`. A second call finds the agent stopped.
    ///
    /// # Errors
    /// [`RequestError::Stopped`].
    pub async fn stop(&self, deadline: Duration) -> Result<StopReport, RequestError> {
        let (sender, answer) = oneshot::channel();
        let request = Request::Stop(deadline, sender);
        self.requests
            .send(request)
            .await
            .map_err(|_| RequestError::Stopped)?;
        answer.await.map_err(|_| RequestError::Stopped)
    }

    /// The plan that runs.
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    /// A picture of all components.
    pub fn metrics(&self) -> Vec<ComponentMetrics> {
        self.registry.snapshot()
    }

    /// How writing to the state folder goes.
    pub fn state_writing(&self) -> StateWriting {
        self.states.writing()
    }

    /// How often components that handle events failed on one for good, and were taken back to their
    /// version before, by qualified name: `sinks.k1`, `sources.r1.interceptors.i1`, `sources.r1`.
    pub fn poison_counts(&self) -> BTreeMap<ComponentName, PoisonCounts> {
        self.poison.counts()
    }

    /// Where clients reach each source that has an address now.
    ///
    /// # Errors
    /// [`RequestError::Stopped`].
    pub async fn addresses(&self) -> Result<BTreeMap<ComponentName, String>, RequestError> {
        let (sender, answer) = oneshot::channel();
        let request = Request::Addresses(sender);
        self.requests
            .send(request)
            .await
            .map_err(|_| RequestError::Stopped)?;
        answer.await.map_err(|_| RequestError::Stopped)
    }
}

async fn serve(
    mut running: Running,
    mut requests: mpsc::Receiver<Request>,
    shared: Arc<ArcSwap<Plan>>,
) {
    while let Some(request) = requests.recv().await {
        match request {
            Request::Reload(plan, answer) => {
                let done = running.apply(*plan, Strictness::Reload).await;
                if done.is_ok() {
                    shared.store(Arc::new(running.plan().clone()));
                }
                // Whoever asked may be gone; the reload is done all the same.
                let _ = answer.send(done);
            }
            Request::Addresses(answer) => {
                let _ = answer.send(running.addresses());
            }
            Request::Stop(deadline, answer) => {
                let report = running.stop(deadline).await;
                tell(&report);
                let _ = answer.send(report);
                return;
            }
        }
    }
    // All handles are gone: run until the runtime ends.
    std::future::pending::<()>().await;
}

fn tell(report: &StopReport) {
    for (channel, events) in &report.kept {
        info!(channel = %channel, events, "channel keeps its events for the next start");
    }
    for (channel, events) in &report.left {
        warn!(channel = %channel, events, "channel still held events at the end");
    }
    if report.is_state_lost {
        error!(
            "the last states of guests and positions of sources are not on disk; the events of their sources since then come again"
        );
    }
    match report.events() {
        0 => info!("agent has stopped, all channels are empty"),
        events => warn!(
            events,
            "agent has stopped; events of memory channels are lost with it"
        ),
    }
}
