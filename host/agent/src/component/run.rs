//! One component against some events, without an agent around it.

use std::fmt;
use std::future::Future;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_core::batch::BatchError;
use flumen_core::channel::Segment;
use flumen_core::clock::{Clock, SystemClock};
use flumen_core::interceptor::Interceptor;
use flumen_core::metric::SinkCounters;
use flumen_core::sink::{Outcome, Sink, SinkContext};
use flumen_core::source::{PollNext, SourceInstance};
use flumen_core::{ComponentName, EventBatch, Fault, FaultKind};
use flumen_wasm::{Contract, ContractError, Guest, GuestInterceptor, GuestSink, Host};

use super::lines::{self, EVENT_BYTES_MAX, LineReader, ReadError};
use super::report::{Failure, RunReport};
use super::{GuestKind, settings};

/// Events in one call at most, as for a sink in an agent.
pub const BATCH_EVENTS_MAX: usize = 100_000;

/// Polls in a row that may give nothing before a source counts as having nothing: with the agent's
/// growing waits between them that is half a minute.
const EMPTY_POLLS_MAX: u32 = 8;

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The component's name, for its log lines.
    pub name: String,
    /// What to run it as; `None` takes what it was built for.
    pub kind: Option<GuestKind>,
    /// Its own settings.
    pub settings: Vec<(String, String)>,
    /// Events in one call; bounded by [`BATCH_EVENTS_MAX`].
    pub batch_events: usize,
    /// How often the input is gone through. Only the first round is written out.
    pub rounds: u64,
    /// Events after which a source has given enough.
    pub source_events: u64,
    /// Whether headers are written before the bodies.
    pub with_headers: bool,
    /// Where compiled components are kept.
    pub cache_folder: Option<PathBuf>,
}

/// Why a run could not begin or go on.
#[derive(Debug)]
pub enum RunError {
    /// The component is none that runs here.
    Contract(ContractError),
    /// The component cannot be loaded or does not start.
    Start(Box<Failure>),
    /// The events cannot be read.
    Input(io::Error),
    /// A line is longer than [`EVENT_BYTES_MAX`].
    TooLong {
        /// Its number, from 1.
        line: u64,
    },
    /// The events do not fit a batch.
    Batch(BatchError),
    /// The events cannot be written.
    Output(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Contract(error) => error.fmt(f),
            RunError::Start(failure) => f.write_str(&failure.message),
            RunError::Input(error) => write!(f, "the events cannot be read: {error}"),
            RunError::TooLong { line } => write!(
                f,
                "line {line} of the events is longer than {EVENT_BYTES_MAX} bytes; is it a text file?"
            ),
            RunError::Batch(error) => write!(f, "the events do not fit a batch: {error}"),
            RunError::Output(error) => write!(f, "the events cannot be written: {error}"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RunError::Contract(error) => Some(error),
            RunError::Input(error) | RunError::Output(error) => Some(error),
            RunError::Batch(error) => Some(error),
            RunError::Start(_) | RunError::TooLong { .. } => None,
        }
    }
}

impl From<ReadError> for RunError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Input(error) => RunError::Input(error),
            ReadError::TooLong(line) => RunError::TooLong { line },
            ReadError::Batch(error) => RunError::Batch(error),
        }
    }
}

fn start_failed(fault: &Fault) -> RunError {
    RunError::Start(Box::new(Failure::of(fault, 0, 0)))
}

/// Runs a component. An interceptor or sink gets the lines that `open` gives, which is called once
/// for each round; a source is not given any. What comes out of a source or an interceptor is written
/// line by line. A batch that fails is told in the report, and the next one is tried.
///
/// Memory is bounded by one batch, whatever the input is. Reading and writing block: for a runtime
/// that serves nothing else.
///
/// # Errors
/// [`RunError`]: the component does not start, or the events cannot be read or written.
pub async fn run(
    bytes: &[u8],
    options: &RunOptions,
    open: &mut dyn FnMut() -> io::Result<Box<dyn BufRead>>,
    output: &mut dyn Write,
) -> Result<RunReport, RunError> {
    let kind = match options.kind {
        Some(kind) => kind,
        None => kind_of(bytes)?,
    };
    let guest = load(kind, bytes, options).map_err(|fault| start_failed(&fault))?;
    let mut report = RunReport::new(kind);
    match kind {
        GuestKind::Source => run_source(&guest, options, output, &mut report).await?,
        GuestKind::Interceptor => {
            let interceptor = guest.interceptor().map_err(|fault| start_failed(&fault))?;
            let ready = interceptor.prepare().await;
            ready.map_err(|fault| start_failed(&fault))?;
            let mut rounds = Rounds::new(options, open);
            while let Some(batch) = rounds.next_batch()? {
                let is_shown = rounds.is_first();
                let written = intercept(&interceptor, batch, &mut report).await;
                if let Some(events) = written.filter(|_| is_shown) {
                    let done = lines::write(output, &events, options.with_headers);
                    done.map_err(RunError::Output)?;
                }
            }
        }
        GuestKind::Sink => {
            let mut sink = started_sink(&guest, options).await?;
            let mut rounds = Rounds::new(options, open);
            while let Some(batch) = rounds.next_batch()? {
                deliver(&mut sink, batch, &mut report).await;
            }
            flush(&mut sink, &mut report).await;
            if let Err(fault) = sink.stop().await {
                report.failed(&fault, 0, 0);
            }
        }
    }
    report.add_figures(guest.report());
    Ok(report)
}

/// What a component was built for.
fn kind_of(bytes: &[u8]) -> Result<GuestKind, RunError> {
    let contract = Contract::read(bytes).map_err(RunError::Contract)?;
    let kind = contract
        .world()
        .and_then(|(_, name)| GuestKind::of_word(name));
    kind.ok_or_else(|| {
        let kind = GuestKind::Interceptor;
        let refused = contract.check(kind.component_kind()).err();
        RunError::Contract(refused.unwrap_or(ContractError::World {
            wanted: kind.word(),
            found: None,
        }))
    })
}

fn load(kind: GuestKind, bytes: &[u8], options: &RunOptions) -> Result<Guest, Fault> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let host = Host::new(options.cache_folder.clone(), clock)?;
    let settings = settings::of(kind, &options.settings)?;
    let name = ComponentName::new(options.name.as_str());
    host.load(kind.component_kind(), &name, &settings, bytes)
}

/// The input, once for each round.
struct Rounds<'r> {
    open: &'r mut dyn FnMut() -> io::Result<Box<dyn BufRead>>,
    reader: Option<LineReader<Box<dyn BufRead>>>,
    batch_events: usize,
    rounds: u64,
    /// Rounds that were begun.
    begun: u64,
}

impl<'r> Rounds<'r> {
    fn new(
        options: &RunOptions,
        open: &'r mut dyn FnMut() -> io::Result<Box<dyn BufRead>>,
    ) -> Self {
        Self {
            open,
            reader: None,
            batch_events: options.batch_events.clamp(1, BATCH_EVENTS_MAX),
            rounds: options.rounds,
            begun: 0,
        }
    }

    /// Whether the batch that was given last belongs to the first round.
    fn is_first(&self) -> bool {
        self.begun == 1
    }

    fn next_batch(&mut self) -> Result<Option<EventBatch>, RunError> {
        loop {
            if let Some(reader) = &mut self.reader {
                let batch = reader.next_batch(self.batch_events)?;
                if !batch.is_empty() {
                    return Ok(Some(batch));
                }
            }
            if self.begun >= self.rounds {
                return Ok(None);
            }
            self.begun += 1;
            self.reader = Some(LineReader::new((self.open)().map_err(RunError::Input)?));
        }
    }
}

/// Counts a call and the time that it takes.
async fn timed<T>(report: &mut RunReport, call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = call.await;
    report.time_in_calls += begun.elapsed();
    report.calls += 1;
    result
}

async fn intercept(
    interceptor: &GuestInterceptor,
    batch: EventBatch,
    report: &mut RunReport,
) -> Option<EventBatch> {
    let first = report.events_in + 1;
    let events = batch.len() as u64;
    report.events_in += events;
    let answer = timed(report, interceptor.intercept(batch)).await;
    let counted = answer.and_then(|answer| {
        // There is no channel that could refuse the events: what the component remembers counts.
        if let Some(pending) = answer.pending {
            pending.commit()?;
        }
        Ok(answer.events)
    });
    match counted {
        Ok(events) => {
            report.events_out += events.len() as u64;
            Some(events)
        }
        Err(fault) => {
            report.failed(&fault, first, events);
            None
        }
    }
}

async fn started_sink(guest: &Guest, options: &RunOptions) -> Result<GuestSink, RunError> {
    let mut sink = guest.sink().map_err(|fault| start_failed(&fault))?;
    let context = SinkContext {
        name: ComponentName::new(options.name.as_str()),
        counters: Arc::new(SinkCounters::default()),
        clock: Arc::new(SystemClock),
    };
    let started = sink.start(context).await;
    started.map_err(|fault| start_failed(&fault))?;
    Ok(sink)
}

async fn deliver(sink: &mut GuestSink, batch: EventBatch, report: &mut RunReport) {
    let before = report.events_in;
    let events = batch.len() as u64;
    report.events_in += events;
    let segments = [Segment {
        first_sequence: before,
        redeliveries: 0,
        events: batch,
    }];
    let delivered = timed(report, sink.deliver(&segments)).await;
    remember(sink, report, before + 1);
    match delivered {
        // What is in the buffer counts as out until the flush says otherwise.
        Ok(Outcome::Delivered | Outcome::Buffered) => report.events_out += events,
        Ok(Outcome::Partial { retry, rejected }) => {
            let left = retry.len().saturating_add(rejected.len()) as u64;
            report.events_out += events.saturating_sub(left);
            report.events_to_retry += retry.len() as u64;
            for row in rejected {
                report.rejected(before + 1 + u64::from(row.index), row.reason);
            }
        }
        Err(fault) => report.failed(&fault, before + 1, events),
    }
}

/// Lets what the sink wrote count: here nothing is delivered again.
fn remember(sink: &mut GuestSink, report: &mut RunReport, first: u64) {
    if let Some(pending) = sink.pending_state()
        && let Err(fault) = pending.commit()
    {
        report.failed(&fault, first, 0);
    }
}

async fn flush(sink: &mut GuestSink, report: &mut RunReport) {
    if let Err(fault) = timed(report, sink.flush()).await {
        report.failed(&fault, 0, 0);
    }
    remember(sink, report, 0);
}

async fn run_source(
    guest: &Guest,
    options: &RunOptions,
    output: &mut dyn Write,
    report: &mut RunReport,
) -> Result<(), RunError> {
    let instance = guest.source().map_err(|fault| start_failed(&fault))?;
    let SourceInstance::Polled {
        mut source,
        back_off,
    } = instance
    else {
        let fault = Fault::configuration("the component is no source that can be polled");
        return Err(start_failed(&fault));
    };
    let opened = source.open(None).await;
    opened.map_err(|fault| start_failed(&fault))?;
    let mut empty_polls = 0_u32;
    while report.events_out < options.source_events && empty_polls < EMPTY_POLLS_MAX {
        let wanted = options.source_events - report.events_out;
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let events_max = wanted.min(options.batch_events.clamp(1, BATCH_EVENTS_MAX));
        let polled = match timed(report, source.poll(events_max)).await {
            Ok(polled) => polled,
            Err(fault) => {
                report.failed(&fault, 0, 0);
                // The agent would try for ever; here the same failure is shown once or twice.
                empty_polls += EMPTY_POLLS_MAX / 2;
                match fault.kind() {
                    FaultKind::Configuration => break,
                    _ => continue,
                }
            }
        };
        empty_polls = match polled.events.is_empty() {
            true => empty_polls + 1,
            false => 0,
        };
        report.events_out += polled.events.len() as u64;
        lines::write(output, &polled.events, options.with_headers).map_err(RunError::Output)?;
        source.ack(polled.cursor.as_deref());
        let wait = match polled.next {
            PollNext::Again => Duration::ZERO,
            PollNext::BackOff => {
                let grown = back_off.increment.saturating_mul(empty_polls);
                grown.min(back_off.maximum)
            }
            PollNext::Wait(wait) => wait,
            PollNext::End => break,
        };
        if report.events_out < options.source_events {
            tokio::time::sleep(wait).await;
        }
    }
    Ok(())
}
