//! The arguments of `flumen component new`, `build`, `inspect` and `run`.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU64;
use std::path::PathBuf;

use flumen_agent::component::{BATCH_EVENTS_MAX, GuestKind};

use super::{Command, UsageError, asked, text, unexpected, wrong};
use crate::flags::{Flag, FlagId};

/// Events in one call: the cost of the call itself is gone there.
const BATCH_EVENTS: usize = 1000;

/// Events of a source: enough to see what it gives.
const SOURCE_EVENTS: u64 = 10;

/// What to do with a component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ComponentCommand {
    New(NewArguments),
    /// Build the project in this folder.
    Build(PathBuf),
    /// Tell about this file or example.
    Inspect(String),
    Run(RunArguments),
}

/// What to write, and where to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewArguments {
    pub(crate) kind: GuestKind,
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

/// Which component to run, and against what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunArguments {
    /// A file, or an example by its name.
    pub(crate) component: String,
    pub(crate) kind: Option<GuestKind>,
    /// `None` is standard input.
    pub(crate) input: Option<PathBuf>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) batch_events: usize,
    pub(crate) rounds: u64,
    pub(crate) source_events: u64,
    pub(crate) with_headers: bool,
}

/// The flags of these commands.
#[derive(Default)]
pub(super) struct Collected {
    kind: Option<GuestKind>,
    folder: Option<PathBuf>,
    input: Option<OsString>,
    settings: Vec<(String, String)>,
    batch_events: Option<u64>,
    rounds: Option<u64>,
    source_events: Option<u64>,
    with_headers: bool,
}

impl Collected {
    pub(super) fn take(&mut self, flag: &Flag, value: OsString) -> Result<(), UsageError> {
        match flag.id {
            FlagId::Kind => self.kind = Some(kind(&text(flag, value)?)?),
            FlagId::Folder => self.folder = Some(value.into()),
            FlagId::Input => self.input = Some(value),
            FlagId::Config => {
                let written = text(flag, value)?;
                let Some((name, value)) = written.split_once('=') else {
                    return wrong(format!("flag --config needs NAME=VALUE, not {written}"));
                };
                self.settings.push((name.to_owned(), value.to_owned()));
            }
            FlagId::BatchSize => {
                let number = number(flag, value)?;
                if number > BATCH_EVENTS_MAX as u64 {
                    return wrong(format!("flag --batch-size is at most {BATCH_EVENTS_MAX}"));
                }
                self.batch_events = Some(number);
            }
            FlagId::Rounds => self.rounds = Some(number(flag, value)?),
            FlagId::Events => self.source_events = Some(number(flag, value)?),
            FlagId::Headers => self.with_headers = true,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn new_project(self, plain: Vec<OsString>) -> Result<Command, UsageError> {
        let name = one(plain, "the name of the component is missing")?;
        let Some(kind) = self.kind else {
            return wrong("flag --kind is missing: source, interceptor or sink");
        };
        let name = name.into_string().or_else(|name| {
            let name = name.to_string_lossy().into_owned();
            wrong(format!("the name {name} is not UTF-8"))
        })?;
        Ok(Command::Component(ComponentCommand::New(NewArguments {
            kind,
            folder: self.folder.unwrap_or_else(|| PathBuf::from(&name)),
            name,
        })))
    }

    pub(super) fn run(self, plain: Vec<OsString>) -> Result<Command, UsageError> {
        let component = file(plain)?;
        let input = self.input.filter(|input| input != OsStr::new("-"));
        let rounds = self.rounds.unwrap_or(1);
        if input.is_none() && rounds > 1 {
            return wrong("flag --rounds needs a file of events: name it with --input");
        }
        let batch_events = self
            .batch_events
            .and_then(|events| usize::try_from(events).ok());
        Ok(Command::Component(ComponentCommand::Run(RunArguments {
            component,
            kind: self.kind,
            input: input.map(PathBuf::from),
            settings: self.settings,
            batch_events: batch_events.unwrap_or(BATCH_EVENTS),
            rounds,
            source_events: self.source_events.unwrap_or(SOURCE_EVENTS),
            with_headers: self.with_headers,
        })))
    }
}

pub(super) fn build(plain: Vec<OsString>) -> Result<Command, UsageError> {
    let folder = match plain.is_empty() {
        true => PathBuf::from("."),
        false => one(plain, "")?.into(),
    };
    Ok(Command::Component(ComponentCommand::Build(folder)))
}

pub(super) fn inspect(plain: Vec<OsString>) -> Result<Command, UsageError> {
    Ok(Command::Component(ComponentCommand::Inspect(file(plain)?)))
}

fn file(plain: Vec<OsString>) -> Result<String, UsageError> {
    let file = one(plain, "the file of the component is missing")?;
    file.into_string().or_else(|file| {
        let file = file.to_string_lossy().into_owned();
        wrong(format!("the name of the file {file} is not UTF-8"))
    })
}

/// The only argument that is no flag.
fn one(plain: Vec<OsString>, missing: &str) -> Result<OsString, UsageError> {
    let mut plain = plain.into_iter();
    match (plain.next(), plain.next()) {
        (Some(word), None) => Ok(word),
        (_, Some(word)) => wrong(unexpected(&word)),
        (None, None) => wrong(missing),
    }
}

fn kind(word: &str) -> Result<GuestKind, UsageError> {
    GuestKind::of_word(word).map_or_else(
        || {
            let question = asked(word, GuestKind::ALL.map(GuestKind::word));
            wrong(format!(
                "flag --kind is source, interceptor or sink, not {word}{question}"
            ))
        },
        Ok,
    )
}

/// A number from 1.
pub(super) fn number(flag: &Flag, value: OsString) -> Result<u64, UsageError> {
    let written = text(flag, value)?;
    written.parse().map(NonZeroU64::get).or_else(|_| {
        wrong(format!(
            "flag {} needs a number from 1, not {written}",
            flag.name()
        ))
    })
}
