//! The log alone as a store: a put is a record with the producer's state in front of its bodies,
//! an acknowledgement a record with ranges and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use flumen_wal::frame::{ALIGNMENT_BYTES, HEADER_BYTES};
use flumen_wal::{
    Acknowledged, Folder, Log, LogIo, LogState, Options, Passing, Read, Reader, Record, Refusal,
};

use super::Orders;
use super::store::{Batch, PutOutcome, Seen, Store};
use crate::body;
use crate::event::{Item, Opened, Place};

/// How long a take waits for a put: it is woken, so this only bounds how late it sees a stop.
const TAKE_WAIT: Duration = Duration::from_millis(20);

/// Bytes before the first body of a payload: producer and cursor.
const PREFIX_BYTES: usize = 12;

/// The log, and what was read of it and not acknowledged.
pub(crate) struct LogStore {
    log: Log,
    opened: Opened,
    cursors: BTreeMap<u32, u64>,
    queue: Mutex<Queue>,
    /// Something was put.
    put: Condvar,
}

struct Queue {
    reader: Reader,
    /// Acknowledged before this opening.
    done: Acknowledged,
    /// Read and not out, by the number of the item in the log.
    ready: BTreeMap<u64, Item>,
    lost: Option<(u64, u64)>,
    /// Of them, what has to be acknowledged so that nobody waits for it.
    unreadable: Vec<std::ops::Range<u64>>,
}

/// The state of the producers: the number of the last body of each.
#[derive(Clone, Default)]
struct Cursors(Arc<Mutex<BTreeMap<u32, u64>>>);

impl LogStore {
    pub(crate) fn open(orders: &Orders) -> Result<LogStore> {
        let folder: Arc<dyn LogIo> = Arc::new(Folder::new(&orders.folder));
        let io = disk(folder, orders.mutation.as_deref())?;
        let options = Options {
            segment_bytes: orders.segment_bytes,
            segments_max: orders.segments_max,
            free_bytes_min: 0,
            ..Options::default()
        };
        let cursors = Cursors::default();
        let begin = Instant::now();
        let (log, recovery) = Log::open(io, options, Box::new(cursors.clone()))?;
        let opened = Opened::of(&recovery, begin.elapsed());
        let done = log.acknowledged_at_open().clone();
        let queue = Queue {
            reader: log.reader(done.frontier()),
            done,
            ready: BTreeMap::new(),
            lost: None,
            unreadable: Vec::new(),
        };
        let cursors = cursors.lock().clone();
        Ok(LogStore {
            log,
            opened,
            cursors,
            queue: Mutex::new(queue),
            put: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Reads all that is confirmed.
    fn fill(&mut self) -> Result<()> {
        while let Some(read) = self.reader.next()? {
            match read {
                Read::Frame {
                    first_item,
                    payload,
                    ..
                } => {
                    for (number, body) in (first_item..).zip(bodies(&payload)) {
                        if !self.done.covers(number..number + 1) {
                            self.ready.insert(number, body::read(body));
                        }
                    }
                }
                Read::Lost { frames, items } | Read::Unreadable { frames, items, .. } => {
                    let (earlier, before) = self.lost.unwrap_or_default();
                    let waiting = self.done.missing(items.clone());
                    self.unreadable.push(items);
                    self.lost = Some((earlier + frames, before + waiting));
                }
            }
        }
        Ok(())
    }
}

impl Store for LogStore {
    /// The numbers of the items in the log.
    type Held = Vec<(u64, Item)>;

    fn opened(&self) -> Opened {
        self.opened
    }

    fn cursors(&self) -> Option<BTreeMap<u32, u64>> {
        Some(self.cursors.clone())
    }

    fn list(&self, seen: &mut dyn FnMut(Seen) -> Result<()>) -> Result<()> {
        let mut queue = self.lock();
        queue.fill()?;
        if let Some((frames, items)) = queue.lost.take() {
            seen(Seen::Lost { frames, items })?;
        }
        queue
            .ready
            .values()
            .try_for_each(|item| seen(Seen::Item(*item)))?;
        let acknowledged = std::mem::take(&mut queue.unreadable);
        if !acknowledged.is_empty() {
            let record = Record {
                acknowledged,
                ..Record::default()
            };
            self.log.append_and_wait(record)?;
        }
        Ok(())
    }

    fn put(&self, batch: &Batch) -> PutOutcome {
        let mut payload = Vec::new();
        let Some(part) = batch.parts.first() else {
            return PutOutcome::Failed("nothing to put".to_owned());
        };
        payload.extend_from_slice(&part.producer.to_le_bytes());
        payload.extend_from_slice(&part.cursor.to_le_bytes());
        for body in &part.bodies {
            payload.extend_from_slice(&(body.len() as u32).to_le_bytes());
            payload.extend_from_slice(body);
        }
        let record = Record {
            items: part.bodies.len() as u32,
            acknowledged: Vec::new(),
            payload: Bytes::from(payload),
        };
        let length = (HEADER_BYTES as u64 + record.body_length()).next_multiple_of(ALIGNMENT_BYTES);
        match self.log.append_and_wait(record) {
            Ok(appended) => {
                self.put.notify_all();
                PutOutcome::Confirmed(Place {
                    segment: appended.position.segment(),
                    offset: u64::from(appended.position.offset()),
                    length,
                })
            }
            Err(error) => match error.refusal {
                Refusal::Full | Refusal::Busy => PutOutcome::Full,
                Refusal::Unknown(failure) => PutOutcome::Unknown(failure.to_string()),
                other => PutOutcome::Failed(other.to_string()),
            },
        }
    }

    fn take(&self, most: usize) -> Result<Option<(Vec<Item>, Self::Held)>> {
        let mut queue = self.lock();
        queue.fill()?;
        if queue.ready.is_empty() {
            let waited = self.put.wait_timeout(queue, TAKE_WAIT);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            queue.fill()?;
        }
        let mut held = Vec::new();
        while held.len() < most
            && let Some((number, item)) = queue.ready.pop_first()
        {
            held.push((number, item));
        }
        let items: Vec<Item> = held.iter().map(|(_, item)| *item).collect();
        Ok((!items.is_empty()).then_some((items, held)))
    }

    fn lost(&self) -> Option<(u64, u64)> {
        self.lock().lost.take()
    }

    fn acknowledge(&self, held: Self::Held, kept: &[u32]) -> Result<()> {
        let mut ranges = Acknowledged::default();
        let mut back = Vec::new();
        for (index, (number, item)) in (0u32..).zip(held) {
            if kept.contains(&index) {
                back.push((number, item));
            } else {
                ranges.add(number..number + 1);
            }
        }
        self.give_back(back);
        // The set begins with all below its frontier; what was added there is a range of its own.
        let first = (ranges.frontier() > 0).then(|| 0..ranges.frontier());
        let acknowledged: Vec<_> = first.into_iter().chain(ranges.ranges()).collect();
        if acknowledged.is_empty() {
            return Ok(());
        }
        let record = Record {
            acknowledged,
            ..Record::default()
        };
        self.log.append_and_wait(record).map(drop)?;
        Ok(())
    }

    fn give_back(&self, held: Self::Held) {
        self.lock().ready.extend(held);
    }

    fn close(self) -> Result<()> {
        Ok(self.log.close()?)
    }
}

/// The disk of the log, whole or without one protection.
fn disk(folder: Arc<dyn LogIo>, mutation: Option<&str>) -> Result<Arc<dyn LogIo>> {
    match mutation {
        None => Ok(folder),
        #[cfg(feature = "mutations")]
        Some(name) => crate::mutation::weakened(folder, name),
        #[cfg(not(feature = "mutations"))]
        Some(name) => crate::mutation::check(name).map(|()| folder),
    }
}

/// The bodies of a payload. A payload that is cut off has fewer.
fn bodies(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload.get(PREFIX_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk()?;
        let (body, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind;
        Some(body)
    })
}

impl Cursors {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(bytes: &[u8]) -> Option<(u32, u64)> {
        let (producer, rest) = bytes.split_first_chunk()?;
        let cursor = rest.first_chunk()?;
        Some((u32::from_le_bytes(*producer), u64::from_le_bytes(*cursor)))
    }
}

impl LogState for Cursors {
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let cursors: Option<BTreeMap<u32, u64>> =
            snapshot.chunks(PREFIX_BYTES).map(Cursors::read).collect();
        *self.lock() = cursors.context("a cursor in the snapshot is cut off")?;
        Ok(())
    }

    fn apply(&mut self, frame: Passing<'_>) {
        if let Some((producer, cursor)) = Cursors::read(frame.payload) {
            self.lock().insert(producer, cursor);
        }
    }

    fn lost(&mut self, _: std::ops::Range<u64>) {}

    fn snapshot(&self, bytes: &mut Vec<u8>) {
        for (producer, cursor) in self.lock().iter() {
            bytes.extend_from_slice(&producer.to_le_bytes());
            bytes.extend_from_slice(&cursor.to_le_bytes());
        }
    }
}
