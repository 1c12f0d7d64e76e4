//! Which log a folder holds, when a segment of another one may have been put there.
//!
//! The head of the newest segment says it, and an older one has to agree: else a stranger under the
//! name of the newest would turn the log into another, and what is ours would be the stranger's.

use crate::error::OpenError;
use crate::frame::Frame;
use crate::mutation::{Mutation, lacks};
use crate::segment::{DATA_START, FileName, LogId, Sealed, SegmentHeader};
use crate::snapshot;

use super::search::Search;

/// Whole heads of other logs after which no more are looked at. Nobody puts so many in by mistake
/// and leaves one of ours behind them, and reading them takes less than reading a segment.
const STRANGERS_MAX: usize = 64;

impl Search<'_> {
    /// Which log this is, when any head says it. The older ones are looked at newest first, up to
    /// the first that agrees, which is the next one as a rule. A segment that is alone is believed.
    pub(super) fn which_log(&self) -> Result<Option<LogId>, OpenError> {
        let heads = self.chain.iter().filter(|probe| probe.log.is_some());
        let Some(first) = self.chain.first().filter(|_| heads.count() < 2) else {
            // There is none, or those of the chain have been held against each other.
            return Ok(self.log);
        };
        let table = self.table();
        let mut stranger = None;
        for head in self.older_heads(first.number).take(STRANGERS_MAX) {
            let mut entries = table.iter().filter(|entry| entry.number == head.number);
            let named = entries.next().map(|entry| entry.salt == head.salt);
            let agrees = match self.log {
                Some(own) => own == head.log,
                // The heads of the chain are damaged, so the next one that may be ours says it.
                None => named.is_none(),
            };
            if agrees || named == Some(true) {
                return Ok(self.log.or(Some(head.log)));
            }
            stranger.get_or_insert(head.number);
        }
        match stranger {
            Some(older) if !lacks(self.io, Mutation::SecondHead) => {
                Err(self.two_logs(self.chain_told_by(), older))
            }
            _ => Ok(self.log),
        }
    }

    /// The segment whose head says which log the chain is of, or else its newest.
    pub(super) fn chain_told_by(&self) -> u64 {
        let told = self.chain.iter().find(|probe| probe.log.is_some());
        let told = told.or(self.chain.last());
        told.map_or(0, |probe| probe.number)
    }

    pub(super) fn two_logs(&self, newer: u64, older: u64) -> OpenError {
        OpenError::TwoLogs {
            newer: FileName::Segment(newer).to_string(),
            older: FileName::Segment(older).to_string(),
        }
    }

    /// What the snapshot says of the segments before it.
    fn table(&self) -> Vec<Sealed> {
        let frame = Frame::decode(&self.snapshot).ok();
        let snapshot = frame.and_then(|frame| snapshot::decode(frame.payload));
        snapshot.map(|found| found.sealed).unwrap_or_default()
    }

    /// The heads before a segment that are whole and under their own names, newest first.
    fn older_heads(&self, below: u64) -> impl Iterator<Item = SegmentHeader> {
        self.segments.range(..below).rev().filter_map(|number| {
            let name = FileName::Segment(*number).to_string();
            let mut blocks = vec![0; DATA_START as usize];
            let read = self.io.open(&name).and_then(|f| f.read_at(0, &mut blocks));
            let header = read
                .ok()
                .and_then(|_| SegmentHeader::decode(&blocks).ok())?;
            (header.number == *number).then_some(header)
        })
    }
}
