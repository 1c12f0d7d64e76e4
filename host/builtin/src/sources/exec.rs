//! The exec source: runs a command and makes an event of each line that it prints.
//!
//! * A line ends with `\n`, `\r` or `\r\n`; a last line without an end counts. Bytes are passed
//!   through as they are, invalid ones too (Flume replaces them). A line longer than
//!   [`LINE_BYTES_MAX`] is cut into several events, which is counted and warned of, so that a
//!   command that prints no line end cannot eat the memory.
//! * At most `batchSize` lines are put at once; fewer after `batchTimeout`.
//! * While the channel is full the same lines are tried again and nothing more is read, so that the
//!   command waits at its full pipe. Flume kills the command then and loses the lines.
//! * When its output ends, the command gets [`STOP_GRACE`] to exit. With `restart` it is run again
//!   after `restartThrottle`; otherwise the source is finished.
//! * On a stop the command's process group gets SIGTERM. What it still prints is put; when it has
//!   not ended after [`STOP_GRACE`], the group gets SIGKILL. What is in the background with another
//!   output when the command exits by itself is left alone, as by Flume.
//! * Standard input is empty; standard error is discarded unless `logStdErr` is set.
//! * Without `shell` the command is split at white space and nothing else: quotes, pipes and `*`
//!   mean nothing.
//!
//! There is no position: what a command prints again after a restart comes in again, and what it
//! printed while nobody ran it does not.

mod command;
mod delivery;
mod lines;
mod pending;
mod standard_error;
#[cfg(test)]
mod tests;

use std::process::ExitStatus;
use std::time::Duration;

use bytes::BufMut;
use flumen_codec::charset::Charset;
use flumen_core::limits::BATCH_EVENTS_MAX;
use flumen_core::option::{
    ComponentKind, ComponentRow, DefaultValue, OptionRow, Support, Unit, ValueKind,
};
use flumen_core::settings::Settings;
use flumen_core::source::{Handover, Source, SourceContext, SourceInstance};
use flumen_core::{BoxFuture, EventBatch, Fault, FaultKind, Side, future};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tracing::{info, warn};

use command::{CommandLine, RunningCommand};
use delivery::Ended;
use lines::LineSplitter;
use pending::Pending;

/// The longest line. Far above any log line, far below what a machine notices.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// How long a command may take to end after its output has ended, and again after SIGTERM. Longer
/// than what a well-behaved command needs, short enough to fit an agent's drain twice.
pub const STOP_GRACE: Duration = Duration::from_secs(2);

/// Bytes of one read: what a pipe holds on Linux.
const READ_BYTES: usize = 64 * 1024;

const COMMAND: &str = "command";
const SHELL: &str = "shell";
const RESTART: &str = "restart";
const RESTART_THROTTLE: &str = "restartThrottle";
const LOG_STDERR: &str = "logStdErr";
const BATCH_SIZE: &str = "batchSize";
const BATCH_TIMEOUT: &str = "batchTimeout";
const CHARSET: &str = "charset";

const MILLISECONDS: ValueKind = ValueKind::Integer {
    min: 0,
    max: i64::MAX,
};

/// The exec source.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "exec",
    aliases: &["org.apache.flume.source.ExecSource"],
    doc: "Runs a command and makes an event of each line that it prints.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            COMMAND,
            ValueKind::Text,
            DefaultValue::Required,
            "The command. Without a shell it is split at white space, and quotes, pipes and \
             wildcards mean nothing.",
        ),
        OptionRow::new(
            SHELL,
            ValueKind::Text,
            DefaultValue::Absent,
            "The shell that gets the command as its last argument, as in `/bin/sh -c`.",
        ),
        OptionRow::new(
            RESTART,
            ValueKind::Boolean,
            DefaultValue::Is("false"),
            "Whether the command is run again when it has ended.",
        ),
        OptionRow::new(
            RESTART_THROTTLE,
            MILLISECONDS,
            DefaultValue::Is("10000"),
            "How long to wait before the command is run again.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            LOG_STDERR,
            ValueKind::Boolean,
            DefaultValue::Is("false"),
            "Whether each line of standard error is logged; otherwise it is discarded.",
        ),
        OptionRow::new(
            BATCH_SIZE,
            ValueKind::Integer {
                min: 1,
                max: BATCH_EVENTS_MAX as i64,
            },
            DefaultValue::Is("20"),
            "The most lines in one put.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            BATCH_TIMEOUT,
            MILLISECONDS,
            DefaultValue::Is("3000"),
            "How long a line waits at most for others to fill its batch.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            CHARSET,
            ValueKind::Text,
            DefaultValue::Is("UTF-8"),
            "The character set of the output. Bytes are passed through, so any set will do in \
             which a line feed is the single byte 0x0A: all but UTF-16 and UTF-32.",
        ),
    ],
};

/// Makes an exec source.
///
/// # Errors
/// A configuration fault that names the option.
pub fn build(settings: &Settings) -> Result<SourceInstance, Fault> {
    Ok(SourceInstance::EventDriven(Box::new(Exec::new(settings)?)))
}

/// A charset changes nothing but where lines end, and that only in sets of wide characters.
fn check_charset(name: &str) -> Result<(), Fault> {
    let Some(charset) = Charset::for_name(name) else {
        return Err(Fault::configuration(format!(
            "option {CHARSET} names no character set: {name:?}"
        )));
    };
    if charset.name().starts_with("UTF-16") || charset.name().starts_with("UTF-32") {
        return Err(Fault::configuration(format!(
            "option {CHARSET}: the exec source does not split lines of {}; convert the output in \
             the command, as with iconv, and name the set it converts to",
            charset.name()
        )));
    }
    Ok(())
}

struct Exec {
    command: CommandLine,
    /// `None`: the source is finished when the command has ended.
    restart_after: Option<Duration>,
    logs_standard_error: bool,
    batch_events: usize,
    batch_timeout: Duration,
    line_bytes_max: usize,
    stop_grace: Duration,
}

impl Exec {
    fn new(settings: &Settings) -> Result<Self, Fault> {
        check_charset(settings.text(CHARSET)?)?;
        let throttle = Duration::from_millis(settings.number(RESTART_THROTTLE)?);
        Ok(Self {
            command: CommandLine::new(settings.text(COMMAND)?, settings.optional_text(SHELL)?)?,
            restart_after: settings.boolean(RESTART)?.then_some(throttle),
            logs_standard_error: settings.boolean(LOG_STDERR)?,
            batch_events: settings.number(BATCH_SIZE)?,
            batch_timeout: Duration::from_millis(settings.number(BATCH_TIMEOUT)?),
            line_bytes_max: LINE_BYTES_MAX,
            stop_grace: STOP_GRACE,
        })
    }

    async fn run_until_stop(&self, context: &SourceContext) -> Result<(), Fault> {
        while context.stop.reason().is_none() {
            let running = self.command.start(context, self.logs_standard_error)?;
            let status = Life::new(self, context, running).run().await?;
            if context.stop.reason().is_some() {
                break;
            }
            if let Some(status) = status {
                log_end(context, status);
            }
            let Some(throttle) = self.restart_after else {
                break;
            };
            let _ = tokio::time::timeout(throttle, context.stop.stopped()).await;
        }
        Ok(())
    }
}

fn log_end(context: &SourceContext, status: ExitStatus) {
    if status.success() {
        info!(source = %context.name, "command has ended with {status}");
    } else {
        warn!(source = %context.name, "command has failed with {status}");
    }
}

impl Source for Exec {
    fn prepare(&mut self, _predecessor: Option<Handover>) -> BoxFuture<'_, Result<(), Fault>> {
        // The command itself starts with the run: two of them at once, the old and the new one of a
        // reload, would read the same file.
        future::ready(self.command.check())
    }

    fn run(&mut self, context: SourceContext) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move { self.run_until_stop(&context).await })
    }
}

/// One life of the command, from its start to its end.
struct Life<'a> {
    exec: &'a Exec,
    context: &'a SourceContext,
    running: RunningCommand,
    lines: LineSplitter,
    pending: Pending,
    /// Set by the stop signal: when the command is killed.
    kill_at: Option<Instant>,
    warned_cuts: u64,
}

enum Step {
    Stop,
    Overdue,
    Flush,
    Read(std::io::Result<usize>),
}

impl<'a> Life<'a> {
    fn new(exec: &'a Exec, context: &'a SourceContext, running: RunningCommand) -> Self {
        Self {
            exec,
            context,
            running,
            lines: LineSplitter::new(exec.line_bytes_max),
            pending: Pending::new(exec.batch_events, exec.batch_timeout),
            kill_at: None,
            warned_cuts: 0,
        }
    }

    /// How the command ended; `None` when the agent took nothing more before that.
    async fn run(mut self) -> Result<Option<ExitStatus>, Fault> {
        let Ok(read) = self.read_to_end().await? else {
            return Ok(None);
        };
        let status = self.running.end(self.exec.stop_grace).await;
        let status = status.map_err(|error| {
            Fault::transient(Side::Machine, "cannot wait for the command").with_cause(error)
        })?;
        match read {
            Ok(()) => Ok(Some(status)),
            Err(error) => {
                let message = "cannot read the output of the command";
                Err(Fault::transient(Side::Machine, message).with_cause(error))
            }
        }
    }

    /// Puts everything that the command prints. The inner error is one of reading; what was read
    /// before it is put.
    async fn read_to_end(&mut self) -> Result<Result<std::io::Result<()>, Ended>, Fault> {
        let result = loop {
            let batches = match self.step().await {
                Step::Stop => {
                    self.begin_stop();
                    continue;
                }
                Step::Overdue => {
                    warn!(source = %self.context.name, "command does not end and is killed");
                    self.running.kill();
                    break Ok(());
                }
                Step::Flush => vec![self.pending.take().map_err(broken)?],
                Step::Read(Ok(0)) => break Ok(()),
                Step::Read(Ok(_)) => {
                    let lines = self.lines.take_lines().map_err(broken)?;
                    self.warn_of_cuts();
                    self.pending.add(lines, Instant::now()).map_err(broken)?
                }
                Step::Read(Err(error)) => break Err(error),
            };
            for batch in batches {
                if let Err(ended) = self.put(batch).await {
                    return Ok(Err(ended));
                }
            }
        };
        let last = self.lines.take_rest().map_err(broken)?;
        let mut batches = self.pending.add(last, Instant::now()).map_err(broken)?;
        batches.push(self.pending.take().map_err(broken)?);
        for batch in batches {
            if let Err(ended) = self.put(batch).await {
                return Ok(Err(ended));
            }
        }
        Ok(Ok(result))
    }

    async fn step(&mut self) -> Step {
        let buffer = self.lines.space(READ_BYTES);
        let mut space = buffer.limit(READ_BYTES);
        tokio::select! {
            biased;
            _ = self.context.stop.stopped(), if self.kill_at.is_none() => Step::Stop,
            () = at(self.kill_at), if self.kill_at.is_some() => Step::Overdue,
            () = at(self.pending.flush_at()), if self.pending.flush_at().is_some() => Step::Flush,
            read = self.running.output.read_buf(&mut space) => Step::Read(read),
        }
    }

    fn begin_stop(&mut self) {
        self.running.terminate();
        self.kill_at = Some(Instant::now() + self.exec.stop_grace);
    }

    /// Puts a batch however long it takes. A stop signal meanwhile reaches the command at once; the
    /// put goes on, because to break it off would leave open whether the events are in a channel.
    async fn put(&mut self, batch: EventBatch) -> Result<(), Ended> {
        let mut delivery = std::pin::pin!(delivery::deliver(self.context, batch));
        if self.kill_at.is_none() {
            tokio::select! {
                biased;
                delivered = &mut delivery => return delivered,
                _ = self.context.stop.stopped() => {}
            }
            self.running.terminate();
            self.kill_at = Some(Instant::now() + self.exec.stop_grace);
        }
        delivery.await
    }

    /// Repeats are counted, not printed: a warning at the first cut and at each power of two.
    fn warn_of_cuts(&mut self) {
        let cuts = self.lines.cuts();
        if cuts > self.warned_cuts && (cuts / 2 >= self.warned_cuts) {
            self.warned_cuts = cuts;
            warn!(
                source = %self.context.name, cuts,
                "line longer than {} bytes was cut into several events", self.exec.line_bytes_max
            );
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// A batch breaks its limits, which the limits of this module rule out.
fn broken(error: flumen_core::batch::BatchError) -> Fault {
    let message = "lines do not fit a batch; this is a defect of the exec source";
    Fault::new(FaultKind::Broken, Side::Component, message).with_cause(error)
}
