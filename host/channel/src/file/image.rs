//! A file channel that is only looked at, while no agent runs on it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flumen_core::EventBatch;
use flumen_wal::{Image, LogIo, OpenError, Read, ReadError, ReadOnlyFolder, Reader, Recovery};

use super::folder::LOG_FOLDER;
use super::kept::Kept;
use super::payload::{KeptRecord, Keyring, Payload, PayloadError};

pub use flumen_wal::SegmentImage;

/// Why a channel cannot be looked at. Nothing in it was changed.
#[derive(Debug)]
pub enum ImageError {
    /// The folder holds no log of a file channel.
    None(PathBuf),
    /// An agent, or another tool that writes, has the folder.
    InUse(PathBuf),
    /// The log cannot be read.
    Log {
        /// The folder.
        folder: PathBuf,
        /// Why.
        cause: OpenError,
    },
    /// A stretch of the log cannot be read.
    Read {
        /// The folder.
        folder: PathBuf,
        /// Why.
        cause: ReadError,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(folder) => write!(
                f,
                "{} holds no file channel of flumen; name a folder of dataDirs, or the folder {LOG_FOLDER} in it",
                folder.display()
            ),
            Self::InUse(folder) => write!(
                f,
                "{} is in use by a running agent; stop the agent, or ask its metrics",
                folder.display()
            ),
            Self::Log {
                folder,
                cause: OpenError::State { .. },
            } => write!(
                f,
                "{} cannot be read; if it is encrypted, name it by its configuration with --conf-file",
                folder.display()
            ),
            Self::Log {
                folder,
                cause: OpenError::Unreadable { .. },
            } => write!(
                f,
                "{} cannot be read; mend its disk, or copy what can be read with --unreadable-is-lost",
                folder.display()
            ),
            Self::Log { folder, .. } => write!(f, "{} cannot be read", folder.display()),
            Self::Read { folder, .. } => {
                write!(f, "a part of {} cannot be read", folder.display())
            }
        }
    }
}

impl std::error::Error for ImageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Log { cause, .. } => Some(cause),
            Self::Read { cause, .. } => Some(cause),
            Self::None(_) | Self::InUse(_) => None,
        }
    }
}

/// What stands in the log at some place.
#[derive(Debug)]
pub enum Stored {
    /// Events of one put, acknowledged ones included.
    Events {
        /// The sequence of the first.
        first_sequence: u64,
        /// The events.
        events: EventBatch,
    },
    /// Frames that are damaged.
    Lost {
        /// How many.
        frames: u64,
        /// The sequences of their events.
        sequences: Range<u64>,
    },
    /// A frame that is whole and is no payload of this version of the channel.
    Unreadable {
        /// The sequences of its events.
        sequences: Range<u64>,
        /// Why.
        why: PayloadError,
    },
}

/// A file channel as it stands in its folder. Nothing is changed there. As long as this lives no
/// agent can open the channel.
pub struct ChannelImage {
    folder: PathBuf,
    log: Image,
    kept: Kept,
    keyring: Arc<Keyring>,
}

impl ChannelImage {
    /// Looks at the channel of a folder: one of `dataDirs`, or the log itself. What is encrypted is
    /// opened with these keys. What the disk does not give is shown as lost.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn open(folder: &Path, keyring: Keyring) -> Result<Self, ImageError> {
        Self::open_with(folder, keyring, true)
    }

    /// The same; what the disk does not give is an error unless it is taken as lost.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn open_with(
        folder: &Path,
        keyring: Keyring,
        unreadable_is_lost: bool,
    ) -> Result<Self, ImageError> {
        let below = folder.join(LOG_FOLDER);
        let folder = match below.is_dir() {
            true => below,
            false => folder.to_owned(),
        };
        if !folder.is_dir() {
            return Err(ImageError::None(folder));
        }
        let io = Arc::new(ReadOnlyFolder::new(&folder));
        Self::open_on(io, folder, keyring, unreadable_is_lost)
    }

    pub(super) fn open_on(
        io: Arc<dyn LogIo>,
        folder: PathBuf,
        keyring: Keyring,
        unreadable_is_lost: bool,
    ) -> Result<Self, ImageError> {
        let keyring = Arc::new(keyring);
        let mut kept = Kept::new(Arc::clone(&keyring));
        let log = match Image::open(io, &mut kept, unreadable_is_lost) {
            Ok(log) if log.recovery().created => return Err(ImageError::None(folder)),
            Ok(log) => log,
            Err(OpenError::Held) => return Err(ImageError::InUse(folder)),
            Err(cause) => return Err(ImageError::Log { folder, cause }),
        };
        Ok(Self {
            folder,
            log,
            kept,
            keyring,
        })
    }

    /// The folder of the log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What an opening would find.
    pub fn recovery(&self) -> &Recovery {
        self.log.recovery()
    }

    /// Segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentImage> {
        self.log.segments()
    }

    /// Files that wait to become segments.
    pub fn spare_files(&self) -> usize {
        self.log.spare_files()
    }

    /// The sequence that the next event gets: how many were ever put.
    pub fn next_sequence(&self) -> u64 {
        self.log.count().item
    }

    /// All events before this sequence are acknowledged.
    pub fn first_waiting(&self) -> u64 {
        self.log.acknowledged().frontier()
    }

    /// How many events of this range wait. What an opening finds to be lost does not.
    pub fn waiting_in(&self, sequences: Range<u64>) -> u64 {
        self.log.acknowledged().missing(sequences)
    }

    /// Stretches of events behind the first waiting one that are acknowledged all the same.
    pub fn acknowledged_apart(&self) -> usize {
        self.log.acknowledged().ranges().len()
    }

    /// Bytes of the bodies of all events that wait; after damage it may be too high.
    pub fn waiting_bytes(&self) -> u64 {
        match self.log.recovery().pending_items {
            0 => 0,
            _ => self.kept.size_bytes(),
        }
    }

    /// Records of state that the agent has not yet taken over.
    pub fn record_count(&self) -> usize {
        self.kept.records().len()
    }

    /// Bytes that those take.
    pub fn record_bytes(&self) -> u64 {
        self.kept.records_bytes()
    }

    /// The records themselves, by generation.
    pub(super) fn records(&self) -> Vec<KeptRecord> {
        self.kept.records()
    }

    /// The keys that it was opened with.
    pub(super) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Up to which generation records are of no use any more.
    pub(super) fn forgotten(&self) -> u64 {
        self.kept.forgotten()
    }

    /// Why a frame that an opening reads is no payload of this version; then no agent opens it.
    pub fn problem(&self) -> Option<PayloadError> {
        self.kept.take_problem()
    }

    /// The sequence of the first event that is still in the log, acknowledged or not.
    pub fn first_stored(&self) -> u64 {
        let segments = self.log.segments();
        let first = segments.first().map(|segment| segment.first.item);
        first.unwrap_or_else(|| self.next_sequence())
    }

    /// All that stands in the log from the frame on that holds this sequence.
    pub fn stored(&self, from: u64) -> StoredEvents<'_> {
        StoredEvents {
            image: self,
            reader: self.log.reader(from),
        }
    }

    /// Which of these events wait, by their place in the batch.
    pub fn waiting(&self, first_sequence: u64, events: &EventBatch) -> Vec<u32> {
        let acknowledged = self.log.acknowledged();
        let rows = u32::try_from(events.len()).unwrap_or(u32::MAX);
        let all = first_sequence..first_sequence + u64::from(rows);
        if acknowledged.covers(all.clone()) {
            return Vec::new();
        }
        if acknowledged.missing(all) == u64::from(rows) {
            return (0..rows).collect();
        }
        (0..rows)
            .filter(|row| {
                let sequence = first_sequence + u64::from(*row);
                !acknowledged.covers(sequence..sequence + 1)
            })
            .collect()
    }
}

/// Goes through what stands in a log.
pub struct StoredEvents<'i> {
    image: &'i ChannelImage,
    reader: Reader,
}

impl StoredEvents<'_> {
    /// What stands next; nothing at the end.
    ///
    /// # Errors
    /// [`ImageError::Read`] when a file cannot be opened. Damage is no error.
    pub fn next_stored(&mut self) -> Result<Option<Stored>, ImageError> {
        let read = self.reader.next().map_err(|cause| ImageError::Read {
            folder: self.image.folder.clone(),
            cause,
        })?;
        Ok(read.map(|read| match read {
            Read::Lost { frames, items } | Read::Unreadable { frames, items, .. } => Stored::Lost {
                frames,
                sequences: items,
            },
            Read::Frame {
                first_item,
                items,
                payload,
                ..
            } => match Payload::decode_with(&self.image.keyring, &payload, items) {
                Ok(payload) => Stored::Events {
                    first_sequence: first_item,
                    events: payload.events,
                },
                Err(why) => Stored::Unreadable {
                    sequences: first_item..first_item + u64::from(items),
                    why,
                },
            },
        }))
    }
}
