//! The first pass: what waits, and what is damaged.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use flumen_codec::flume_log::FlumePointer;

use super::checkpoint::Checkpoint;
use super::error::ImportError;
use super::folders::FlumeChannel;
use super::merge::{Found, Merge};
use super::reader::Stretch;
use super::replay::Replay;

/// Stretches of damage that are listed; more are only counted, because nobody reads on.
pub const DAMAGE_LISTED_MAX: usize = 1000;

/// Stretches of damage whose places are kept to compare with the checkpoint. With more of them any
/// place may be damaged.
const DAMAGE_PLACES_MAX: usize = 1 << 20;

/// Bytes in a log file that are no record, with records behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The log file.
    pub path: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// How long it is, up to the next record.
    pub bytes: u64,
    /// What is wrong, in words.
    pub why: String,
}

/// What became of the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CheckpointUse {
    /// There was none; the logs tell by themselves.
    #[default]
    None,
    /// This one fits the logs and was used.
    Used(PathBuf),
    /// None could be used, for these reasons.
    LeftOut(Vec<String>),
}

/// What a pass over the logs has found.
#[derive(Debug, Default)]
pub struct Survey {
    /// Pointers to what waits, in Flume's order.
    pub(super) waiting: Vec<u64>,
    /// Records that were read.
    pub records: u64,
    /// Records that Flume's integrity tool had removed.
    pub removed_records: u64,
    /// Events of transactions that were never committed: left out, as Flume does.
    pub uncommitted_events: u64,
    /// Events that are imported although damage hides whether they were committed.
    pub doubtful_events: u64,
    /// Events that the checkpoint lists and that lie in damage.
    pub lost_events: u64,
    /// Damage, at most [`DAMAGE_LISTED_MAX`] places of it.
    pub damage: Vec<Damage>,
    /// How many places of damage there are.
    pub damaged_places: u64,
    /// Log files that end with what a crash left half written.
    pub unfinished_files: u64,
    /// What became of the checkpoint.
    pub checkpoint: CheckpointUse,
}

impl Survey {
    /// How many events wait.
    pub fn events(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// What tells this backlog from others: its events in their order.
    pub fn fingerprint(&self) -> u64 {
        // FNV-1a over the pointers; it has to tell apart, not to resist.
        self.waiting
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, word| {
                word.to_be_bytes().iter().fold(hash, |hash: u64, byte| {
                    (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
                })
            })
    }

    fn note_damage(&mut self, channel: &FlumeChannel, file: u32, stretch: &Stretch) {
        self.damaged_places += 1;
        if self.damage.len() < DAMAGE_LISTED_MAX {
            self.damage.push(Damage {
                path: channel
                    .log(file)
                    .map(|log| log.path.clone())
                    .unwrap_or_default(),
                offset: stretch.offset,
                bytes: stretch.bytes,
                why: stretch.error.to_string(),
            });
        }
    }
}

/// Where damage is, to be asked for a place.
#[derive(Debug, Default)]
struct DamagedPlaces {
    by_file: HashMap<u32, Vec<(u64, u64)>>,
    count: usize,
}

impl DamagedPlaces {
    fn add(&mut self, file: u32, stretch: &Stretch) {
        self.count += 1;
        if self.count <= DAMAGE_PLACES_MAX {
            let places = self.by_file.entry(file).or_default();
            places.push((stretch.offset, stretch.offset + stretch.bytes));
        }
    }

    fn covers(&self, pointer: FlumePointer) -> bool {
        if self.count > DAMAGE_PLACES_MAX {
            return true;
        }
        let offset = u64::from(pointer.offset);
        self.by_file.get(&pointer.file).is_some_and(|places| {
            // They are in order and do not overlap.
            let behind = places.partition_point(|(from, _)| *from <= offset);
            let last = behind.checked_sub(1).and_then(|place| places.get(place));
            last.is_some_and(|(_, end)| offset < *end)
        })
    }
}

impl FlumeChannel {
    /// Reads all logs once and tells what waits. Blocks for as long as the disk needs to read them.
    ///
    /// # Errors
    /// [`ImportError`]: a file that cannot be read, a log file that the checkpoint needs and that is
    /// not there.
    pub fn survey(&self) -> Result<Survey, ImportError> {
        let (checkpoint, refused) = Checkpoint::newest(&self.checkpoints)?;
        let files: HashSet<u32> = self.logs.iter().flatten().map(|log| log.number).collect();
        let mut replay = Replay::new(self.logs.len(), files, checkpoint.as_ref());
        let mut survey = Survey::default();
        let mut places = DamagedPlaces::default();
        let mut merge = Merge::new(self);
        while let Some(found) = merge.next_found()? {
            match found {
                Found::Record { folder, summary } => {
                    survey.records += 1;
                    replay.record(folder, &summary)?;
                }
                Found::Removed => survey.removed_records += 1,
                Found::Damaged {
                    folder,
                    file,
                    stretch,
                } => {
                    // At the end of a file rot cannot be told from what a crash left: no message
                    // for the usual case, but no event is given up for it either.
                    match stretch.is_tail {
                        true => survey.unfinished_files += 1,
                        false => survey.note_damage(self, file, &stretch),
                    }
                    places.add(file, &stretch);
                    replay.damaged(folder);
                }
            }
        }
        let waiting = replay.finish(|pointer| places.covers(pointer))?;
        survey.checkpoint = checkpoint_use(checkpoint, refused, waiting.is_checkpoint_wrong);
        survey.waiting = waiting.pointers;
        survey.doubtful_events = waiting.doubtful;
        survey.uncommitted_events = waiting.uncommitted;
        survey.lost_events = waiting.lost;
        Ok(survey)
    }
}

fn checkpoint_use(
    checkpoint: Option<Checkpoint>,
    mut refused: Vec<String>,
    is_wrong: bool,
) -> CheckpointUse {
    match checkpoint {
        Some(checkpoint) if !is_wrong => CheckpointUse::Used(checkpoint.folder),
        Some(checkpoint) => {
            let folder = checkpoint.folder.display();
            refused.push(format!("{folder}: it says otherwise than the logs"));
            CheckpointUse::LeftOut(refused)
        }
        None if refused.is_empty() => CheckpointUse::None,
        None => CheckpointUse::LeftOut(refused),
    }
}
