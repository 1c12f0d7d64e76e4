//! Flume's options of the JDBC channel, and what they come to here: bounds, and a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use flumen_core::option::DefaultValue::{Absent, Is};
use flumen_core::option::ValueKind::{Boolean, Choice, Integer, Secret, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, Fault};

use crate::bounded::{Bounds, Room};

/// Flume reads these as 32-bit numbers.
const INTEGER_MAX: i64 = i32::MAX as i64;

const FROM_ZERO: ValueKind = Integer {
    min: 0,
    max: i64::MAX,
};

/// Why options that choose and log in to a database have no meaning.
const EMBEDDED: &str =
    "The database is part of flumen: nobody logs in to it, and it needs no driver.";

/// Below Flume's home folder, where its Derby database stands too.
const FOLDER: &str = ".flume/jdbc-channel";

/// A file that every database of Derby has in its folder.
const DERBY_MARK: &str = "service.properties";

/// The row of the SQL channel.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "jdbc",
    aliases: &["org.apache.flume.channel.jdbc.JdbcChannel"],
    doc: "Keeps events in an embedded SQLite database that SQL tools can read. What a commit \
          confirmed survives a crash. The file channel is faster; this one can be looked into.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "path",
            Text,
            Absent,
            "File of the database, of this channel alone; `~/` is the home folder. Without it \
             `<channel>.sqlite` in `~/.flume/jdbc-channel`. Not an option of Flume.",
        ),
        OptionRow::new(
            "maximum.capacity",
            FROM_ZERO,
            Is("0"),
            "Most events in the channel; 0 is without a limit.",
        )
        .unit(Unit::Events)
        .aliases(&["org.apache.flume.channel.jdbc.maximum.capacity"]),
        OptionRow::new(
            "capacity_bytes",
            FROM_ZERO,
            Is("0"),
            "Most bytes of event bodies in the channel; 0 is without a limit but that of the disk. \
             Not an option of Flume.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "transactionCapacity",
            Integer {
                min: 1,
                max: INTEGER_MAX,
            },
            Is("10000"),
            "Most events in one put and in one take; the capacity bounds them too. Flume has this \
             option for its other channels.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "keep-alive",
            Integer {
                min: 0,
                max: INTEGER_MAX,
            },
            Is("3"),
            "Longest wait of a put for room and of a take for events. Flume has this option for its \
             other channels.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "minimum_free_bytes",
            FROM_ZERO,
            Is("67108864"),
            "Free space on the disk below which puts are refused, so that a full channel can still \
             be emptied. Not an option of Flume.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "create.schema",
            Boolean,
            Is("true"),
            "Whether the database is made when it is not there.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.create.schema"]),
        OptionRow::new(
            "driver.url",
            Text,
            Absent,
            "`jdbc:sqlite:FILE` names the file, as `path` does. `jdbc:derby:FOLDER` puts the \
             database beside that folder, as `FOLDER.sqlite`. The address of a server is refused.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.driver.url"]),
        OptionRow::new(
            "sysprop.user.home",
            Text,
            Absent,
            "Folder in place of the home folder in the default of `path`.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.sysprop.user.home"]),
        OptionRow::new(
            "db.type",
            Choice(&["DERBY", "SQLITE"]),
            Is("DERBY"),
            "Kind of database. Both words mean the embedded SQLite, which takes the place of Derby; \
             Flume can use no other either.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.db.type"]),
        OptionRow::new(
            "driver.class",
            Text,
            Is("org.apache.derby.jdbc.EmbeddedDriver"),
            "Java class of the driver.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.driver.class"])
        .no_effect(EMBEDDED),
        OptionRow::new("db.username", Text, Is("sa"), "User to log in as.")
            .aliases(&["org.apache.flume.channel.jdbc.db.username"])
            .no_effect(EMBEDDED),
        OptionRow::new("db.password", Secret, Absent, "Password of that user.")
            .aliases(&["org.apache.flume.channel.jdbc.db.password"])
            .no_effect(EMBEDDED),
        OptionRow::new(
            "connection.properties.file",
            Text,
            Absent,
            "File with more settings of the connection.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.connection.properties.file"])
        .no_effect(EMBEDDED),
        OptionRow::new(
            "create.index",
            Boolean,
            Is("true"),
            "Whether indexes are created.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.create.index"])
        .no_effect("The table of events is its own index."),
        OptionRow::new(
            "create.foreignkey",
            Boolean,
            Is("true"),
            "Whether foreign keys are created.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.create.foreignkey"])
        .no_effect("An event is one row, headers included."),
        OptionRow::new(
            "transaction.isolation",
            Choice(&[
                "READ_UNCOMMITTED",
                "READ_COMMITTED",
                "SERIALIZABLE",
                "REPEATABLE_READ",
            ]),
            Is("READ_COMMITTED"),
            "Isolation of the database's transactions.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.transaction.isolation"])
        .no_effect("Transactions are serializable, which is more than any of the words asks for."),
        OptionRow::new(
            "maximum.connections",
            Integer {
                min: 1,
                max: INTEGER_MAX,
            },
            Is("10"),
            "Most connections to the database at a time.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.maximum.connections"])
        .no_effect("One connection writes for all and one reads; more would not be faster."),
        OptionRow::new(
            "sysprop.<property>",
            Text,
            Absent,
            "Java system property for the driver.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.sysprop.<property>"])
        .no_effect("There is no Java that would read it."),
    ],
};

/// What the settings come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) bounds: Bounds,
    pub(super) free_bytes_min: u64,
    /// The file of the database.
    pub(super) path: PathBuf,
    /// Whether it may be made.
    pub(super) create: bool,
    /// Where a Derby database of Flume would be.
    derby: Option<PathBuf>,
}

impl Options {
    /// Reads the settings of the channel of this name.
    ///
    /// # Errors
    /// A configuration fault when they point to a foreign database, when no home folder is known, or
    /// when a setting is missing.
    pub(super) fn read(name: &ComponentName, settings: &Settings) -> Result<Self, Fault> {
        // A limit of 0 is none.
        let capacity = |option| -> Result<u64, Fault> {
            match settings.number(option)? {
                0 => Ok(i64::MAX.unsigned_abs()),
                limit => Ok(limit),
            }
        };
        let events = capacity("maximum.capacity")?;
        let size = capacity("capacity_bytes")?;
        let transaction_events: usize = settings.number("transactionCapacity")?;
        let bound = usize::try_from(events).unwrap_or(usize::MAX);
        let bounds = Bounds {
            capacity: Room { events, size },
            transaction_events: transaction_events.min(bound),
            keep_alive: Duration::from_secs(settings.number("keep-alive")?),
        };
        let (path, derby) = place(name, settings)?;
        Ok(Self {
            bounds,
            free_bytes_min: settings.number("minimum_free_bytes")?,
            path,
            create: settings.boolean("create.schema")?,
            derby,
        })
    }

    /// Events that Flume left in its Derby database would be passed over in silence, so a new
    /// database is not begun beside it.
    pub(super) fn refuse_to_pass_over_derby(&self, name: &ComponentName) -> Result<(), Fault> {
        let Some(derby) = &self.derby else {
            return Ok(());
        };
        if !derby.join(DERBY_MARK).exists() || self.path.exists() {
            return Ok(());
        }
        Err(Fault::configuration(format!(
            "channel {name}: {} is a Derby database of Apache Flume, which flumen cannot read; let \
             Flume deliver what is in it, then move that folder away",
            derby.display()
        )))
    }
}

/// The file of the database, and the folder where Flume would have kept its own.
fn place(name: &ComponentName, settings: &Settings) -> Result<(PathBuf, Option<PathBuf>), Fault> {
    let named = settings.optional_text("path")?;
    let url = match settings.optional_text("driver.url")? {
        Some(url) => Some(Address::parse(url).map_err(|why| {
            Fault::configuration(format!(
                "channel {name}: driver.url {} {why}; the channel keeps events in an embedded \
                 SQLite file: remove driver.url, and name the file in path if the default does \
                 not suit",
                without_secrets(url)
            ))
        })?),
        None => None,
    };
    let (by_url, derby) = match url {
        Some(Address::Sqlite(file)) => (Some(file), None),
        Some(Address::Derby(folder)) => {
            let mut file = folder.clone().into_os_string();
            file.push(".sqlite");
            (Some(PathBuf::from(file)), Some(folder))
        }
        None => (None, None),
    };
    if let Some(named) = named {
        let path = match named.strip_prefix("~/") {
            Some(rest) => home(name, None)?.join(rest),
            None => PathBuf::from(named),
        };
        return Ok((path, derby));
    }
    if let Some(path) = by_url {
        return Ok((path, derby));
    }
    let folder = home(name, settings.optional_text("sysprop.user.home")?)?.join(FOLDER);
    let path = folder.join(format!("{}.sqlite", file_name(name)));
    Ok((path, Some(folder.join("db"))))
}

fn home(name: &ComponentName, set: Option<&str>) -> Result<PathBuf, Fault> {
    let home = set.map(PathBuf::from).or_else(std::env::home_dir);
    home.filter(|home| !home.as_os_str().is_empty())
        .ok_or_else(|| {
            Fault::configuration(format!(
                "channel {name}: no home folder is known; set HOME, or name the file in path"
            ))
        })
}

/// A channel's name as the name of a file: what is no letter, digit, `-` or `_` in hexadecimal, so
/// that two names never share a file.
fn file_name(name: &ComponentName) -> String {
    let mut file_name = String::new();
    for byte in name.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                file_name.push(char::from(byte));
            }
            other => file_name.push_str(&format!("%{other:02X}")),
        }
    }
    file_name
}

/// Where a `driver.url` points to, if to a file.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Sqlite(PathBuf),
    Derby(PathBuf),
}

impl Address {
    fn parse(url: &str) -> Result<Self, &'static str> {
        if let Some(rest) = url.strip_prefix("jdbc:sqlite:") {
            let file = rest.split('?').next().unwrap_or(rest);
            if file.is_empty() || file.starts_with(':') {
                return Err("names no file");
            }
            return Ok(Self::Sqlite(PathBuf::from(file)));
        }
        let Some(rest) = url.strip_prefix("jdbc:derby:") else {
            return Err("is no embedded database");
        };
        let database = rest.split(';').next().unwrap_or(rest);
        let folder = database.strip_prefix("directory:").unwrap_or(database);
        let is_elsewhere = ["//", "memory:", "classpath:", "jar:"]
            .iter()
            .any(|begin| folder.starts_with(begin));
        if is_elsewhere {
            return Err("points to a server, to memory or into a program");
        }
        if folder.is_empty() {
            return Err("names no folder");
        }
        Ok(Self::Derby(Path::new(folder).components().collect()))
    }
}

/// An address as a message may show it: what stands before a host or in attributes may be a
/// password.
fn without_secrets(url: &str) -> String {
    let shown = url.split([';', '?']).next().unwrap_or(url);
    match (shown.find("//"), shown.rfind('@')) {
        (Some(slashes), Some(at)) if slashes < at => {
            let (before, _) = shown.split_at(slashes + 2);
            let (_, behind) = shown.split_at(at);
            format!("{before}...{behind}")
        }
        _ => shown.to_owned(),
    }
}
