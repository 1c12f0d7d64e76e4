//! The arguments taken apart: pure, from words to a [`Command`].
//!
//! The grammar is that of Flume's own parser, which is not the usual one: `-prov`, `--prov` and
//! `-conf-provider` are the same flag, a value follows as the next word or behind `=`, and the
//! options of the Java virtual machine have their value attached (`-Dname=value`, `-Xmx20m`).

mod channel;
mod component;
mod group;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use flumen_agent::load::ConfigFiles;
use flumen_config::problem::nearest_name;

pub(crate) use channel::{
    ChannelChoice, ChannelCommand, ConfiguredChannel, DumpArguments, ImportArguments,
    SalvageArguments,
};
pub(crate) use component::{ComponentCommand, NewArguments, RunArguments};

use crate::flags::{Flag, FlagId, FlagValue, Treatment, VERBS, Verb, flags_of, verb_called};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Agent(AgentArguments),
    Check(CheckArguments),
    Convert(ConvertArguments),
    Component(ComponentCommand),
    Channel(ChannelCommand),
    ImportFlumeChannel(ImportArguments),
    Docs(DocsPage),
    /// The usage, or a command or component explained.
    Help(Option<String>),
    Version,
}

/// A generated page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocsPage {
    Compatibility,
    Reference,
}

/// What an agent is to run, and how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AgentArguments {
    pub(crate) name: Option<String>,
    pub(crate) files: Vec<PathBuf>,
    /// Folders of Flume's own settings.
    pub(crate) conf_folders: Vec<PathBuf>,
    pub(crate) properties: BTreeMap<String, String>,
    /// Whether a changed file is reloaded.
    pub(crate) is_watching: bool,
    pub(crate) is_dry_run: bool,
    /// What was accepted without effect, one line each.
    pub(crate) remarks: Vec<String>,
}

/// What to check.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckArguments {
    pub(crate) name: Option<String>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) against: Vec<PathBuf>,
    pub(crate) properties: BTreeMap<String, String>,
}

/// What to convert, and where to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConvertArguments {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) output: Option<PathBuf>,
    pub(crate) properties: BTreeMap<String, String>,
}

/// Why the arguments were refused. One line, with the remedy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    NoCommand,
    Wrong(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoCommand => f.write_str("a command is missing"),
            UsageError::Wrong(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for UsageError {}

fn wrong<T>(what: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError::Wrong(what.into()))
}

/// The end of a message about a name that is not known: a question when another is near.
pub(crate) fn asked<'n>(written: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    nearest_name(written, known).map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// Takes the words behind the name of the program apart.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut words = words.into_iter();
    let Some(first) = words.next() else {
        return Err(UsageError::NoCommand);
    };
    let first = first.to_string_lossy();
    match first.as_ref() {
        "--help" | "-h" => return Ok(Command::Help(None)),
        "--version" | "-V" => return Ok(Command::Version),
        _ => {}
    }
    let name = match first.as_ref() {
        group if group::GROUPS.contains(&group) => match group::full_name(group, words.next())? {
            Some(name) => name,
            None => return Ok(Command::Help(Some(group.to_owned()))),
        },
        name => name.to_owned(),
    };
    let Some(row) = verb_called(&name) else {
        let names = VERBS.iter().map(|row| row.name);
        let names = names.chain(group::GROUPS);
        return wrong(format!("unknown command {name}{}", asked(&name, names)));
    };
    if let Treatment::NotBuilt(remedy) = row.treatment {
        return wrong(format!("command {} is not built: {remedy}", row.name));
    }
    let mut collected = Collected::new(row.verb);
    if row.name == "node" {
        collected.remark("command node is deprecated, use agent".to_owned());
    }
    collected.collect(words)?;
    collected.command(row.name)
}

/// All that was found behind the command.
struct Collected {
    verb: Verb,
    plain: Vec<OsString>,
    name: Option<String>,
    files: Vec<PathBuf>,
    conf_folders: Vec<PathBuf>,
    against: Vec<PathBuf>,
    output: Option<PathBuf>,
    component: component::Collected,
    channel: channel::Collected,
    properties: BTreeMap<String, String>,
    no_reload: bool,
    dry_run: bool,
    help: bool,
    remarks: Vec<String>,
}

impl Collected {
    fn new(verb: Verb) -> Self {
        Self {
            verb,
            plain: Vec::new(),
            name: None,
            files: Vec::new(),
            conf_folders: Vec::new(),
            against: Vec::new(),
            output: None,
            component: component::Collected::default(),
            channel: channel::Collected::default(),
            properties: BTreeMap::new(),
            no_reload: false,
            dry_run: false,
            help: false,
            remarks: Vec::new(),
        }
    }

    fn remark(&mut self, remark: String) {
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    fn collect(&mut self, words: impl Iterator<Item = OsString>) -> Result<(), UsageError> {
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                self.plain.extend(words);
                return Ok(());
            }
            if !is_flag(&word) {
                self.plain.push(word);
                continue;
            }
            let written = word.to_string_lossy();
            let Some((flag, inline)) = find(self.verb, &written) else {
                return wrong(self.unknown_flag(&written));
            };
            let value = match (flag.value, inline) {
                (FlagValue::None, None) => OsString::new(),
                (FlagValue::None, Some(_)) => {
                    return wrong(format!("flag {} takes no value", flag.name()));
                }
                (_, Some(value)) => value.into(),
                (FlagValue::Attached(_), None) => {
                    let how = flag.synopsis();
                    return wrong(format!(
                        "flag {} needs its value attached: {how}",
                        flag.name()
                    ));
                }
                (FlagValue::Next(what), None) => {
                    let verb = self.verb;
                    words
                        .next_if(|word| !is_known_flag(verb, word))
                        .ok_or_else(|| {
                            UsageError::Wrong(format!("flag {} needs a value: {what}", flag.name()))
                        })?
                }
            };
            self.take(flag, value)?;
        }
        Ok(())
    }

    fn unknown_flag(&self, word: &str) -> String {
        let name = word.split('=').next().unwrap_or(word);
        let own = flags_of(self.verb).flat_map(|flag| flag.names.iter().copied());
        format!("unknown flag {name}{}", asked(name, own))
    }

    fn take(&mut self, flag: &Flag, value: OsString) -> Result<(), UsageError> {
        match flag.treatment {
            Treatment::Obeyed => {}
            Treatment::NoEffect(why) => {
                self.remark(format!("flag {} has no effect: {why}", flag.name()));
                return Ok(());
            }
            Treatment::NotBuilt(remedy) => {
                return wrong(format!("flag {} is not built: {remedy}", flag.name()));
            }
        }
        match flag.id {
            FlagId::Name => self.name = Some(text(flag, value)?),
            FlagId::ConfFile => self.files.push(file_of(value)?),
            FlagId::Conf => self.conf_folders.push(value.into()),
            FlagId::Property => self.property(&text(flag, value)?)?,
            FlagId::NoReloadConf => self.no_reload = true,
            FlagId::DryRun => self.dry_run = true,
            FlagId::Against => self.against.push(value.into()),
            FlagId::Output => self.output = Some(value.into()),
            FlagId::Kind
            | FlagId::Folder
            | FlagId::Input
            | FlagId::Config
            | FlagId::BatchSize
            | FlagId::Rounds
            | FlagId::Events
            | FlagId::Headers => self.component.take(flag, value)?,
            FlagId::Channel
            | FlagId::To
            | FlagId::From
            | FlagId::Count
            | FlagId::BodyBytes
            | FlagId::Text
            | FlagId::UnreadableIsLost => self.channel.take(flag, value)?,
            FlagId::Help => self.help = true,
            FlagId::Other => {}
        }
        Ok(())
    }

    /// `name=value`; a name alone has an empty value, and the last one wins, as in Java.
    fn property(&mut self, written: &str) -> Result<(), UsageError> {
        let (name, value) = written.split_once('=').unwrap_or((written, ""));
        if name.is_empty() {
            return wrong("flag -D needs a name: -Dname=value");
        }
        self.properties.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn command(self, written: &str) -> Result<Command, UsageError> {
        if self.help {
            return Ok(Command::Help(Some(written.to_owned())));
        }
        match self.verb {
            Verb::Agent => self.agent(),
            Verb::Check => Ok(Command::Check(CheckArguments {
                files: self.some_files()?,
                name: self.name,
                against: self.against,
                properties: self.properties,
            })),
            Verb::Convert => Ok(Command::Convert(ConvertArguments {
                files: self.some_files()?,
                output: self.output,
                properties: self.properties,
            })),
            Verb::ComponentNew => self.component.new_project(self.plain),
            Verb::ComponentBuild => component::build(self.plain),
            Verb::ComponentInspect => component::inspect(self.plain),
            Verb::ComponentRun => self.component.run(self.plain),
            Verb::ImportFlumeChannel
            | Verb::ChannelLs
            | Verb::ChannelShow
            | Verb::ChannelDump
            | Verb::ChannelVerify
            | Verb::ChannelSalvage => self.channel_command(),
            Verb::Docs => self.docs(),
            Verb::Help => self.help(),
            Verb::Version | Verb::Foreign => match self.plain.first() {
                None => Ok(Command::Version),
                Some(word) => wrong(unexpected(word)),
            },
        }
    }

    fn agent(self) -> Result<Command, UsageError> {
        if let Some(word) = self.plain.first() {
            return wrong(format!(
                "{}; a configuration is named with --conf-file",
                unexpected(word)
            ));
        }
        Ok(Command::Agent(AgentArguments {
            name: self.name,
            files: self.files,
            conf_folders: self.conf_folders,
            properties: self.properties,
            is_watching: !self.no_reload,
            is_dry_run: self.dry_run,
            remarks: self.remarks,
        }))
    }

    fn channel_command(self) -> Result<Command, UsageError> {
        let files = ConfigFiles {
            paths: self.files,
            agent: self.name,
            system_properties: self.properties,
        };
        match self.verb {
            Verb::ChannelLs => self.channel.list(self.plain, files),
            Verb::ChannelShow => self.channel.show(self.plain, files),
            Verb::ChannelDump => self.channel.dump(self.plain, files),
            Verb::ChannelVerify => self.channel.verify(self.plain, files),
            Verb::ChannelSalvage => self.channel.salvage(self.plain, files),
            _ => self.channel.import(self.plain, files, self.dry_run),
        }
    }

    fn some_files(&self) -> Result<Vec<PathBuf>, UsageError> {
        if self.plain.is_empty() {
            return wrong("a configuration file is missing");
        }
        Ok(self.plain.iter().map(PathBuf::from).collect())
    }

    fn docs(self) -> Result<Command, UsageError> {
        let words: Vec<_> = self
            .plain
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        match words
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<_>>()
            .as_slice()
        {
            ["compatibility"] => Ok(Command::Docs(DocsPage::Compatibility)),
            ["reference"] => Ok(Command::Docs(DocsPage::Reference)),
            _ => wrong("name one page: compatibility or reference"),
        }
    }

    fn help(self) -> Result<Command, UsageError> {
        let mut words = self.plain.into_iter();
        let mut topic = words.next();
        if group::GROUPS
            .iter()
            .any(|group| topic.as_deref() == Some(OsStr::new(group)))
            && let (Some(group), Some(verb)) = (&mut topic, words.next())
        {
            group.push(" ");
            group.push(verb);
        }
        match words.next() {
            Some(word) => wrong(unexpected(&word)),
            None => Ok(Command::Help(
                topic.map(|word| word.to_string_lossy().into_owned()),
            )),
        }
    }
}

fn unexpected(word: &OsStr) -> String {
    format!("unexpected argument {}", word.to_string_lossy())
}

fn is_flag(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-") && word.len() > 1
}

fn is_known_flag(verb: Verb, word: &OsStr) -> bool {
    is_flag(word) && find(verb, &word.to_string_lossy()).is_some()
}

/// The flag that a word names, with the value behind it in the same word.
fn find(verb: Verb, word: &str) -> Option<(&'static Flag, Option<&str>)> {
    let bare = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    let (name, inline) = match bare.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (bare, None),
    };
    let exact = flags_of(verb).find(|flag| {
        !matches!(flag.value, FlagValue::Attached(_))
            && flag
                .names
                .iter()
                .any(|own| own.trim_start_matches('-') == name)
    });
    if let Some(flag) = exact {
        return Some((flag, inline));
    }
    flags_of(verb)
        .filter(|flag| matches!(flag.value, FlagValue::Attached(_)))
        .find_map(|flag| {
            let rest = word.strip_prefix(flag.name())?;
            Some((flag, Some(rest).filter(|rest| !rest.is_empty())))
        })
}

fn text(flag: &Flag, value: OsString) -> Result<String, UsageError> {
    value.into_string().or_else(|value| {
        wrong(format!(
            "the value of flag {} is not UTF-8: {}",
            flag.name(),
            value.to_string_lossy()
        ))
    })
}

/// A file as Flume names it: a path, or a `file:` URI.
fn file_of(value: OsString) -> Result<PathBuf, UsageError> {
    let Some(text) = value.to_str() else {
        return Ok(value.into());
    };
    for scheme in ["classpath:", "http:", "https:"] {
        if text.starts_with(scheme) {
            return wrong(format!(
                "{scheme} configurations are not built: name a file in {text}'s place"
            ));
        }
    }
    let path = text
        .strip_prefix("file://")
        .or_else(|| text.strip_prefix("file:"))
        .unwrap_or(text);
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests;
