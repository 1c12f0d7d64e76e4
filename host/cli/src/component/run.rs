//! `flumen component run`: one component against a file of events. What comes out goes to standard
//! output; its log lines, its failures and its figures go to standard error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter};
use std::path::Path;
use std::process::ExitCode;

use flumen_agent::EXAMPLE_SCHEME;
use flumen_agent::component::{self, Failure, GuestKind, RunError, RunOptions, RunReport};
use tokio::runtime::Builder;

use crate::agent::users_cache_folder;
use crate::arguments::RunArguments;
use crate::examples::EXAMPLES;
use crate::logging::{self, Console};
use crate::output::complain;
use crate::system_properties;

/// Runs it. The exit code is 1 when a call failed, or a sink refused events.
pub(super) fn run(arguments: &RunArguments) -> Result<ExitCode, String> {
    let settings = system_properties::read(&BTreeMap::new()).map_err(|errors| errors.join("; "))?;
    logging::start(&settings, &Console::standard_error());
    let bytes =
        component::read(&arguments.component, EXAMPLES).map_err(|fault| fault.to_string())?;
    let options = RunOptions {
        name: name_of(&arguments.component),
        kind: arguments.kind,
        settings: arguments.settings.clone(),
        batch_events: arguments.batch_events,
        rounds: arguments.rounds,
        source_events: arguments.source_events,
        with_headers: arguments.with_headers,
        cache_folder: users_cache_folder(),
    };
    // One thread: events are read, handled and written in turn.
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("threads cannot be started: {error}"))?;
    let mut open = || input(arguments.input.as_deref());
    let mut output = BufWriter::new(io::stdout().lock());
    let report = runtime.block_on(component::run(&bytes, &options, &mut open, &mut output));
    match report {
        Ok(report) => {
            if report.kind == GuestKind::Source && arguments.input.is_some() {
                complain("flag --input has no effect: a source is given no events");
            }
            complain(text(&report).trim_end());
            let is_fine = report.failures == 0 && report.events_rejected == 0;
            Ok(if is_fine {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Err(error) => ended(&arguments.component, &error),
    }
}

fn ended(named: &str, error: &RunError) -> Result<ExitCode, String> {
    match error {
        // The reader has seen enough.
        RunError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        RunError::Start(failure) => {
            let mut text = String::new();
            append_trap(&mut text, failure);
            Err(format!(
                "{failure_message}\n{text}",
                failure_message = failure.message
            )
            .trim_end()
            .to_owned())
        }
        other => Err(format!("{named}: {other}")),
    }
}

/// What log lines call the component: its file without folder and ending.
fn name_of(component: &str) -> String {
    let path = component.strip_prefix(EXAMPLE_SCHEME).unwrap_or(component);
    let stem = Path::new(path).file_stem();
    stem.map_or_else(
        || path.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

fn input(path: Option<&Path>) -> io::Result<Box<dyn BufRead>> {
    Ok(match path {
        Some(path) => {
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            Box::new(BufReader::new(File::open(path).map_err(named)?))
        }
        None => Box::new(BufReader::new(io::stdin())),
    })
}

/// The report as people read it.
fn text(report: &RunReport) -> String {
    let mut text = String::new();
    for failure in &report.first_failures {
        append_failure(&mut text, failure);
    }
    let untold = report
        .failures
        .saturating_sub(report.first_failures.len() as u64);
    if untold > 0 {
        let _ = writeln!(text, "{untold} more calls failed");
    }
    for (event, reason) in &report.rejections {
        let _ = writeln!(text, "event {event} was refused for good: {reason}");
    }
    let _ = writeln!(text, "{}", summary(report));
    if let Some(cost_ns) = report.cost_ns() {
        let _ = writeln!(
            text,
            "  {cost_ns:.0} ns an event: {} calls, {:.3} ms inside them",
            report.calls,
            report.time_in_calls.as_secs_f64() * 1000.0,
        );
    }
    let _ = writeln!(
        text,
        "  instances made {}, ended by a failure {}",
        report.instances, report.strikes
    );
    if report.log_lines_suppressed > 0 {
        let _ = writeln!(text, "  log lines left out {}", report.log_lines_suppressed);
    }
    for (name, value) in &report.counters {
        let _ = writeln!(text, "  counter {name} {value}");
    }
    for (name, value) in &report.gauges {
        let _ = writeln!(text, "  gauge {name} {value}");
    }
    text
}

fn summary(report: &RunReport) -> String {
    let (events_in, events_out) = (report.events_in, report.events_out);
    let mut text = match report.kind {
        GuestKind::Source => format!("source: {events_out} events out"),
        GuestKind::Interceptor => format!("interceptor: {events_in} events in, {events_out} out"),
        GuestKind::Sink => format!("sink: {events_in} events in, {events_out} delivered"),
    };
    for (count, what) in [
        (report.events_to_retry, "to be delivered again"),
        (report.events_rejected, "refused for good"),
        (report.events_failed, "in failed calls"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

fn append_failure(text: &mut String, failure: &Failure) {
    let Failure {
        first_event,
        events,
        message,
        ..
    } = failure;
    let last = first_event.saturating_add(*events).saturating_sub(1);
    let _ = match events {
        0 => writeln!(text, "failed: {message}"),
        1 => writeln!(text, "event {first_event} failed: {message}"),
        _ => writeln!(text, "events {first_event} to {last} failed: {message}"),
    };
    append_trap(text, failure);
    if *events > 1 {
        text.push_str("  (with --batch-size 1 each event is tried by itself)\n");
    }
}

fn append_trap(text: &mut String, failure: &Failure) {
    let Some(trap) = &failure.trap else {
        return;
    };
    let _ = writeln!(text, "  {}: {}", trap.code, trap.cause);
    if !trap.last_words.is_empty() {
        let _ = writeln!(text, "  it wrote: {}", trap.last_words);
    }
    for (index, frame) in trap.backtrace.iter().enumerate() {
        let label = if index == 0 { "in" } else { "by" };
        let _ = writeln!(text, "  {label} {frame}");
    }
}
