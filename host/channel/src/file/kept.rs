//! What the channel has to know after a restart without reading the whole log: a fold over its
//! frames, which the log writes into each segment and hands back.

use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flumen_core::state::{Recovered, RecoveredRecord};
use flumen_wal::{LogState, Passing};

use super::payload::{
    Head, KeptRecord, MAGIC, PayloadError, decode_records, decode_snapshot, encode_snapshot,
};

/// The fold. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// A plain mutex suffices: the log's writer holds it for the head of one frame.
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Bytes of the bodies of all events that are not acknowledged.
    size_bytes: u64,
    /// Up to this generation no record is kept.
    forgotten: u64,
    /// Behind that, in the order of the log.
    records: Vec<KeptRecord>,
    records_bytes: u64,
    /// Why a frame could not be taken in, the first time.
    problem: Option<PayloadError>,
}

/// A put that was found prepared, and of which it is open whether it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undecided {
    pub(super) generation: u64,
    pub(super) items: Range<u64>,
}

impl Kept {
    /// Bytes of all events that are not acknowledged. After damage this may be more than there
    /// are, until the channel was empty once.
    pub(super) fn size_bytes(&self) -> u64 {
        self.lock().size_bytes
    }

    /// Up to which generation the log knows that records are of no use.
    pub(super) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// The records behind that, by generation.
    pub(super) fn recovered(&self) -> Recovered {
        let inner = self.lock();
        let mut records: Vec<_> = inner
            .records
            .iter()
            .map(|own| RecoveredRecord {
                record: own.record.clone(),
                decider: own.decider.clone(),
            })
            .collect();
        records.sort_by_key(|own| own.record.generation);
        Recovered {
            forgotten: inner.forgotten,
            records,
        }
    }

    /// Prepared puts, in the order of the log.
    pub(super) fn undecided(&self) -> Vec<Undecided> {
        let inner = self.lock();
        let prepared = inner.records.iter().filter(|own| own.decider.is_some());
        let undecided = prepared.map(|own| Undecided {
            generation: own.record.generation,
            items: own.items.clone(),
        });
        undecided.filter(|own| !own.items.is_empty()).collect()
    }

    /// Bytes that the records take.
    pub(super) fn records_bytes(&self) -> u64 {
        self.lock().records_bytes
    }

    /// Why a frame that is whole could not be taken in.
    pub(super) fn take_problem(&self) -> Option<PayloadError> {
        self.lock().problem.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take_in(&mut self, frame: &Passing<'_>) -> Result<(), PayloadError> {
        let head = Head::decode(frame.payload, MAGIC)?;
        let records = frame.payload.get(head.records());
        for mut own in decode_records(records.ok_or(PayloadError::Length)?)? {
            if own.items.is_empty() {
                own.items = frame.first_item..frame.first_item + u64::from(frame.items);
                self.records_bytes += own.encoded_bytes();
                self.records.push(own);
            } else {
                self.keep(|kept| kept.items != own.items);
            }
        }
        if head.forgotten > self.forgotten {
            self.forgotten = head.forgotten;
            self.keep(|kept| kept.record.generation > head.forgotten);
        }
        let size = self.size_bytes.saturating_add(head.size_bytes);
        self.size_bytes = size.saturating_sub(head.released_bytes);
        Ok(())
    }
}

impl Inner {
    fn keep(&mut self, is_kept: impl FnMut(&KeptRecord) -> bool) {
        self.records.retain(is_kept);
        self.records_bytes = self.records.iter().map(KeptRecord::encoded_bytes).sum();
    }
}

impl LogState for Kept {
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (head, records) = decode_snapshot(snapshot)?;
        let mut inner = self.lock();
        inner.size_bytes = head.size_bytes;
        inner.forgotten = head.forgotten;
        inner.records_bytes = records.iter().map(KeptRecord::encoded_bytes).sum();
        inner.records = records;
        Ok(())
    }

    fn apply(&mut self, frame: Passing<'_>) {
        let mut inner = self.lock();
        if let Err(error) = inner.take_in(&frame) {
            inner.problem.get_or_insert(error);
        }
    }

    fn lost(&mut self, _items: Range<u64>) {
        // What they took is not known. The next acknowledgement that empties the channel says so.
    }

    fn snapshot(&self, bytes: &mut Vec<u8>) {
        let inner = self.lock();
        encode_snapshot(
            inner.size_bytes,
            inner.forgotten,
            inner.records.iter(),
            bytes,
        );
    }
}
