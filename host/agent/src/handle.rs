//! The one door to a running agent.
//!
//! One task owns all that runs and does one thing at a time: a reload is finished before the next
//! one, or the stop, begins. The flow itself never waits for that task.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flumen_config::plan::Plan;
use flumen_core::ComponentName;
use flumen_core::clock::{Clock, SystemClock};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::build::Guests;
use crate::metrics::{ComponentMetrics, Registry};
use crate::running::{ReloadRefused, Running, StopReport, Strictness};

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
    /// Components inside the program, which `component = "example:NAME"` names.
    pub examples: &'static [(&'static str, &'static [u8])],
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            cache_folder: None,
            examples: &[],
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
    plan: Arc<ArcSwap<Plan>>,
}

impl Handle {
    /// Starts an agent in the current runtime. Components that cannot start now are tried again;
    /// the others run.
    ///
    /// # Errors
    /// [`ReloadRefused`] when a component cannot even be made from its settings.
    pub async fn start(plan: Plan, options: AgentOptions) -> Result<Self, ReloadRefused> {
        let registry = Arc::new(Registry::default());
        let clock = Arc::clone(&options.clock);
        let guests = Guests::new(options.cache_folder, clock, options.examples);
        let agent = plan.agent.clone();
        let mut running = Running::new(agent, options.clock, guests, Arc::clone(&registry));
        running.apply(plan, Strictness::Start).await?;
        let shared = Arc::new(ArcSwap::from_pointee(running.plan().clone()));
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        tokio::spawn(serve(running, receiver, Arc::clone(&shared)));
        Ok(Self {
            requests,
            registry,
            plan: shared,
        })
    }

    /// Makes what runs agree with a new plan. What both plans have in common is not touched; on any
    /// problem nothing changes.
    ///
    /// # Errors
    /// [`RequestError`]; everything runs on as before.
    pub async fn reload(&self, plan: Plan) -> Result<(), RequestError> {
        let runs = self.plan.load();
        if runs.agent != plan.agent {
            return Err(RequestError::OtherAgent {
                runs: runs.agent.to_string(),
                plan: plan.agent.to_string(),
            });
        }
        let (sender, answer) = oneshot::channel();
        let request = Request::Reload(Box::new(plan), sender);
        self.requests
            .send(request)
            .await
            .map_err(|_| RequestError::Stopped)?;
        let done = answer.await.map_err(|_| RequestError::Stopped)?;
        done.map_err(RequestError::Refused)
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
    for (channel, events) in &report.left {
        warn!(channel = %channel, events, "channel still held events at the end");
    }
    match report.events() {
        0 => info!("agent has stopped, all channels are empty"),
        events => warn!(
            events,
            "agent has stopped; events of memory channels are lost with it"
        ),
    }
}
