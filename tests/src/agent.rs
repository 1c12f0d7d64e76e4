//! The real binary as a process: `flumen agent` on a configuration file of its own.
//!
//! The folder with the configuration lives as long as the [`Agent`]; dropping the agent kills the
//! process and removes the folder. Standard output and standard error are always read, so that the
//! process never waits for the test to read them.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::metrics::Metrics;
use crate::output::{Output, Stream};
use crate::wait::{METRICS_PAUSE, wait_for, wait_for_every};
use crate::{binary, ports, process};

/// How to start an agent.
#[derive(Debug, Clone)]
pub struct AgentBuilder {
    config: String,
    file_name: String,
    agent_name: String,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    binary: Option<PathBuf>,
    wrapper: Vec<OsString>,
    metrics: bool,
    state_folder: Option<PathBuf>,
}

impl AgentBuilder {
    /// An agent called `a1` that runs the given text as `flumen.properties`.
    #[must_use]
    pub fn new(config: impl Into<String>) -> Self {
        Self {
            config: config.into(),
            file_name: "flumen.properties".to_owned(),
            agent_name: "a1".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            binary: None,
            wrapper: Vec::new(),
            metrics: false,
            state_folder: None,
        }
    }

    /// The value of `--name`.
    #[must_use]
    pub fn agent_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.agent_name);
        self
    }

    /// The name of the configuration file: `agent.toml` for the native dialect.
    #[must_use]
    pub fn file_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.file_name);
        self
    }

    /// One more argument behind the usual ones, such as `-Dflume.root.logger=DEBUG,console`.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One variable of the process's environment, besides those of the test.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Another binary than that of [`binary::locate`].
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Runs the binary through another command, which must end by replacing itself with what follows
    /// its own words: `setpriv …`, `unshare … --`. The process id is then that of the agent.
    #[must_use]
    pub fn wrapper(mut self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.wrapper = words.into_iter().map(Into::into).collect();
        self
    }

    /// Switches on `/metrics` on a free port, for [`Agent::metrics`].
    #[must_use]
    pub fn with_metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// Where the agent keeps states and positions, for a test that starts it again. Without it the
    /// folder is one of the agent's own, which is gone with the [`Agent`].
    #[must_use]
    pub fn state_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state_folder = Some(folder.into());
        self
    }

    /// Starts the process and returns at once; see [`Agent::wait_until_listening`].
    ///
    /// # Errors
    /// When there is no binary, no free port, no room for the file, or the process cannot start.
    pub fn start(self) -> Result<Agent> {
        let binary = match self.binary {
            Some(path) => path,
            None => binary::locate()?,
        };
        let directory = tempfile::tempdir().context("make a folder for the configuration")?;
        let config_file = directory.path().join(&self.file_name);
        fs::write(&config_file, &self.config).context("write the configuration")?;
        let metrics_port = if self.metrics {
            Some(ports::free_port()?)
        } else {
            None
        };

        let mut words = self.wrapper;
        words.push(binary.clone().into_os_string());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command.arg("agent").arg("--conf-file").arg(&config_file);
        command.arg("--name").arg(&self.agent_name);
        match &self.state_folder {
            Some(folder) => {
                command.arg(format!("-Dflumen.stateFolder={}", folder.display()));
            }
            None => {
                command.env("XDG_STATE_HOME", directory.path());
            }
        }
        if let Some(port) = metrics_port {
            command.arg("-Dflume.monitoring.type=http");
            command.arg(format!("-Dflume.monitoring.port={port}"));
        }
        command.args(&self.arguments).envs(self.environment);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());

        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let output = Output::default();
        let mut collectors = Vec::new();
        collectors.extend(
            child
                .stdout
                .take()
                .map(|out| output.collect(Stream::Out, out)),
        );
        collectors.extend(
            child
                .stderr
                .take()
                .map(|err| output.collect(Stream::Err, err)),
        );
        Ok(Agent {
            child,
            collectors,
            output,
            directory,
            config_file,
            metrics_port,
            started,
        })
    }
}

/// A running agent. Dropping it kills the process.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    collectors: Vec<JoinHandle<()>>,
    output: Output,
    directory: TempDir,
    config_file: PathBuf,
    metrics_port: Option<u16>,
    started: Instant,
}

impl Agent {
    /// What the process prints.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The folder of the configuration file; a test may put its own files beside it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// The process's id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The moment just before the process was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Replaces the configuration as careful tools do: a new file, renamed over the old one.
    ///
    /// # Errors
    /// When the file cannot be written or renamed.
    pub fn replace_config(&self, config: &str) -> Result<()> {
        let next = self.config_file.with_extension("next");
        fs::write(&next, config).context("write the next configuration")?;
        fs::rename(&next, &self.config_file).context("rename the next configuration")
    }

    /// Replaces the configuration as an editor or a shell does: the same file, cut and written.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn overwrite_config(&self, config: &str) -> Result<()> {
        fs::write(&self.config_file, config).context("overwrite the configuration")
    }

    /// Waits until a connection to `port` of 127.0.0.1 is accepted. The connection made for that
    /// is closed without a byte.
    ///
    /// # Errors
    /// When the process ends before that, or after `limit`; the error shows what it printed.
    pub fn wait_until_listening(&mut self, port: u16, limit: Duration) -> Result<()> {
        let what = format!("port {port} to be open");
        let ended = wait_for(&what, limit, || {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Some(None));
            }
            Ok(self.child.try_wait()?.map(Some))
        });
        match ended.with_context(|| self.printed())? {
            None => Ok(()),
            Some(status) => {
                self.join_collectors();
                bail!("the agent ended early, with {status}; {}", self.printed())
            }
        }
    }

    /// Reads the counters.
    ///
    /// # Errors
    /// When the agent was started without [`AgentBuilder::with_metrics`], or does not answer.
    pub fn metrics(&self) -> Result<Metrics> {
        let port = self.metrics_port()?;
        Metrics::read(port).with_context(|| self.printed())
    }

    /// The port of the metrics pages.
    ///
    /// # Errors
    /// When the agent was started without [`AgentBuilder::with_metrics`].
    pub fn metrics_port(&self) -> Result<u16> {
        self.metrics_port
            .context("the agent was started without metrics")
    }

    /// Waits until a counter, such as `EventTakeSuccessCount` of `CHANNEL.c1`, has reached `least`.
    /// Returns its value. An agent that does not answer yet is asked again.
    ///
    /// # Errors
    /// When the agent was started without metrics, or after `limit`; the error shows the last answer.
    pub fn wait_for_count(
        &self,
        component: &str,
        attribute: &str,
        least: u64,
        limit: Duration,
    ) -> Result<u64> {
        let port = self.metrics_port()?;
        let mut last = None;
        let what = format!("{component} {attribute} >= {least}");
        let waited = wait_for_every(METRICS_PAUSE, &what, limit, || {
            let metrics = Metrics::read(port);
            let value = metrics.map(|metrics| metrics.count(component, attribute));
            let reached = value.as_ref().ok().copied().flatten();
            last = Some(value);
            Ok(reached.filter(|value| *value >= least))
        });
        waited.with_context(|| format!("the last answer was {last:?}; {}", self.printed()))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        process::send_signal(self.process_id(), signal)
    }

    /// Sends SIGTERM, which asks for a drain and an end.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits for the end of the process; then [`output`](Self::output) is complete.
    ///
    /// # Errors
    /// After `limit`; the error shows what the process printed. The process then still runs.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let waited = wait_for("the agent to end", limit, || Ok(self.child.try_wait()?));
        let status = waited.with_context(|| self.printed())?;
        self.join_collectors();
        Ok(status)
    }

    /// Only after the end of the process, when its streams end too.
    fn join_collectors(&mut self) {
        for collector in self.collectors.drain(..) {
            // A collector that panicked has kept what it read; the test sees that.
            let _ = collector.join();
        }
    }

    fn printed(&self) -> String {
        format!("the agent printed:\n{}", self.output.tail())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail only when the process has ended and was waited for, which is the aim.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests;
