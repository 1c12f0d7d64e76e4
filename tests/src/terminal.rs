//! A command that a person has started in a terminal of its own and leaves running. Dropping it kills
//! the command and all that it has started.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::output::{Output, Stream};
use crate::wait::wait_for;

/// A running command with what it prints.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    collectors: Vec<JoinHandle<()>>,
    output: Output,
}

impl Terminal {
    /// Starts a command, in a process group of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Result<Self> {
        command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let output = Output::default();
        let mut collectors = Vec::new();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        collectors.extend(out.map(|out| output.collect(Stream::Out, out)));
        collectors.extend(err.map(|err| output.collect(Stream::Err, err)));
        Ok(Self {
            child,
            collectors,
            output,
        })
    }

    /// What it prints.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Ctrl-C: SIGINT to the command and all that it has started.
    ///
    /// # Errors
    /// When it is gone.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::INT).context("press Ctrl-C")
    }

    /// Waits for the end of the command; then [`output`](Self::output) is complete.
    ///
    /// # Errors
    /// After `limit`; the error shows what it printed.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let waited = wait_for("the command to end", limit, || Ok(self.child.try_wait()?));
        let status = waited.with_context(|| format!("it printed:\n{}", self.output.tail()))?;
        for collector in self.collectors.drain(..) {
            // A collector that panicked has kept what it read; the test sees that.
            let _ = collector.join();
        }
        Ok(status)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let group = Pid::from_child(&self.child);
        Ok(kill_process_group(group, signal)?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails only when all have ended, which is the aim.
        let _ = self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}
