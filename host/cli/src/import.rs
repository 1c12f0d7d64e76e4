//! `flumen import-flume-channel`: what waits in Flume's file channel, into a channel of flumen.

use std::fmt::Write as _;
use std::process::ExitCode;

use flumen_agent::channel_folders::{
    self, CheckpointUse, Damage, ImportReport, ImportRequest, Imported, Survey,
};
use tokio::runtime::Builder;

use crate::arguments::{ChannelChoice, ImportArguments};
use crate::channel::chosen;
use crate::output::{complain, counted, print};

/// Events between two lines that tell how far the import is.
const TOLD_EVERY: u64 = 1_000_000;

/// Imports, and prints what came of it. The exit code is 1 when something failed or was damaged.
pub(crate) fn run(program: &str, arguments: ImportArguments) -> ExitCode {
    let done = request(arguments).and_then(|request| {
        let report = import(&request)?;
        let text = text(&request, &report);
        print(&text).map_err(|error| format!("cannot write to standard output: {error}"))?;
        Ok(is_whole(&report))
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(what) => {
            complain(&format!("{program}: {what}"));
            ExitCode::FAILURE
        }
    }
}

fn request(arguments: ImportArguments) -> Result<ImportRequest, String> {
    let is_configured = matches!(arguments.into, ChannelChoice::Configured(_));
    let into = chosen(arguments.into)?;
    let mut from = arguments.from;
    if from.is_empty() && is_configured {
        from = into.flume_folders().map_err(|error| error.to_string())?;
        if from.is_empty() {
            return Err(format!(
                "none of the folders of channel {} is there; name those of Flume",
                into.name
            ));
        }
    }
    Ok(ImportRequest {
        from,
        into,
        is_dry_run: arguments.is_dry_run,
    })
}

fn import(request: &ImportRequest) -> Result<ImportReport, String> {
    // One thread: events are read and put in turn.
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("threads cannot be started: {error}"))?;
    let mut next = TOLD_EVERY;
    let mut told = |done: u64, total: u64| {
        if done >= next {
            complain(&format!("{done} of {total} events"));
            next = done.saturating_add(TOLD_EVERY);
        }
    };
    let done = runtime.block_on(channel_folders::import(request, &mut told));
    done.map_err(|failure| with_causes(&failure))
}

/// An error with what caused it, where that says more.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(own) = cause {
        let words = own.to_string();
        if !text.contains(&words) {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {words}");
        }
        cause = own.source();
    }
    text
}

fn is_whole(report: &ImportReport) -> bool {
    let survey = &report.survey;
    let imported = report.imported.as_ref();
    survey.damaged_places == 0
        && survey.lost_events == 0
        && imported.is_none_or(|own| own.damaged_events == 0)
}

fn text(request: &ImportRequest, report: &ImportReport) -> String {
    let mut text = String::new();
    let survey = &report.survey;
    let mut line = |what: String| {
        text.push_str(&what);
        text.push('\n');
    };
    line(format!(
        "read {} records in {}, {} bytes",
        survey.records,
        counted(report.log_files as u64, "log file"),
        report.log_bytes
    ));
    absence_lines(report, &mut line);
    survey_lines(survey, &mut line);
    match &report.imported {
        None if survey.events() == 0 => line("nothing waits, so nothing was imported".to_owned()),
        None => line(format!(
            "{} would be imported",
            counted(survey.events(), "event")
        )),
        Some(imported) => imported_lines(request, imported, &mut line),
    }
    text
}

/// What cannot be known from what is there.
fn absence_lines(report: &ImportReport, line: &mut dyn FnMut(String)) {
    let is_used = matches!(report.survey.checkpoint, CheckpointUse::Used(_));
    // A checkpoint that was used has found all files that it needs.
    if is_used || report.absent_files == 0 {
        return;
    }
    line(format!(
        "{} between the lowest number and the highest not there: flume has deleted them, or a folder of dataDirs is missing",
        counted(report.absent_files, "log file")
    ));
    if report.data_folders > 1 {
        line(
            "without a checkpoint takes in deleted files are not known; events may come twice"
                .to_owned(),
        );
    }
}

fn survey_lines(survey: &Survey, line: &mut dyn FnMut(String)) {
    match &survey.checkpoint {
        CheckpointUse::None => {}
        CheckpointUse::Used(folder) => line(format!("used the checkpoint in {}", folder.display())),
        CheckpointUse::LeftOut(reasons) => {
            for reason in reasons {
                line(format!("left out a checkpoint, the logs decide: {reason}"));
            }
        }
    }
    damage_lines(&survey.damage, survey.damaged_places, line);
    let told = [
        (
            survey.lost_events,
            "lost to this damage, as the checkpoint tells",
        ),
        (
            survey.doubtful_events,
            "imported although damage hides whether they were committed; they may come twice",
        ),
        (
            survey.uncommitted_events,
            "left out because they were never committed",
        ),
    ];
    for (events, what) in told.into_iter().filter(|(events, _)| *events > 0) {
        line(format!("{}: {what}", counted(events, "event")));
    }
    if survey.removed_records > 0 {
        line(format!(
            "{} that the tool of Flume had removed",
            counted(survey.removed_records, "record")
        ));
    }
    if survey.unfinished_files > 0 {
        line(format!(
            "{} with an unfinished end, as a crash leaves it",
            counted(survey.unfinished_files, "log file")
        ));
    }
}

fn imported_lines(request: &ImportRequest, imported: &Imported, line: &mut dyn FnMut(String)) {
    damage_lines(&imported.damage, imported.damaged_events, line);
    if imported.headers_left_out > 0 {
        line(format!(
            "{} left out: the name is empty or longer than 1024 bytes",
            counted(imported.headers_left_out, "header")
        ));
    }
    if imported.resumed_after > 0 {
        line(format!(
            "went on behind {} that were imported before",
            counted(imported.resumed_after, "event")
        ));
    }
    let into = match request.into.log_folder() {
        Ok(folder) => folder.display().to_string(),
        Err(_) => request.into.name.to_string(),
    };
    line(format!(
        "imported {}, {} bytes, into {into}",
        counted(imported.events, "event"),
        imported.bytes
    ));
}

fn damage_lines(damage: &[Damage], count: u64, line: &mut dyn FnMut(String)) {
    for own in damage {
        line(format!(
            "damage: {} at offset {}, {} bytes: {}",
            own.path.display(),
            own.offset,
            own.bytes,
            own.why
        ));
    }
    let more = count.saturating_sub(damage.len() as u64);
    if more > 0 {
        line(format!("damage: {more} more places"));
    }
}
