//! Flume's checkpoint: the queue as it was at one place in the order of writing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flumen_codec::flume_log::{
    CHECKPOINT_HEAD_BYTES, CHECKPOINT_SLOT_BYTES, CheckpointHead, CheckpointMeta, FlumePointer,
    InflightTakes,
};

use super::error::ImportError;
use super::folders::{read_small, unreadable};

/// The version that is read.
const VERSION: u64 = 3;

/// Bytes of `checkpoint.meta` at most: a few dozen for each log file that is in use.
const META_BYTES_MAX: u64 = 16 << 20;

/// Bytes of `inflighttakes` at most: eight for each event in a transaction that is open, and those are
/// bounded by the sinks' batches.
const INFLIGHT_BYTES_MAX: u64 = 256 << 20;

/// Pointers read at once.
const SLOTS_READ: u64 = 1 << 16;

/// Bytes of the head that say what the checkpoint is: five words.
const HEAD_WORDS_BYTES: usize = 40;

/// A checkpoint that is whole by itself. Whether it fits the logs is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) folder: PathBuf,
    /// It holds what came before this place.
    pub(super) write_order: u64,
    /// What waited, in order.
    pub(super) queue: Vec<FlumePointer>,
    /// What had been taken by transactions that were open.
    pub(super) inflight: Vec<InflightTakes>,
}

impl Checkpoint {
    /// The newest one of these folders that is whole, and why others are not.
    pub(super) fn newest(folders: &[PathBuf]) -> Result<(Option<Self>, Vec<String>), ImportError> {
        let mut newest: Option<Self> = None;
        let mut refused = Vec::new();
        for folder in folders {
            match Self::read(folder)? {
                Ok(own) => {
                    if newest
                        .as_ref()
                        .is_none_or(|other| own.write_order > other.write_order)
                    {
                        newest = Some(own);
                    }
                }
                Err(why) => refused.push(format!("{}: {why}", folder.display())),
            }
        }
        Ok((newest, refused))
    }

    /// The inner error is why the checkpoint is none.
    fn read(folder: &Path) -> Result<Result<Self, String>, ImportError> {
        let path = folder.join("checkpoint");
        let file = File::open(&path).map_err(unreadable(&path))?;
        let mut head = [0; HEAD_WORDS_BYTES];
        if let Err(error) = file.read_exact_at(&mut head, 0) {
            return ended(error, &path);
        }
        let Ok(head) = CheckpointHead::parse(&head) else {
            return Ok(Err("it ends early".to_owned()));
        };
        if head.version != VERSION {
            return Ok(Err(format!("it has format version {}", head.version)));
        }
        if !head.is_complete {
            return Ok(Err("flume was killed while it was written".to_owned()));
        }
        let meta = match read_small(&folder.join("checkpoint.meta"), META_BYTES_MAX)? {
            None => return Ok(Err("checkpoint.meta is missing".to_owned())),
            Some(bytes) => match CheckpointMeta::parse(&bytes) {
                Ok(meta) => meta,
                Err(error) => return Ok(Err(format!("checkpoint.meta: {error}"))),
            },
        };
        if u64::from(meta.version) != VERSION || meta.write_order != head.write_order {
            return Ok(Err("checkpoint.meta belongs to another one".to_owned()));
        }
        let inflight = match read_small(&folder.join("inflighttakes"), INFLIGHT_BYTES_MAX)? {
            None => return Ok(Err("inflighttakes is missing".to_owned())),
            Some(bytes) => match InflightTakes::parse(&bytes) {
                Ok(inflight) => inflight,
                Err(error) => return Ok(Err(format!("inflighttakes: {error}"))),
            },
        };
        let queue = match read_queue(&file, &path, &meta)? {
            Ok(queue) => queue,
            Err(why) => return Ok(Err(why)),
        };
        Ok(Ok(Self {
            folder: folder.to_owned(),
            write_order: head.write_order,
            queue,
            inflight,
        }))
    }
}

/// The pointers of the ring, from its head on.
fn read_queue(
    file: &File,
    path: &Path,
    meta: &CheckpointMeta,
) -> Result<Result<Vec<FlumePointer>, String>, ImportError> {
    let bytes = file.metadata().map_err(unreadable(path))?.len();
    let capacity = bytes.saturating_sub(CHECKPOINT_HEAD_BYTES) / CHECKPOINT_SLOT_BYTES;
    let (head, size) = (u64::from(meta.queue_head), u64::from(meta.queue_size));
    if size > capacity || (head >= capacity && capacity > 0) {
        return Ok(Err("its queue is larger than the file".to_owned()));
    }
    let mut queue = Vec::new();
    let mut buffer = Vec::new();
    let (mut slot, mut left) = (head, size);
    while left > 0 {
        let count = left.min(capacity - slot).min(SLOTS_READ);
        buffer.resize((count * CHECKPOINT_SLOT_BYTES) as usize, 0);
        let offset = CHECKPOINT_HEAD_BYTES + slot * CHECKPOINT_SLOT_BYTES;
        if let Err(error) = file.read_exact_at(&mut buffer, offset) {
            return ended(error, path);
        }
        let (words, _) = buffer.as_chunks::<8>();
        queue.extend(
            words
                .iter()
                .map(|word| FlumePointer::from_word(u64::from_be_bytes(*word))),
        );
        left -= count;
        slot = (slot + count) % capacity;
    }
    Ok(Ok(queue))
}

fn ended<T>(error: io::Error, path: &Path) -> Result<Result<T, String>, ImportError> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok(Err("it ends early".to_owned())),
        _ => Err(unreadable(path)(error)),
    }
}
