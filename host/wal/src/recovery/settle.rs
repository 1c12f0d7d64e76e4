//! Making the end of a log durable that was found in the system's memory, and maybe only there.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::io::LogFile;
use crate::layout::round_up;
use crate::mutation::{Mutation, file_lacks};
use crate::segment::BLOCK_BYTES;

/// What is read and written at once.
const COPY_BYTES: u64 = 1024 * 1024;

/// The part of the last segment that nothing proves to be on the disk.
pub(crate) struct Unsettled {
    pub(super) file: Arc<dyn LogFile>,
    pub(super) bytes: Range<u64>,
}

impl Unsettled {
    /// Writes what stands there once more, as it is, up to the end of its last block, and syncs
    /// the file.
    ///
    /// A sync alone does not do. When one failed before, in this process or in one that ended, the
    /// system may go on to show what the disk never took, and may answer the next sync well without
    /// writing anything. Bytes that are written again have to be written by the sync behind them.
    pub(crate) fn settle(&self) -> io::Result<()> {
        let file = self.file.as_ref();
        if file_lacks(file, Mutation::SyncAtOpening) {
            return Ok(());
        }
        if !file_lacks(file, Mutation::RewriteAtOpening) {
            let end = round_up(self.bytes.end, BLOCK_BYTES).min(file.length()?);
            let mut at = self.bytes.start;
            while at < end {
                let length = COPY_BYTES.min(end - at);
                write_again(file, at, length)?;
                at += length;
            }
        }
        file.sync()
    }
}

fn write_again(file: &dyn LogFile, offset: u64, length: u64) -> io::Result<()> {
    let mut bytes = vec![0; length as usize];
    match file.read_at(offset, &mut bytes) {
        Ok(read) => file.write_at(offset, bytes.get(..read).unwrap_or_default()),
        Err(_) if length > BLOCK_BYTES => {
            let blocks = (0..length).step_by(BLOCK_BYTES as usize);
            blocks.into_iter().try_for_each(|block| {
                let rest = (length - block).min(BLOCK_BYTES);
                write_again(file, offset + block, rest)
            })
        }
        // What cannot be read is left as it is. No frame was found on it.
        Err(_) => Ok(()),
    }
}
