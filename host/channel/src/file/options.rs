//! The options of the file channel, and what they come to.

use std::path::PathBuf;
use std::time::Duration;

use flumen_core::channel::ChannelLimits;
use flumen_core::option::DefaultValue::{Absent, Is};
use flumen_core::option::ValueKind::{Boolean, Choice, Integer, List, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, Fault};
use flumen_wal::{
    Durability, Options, RESERVED_SEGMENTS, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN,
};

use super::folder;
use super::payload::Keyring;
use crate::bounded::{Bounds, Room};

/// Flume reads these as 32-bit numbers.
const INTEGER_MAX: i64 = i32::MAX as i64;

const FROM_ONE: ValueKind = Integer {
    min: 1,
    max: INTEGER_MAX,
};

/// The largest data file that Flume's file channel writes, and its default.
const MAX_FILE_SIZE_BYTES: i64 = 1_623_195_647;

/// Flume's file channel never goes below this much free space.
const MINIMUM_REQUIRED_SPACE_FLOOR_BYTES: i64 = 1 << 20;

/// Bytes of bodies when `capacity_bytes` is not set: Flume's million of events with 16 KiB each.
const CAPACITY_BYTES_DEFAULT: &str = "17179869184";

/// What an event may take on the disk beside its body: a group of its own is rounded up to a block,
/// and has heads and ends.
const EVENT_DISK_BYTES: u64 = 4096 + 512;

/// Segments beyond those that events fill: the one in use, the one before it, those that are made
/// ahead, and as many again for what acknowledgements take.
const SEGMENTS_BEYOND: u64 = 2 * (RESERVED_SEGMENTS + 3);

const NO_CHECKPOINT: &str =
    "the log holds its own snapshots, so there is no checkpoint that could be lost or be wrong";

const NO_REPLAY: &str = "a start reads one segment of the log, whatever waits in the channel";

/// The one way to get keys.
const FILE_PROVIDER: &str = "FILE";

/// The row of the file channel.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "file",
    aliases: &["org.apache.flume.channel.file.FileChannel"],
    doc: "Keeps events in a log on the disk: what was acknowledged to a client survives a crash of \
          the agent, of the machine and of its power. The folder belongs to the channel, whatever \
          its name.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "checkpointDir",
            Text,
            Is("~/.flume/file-channel/checkpoint"),
            "Directory for the checkpoint.",
        )
        .no_effect(NO_CHECKPOINT),
        OptionRow::new(
            "useDualCheckpoints",
            Boolean,
            Is("false"),
            "Whether a second copy of the checkpoint is kept in backupCheckpointDir.",
        )
        .no_effect(NO_CHECKPOINT),
        OptionRow::new(
            "backupCheckpointDir",
            Text,
            Absent,
            "Directory for the second checkpoint.",
        )
        .no_effect(NO_CHECKPOINT),
        OptionRow::new(
            "compressBackupCheckpoint",
            Boolean,
            Is("false"),
            "Whether the second checkpoint is compressed.",
        )
        .no_effect(NO_CHECKPOINT),
        OptionRow::new(
            "dataDirs",
            Text,
            Is("~/.flume/file-channel/data"),
            "Directories for the data, separated by commas. The log is in the subfolder flumen-log \
             of the first; the others are only looked at, for a log that was made when another was \
             the first.",
        ),
        OptionRow::new(
            "capacity",
            FROM_ONE,
            Is("1000000"),
            "Most events in the channel, those that a sink is just delivering included.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "capacity_bytes",
            Integer {
                min: 1,
                max: i64::MAX,
            },
            Is(CAPACITY_BYTES_DEFAULT),
            "Most bytes of event bodies in the channel. With capacity it bounds the space on the \
             disk: these bytes, and 4.5 KiB for each event of the capacity.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "transactionCapacity",
            FROM_ONE,
            Is("10000"),
            "Most events in one put and in one take; at most the capacity.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "checkpointInterval",
            Integer {
                min: 1000,
                max: i64::MAX,
            },
            Is("30000"),
            "Time between two checkpoints.",
        )
        .unit(Unit::Milliseconds)
        .no_effect(NO_CHECKPOINT),
        OptionRow::new(
            "maxFileSize",
            Integer {
                min: 1,
                max: MAX_FILE_SIZE_BYTES,
            },
            Is("1623195647"),
            "Size of a file of the log, a segment, in whole blocks of 4 KiB from 64 KiB to 64 MiB. \
             Above that segments have 64 MiB, because a start reads one of them. A transaction \
             takes at most half a segment, and 16 MiB.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "minimumRequiredSpace",
            Integer {
                min: MINIMUM_REQUIRED_SPACE_FLOOR_BYTES,
                max: i64::MAX,
            },
            Is("524288000"),
            "Free space on the disk below which puts wait. Takes and acknowledgements go on.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "keep-alive",
            Integer {
                min: 0,
                max: INTEGER_MAX,
            },
            Is("3"),
            "Longest wait of a put for room and of a take for events.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "durability",
            Choice(&["sync", "interval", "os"]),
            Absent,
            "What a commit waits for. sync: the disk has the events; they survive a power cut. \
             interval: the system has them, and the disk is synced every sync_interval_ms; a power \
             cut takes what came since. os: the system has them, and writes when it likes. All \
             survive the end of the agent. Without it fsyncPerTransaction decides.",
        ),
        OptionRow::new(
            "sync_interval_ms",
            FROM_ONE,
            Absent,
            "Time between two syncs with durability = interval. Without it fsyncInterval.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "fsyncPerTransaction",
            Boolean,
            Is("true"),
            "Whether each commit waits for the disk: true is durability = sync, false is interval.",
        ),
        OptionRow::new(
            "fsyncInterval",
            FROM_ONE,
            Is("5"),
            "Time between two syncs when a commit does not wait for the disk.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "acknowledge",
            Choice(&["lazy", "strict"]),
            Is("lazy"),
            "When a sink's delivery counts. lazy: at once; it is written with the next events, or \
             after 20 ms, and a crash before that delivers again. strict: when it is as durable as \
             a commit, which costs a sync for each delivery.",
        ),
        OptionRow::new(
            "use-log-replay-v1",
            Boolean,
            Is("false"),
            "Whether Flume's old way of replay is used.",
        )
        .no_effect(NO_REPLAY),
        OptionRow::new(
            "use-fast-replay",
            Boolean,
            Is("false"),
            "Whether replay trades memory for speed.",
        )
        .no_effect(NO_REPLAY),
        OptionRow::new(
            "checkpointOnClose",
            Boolean,
            Is("true"),
            "Whether a checkpoint is written when the channel closes.",
        )
        .no_effect(NO_CHECKPOINT),
        OptionRow::new(
            "encryption.activeKey",
            Text,
            Absent,
            "Name of the key that new data is encrypted with (AES-256-GCM); without it data is not \
             encrypted. To change the key, name a new one and leave the old one among the keys \
             until the channel was empty.",
        ),
        OptionRow::new(
            "encryption.cipherProvider",
            Text,
            Absent,
            "Cipher: AESCTRNOPADDING or a Java class.",
        )
        .no_effect("data is encrypted with AES-256-GCM, which shows changes as well"),
        OptionRow::new(
            "encryption.keyProvider",
            Text,
            Is(FILE_PROVIDER),
            "Where keys come from: FILE, each from a file of its own. Flume's JCEKSFILE is refused.",
        ),
        OptionRow::new(
            "encryption.keyProvider.keys",
            List,
            Absent,
            "Names of all keys that data may be encrypted with, the active one among them.",
        ),
        OptionRow::new(
            "encryption.keyProvider.keys.<key>.file",
            Text,
            Absent,
            "File with this key: 32 random bytes (head -c 32 /dev/urandom), or 64 hexadecimal digits.",
        ),
        OptionRow::new(
            "encryption.keyProvider.keyStoreFile",
            Text,
            Absent,
            "Java key store with the keys, for JCEKSFILE.",
        )
        .not_built(),
        OptionRow::new(
            "encryption.keyProvider.keyStorePasswordFile",
            Text,
            Absent,
            "File with the password of the key store, for JCEKSFILE.",
        )
        .not_built(),
        OptionRow::new(
            "encryption.keyProvider.keys.<key>.passwordFile",
            Text,
            Absent,
            "File with the password of this key, for JCEKSFILE.",
        )
        .not_built(),
    ],
};

/// What the settings of a channel come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    /// What changes without opening the log again.
    pub(super) changing: Changing,
    pub(super) fixed: Fixed,
}

/// What a reload changes in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changing {
    pub(super) bounds: Bounds,
    /// Whether an acknowledgement waits until it is in the log.
    pub(super) strict: bool,
    pub(super) free_bytes_min: u64,
    pub(super) durability: Durability,
}

/// What the log is opened with, and goes on with until it is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    /// All of `dataDirs`; the first one holds the log.
    pub(super) data_folders: Vec<PathBuf>,
    pub(super) segment_bytes: u64,
    pub(super) keys: Keys,
}

impl Fixed {
    /// The folder that holds the log.
    pub(super) fn log_home(&self) -> Option<&PathBuf> {
        self.data_folders.first()
    }
}

/// The keys that settings name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    /// Names with files.
    files: Vec<(String, PathBuf)>,
    active: Option<String>,
}

impl Keys {
    fn new(name: &ComponentName, settings: &Settings) -> Result<Keys, Fault> {
        let provider = settings.optional_text("encryption.keyProvider")?;
        let provider = provider.unwrap_or(FILE_PROVIDER);
        if !provider.eq_ignore_ascii_case(FILE_PROVIDER) {
            return Err(Fault::configuration(format!(
                "channel {name}: encryption.keyProvider {provider} is not built; write each key into \
                 a file of 32 bytes, set encryption.keyProvider = FILE and \
                 encryption.keyProvider.keys.<key>.file"
            )));
        }
        let mut files = Vec::new();
        for key in settings.list("encryption.keyProvider.keys")? {
            let option = format!("encryption.keyProvider.keys.{key}.file");
            let file = settings.optional_text(&option)?.ok_or_else(|| {
                Fault::configuration(format!(
                    "channel {name}: key {key} has no file; set {option}"
                ))
            })?;
            files.push((key.clone(), folder::expanded(name, file)?));
        }
        let active = settings.optional_text("encryption.activeKey")?;
        Ok(Keys {
            files,
            active: active.map(str::to_owned),
        })
    }

    /// Reads the files.
    ///
    /// # Errors
    /// A configuration fault that names the key.
    pub(super) fn read(&self, name: &ComponentName) -> Result<Keyring, Fault> {
        let keyring = Keyring::read(self.files.iter().cloned(), self.active.as_deref());
        keyring.map_err(|error| {
            Fault::configuration(format!("channel {name}: its data cannot be encrypted"))
                .with_cause(error)
        })
    }
}

impl Setup {
    /// Reads the settings of the channel of this name. Touches no file.
    ///
    /// # Errors
    /// A configuration fault when settings contradict each other or one is missing.
    pub(super) fn read(name: &ComponentName, settings: &Settings) -> Result<Setup, Fault> {
        let events: u64 = settings.number("capacity")?;
        let transaction_events: usize = settings.number("transactionCapacity")?;
        if transaction_events as u64 > events {
            return Err(Fault::configuration(format!(
                "channel {name}: transactionCapacity {transaction_events} is above capacity \
                 {events}; raise capacity or lower transactionCapacity"
            )));
        }
        let bounds = Bounds {
            capacity: Room {
                events,
                size: settings.number("capacity_bytes")?,
            },
            transaction_events,
            keep_alive: Duration::from_secs(settings.number("keep-alive")?),
        };
        let changing = Changing {
            bounds,
            strict: settings.text("acknowledge")? == "strict",
            free_bytes_min: settings.number("minimumRequiredSpace")?,
            durability: durability(settings)?,
        };
        let file_bytes: u64 = settings.number("maxFileSize")?;
        let fixed = Fixed {
            data_folders: folder::data_folders(name, settings.text("dataDirs")?)?,
            segment_bytes: (file_bytes / 4096 * 4096)
                .clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_DEFAULT),
            keys: Keys::new(name, settings)?,
        };
        Ok(Setup { changing, fixed })
    }

    /// The options of the log.
    pub(super) fn log(&self) -> Options {
        let capacity = self.changing.bounds.capacity;
        let bytes =
            u128::from(capacity.size) + u128::from(capacity.events) * u128::from(EVENT_DISK_BYTES);
        let segments = bytes / u128::from(self.fixed.segment_bytes);
        let segments = u64::try_from(segments).unwrap_or(u64::MAX);
        // The table of segments stands in each snapshot, in an eighth of a segment.
        let most = self.fixed.segment_bytes / 8 / SEGMENT_ENTRY_BYTES;
        Options {
            segment_bytes: self.fixed.segment_bytes,
            segments_max: segments.saturating_add(SEGMENTS_BEYOND).min(most),
            free_bytes_min: self.changing.free_bytes_min,
            durability: self.changing.durability,
            queue_bytes_max: QUEUE_BYTES_MAX,
            ..Options::default()
        }
    }
}

/// Bytes of a segment in the log's table.
const SEGMENT_ENTRY_BYTES: u64 = 56;

/// Records that wait for the log's writer: one of the largest, or four of its largest groups.
const QUEUE_BYTES_MAX: u64 = 16 * 1024 * 1024;

fn durability(settings: &Settings) -> Result<Durability, Fault> {
    let interval = match settings.optional_integer("sync_interval_ms")? {
        Some(interval_ms) => Duration::from_millis(u64::try_from(interval_ms).unwrap_or(1)),
        None => Duration::from_secs(settings.number("fsyncInterval")?),
    };
    Ok(match settings.optional_text("durability")? {
        Some("interval") => Durability::Interval(interval),
        Some("os") => Durability::Os,
        Some(_) => Durability::Sync,
        None if settings.boolean("fsyncPerTransaction")? => Durability::Sync,
        None => Durability::Interval(interval),
    })
}

/// Bounds in the words of the contract.
pub(super) fn limits(bounds: &Bounds) -> ChannelLimits {
    ChannelLimits {
        capacity_events: bounds.capacity.events,
        capacity_bytes: bounds.capacity.size,
        transaction_events: bounds.transaction_events,
        keep_alive: bounds.keep_alive,
    }
}
