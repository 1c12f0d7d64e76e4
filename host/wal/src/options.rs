//! How a log is run.

use std::time::Duration;

use crate::frame::HEADER_BYTES;
use crate::segment::{BLOCK_BYTES, DATA_START};

/// The least size of a segment: small enough for tests, large enough for its own head.
pub const SEGMENT_BYTES_MIN: u64 = 64 * 1024;

/// The largest size of a segment. Recovery reads one, so this bounds its time.
pub const SEGMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The default size: recovery reads it in about 50 ms, and zeroing it takes as long.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// Segments that are kept back for frames without items, so that a full log can be emptied: one to
/// roll into, one that must stay behind as the last but one, one that is being freed.
pub const RESERVED_SEGMENTS: u64 = 3;

/// The largest group that is written at once. From 2 MiB on a disk is at nine tenths of its
/// bandwidth, so more only makes the others wait.
pub const GROUP_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Records of one group. Bounds how long the first of them waits for the last to be encoded.
pub const GROUP_RECORDS_MAX: usize = 1024;

/// The largest record, whatever the segment size: what a take has to hold in memory at once.
const RECORD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Open ranges of acknowledgements, whatever the segment size: 1 MiB of each snapshot.
const RANGES_MAX: u64 = 64 * 1024;

/// Bytes of a range in a snapshot.
const RANGE_BYTES: u64 = 16;

/// Bytes of a segment in a snapshot's table.
const TABLE_ENTRY_BYTES: u64 = 56;

/// When an append is confirmed, and what it then survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the disk has it. Survives the end of the process, of the system and of the power.
    #[default]
    Sync,
    /// When the system has it. Survives the end of the process; a power cut takes at most what
    /// this time brought, because the log is synced that often.
    Interval(Duration),
    /// When the system has it. Survives the end of the process; a power cut takes what the system
    /// has not yet written by itself, at most the segment in use.
    Os,
}

/// How a log is run. May change from one opening to the next, and some of it in between
/// ([`RunningOptions`]).
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of a segment: between [`SEGMENT_BYTES_MIN`] and [`SEGMENT_BYTES_MAX`], whole blocks of
    /// 4 KiB. A segment is what is freed and reused at once, and what recovery reads.
    pub segment_bytes: u64,
    /// Segments and spare files together, which bounds the space on disk. Those that a restart
    /// left less than half full count as the part that is used.
    pub segments_max: u64,
    /// Free bytes of the volume below which items are refused. Acknowledgements never are.
    pub free_bytes_min: u64,
    /// When an append is confirmed.
    pub durability: Durability,
    /// How long the writer stays idle before it writes the proof that the last group was durable.
    /// Without it rot in the very last group is taken for a torn tail. Nothing: never.
    pub witness_delay: Option<Duration>,
    /// What the disk does not give is taken as lost, and the log goes on without it. Else a log
    /// whose end or whose only snapshot cannot be read is not opened, because it may be read again
    /// when the disk is mended, and what was taken as lost stays lost.
    pub unreadable_is_lost: bool,
    /// Bytes of records that wait for the writer; more are refused as [`crate::Refusal::Busy`].
    pub queue_bytes_max: u64,
    /// Records that wait for the writer.
    pub queue_records_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            // 64 GiB of segments of the default size.
            segments_max: 1024,
            // As much as Apache Flume asks for.
            free_bytes_min: 500 * 1024 * 1024,
            durability: Durability::Sync,
            // Short against the time in which anything could rot, long against a pause of a source.
            witness_delay: Some(Duration::from_millis(10)),
            unreadable_is_lost: false,
            // Eight of the largest groups.
            queue_bytes_max: 32 * 1024 * 1024,
            // Records of 512 bytes up to the bound in bytes.
            queue_records_max: 64 * 1024,
        }
    }
}

/// What of [`Options`] may change while a log is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningOptions {
    /// When an append is confirmed.
    pub durability: Durability,
    /// Free bytes of the volume below which items are refused.
    pub free_bytes_min: u64,
    /// Segments and spare files together. Below what there is, items are refused until enough was
    /// acknowledged.
    pub segments_max: u64,
}

/// Why options cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionsError {
    /// The size of a segment is out of its bounds or no multiple of 4096.
    SegmentBytes {
        /// The size that was given.
        given: u64,
    },
    /// The number of segments is out of its bounds.
    SegmentsMax {
        /// The number that was given.
        given: u64,
        /// The least that can work.
        least: u64,
        /// The most whose table fits a snapshot.
        most: u64,
    },
}

impl std::fmt::Display for OptionsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OptionsError::SegmentBytes { given } => write!(
                f,
                "segments of {given} bytes cannot be used; give a multiple of {BLOCK_BYTES} from {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}"
            ),
            OptionsError::SegmentsMax { given, least, most } => write!(
                f,
                "a log of {given} segments cannot work; give a number from {least} to {most}, or change the size of a segment"
            ),
        }
    }
}

impl std::error::Error for OptionsError {}

impl Options {
    /// Holds the options against their bounds.
    ///
    /// # Errors
    /// The first that is out of them.
    pub fn check(&self) -> Result<(), OptionsError> {
        let given = self.segment_bytes;
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&given)
            || !given.is_multiple_of(BLOCK_BYTES)
        {
            return Err(OptionsError::SegmentBytes { given });
        }
        // The one in use, the one before it, and those kept back.
        let least = RESERVED_SEGMENTS + 2;
        let most = self.table_entries_max();
        let given = self.segments_max;
        if !(least..=most).contains(&given) {
            return Err(OptionsError::SegmentsMax { given, least, most });
        }
        Ok(())
    }

    /// Those that may change while the log is open.
    pub fn running(&self) -> RunningOptions {
        RunningOptions {
            durability: self.durability,
            free_bytes_min: self.free_bytes_min,
            segments_max: self.segments_max,
        }
    }

    pub(crate) fn run_with(&mut self, running: RunningOptions) {
        let RunningOptions {
            durability,
            free_bytes_min,
            segments_max,
        } = running;
        self.durability = durability;
        self.free_bytes_min = free_bytes_min;
        self.segments_max = segments_max;
    }

    /// Bytes of the largest record: payload, and 16 for each acknowledged range. Half a segment,
    /// because a snapshot may take the other half, and at most 16 MiB.
    pub fn record_bytes_max(&self) -> u64 {
        let overhead = u64::from(DATA_START) + BLOCK_BYTES + HEADER_BYTES as u64;
        (self.segment_bytes / 2)
            .saturating_sub(overhead)
            .min(RECORD_BYTES_MAX)
    }

    /// Segments that the table of a snapshot has room for.
    pub(crate) fn table_entries_max(&self) -> u64 {
        self.segment_bytes / 8 / TABLE_ENTRY_BYTES
    }

    /// Bytes of the largest group. One record always fits.
    pub(crate) fn group_bytes_max(&self) -> u64 {
        (self.segment_bytes / 2 - u64::from(DATA_START) - BLOCK_BYTES).min(GROUP_BYTES_MAX)
    }

    /// Ranges of acknowledged items that may lie apart above the frontier.
    pub fn ranges_max(&self) -> u64 {
        (self.segment_bytes / 8 / RANGE_BYTES).min(RANGES_MAX)
    }

    /// Bytes that the user's state may take in a snapshot.
    pub fn state_bytes_max(&self) -> u64 {
        self.segment_bytes / 8
    }
}
