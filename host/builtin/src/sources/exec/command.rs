//! The command: from the options to a process group, and its end.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use flumen_core::source::SourceContext;
use flumen_core::{Fault, Side};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

use super::{COMMAND, SHELL, standard_error};

/// A program and its arguments.
pub(super) struct CommandLine {
    program: String,
    arguments: Vec<String>,
    /// The option that the program stands in, for messages.
    option: &'static str,
}

impl CommandLine {
    /// Flume's rule: the words of the shell and the command as one argument, or the words of the
    /// command.
    pub(super) fn new(command: &str, shell: Option<&str>) -> Result<Self, Fault> {
        if command.trim().is_empty() {
            return Err(Fault::configuration(format!("option {COMMAND} is empty")));
        }
        let option = if shell.is_some() { SHELL } else { COMMAND };
        let mut words = shell.unwrap_or(command).split_whitespace();
        let Some(program) = words.next() else {
            return Err(Fault::configuration(format!("option {option} is empty")));
        };
        let mut arguments: Vec<String> = words.map(String::from).collect();
        if shell.is_some() {
            arguments.push(command.to_owned());
        }
        Ok(Self {
            program: program.to_owned(),
            arguments,
            option,
        })
    }

    /// Looks for the program, without running it.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let mut found = None;
        for path in candidates(&self.program, std::env::var_os("PATH")) {
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() && is_executable(&path) => return Ok(()),
                Ok(_) => found = found.or(Some(path)),
                Err(_) => {}
            }
        }
        let option = self.option;
        let reason = match found {
            Some(path) => format!("{} is not an executable file", path.display()),
            None if self.program.contains('/') => format!("there is no file {}", self.program),
            None => format!("there is no program {:?} on the PATH", self.program),
        };
        let message = format!("cannot run the command: {reason}; correct option {option}");
        Err(Fault::transient(Side::Operator, message))
    }

    /// Starts the command in a process group of its own.
    pub(super) fn start(
        &self,
        context: &SourceContext,
        logs_standard_error: bool,
    ) -> Result<RunningCommand, Fault> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if logs_standard_error {
                Stdio::piped()
            } else {
                Stdio::null()
            });
        let mut child = command.spawn().map_err(|error| self.cannot_start(error))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let Some(output) = child.stdout.take() else {
            return Err(self.cannot_start(io::Error::other("no pipe to its output")));
        };
        let mut tasks = JoinSet::new();
        if let Some(errors) = child.stderr.take() {
            tasks.spawn(standard_error::log(context.name.clone(), errors));
        }
        Ok(RunningCommand {
            output,
            child,
            group,
            is_told: false,
            tasks,
        })
    }

    fn cannot_start(&self, error: io::Error) -> Fault {
        let side = match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ArgumentListTooLong => Side::Operator,
            _ => Side::Machine,
        };
        let message = format!(
            "cannot start program {:?} of option {}",
            self.program, self.option
        );
        Fault::transient(side, message).with_cause(error)
    }
}

/// Where the system looks for a program.
fn candidates(program: &str, path: Option<std::ffi::OsString>) -> Vec<PathBuf> {
    if program.contains('/') {
        return vec![PathBuf::from(program)];
    }
    // What the system takes when PATH is not set.
    let path = path.unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .collect()
}

fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// A command at work. Dropping it kills its process group; the runtime collects the process, so
/// that no zombie stays.
pub(super) struct RunningCommand {
    /// What it prints.
    pub(super) output: ChildStdout,
    child: Child,
    /// The process group, for as long as its number is certain to be ours: the system gives it to
    /// nobody else before the first process is collected.
    group: Option<Pid>,
    is_told: bool,
    /// The reader of standard error; aborted on drop.
    tasks: JoinSet<()>,
}

impl RunningCommand {
    /// Asks all processes of the command to end.
    pub(super) fn terminate(&mut self) {
        self.is_told = true;
        self.signal(Signal::TERM);
    }

    /// Ends all processes of the command.
    pub(super) fn kill(&mut self) {
        self.is_told = true;
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The one failure is that no process is left, which is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits for the end of a command whose output has ended: `grace` by itself, `grace` after
    /// SIGTERM, then it is killed.
    ///
    /// # Errors
    /// The system does not say how the process ended.
    pub(super) async fn end(mut self, grace: Duration) -> io::Result<ExitStatus> {
        let mut status = None;
        if !self.is_told {
            status = tokio::time::timeout(grace, self.child.wait()).await.ok();
        }
        let ended_by_itself = status.is_some();
        if status.is_none() {
            self.terminate();
            status = tokio::time::timeout(grace, self.child.wait()).await.ok();
        }
        if status.is_none() {
            self.kill();
            status = Some(self.child.wait().await);
        }
        if !ended_by_itself {
            // Others of the group that outlived the first process and SIGTERM. The number is still
            // ours: it is free at most since the line above, and the system goes through all
            // others before it gives one out again.
            self.signal(Signal::KILL);
        }
        self.group = None;
        // The last lines of standard error; a process in the background may hold it open.
        let _ = tokio::time::timeout(grace, self.tasks.join_next()).await;
        status.unwrap_or_else(|| Err(io::Error::other("the process did not end")))
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
