//! Which channel is meant.

use std::fmt;
use std::path::{Path, PathBuf};

use flumen_channel::file;
use flumen_channel::file::image::{ChannelImage, ImageError};
use flumen_channel::flume_import::FlumeChannel;
use flumen_config::plan::Component;
use flumen_config::{Dialect, Document, Plan};
use flumen_core::settings::{Setting, Settings, Value};
use flumen_core::{ComponentName, Fault};

use crate::build::catalogue;

/// The smallest agent around a file channel, for the defaults of its options.
const AROUND: &str = "\
a.sources = s
a.channels = c
a.sinks = k
a.channels.c.type = file
a.sources.s.type = seq
a.sources.s.channels = c
a.sinks.k.type = null
a.sinks.k.channel = c
";

/// The name of a channel that stands in no configuration, in messages.
const NAME: &str = "file";

/// A file channel, by the settings that it is opened with.
#[derive(Clone, Debug)]
pub struct ChannelPlace {
    /// The name of the channel.
    pub name: ComponentName,
    settings: Settings,
}

/// Why no file channel was found.
#[derive(Debug)]
pub enum PlaceError {
    /// The configuration has no channel of this name.
    Unknown {
        /// The name.
        name: String,
        /// The channels that it has.
        known: Vec<String>,
    },
    /// The configuration has several file channels, and none was named.
    Several(Vec<String>),
    /// The configuration has no file channel.
    None,
    /// The channel is of another type.
    OtherType {
        /// The channel.
        name: String,
        /// Its type.
        type_name: &'static str,
    },
    /// A folder that cannot be one of `dataDirs`.
    Folder(PathBuf),
    /// The settings contradict each other.
    Settings(Fault),
    /// The folder cannot be looked at.
    Image(ImageError),
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known } => write!(
                f,
                "the configuration has no channel {name}; it has {}",
                known.join(", ")
            ),
            Self::Several(names) => write!(
                f,
                "the configuration has several file channels; name one with --channel: {}",
                names.join(", ")
            ),
            Self::None => f.write_str("the configuration has no file channel"),
            Self::OtherType { name, type_name } => {
                write!(
                    f,
                    "channel {name} is of type {type_name}, and only those of type file have such a folder"
                )
            }
            Self::Folder(path) => write!(
                f,
                "the folder {} has a comma, a space at an end or no UTF-8 name, so that dataDirs cannot name it; choose another",
                path.display()
            ),
            Self::Settings(fault) => fault.fmt(f),
            Self::Image(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PlaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Settings(fault) => Some(fault),
            Self::Image(error) => error.source(),
            _ => None,
        }
    }
}

impl ChannelPlace {
    /// The folder of a log below the first of `dataDirs`.
    pub const LOG_FOLDER: &str = file::LOG_FOLDER;

    /// A channel with this folder as its `dataDirs` and the defaults for the rest.
    ///
    /// # Errors
    /// [`PlaceError::Folder`].
    pub fn of_folder(folder: &Path) -> Result<Self, PlaceError> {
        let unfit = || PlaceError::Folder(folder.to_owned());
        let text = folder.to_str().ok_or_else(unfit)?;
        if text.contains(',') || text.trim() != text || text.is_empty() {
            return Err(unfit());
        }
        let document = Document::parse(Dialect::Properties, "defaults", AROUND);
        let checked = flumen_config::check(&document, None, &catalogue());
        let channel = checked
            .plan
            .as_ref()
            .and_then(|plan| plan.channels.get("c"));
        let mut place = Self {
            name: ComponentName::new(NAME),
            settings: channel.map(|own| own.settings.clone()).unwrap_or_default(),
        };
        // A name that begins with a tilde is meant as it is: a shell has expanded what it would.
        let text = match text.starts_with('~') {
            true => format!("./{text}"),
            false => text.to_owned(),
        };
        place.set("dataDirs", Value::Text(text));
        Ok(place)
    }

    /// The channel of this name in a plan; without a name its only file channel.
    ///
    /// # Errors
    /// [`PlaceError`] when there is none, or none of this type.
    pub fn of_plan(plan: &Plan, name: Option<&str>) -> Result<Self, PlaceError> {
        let is_file = |own: &Component| std::ptr::eq(own.row, &file::ROW);
        let (name, channel) = match name {
            Some(name) => plan.channels.get_key_value(name).ok_or_else(|| {
                let known = plan.channels.keys().map(ToString::to_string);
                PlaceError::Unknown {
                    name: name.to_owned(),
                    known: known.collect(),
                }
            })?,
            None => {
                let files: Vec<_> = plan
                    .channels
                    .iter()
                    .filter(|(_, own)| is_file(own))
                    .collect();
                match files.as_slice() {
                    [] => return Err(PlaceError::None),
                    [only] => *only,
                    several => {
                        let names = several.iter().map(|(name, _)| name.to_string());
                        return Err(PlaceError::Several(names.collect()));
                    }
                }
            }
        };
        if !is_file(channel) {
            return Err(PlaceError::OtherType {
                name: name.to_string(),
                type_name: channel.row.name,
            });
        }
        Ok(Self {
            name: name.clone(),
            settings: channel.settings.clone(),
        })
    }

    /// All file channels of a plan.
    pub fn all_of_plan(plan: &Plan) -> Vec<Self> {
        let names = plan.channels.keys();
        names
            .filter_map(|name| Self::of_plan(plan, Some(name.as_str())).ok())
            .collect()
    }

    /// Takes the folders of checkpoints from the text of the configuration: they have no effect on
    /// the channel, so its settings do not hold them, but a Flume with the same text used them.
    pub fn read_checkpoint_folders(&mut self, document: &Document, agent: &str) {
        for name in ["checkpointDir", "backupCheckpointDir"] {
            let key = format!("{agent}.channels.{}.{name}", self.name);
            if let Some(entry) = document.get(&key) {
                self.set(name, Value::Text(entry.value.text().into_owned()));
            }
        }
    }

    /// The folder of its log.
    ///
    /// # Errors
    /// [`PlaceError::Settings`].
    pub fn log_folder(&self) -> Result<PathBuf, PlaceError> {
        file::log_folder(&self.name, &self.settings).map_err(PlaceError::Settings)
    }

    /// Looks at the channel, with the keys that its configuration names. What its disk does not give
    /// is shown as lost.
    ///
    /// # Errors
    /// [`PlaceError`]: settings, keys, or a folder that cannot be looked at.
    pub fn image(&self) -> Result<ChannelImage, PlaceError> {
        self.image_with(true)
    }

    /// The same; what the disk does not give is an error unless it is taken as lost.
    ///
    /// # Errors
    /// As [`Self::image`].
    pub fn image_with(&self, unreadable_is_lost: bool) -> Result<ChannelImage, PlaceError> {
        let keyring = file::keyring(&self.name, &self.settings).map_err(PlaceError::Settings)?;
        ChannelImage::open_with(&self.log_folder()?, keyring, unreadable_is_lost)
            .map_err(PlaceError::Image)
    }

    /// The folders that Apache Flume uses with the same settings, those that hold something of it.
    ///
    /// # Errors
    /// [`PlaceError::Settings`].
    pub fn flume_folders(&self) -> Result<Vec<PathBuf>, PlaceError> {
        let folders = file::flume_folders(&self.name, &self.settings);
        let mut folders = folders.map_err(PlaceError::Settings)?;
        folders.retain(|folder| folder.is_dir() && FlumeChannel::is_folder(folder));
        Ok(folders)
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.settings.insert(name, Setting { value, place: None });
    }
}
