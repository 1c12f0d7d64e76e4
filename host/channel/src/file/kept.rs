//! What the channel has to know after a restart without reading the whole log: a fold over its
//! frames, which the log writes into each segment and hands back.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flumen_wal::{LogState, Passing};

use super::head::Head;
use super::payload::{KeptRecord, MAGIC, PayloadError, Record, decode_record};
use super::seal::Keyring;
use super::snapshot::{SNAPSHOT_MAGIC, decode_snapshot, encode_snapshot, kept_bytes};

/// The fold. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Kept {
    keyring: Arc<Keyring>,
    /// A plain mutex suffices: the log's writer holds it for the head of one frame.
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Bytes of the bodies of all events that are not acknowledged.
    size_bytes: u64,
    /// Records up to this generation are dropped.
    forgotten: u64,
    /// By generation, and by frame: a put may have two parts in one channel.
    records: BTreeMap<(u64, u64), KeptRecord>,
    /// What they take in a snapshot.
    records_bytes: u64,
    /// The keys that frames with events are sealed with, each with the item behind the last of them.
    keys: BTreeMap<String, u64>,
    /// Why a frame could not be taken in, the first time.
    problem: Option<PayloadError>,
}

impl Kept {
    /// Nothing yet; what is sealed is opened with these keys.
    pub(super) fn new(keyring: Arc<Keyring>) -> Self {
        Self {
            keyring,
            inner: Arc::default(),
        }
    }

    /// Bytes of all events that are not acknowledged. After damage this may be more than there
    /// are, until the channel was empty once.
    pub(super) fn size_bytes(&self) -> u64 {
        self.lock().size_bytes
    }

    /// Up to which generation records were forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// The records that were not forgotten, by generation.
    pub(super) fn records(&self) -> Vec<KeptRecord> {
        self.lock().records.values().cloned().collect()
    }

    /// Bytes that the records take in a snapshot.
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
    fn take_in(&mut self, keys: &Keyring, frame: Passing<'_>) -> Result<(), PayloadError> {
        let head = Head::decode(frame.payload, MAGIC)?;
        let record = decode_record(keys, frame.payload, &head)?;
        if frame.items > 0
            && let Some(seal) = head.seal(frame.payload)?
        {
            let end = frame.first_item.saturating_add(u64::from(frame.items));
            match self.keys.get_mut(seal.key) {
                Some(item) => *item = end,
                None => {
                    self.keys.insert(seal.key.to_owned(), end);
                }
            }
        }
        let size = self.size_bytes.saturating_add(head.size_bytes);
        self.size_bytes = size.saturating_sub(head.tail.released_bytes);
        if let Some(record) = record {
            self.keep(KeptRecord {
                record,
                sequence: frame.sequence,
                first_item: frame.first_item,
                items: frame.items,
                size_bytes: head.size_bytes,
            });
        }
        self.forget(head.tail.forgotten);
        Ok(())
    }

    fn keep(&mut self, kept: KeptRecord) {
        self.records_bytes += kept_bytes(&kept.record);
        let key = (kept.record.generation, kept.sequence);
        self.records.insert(key, kept);
    }

    fn forget(&mut self, generation: u64) {
        self.forgotten = self.forgotten.max(generation);
        while let Some(first) = self.records.first_entry()
            && first.key().0 <= self.forgotten
        {
            let bytes = kept_bytes(&first.remove().record);
            self.records_bytes = self.records_bytes.saturating_sub(bytes);
        }
    }
}

impl LogState for Kept {
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let snapshot = decode_snapshot(&self.keyring, snapshot)?;
        let mut inner = self.lock();
        *inner = Inner::default();
        inner.size_bytes = snapshot.size_bytes;
        inner.keys = snapshot.keys.into_iter().collect();
        for kept in snapshot.records {
            inner.keep(kept);
        }
        inner.forget(snapshot.forgotten);
        Ok(())
    }

    fn apply(&mut self, frame: Passing<'_>) {
        let mut inner = self.lock();
        if let Err(error) = inner.take_in(&self.keyring, frame) {
            inner.problem.get_or_insert(error);
        }
    }

    fn lost(&mut self, _items: Range<u64>) {
        // What they took is not known. The next acknowledgement that empties the channel says so.
    }

    fn recovered(&mut self, frontier: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut inner = self.lock();
        // A key whose events were all acknowledged is not asked for any more.
        inner.keys.retain(|_, item| *item > frontier);
        let missing = inner.keys.keys().find(|name| !self.keyring.has(name));
        if let Some(name) = missing {
            let missing = PayloadError::NoKey(name.clone());
            inner.problem.get_or_insert(missing);
        }
        match inner.problem {
            Some(_) => Err("a frame that is whole cannot be read".into()),
            None => Ok(()),
        }
    }

    fn snapshot(&self, bytes: &mut Vec<u8>) {
        let inner = self.lock();
        let plain = |records: &BTreeMap<(u64, u64), KeptRecord>| {
            let keys = inner.keys.iter().map(|(name, item)| (name.as_str(), *item));
            let (size_bytes, forgotten) = (inner.size_bytes, inner.forgotten);
            Bytes::from(encode_snapshot(
                size_bytes,
                forgotten,
                records.values(),
                keys,
            ))
        };
        match self.keyring.seal(plain(&inner.records), SNAPSHOT_MAGIC) {
            Ok(snapshot) => bytes.extend_from_slice(&snapshot),
            // Only lengths could be wrong, which are bounded. States are not written as they are.
            Err(_) => bytes.extend_from_slice(&plain(&BTreeMap::new())),
        }
    }
}

/// Bytes that a record takes in a snapshot.
pub(super) fn bytes_of(record: &Record) -> u64 {
    kept_bytes(record)
}
