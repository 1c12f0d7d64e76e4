//! `flumen agent`: reads the configuration, starts the agent, reloads it when it is told to, and
//! ends it.
//!
//! Order of a start: log, configuration, metrics port, agent. Whatever fails before the agent runs
//! ends the program with exit code 1, and nothing was taken in.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use flumen_admin::MetricsListener;
use flumen_agent::load::{ConfigFiles, LoadError};
use flumen_agent::watch::{ConfigWatcher, reload};
use flumen_agent::{AgentOptions, Handle, MetricKind, MetricValue};
use flumen_config::{Checked, Dialect, Document, Plan, PlanDiff};
use tokio::runtime::{Builder, Runtime};
use tracing::{error, info, warn};

use crate::arguments::AgentArguments;
use crate::check::problems_text;
use crate::examples::EXAMPLES;
use crate::logging::{self, Console};
use crate::output::{complain, print};
use crate::progress;
use crate::signals::{EndSignal, EndSignals, ReloadSignal};
use crate::system_properties::{self, AgentSettings, LogFormat};

/// Threads that run the flow. One per processor; beyond this, machines are shared by many agents.
const WORKERS_MAX: usize = 64;

/// Threads for work that blocks: reading configuration, ending writers of files, resolving names.
/// Each is short; more at a time wait for each other.
const BLOCKING_THREADS_MAX: usize = 32;

/// What runs without `--conf-file`: lines through two components that stand inside the binary.
const DEFAULT: &str = include_str!("../../../conf/default.conf");
const DEFAULT_NAME: &str = "conf/default.conf";
const DEFAULT_AGENT: &str = "a1";

/// Files of Flume's own settings that flumen does not read, and what to do instead.
const FLUME_SETTINGS: [(&str, &str); 4] = [
    (
        "flume-env.sh",
        "set the environment before starting, and give -D properties as arguments",
    ),
    ("flume.opts", "give its options as arguments"),
    ("log4j2.xml", "see -Dflume.root.logger"),
    ("log4j.properties", "see -Dflume.root.logger"),
];

/// Runs until a signal ends it.
pub(crate) fn run(program: &str, arguments: AgentArguments) -> ExitCode {
    let settings = match system_properties::read(&arguments.properties) {
        Ok(settings) => settings,
        Err(errors) => return fail(program, &errors),
    };
    if arguments.files.is_empty() && arguments.name.as_deref().is_some_and(is_not_default) {
        let what = format!(
            "flag --conf-file is missing; without it only the built-in configuration runs, as agent {DEFAULT_AGENT}"
        );
        return fail(program, &[what]);
    }
    if arguments.is_dry_run {
        return dry_run(program, arguments);
    }
    let console = Console::standard_error();
    logging::start(&settings, &console);
    tell_remarks(&arguments, &settings);
    let configuration = Configuration::of(&arguments);
    // Before the first look at the files, so that no change in between is missed.
    let watcher = arguments
        .is_watching
        .then(|| configuration.watcher())
        .flatten();
    let Some(plan) = load(&configuration) else {
        return ExitCode::FAILURE;
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!("threads cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let session = Session {
        configuration,
        settings,
        console,
    };
    let code = runtime.block_on(session.run(plan, watcher));
    // Whatever had to end has ended by now; what is left would only be waited for.
    runtime.shutdown_background();
    code
}

fn fail(program: &str, complaints: &[String]) -> ExitCode {
    for what in complaints {
        complain(&format!("{program}: {what}"));
    }
    ExitCode::FAILURE
}

fn is_not_default(name: &str) -> bool {
    name != DEFAULT_AGENT
}

fn runtime() -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Builder::new_multi_thread()
        .worker_threads(processors.min(WORKERS_MAX))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("flumen-worker")
        .enable_all()
        .build()
}

/// Where the configuration comes from.
enum Configuration {
    Files(ConfigFiles),
    Default,
}

impl Configuration {
    fn of(arguments: &AgentArguments) -> Self {
        if arguments.files.is_empty() {
            return Configuration::Default;
        }
        Configuration::Files(ConfigFiles {
            paths: arguments.files.clone(),
            agent: arguments.name.clone(),
            system_properties: arguments.properties.clone(),
        })
    }

    fn watcher(&self) -> Option<ConfigWatcher> {
        match self {
            Configuration::Files(files) => Some(ConfigWatcher::new(&files.paths)),
            Configuration::Default => None,
        }
    }

    fn check(&self) -> Result<Checked, LoadError> {
        let catalogue = flumen_agent::catalogue();
        match self {
            Configuration::Files(files) => files.load(&catalogue),
            Configuration::Default => {
                let document = Document::parse(Dialect::Properties, DEFAULT_NAME, DEFAULT);
                Ok(flumen_config::check(&document, None, &catalogue))
            }
        }
    }
}

/// Reads and checks the configuration and logs its problems.
fn load(configuration: &Configuration) -> Option<Plan> {
    let checked = match configuration.check() {
        Ok(checked) => checked,
        Err(error) => {
            error!("{error}");
            return None;
        }
    };
    for problem in &checked.problems {
        if problem.is_error() {
            error!("{problem}");
        } else {
            warn!("{problem}");
        }
    }
    if checked.plan.is_none() {
        error!("the agent does not start, because the configuration has errors");
    }
    checked.plan
}

/// Prints the problems and what would run.
fn dry_run(program: &str, arguments: AgentArguments) -> ExitCode {
    let checked = match Configuration::of(&arguments).check() {
        Ok(checked) => checked,
        Err(error) => return fail(program, &[error.to_string()]),
    };
    let mut text = problems_text(&checked.problems);
    if let Some(plan) = &checked.plan {
        text.push_str(&format!("agent {} would run:\n", plan.agent));
        for line in PlanDiff::between(&nothing_of(plan), plan).lines() {
            text.push_str(line);
            text.push('\n');
        }
    }
    match print(&text) {
        Ok(()) if checked.plan.is_some() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => fail(
            program,
            &[format!("cannot write to standard output: {error}")],
        ),
    }
}

fn nothing_of(plan: &Plan) -> Plan {
    Plan {
        agent: plan.agent.clone(),
        sources: BTreeMap::new(),
        channels: BTreeMap::new(),
        sinks: BTreeMap::new(),
        sink_groups: BTreeMap::new(),
    }
}

fn tell_remarks(arguments: &AgentArguments, settings: &AgentSettings) {
    for remark in arguments.remarks.iter().chain(&settings.remarks) {
        info!("{remark}");
    }
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    for folder in &arguments.conf_folders {
        for (path, instead) in unread_settings(folder) {
            info!("{path} is not read: {instead}");
        }
    }
    if arguments.files.is_empty() {
        info!(
            "no --conf-file is given, so {DEFAULT_NAME} runs: lines sent to 127.0.0.1:44444 are logged, but those with DEBUG"
        );
    }
}

fn unread_settings(folder: &Path) -> Vec<(String, &'static str)> {
    FLUME_SETTINGS
        .iter()
        .map(|(name, instead)| (folder.join(name), *instead))
        .filter(|(path, _)| path.is_file())
        .map(|(path, instead)| (path.display().to_string(), instead))
        .collect()
}

/// One run of an agent.
struct Session {
    configuration: Configuration,
    settings: AgentSettings,
    console: Console,
}

impl Session {
    async fn run(self, plan: Plan, watcher: Option<ConfigWatcher>) -> ExitCode {
        match self.run_or_tell(plan, watcher).await {
            Ok(code) => code,
            Err(what) => {
                error!("the agent does not start: {what}");
                ExitCode::FAILURE
            }
        }
    }

    async fn run_or_tell(
        self,
        plan: Plan,
        watcher: Option<ConfigWatcher>,
    ) -> Result<ExitCode, String> {
        let no_signals = |error| format!("signals cannot be received: {error}");
        let mut ends = EndSignals::listen().map_err(no_signals)?;
        let hangup = ReloadSignal::listen().map_err(no_signals)?;
        let listener = match self.settings.metrics {
            Some(address) => Some(MetricsListener::bind(address).await),
            None => None,
        };
        let listener = listener.transpose().map_err(|error| error.to_string())?;
        let said = &self.settings;
        let options = AgentOptions {
            cache_folder: said.cache_folder.clone().or_else(users_cache_folder),
            state_folder: said
                .state_folder
                .clone()
                .or_else(|| users_state_folder(plan.agent.as_str())),
            examples: EXAMPLES,
            ..AgentOptions::default()
        };
        let handle = Handle::start(plan, options)
            .await
            .map_err(|error| error.to_string())?;
        let server = listener.map(|listener| listener.serve(handle.clone()));
        if let Some(server) = &server {
            info!("metrics are served at http://{}/metrics", server.address());
        }
        tell_running(&handle.plan());
        let progress = self.is_showing_progress().then(|| {
            let line = progress::show(handle.clone(), self.console.clone());
            tokio::spawn(line)
        });
        let signal = self.until_end(&handle, &mut ends, hangup, watcher).await;
        if let Some(progress) = progress {
            progress.abort();
            // Ended for sure, so that it does not draw the line again.
            let _ = progress.await;
            self.console.show_progress(None);
        }
        Ok(self.drain(&handle, signal, &mut ends).await)
    }

    fn is_showing_progress(&self) -> bool {
        self.settings.is_showing_progress
            && self.settings.format == LogFormat::Readable
            && logging::is_terminal()
    }

    /// Reloads whenever that is asked for, until the end is. A reload that is under way then is
    /// finished by the agent before it stops.
    async fn until_end(
        &self,
        handle: &Handle,
        ends: &mut EndSignals,
        mut hangup: ReloadSignal,
        mut watcher: Option<ConfigWatcher>,
    ) -> EndSignal {
        loop {
            if let Some(watcher) = &mut watcher {
                watcher.follow(handle);
            }
            tokio::select! {
                signal = ends.next() => return signal,
                () = hangup.next() => {}
                () = changed(watcher.as_mut()) => {}
            }
            tokio::select! {
                signal = ends.next() => return signal,
                () = self.reload(handle) => {}
            }
        }
    }

    async fn reload(&self, handle: &Handle) {
        match &self.configuration {
            Configuration::Files(files) => {
                // What came of it is in the log.
                let _ = reload(handle, files, &flumen_agent::catalogue()).await;
            }
            Configuration::Default => {
                info!("the built-in configuration has no file that could be read again")
            }
        }
    }

    async fn drain(self, handle: &Handle, signal: EndSignal, ends: &mut EndSignals) -> ExitCode {
        info!(
            deadline_ms =
                u64::try_from(self.settings.drain_deadline.as_millis()).unwrap_or(u64::MAX),
            "{signal}: the agent delivers what its channels hold, and ends"
        );
        tokio::select! {
            // The agent logs what is left.
            _ = handle.stop(self.settings.drain_deadline) => ExitCode::SUCCESS,
            second = ends.next() => {
                let events = events_in_channels(handle);
                warn!(events, "{second} during the drain: the agent ends at once, and events in memory channels are lost");
                ExitCode::from(second.exit_code())
            }
        }
    }
}

async fn changed(watcher: Option<&mut ConfigWatcher>) {
    match watcher {
        Some(watcher) => watcher.changed().await,
        None => std::future::pending().await,
    }
}

fn tell_running(plan: &Plan) {
    info!(
        sources = plan.sources.len(),
        channels = plan.channels.len(),
        sinks = plan.sinks.len(),
        "flumen {} runs agent {}",
        env!("CARGO_PKG_VERSION"),
        plan.agent
    );
}

fn events_in_channels(handle: &Handle) -> u64 {
    let size = |(name, value): &(&'static str, MetricValue)| match value {
        MetricValue::Number(events) if *name == "ChannelSize" => Some(*events),
        _ => None,
    };
    handle
        .metrics()
        .iter()
        .filter(|component| component.kind == MetricKind::Channel)
        .flat_map(|component| component.attributes.iter().filter_map(size))
        .sum()
}

/// Where a user's programs keep what can be made again. `None` without a home: then components are
/// compiled at each start.
pub(crate) fn users_cache_folder() -> Option<PathBuf> {
    let cache = users_folder("XDG_CACHE_HOME", ".cache")?;
    Some(cache.join("flumen").join("compiled"))
}

/// Where a user's programs keep what is to survive a restart, a folder for each agent. `None` without
/// a home, and for a name that is no name of a folder: then states live as long as the agent.
fn users_state_folder(agent: &str) -> Option<PathBuf> {
    let state = users_folder("XDG_STATE_HOME", ".local/state")?;
    below(&state.join("flumen"), agent)
}

fn users_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = value(variable).map(PathBuf::from);
    folder.or_else(|| Some(PathBuf::from(value("HOME")?).join(below_home)))
}

/// The folder of this name directly below another. An agent may be called `..` or `a/b` in TOML.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut parts = Path::new(name).components();
    let is_one = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
    (is_one && parts.next().is_none()).then(|| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_of_an_agent_is_directly_below_that_of_all() {
        let folder = Path::new("state");
        assert_eq!(below(folder, "a1"), Some(PathBuf::from("state/a1")));
        for name in ["..", ".", "a/b", "/a", "a/", ""] {
            assert_eq!(below(folder, name), None, "{name}");
        }
    }

    #[test]
    fn the_built_in_configuration_is_right() {
        let checked = Configuration::Default.check().unwrap();
        assert_eq!(checked.problems, []);
        let plan = checked.plan.unwrap();
        assert_eq!(plan.agent.as_str(), DEFAULT_AGENT);
        let nothing = nothing_of(&plan);
        assert_eq!(
            PlanDiff::between(&nothing, &plan).lines(),
            [
                "+ channel c1 (memory)",
                "+ source r1 (netcat) to c1",
                "+ sink k1 (wasm) on c1",
            ]
        );
    }
}
