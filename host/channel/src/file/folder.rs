//! Where a file channel keeps its log, and what else may be found there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flumen_core::{ComponentName, Fault, Side};
use flumen_wal::{Folder, OpenError};

use super::payload::PayloadError;
use crate::flume_import::{LEDGER_NAME, Ledger};

/// The subfolder of a data directory that holds the log. Apache Flume makes no folder there.
pub const LOG_FOLDER: &str = "flumen-log";

/// What a new log may be made beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Data of Apache Flume is refused, because nobody would ever deliver it.
    Nothing,
    /// Data of Apache Flume is no hindrance: whoever opens the channel brings it over.
    FlumeFiles,
}

/// The folders that `dataDirs` names. A `~` at the start is the home of the user.
///
/// # Errors
/// A configuration fault when there is none, or no home.
pub(super) fn data_folders(name: &ComponentName, text: &str) -> Result<Vec<PathBuf>, Fault> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let folders = words
        .map(|word| expanded(name, word))
        .collect::<Result<Vec<_>, _>>()?;
    match folders.as_slice() {
        [] => Err(Fault::configuration(format!(
            "channel {name}: dataDirs names no folder"
        ))),
        _ => Ok(folders),
    }
}

/// A path as it is, or below the home of the user.
///
/// # Errors
/// A configuration fault when there is no home.
pub(super) fn expanded(name: &ComponentName, word: &str) -> Result<PathBuf, Fault> {
    let Some(below) = word.strip_prefix("~/") else {
        return Ok(PathBuf::from(word));
    };
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or_else(|| {
        Fault::configuration(format!(
            "channel {name}: {word} cannot be found because HOME is not set; give full paths"
        ))
    })?;
    Ok(Path::new(&home).join(below))
}

/// Finds the folder of the log, or makes it. Nothing is changed in a folder that is refused.
///
/// # Errors
/// A configuration fault when the folder cannot be had, or when it is not the right one: a log in
/// another of the folders, or data of Apache Flume that was never imported.
pub(super) fn prepare(
    name: &ComponentName,
    data_folders: &[PathBuf],
    beside: Beside,
) -> Result<PathBuf, Fault> {
    let [first, others @ ..] = data_folders else {
        return Err(Fault::configuration(format!(
            "channel {name}: dataDirs names no folder"
        )));
    };
    let folder = first.join(LOG_FOLDER);
    if is_there(name, &folder)? {
        if beside == Beside::Nothing {
            check_import(name, &folder)?;
        }
    } else {
        check_others(name, first, others)?;
        if beside == Beside::Nothing {
            check_flume(name, data_folders)?;
        }
    }
    match Folder::make(&folder) {
        Ok(()) => Ok(folder),
        Err(cause) => Err(cannot(name, "make", &folder, cause)),
    }
}

fn check_others(name: &ComponentName, first: &Path, others: &[PathBuf]) -> Result<(), Fault> {
    for other in others {
        if is_there(name, &other.join(LOG_FOLDER))? {
            return Err(Fault::configuration(format!(
                "channel {name}: its log is in {}, and {} is the first of dataDirs; put {} first, \
                 or move the folder {LOG_FOLDER}",
                other.display(),
                first.display(),
                other.display(),
            )));
        }
    }
    Ok(())
}

/// Half a backlog of Flume is not run on: what an agent would put behind it could not be told from
/// what was imported.
fn check_import(name: &ComponentName, folder: &Path) -> Result<(), Fault> {
    let ledger = Ledger::read(folder).map_err(|error| {
        Fault::configuration(format!("channel {name}: the folder is not opened")).with_cause(error)
    })?;
    match ledger.unfinished() {
        None => Ok(()),
        Some((folders, total)) => Err(Fault::configuration(format!(
            "channel {name}: {} holds a part of {total} events of Apache Flume, because \
             `flumen import-flume-channel` was cut off; run it again to bring over the rest from \
             {folders}, or remove the file {LEDGER_NAME} to do without",
            folder.display()
        ))),
    }
}

fn check_flume(name: &ComponentName, data_folders: &[PathBuf]) -> Result<(), Fault> {
    for data in data_folders {
        if holds_flume_files(name, data)? {
            let data = data.display();
            return Err(Fault::configuration(format!(
                "channel {name}: {data} holds events of Apache Flume's file channel; bring them \
                 over with `flumen import-flume-channel {data}`, or give the channel other dataDirs"
            )));
        }
    }
    Ok(())
}

fn is_there(name: &ComponentName, folder: &Path) -> Result<bool, Fault> {
    folder
        .try_exists()
        .map_err(|cause| cannot(name, "look into", folder, cause))
}

fn cannot(name: &ComponentName, action: &str, folder: &Path, cause: io::Error) -> Fault {
    Fault::configuration(format!(
        "channel {name}: cannot {action} folder {}; give its owner the right to it, or give the \
         channel other dataDirs",
        folder.display()
    ))
    .with_cause(cause)
}

/// Whether a folder holds the log files of Apache Flume: `log-1`, `log-1.meta` and so on.
fn holds_flume_files(name: &ComponentName, folder: &Path) -> Result<bool, Fault> {
    let failed = |cause| cannot(name, "look into", folder, cause);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(failed(cause)),
    };
    for entry in entries {
        let file_name = entry.map_err(failed)?.file_name();
        let number = file_name.to_str().and_then(|own| own.strip_prefix("log-"));
        let is_number = |own: &str| !own.is_empty() && own.bytes().all(|b| b.is_ascii_digit());
        if number.is_some_and(is_number) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What stands in the log is whole and cannot be read, with what is safe to do.
pub(super) fn unreadable(name: &ComponentName, folder: &Path, problem: PayloadError) -> Fault {
    let place = folder.display();
    let message = format!("channel {name}: {place} is not opened, and nothing in it was changed");
    Fault::configuration(message).with_cause(problem)
}

/// Why the log was not opened, with what is safe to do.
pub(super) fn refused(name: &ComponentName, folder: &Path, error: OpenError) -> Fault {
    let place = folder.display();
    let message = match &error {
        OpenError::Held => {
            return Fault::configuration(format!(
                "channel {name}: {place} is in use by another channel or process; stop it, or give \
                 each file channel dataDirs of its own"
            ));
        }
        OpenError::Full { .. } | OpenError::Disk { .. } => {
            let message = format!("channel {name}: {place} cannot be opened");
            return Fault::transient(Side::Machine, message).with_cause(error);
        }
        OpenError::Unreadable { .. } => {
            let message = format!(
                "channel {name}: {place} cannot be opened; mend its disk or put the folder on another \
                 one, or copy what can be read with `flumen channel salvage {place} --to NEW \
                 --unreadable-is-lost`"
            );
            return Fault::transient(Side::Machine, message).with_cause(error);
        }
        OpenError::Foreign { .. }
        | OpenError::TwoLogs { .. }
        | OpenError::Newer { .. }
        | OpenError::State { .. } => {
            format!("channel {name}: {place} is not opened, and nothing in it was changed")
        }
        _ => format!("channel {name}: {place} cannot be opened"),
    };
    Fault::configuration(message).with_cause(error)
}
