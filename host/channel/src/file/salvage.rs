//! What is whole of a file channel, copied into a new one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flumen_core::EventBatch;
use flumen_core::batch::{BatchBuilder, BatchError};
use flumen_wal::{AppendError, Failure, Folder, Log, OpenError, Options};

use super::folder::LOG_FOLDER;
use super::image::{ChannelImage, ImageError, Stored};
use super::kept::Kept;
use super::payload::{KeptRecord, Keyring, MAGIC, Payload, PayloadError};

/// Events in one frame of the copy, when those of the channel are smaller.
const FRAME_EVENTS_MAX: usize = 1000;

/// Bytes of bodies in one frame of the copy; more only when a frame of the channel has more.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// Why a channel was not, or not wholly, copied.
#[derive(Debug)]
pub enum SalvageError {
    /// The channel cannot be read.
    Image(ImageError),
    /// The disk does not give a part of the channel, which was not to count as lost.
    Unreadable {
        /// The folder of the copy that was begun.
        folder: PathBuf,
        /// What is not given.
        cause: ImageError,
    },
    /// There is something under the name of the new log already.
    Exists(PathBuf),
    /// The new folder cannot be made.
    Make {
        /// The folder.
        folder: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The new log cannot be opened.
    Open(OpenError),
    /// The new log does not take the events.
    Append(AppendError),
    /// The new log could not be closed durably.
    Close(Arc<Failure>),
    /// Events cannot be put together.
    Batch(BatchError),
    /// Events cannot be encoded.
    Payload(PayloadError),
}

impl fmt::Display for SalvageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::Unreadable { folder, .. } => write!(
                f,
                "the copy in {} is incomplete, because the disk does not give a part of the channel; remove it and begin anew when the disk is mended, or with --unreadable-is-lost",
                folder.display()
            ),
            Self::Exists(folder) => write!(
                f,
                "{} is there already; name a new folder with --to",
                folder.display()
            ),
            Self::Make { folder, .. } => write!(f, "cannot make {}", folder.display()),
            Self::Open(_) => f.write_str("the new log cannot be opened"),
            Self::Append(_) => f.write_str(
                "the new log does not take more; the copy is incomplete, so remove its folder and begin anew",
            ),
            Self::Close(_) => f.write_str(
                "the new log may not be durable; remove its folder and begin anew",
            ),
            Self::Batch(_) | Self::Payload(_) => f.write_str("events cannot be copied"),
        }
    }
}

impl std::error::Error for SalvageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Image(error) => error.source(),
            Self::Unreadable { cause, .. } => Some(cause),
            Self::Exists(_) => None,
            Self::Make { cause, .. } => Some(cause),
            Self::Open(cause) => Some(cause),
            Self::Append(cause) => Some(cause),
            Self::Close(cause) => Some(cause.as_ref()),
            Self::Batch(cause) => Some(cause),
            Self::Payload(cause) => Some(cause),
        }
    }
}

/// What was copied and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The folder of the new log.
    pub folder: PathBuf,
    /// Events that were copied: all that wait and can be read.
    pub events: u64,
    /// Records of state that were copied: all that the agent had not yet taken over.
    pub records: u64,
    /// Frames that are damaged, gone, or not given by the disk, with events that waited.
    pub lost_frames: u64,
    /// Events in them that were not acknowledged.
    pub lost_events: u64,
    /// Events in frames that are whole and cannot be read by this build.
    pub unreadable_events: u64,
}

/// Copies the events that wait, in their order, and the records of state into a new log in the folder
/// `to`, as one of `dataDirs`. The channel itself is not touched. Events get new sequences, from
/// 0. The copy is durable when this returns well; when it does not, it is incomplete. What the disk
/// does not give is left out when the image was opened so, and ends the copy else.
///
/// # Errors
/// [`SalvageError`].
pub fn salvage(image: &ChannelImage, to: &Path) -> Result<Salvaged, SalvageError> {
    let folder = to.join(LOG_FOLDER);
    if folder.exists() {
        return Err(SalvageError::Exists(folder));
    }
    let made = Folder::make(&folder);
    made.map_err(|cause| SalvageError::Make {
        folder: folder.clone(),
        cause,
    })?;
    let options = Options {
        segments_max: 1 << 17,
        free_bytes_min: 0,
        ..Options::default()
    };
    let io = Arc::new(Folder::new(&folder));
    let keyring = Arc::clone(image.keyring());
    let kept = Kept::new(Arc::clone(&keyring));
    let opened = Log::open(io, options, Box::new(kept));
    let (log, _) = opened.map_err(SalvageError::Open)?;
    let mut copy = Copy {
        log,
        keyring,
        builder: BatchBuilder::new(),
        records: image.records(),
        forgotten: image.forgotten(),
        result: Salvaged {
            folder,
            // Those that an opening finds count as acknowledged from then on.
            lost_frames: image.recovery().quarantined_frames,
            lost_events: image.recovery().quarantined_items,
            ..Salvaged::default()
        },
    };
    copy.events(image)?;
    copy.other_records()?;
    copy.log.close().map_err(SalvageError::Close)?;
    Ok(copy.result)
}

struct Copy {
    log: Log,
    /// What was encrypted stays so: the active key seals the copy.
    keyring: Arc<Keyring>,
    builder: BatchBuilder,
    /// Those that are not copied yet, by generation.
    records: Vec<KeptRecord>,
    forgotten: u64,
    result: Salvaged,
}

impl Copy {
    fn events(&mut self, image: &ChannelImage) -> Result<(), SalvageError> {
        let mut stored = image.stored(image.first_waiting());
        let folder = self.result.folder.clone();
        let unreadable = |cause| SalvageError::Unreadable {
            folder: folder.clone(),
            cause,
        };
        while let Some(found) = stored.next_stored().map_err(&unreadable)? {
            match found {
                Stored::Lost { frames, sequences } => {
                    let missing = image.waiting_in(sequences);
                    self.result.lost_frames += if missing > 0 { frames } else { 0 };
                    self.result.lost_events += missing;
                }
                Stored::Unreadable { sequences, .. } => {
                    self.result.unreadable_events += sequences.end - sequences.start;
                }
                Stored::Events {
                    first_sequence,
                    events,
                } => {
                    let waiting = image.waiting(first_sequence, &events);
                    let own = events.select(&waiting).map_err(SalvageError::Batch)?;
                    match self.take_record(first_sequence, events.len()) {
                        None => self.add(&own)?,
                        Some(record) => self.with_record(own, record)?,
                    }
                }
            }
        }
        self.flush()
    }

    /// The record that came with these events.
    fn take_record(&mut self, first_sequence: u64, events: usize) -> Option<KeptRecord> {
        let is_it = |own: &KeptRecord| {
            own.items > 0 && own.first_item == first_sequence && own.items as usize == events
        };
        let place = self.records.iter().position(is_it)?;
        Some(self.records.remove(place))
    }

    /// Events and their record stay in one frame, because one may decide over the other.
    fn with_record(&mut self, events: EventBatch, kept: KeptRecord) -> Result<(), SalvageError> {
        self.flush()?;
        self.result.events += events.len() as u64;
        self.result.records += 1;
        self.write(&Payload {
            events,
            record: Some(kept.record),
            released_bytes: 0,
            forgotten: self.forgotten,
        })
    }

    /// Records whose events are gone, or that never had any.
    fn other_records(&mut self) -> Result<(), SalvageError> {
        for kept in std::mem::take(&mut self.records) {
            self.with_record(EventBatch::empty(), kept)?;
        }
        Ok(())
    }

    fn add(&mut self, events: &EventBatch) -> Result<(), SalvageError> {
        let bytes = usize::try_from(events.body_bytes()).unwrap_or(usize::MAX);
        let is_full = self.builder.len() + events.len() > FRAME_EVENTS_MAX
            || self.builder.body_bytes().saturating_add(bytes) > FRAME_BYTES_MAX;
        if is_full {
            self.flush()?;
        }
        if events.len() > FRAME_EVENTS_MAX || bytes > FRAME_BYTES_MAX {
            // As large a frame as it was fits again.
            return self.append(events);
        }
        if self.builder.append(events).is_err() {
            // Too many header names together; those of one frame fitted before.
            self.flush()?;
            self.builder.append(events).map_err(SalvageError::Batch)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SalvageError> {
        let events = std::mem::take(&mut self.builder).finish();
        self.append(&events.map_err(SalvageError::Batch)?)
    }

    fn append(&mut self, events: &EventBatch) -> Result<(), SalvageError> {
        if events.is_empty() {
            return Ok(());
        }
        self.result.events += events.len() as u64;
        self.write(&Payload {
            events: events.clone(),
            record: None,
            released_bytes: 0,
            forgotten: self.forgotten,
        })
    }

    fn write(&mut self, payload: &Payload) -> Result<(), SalvageError> {
        let plain = payload.encode().map_err(SalvageError::Payload)?;
        let sealed = self.keyring.seal(plain, MAGIC);
        let record = flumen_wal::Record {
            items: u32::try_from(payload.events.len()).unwrap_or(u32::MAX),
            acknowledged: Vec::new(),
            payload: sealed.map_err(SalvageError::Payload)?,
        };
        let appended = self.log.append_and_wait(record);
        appended.map(|_| ()).map_err(SalvageError::Append)
    }
}
