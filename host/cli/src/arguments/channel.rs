//! The arguments of `flumen channel ...` and `flumen import-flume-channel`.

use std::ffi::OsString;
use std::path::PathBuf;

use flumen_agent::load::ConfigFiles;

use super::component::number;
use super::{Command, UsageError, text, unexpected, wrong};
use crate::flags::{Flag, FlagId};

/// Bytes of a body that `channel dump` prints: a long line of a log, and not a picture.
const BODY_BYTES: u64 = 4096;

/// What to do with the folders of channels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChannelCommand {
    /// List the channels of folders or of a configuration.
    List(Vec<PathBuf>, Option<ConfiguredChannel>),
    Show(ChannelChoice),
    Dump(ChannelChoice, DumpArguments),
    Verify(ChannelChoice),
    Salvage(ChannelChoice, SalvageArguments),
}

/// What to copy where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SalvageArguments {
    pub(crate) to: PathBuf,
    /// What the disk does not give is left out, and no error.
    pub(crate) unreadable_is_lost: bool,
}

/// A channel, by one of two names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChannelChoice {
    Folder(PathBuf),
    Configured(ConfiguredChannel),
}

/// A channel of a configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfiguredChannel {
    pub(crate) files: ConfigFiles,
    pub(crate) channel: Option<String>,
}

/// Which events to print, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DumpArguments {
    pub(crate) from: Option<u64>,
    pub(crate) count: Option<u64>,
    pub(crate) body_bytes_max: u64,
    pub(crate) is_text: bool,
}

/// What to import, and where to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ImportArguments {
    /// Folders of Flume; none means those that the configuration names.
    pub(crate) from: Vec<PathBuf>,
    pub(crate) into: ChannelChoice,
    pub(crate) is_dry_run: bool,
}

/// The flags of these commands.
#[derive(Default)]
pub(super) struct Collected {
    channel: Option<String>,
    to: Option<PathBuf>,
    from: Option<u64>,
    count: Option<u64>,
    body_bytes: Option<u64>,
    is_text: bool,
    unreadable_is_lost: bool,
}

impl Collected {
    pub(super) fn take(&mut self, flag: &Flag, value: OsString) -> Result<(), UsageError> {
        match flag.id {
            FlagId::Channel => self.channel = Some(text(flag, value)?),
            FlagId::To => self.to = Some(value.into()),
            FlagId::From => self.from = Some(sequence(flag, value)?),
            FlagId::Count => self.count = Some(number(flag, value)?),
            FlagId::BodyBytes => self.body_bytes = Some(number(flag, value)?),
            FlagId::Text => self.is_text = true,
            FlagId::UnreadableIsLost => self.unreadable_is_lost = true,
            _ => {}
        }
        Ok(())
    }

    fn configured(&self, files: ConfigFiles) -> Result<Option<ConfiguredChannel>, UsageError> {
        if files.paths.is_empty() {
            return match (&files.agent, &self.channel) {
                (None, None) => Ok(None),
                (Some(_), _) => {
                    wrong("flag --name needs a configuration: name it with --conf-file")
                }
                (_, Some(_)) => {
                    wrong("flag --channel needs a configuration: name it with --conf-file")
                }
            };
        }
        Ok(Some(ConfiguredChannel {
            files,
            channel: self.channel.clone(),
        }))
    }

    fn choice(
        &self,
        plain: Vec<OsString>,
        files: ConfigFiles,
    ) -> Result<ChannelChoice, UsageError> {
        let mut plain = plain.into_iter();
        match (plain.next(), plain.next(), self.configured(files)?) {
            (Some(folder), None, None) => Ok(ChannelChoice::Folder(folder.into())),
            (None, _, Some(configured)) => Ok(ChannelChoice::Configured(configured)),
            (Some(word), None, Some(_)) | (_, Some(word), _) => wrong(unexpected(&word)),
            (None, None, None) => wrong(
                "the channel is missing: name its folder, or its configuration with --conf-file",
            ),
        }
    }

    pub(super) fn list(
        self,
        plain: Vec<OsString>,
        files: ConfigFiles,
    ) -> Result<Command, UsageError> {
        let configured = self.configured(files)?;
        let folders = plain.into_iter().map(PathBuf::from).collect();
        Ok(Command::Channel(ChannelCommand::List(folders, configured)))
    }

    pub(super) fn show(
        self,
        plain: Vec<OsString>,
        files: ConfigFiles,
    ) -> Result<Command, UsageError> {
        let choice = self.choice(plain, files)?;
        Ok(Command::Channel(ChannelCommand::Show(choice)))
    }

    pub(super) fn dump(
        self,
        plain: Vec<OsString>,
        files: ConfigFiles,
    ) -> Result<Command, UsageError> {
        let choice = self.choice(plain, files)?;
        let arguments = DumpArguments {
            from: self.from,
            count: self.count,
            body_bytes_max: self.body_bytes.unwrap_or(BODY_BYTES),
            is_text: self.is_text,
        };
        Ok(Command::Channel(ChannelCommand::Dump(choice, arguments)))
    }

    pub(super) fn verify(
        self,
        plain: Vec<OsString>,
        files: ConfigFiles,
    ) -> Result<Command, UsageError> {
        let choice = self.choice(plain, files)?;
        Ok(Command::Channel(ChannelCommand::Verify(choice)))
    }

    pub(super) fn salvage(
        self,
        plain: Vec<OsString>,
        files: ConfigFiles,
    ) -> Result<Command, UsageError> {
        let choice = self.choice(plain, files)?;
        let Some(to) = self.to else {
            return wrong("flag --to is missing: the new folder");
        };
        let arguments = SalvageArguments {
            to,
            unreadable_is_lost: self.unreadable_is_lost,
        };
        Ok(Command::Channel(ChannelCommand::Salvage(choice, arguments)))
    }

    pub(super) fn import(
        self,
        plain: Vec<OsString>,
        files: ConfigFiles,
        is_dry_run: bool,
    ) -> Result<Command, UsageError> {
        let from: Vec<PathBuf> = plain.into_iter().map(PathBuf::from).collect();
        let into = match (self.configured(files)?, self.to) {
            (Some(_), Some(_)) => {
                return wrong("name the channel by --to or by --conf-file, not by both");
            }
            (None, None) => {
                return wrong(
                    "the channel to import into is missing: name its folder with --to, or its configuration with --conf-file",
                );
            }
            (None, Some(_)) if from.is_empty() => {
                return wrong(
                    "the folders of Flume are missing: those of dataDirs and checkpointDir",
                );
            }
            (None, Some(folder)) => ChannelChoice::Folder(folder),
            (Some(configured), None) => ChannelChoice::Configured(configured),
        };
        Ok(Command::ImportFlumeChannel(ImportArguments {
            from,
            into,
            is_dry_run,
        }))
    }
}

/// The number of an event, from 0.
fn sequence(flag: &Flag, value: OsString) -> Result<u64, UsageError> {
    let written = text(flag, value)?;
    written.parse().or_else(|_| {
        wrong(format!(
            "flag {} needs the sequence of an event, not {written}",
            flag.name()
        ))
    })
}
