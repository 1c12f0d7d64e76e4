//! The model, and how a log is held against it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::acknowledged::Acknowledged;
use crate::error::{OpenError, Refusal};
use crate::io::LogIo;
use crate::options::Options;
use crate::position::Position;
use crate::reader::{Read, Reader};
use crate::record::{LogState, Passing, Prepared, Record};
use crate::recovery::Recovery;
use crate::simulation::{Disk, Mutation, Weakened};
use crate::writer::Writer;

/// Small enough that a few records fill a segment.
pub(super) fn options() -> Options {
    Options {
        segment_bytes: 64 * 1024,
        segments_max: 12,
        free_bytes_min: 0,
        witness_delay: None,
        ..Options::default()
    }
}

pub(super) const DISK_BYTES: u64 = 4 * 1024 * 1024;

/// One record of a workload: items, bytes of payload, and what it acknowledges.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) items: u32,
    pub(super) payload_bytes: usize,
    pub(super) acknowledged: Vec<Range<u64>>,
}

pub(super) fn put(items: u32, payload_bytes: usize) -> Plan {
    Plan {
        items,
        payload_bytes,
        acknowledged: Vec::new(),
    }
}

pub(super) fn acknowledge(range: Range<u64>) -> Plan {
    Plan {
        items: 0,
        payload_bytes: 0,
        acknowledged: vec![range],
    }
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    Group(Vec<Plan>),
    Witness,
    /// Closes and opens again.
    Reopen,
}

/// A fold that depends on every record and on their order, in sixteen bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fold {
    pub(super) records: u64,
    hash: u64,
}

impl Fold {
    fn after(self, payload: &[u8], first_item: u64) -> Fold {
        let payload = u64::from(crc32c::crc32c(payload));
        Fold {
            records: self.records + 1,
            hash: (self.hash ^ payload ^ first_item << 32)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(17),
        }
    }
}

/// The fold as the log keeps it, shared with the test.
#[derive(Debug, Clone, Default)]
pub(super) struct Folding(Arc<Mutex<(Fold, Vec<Range<u64>>)>>);

impl Folding {
    pub(super) fn fold(&self) -> Fold {
        self.0.lock().unwrap().0
    }

    pub(super) fn lost_items(&self) -> Vec<Range<u64>> {
        self.0.lock().unwrap().1.clone()
    }
}

impl LogState for Folding {
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let number = |at: usize| u64::from_le_bytes(snapshot[at..at + 8].try_into().unwrap());
        self.0.lock().unwrap().0 = Fold {
            records: number(0),
            hash: number(8),
        };
        Ok(())
    }

    fn apply(&mut self, frame: Passing<'_>) {
        let mut own = self.0.lock().unwrap();
        own.0 = own.0.after(frame.payload, frame.first_item);
    }

    fn lost(&mut self, items: Range<u64>) {
        self.0.lock().unwrap().1.push(items);
    }

    fn snapshot(&self, bytes: &mut Vec<u8>) {
        let fold = self.fold();
        bytes.extend_from_slice(&fold.records.to_le_bytes());
        bytes.extend_from_slice(&fold.hash.to_le_bytes());
    }
}

#[derive(Debug, Clone)]
struct Written {
    record: Record,
    first_item: u64,
    /// Where it went, when that was told.
    position: Option<Position>,
}

/// What the log was told, and what it answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    confirmed: Vec<Written>,
    /// Of the last group, when nothing is known about it.
    unknown: Vec<Record>,
    next_id: u64,
    refused_full: usize,
}

/// An open log and its state.
pub(super) struct Opened {
    pub(super) writer: Writer,
    pub(super) folding: Folding,
    pub(super) report: Recovery,
}

thread_local! {
    /// The protection without which logs are opened on this thread.
    pub(super) static WITHOUT: Cell<Option<Mutation>> = const { Cell::new(None) };
}

fn io_of(disk: &Disk) -> Arc<dyn LogIo> {
    match WITHOUT.get() {
        Some(mutation) => Arc::new(Weakened::new(disk.io(), mutation)),
        None => disk.io(),
    }
}

pub(super) fn open(disk: &Disk, options: &Options) -> Result<Opened, OpenError> {
    let folding = Folding::default();
    let (writer, report) = Writer::open(io_of(disk), options.clone(), Box::new(folding.clone()))?;
    // In place of the thread that does so.
    writer.pool().fill(0);
    Ok(Opened {
        writer,
        folding,
        report,
    })
}

impl Model {
    /// Runs actions until the disk stops.
    pub(super) fn run(&mut self, disk: &Disk, options: &Options, actions: &[Action]) {
        // The disk may refuse one call, and so one opening.
        match open(disk, options).or_else(|_| open(disk, options)) {
            Ok(log) => self.run_in(log, disk, options, actions),
            Err(error) => assert!(disk.is_stopped(), "does not open: {error:?}"),
        }
    }

    /// Runs actions in an open log.
    pub(super) fn run_in(
        &mut self,
        mut log: Opened,
        disk: &Disk,
        options: &Options,
        actions: &[Action],
    ) {
        for action in actions {
            match action {
                Action::Group(plans) => self.commit(&mut log.writer, plans),
                Action::Witness => log.writer.witness(),
                Action::Reopen => {
                    // One that failed is opened again like one that was killed.
                    let _ = log.writer.close();
                    drop(log);
                    match open(disk, options).or_else(|_| open(disk, options)) {
                        Ok(opened) => log = opened,
                        Err(error) => {
                            assert!(disk.is_stopped(), "does not open: {error:?}");
                            return;
                        }
                    }
                }
            }
            if disk.is_stopped() {
                return;
            }
            if matches!(action, Action::Reopen) {
                self.check(disk, &mut log);
            }
        }
    }

    pub(super) fn commit(&mut self, writer: &mut Writer, plans: &[Plan]) {
        let records: Vec<Record> = plans.iter().map(|plan| self.record(plan)).collect();
        let group = records.iter().cloned().map(Prepared::new).collect();
        let outcomes = writer.commit(group);
        assert_eq!(outcomes.len(), records.len(), "one answer for each");
        for (record, outcome) in records.into_iter().zip(outcomes) {
            match outcome {
                Ok(appended) => {
                    assert_eq!(appended.sequence, self.confirmed.len() as u64);
                    assert_eq!(appended.first_item, self.items());
                    self.confirm(record, Some(appended.position));
                }
                Err(error) => {
                    assert_eq!(error.record, record, "a refused record comes back");
                    match error.refusal {
                        Refusal::Unknown(_) => self.unknown.push(record),
                        Refusal::Full => self.refused_full += 1,
                        _ => {}
                    }
                }
            }
        }
    }

    fn record(&mut self, plan: &Plan) -> Record {
        let id = self.next_id;
        self.next_id += 1;
        let mut payload = id.to_le_bytes().to_vec();
        payload.resize(plan.payload_bytes.max(8), id as u8 | 1);
        let acknowledged = plan.acknowledged.iter();
        Record {
            items: plan.items,
            // A plan is made without knowing what was confirmed.
            acknowledged: acknowledged
                .map(|r| r.start.min(self.items())..r.end.min(self.items()))
                .collect(),
            payload: Bytes::from(payload),
        }
    }

    fn confirm(&mut self, record: Record, position: Option<Position>) {
        let first_item = self.items();
        self.confirmed.push(Written {
            record,
            first_item,
            position,
        });
    }

    /// Where the confirmed records stand, how long they are, and which items they hold.
    pub(super) fn places(&self) -> Vec<(Position, u64, Range<u64>)> {
        let placed = self.confirmed.iter().filter_map(|w| {
            let length = Prepared::new(w.record.clone()).frame_length();
            let items = w.first_item..w.first_item + u64::from(w.record.items);
            Some((w.position?, length, items))
        });
        placed.collect()
    }

    /// The fold over the first records, for logs that may lose the others.
    pub(super) fn fold_of(&self, records: usize) -> Fold {
        let start = Fold::default();
        let records = self.confirmed.iter().take(records);
        records.fold(start, |f, w| f.after(&w.record.payload, w.first_item))
    }

    pub(super) fn unknown(&self) -> usize {
        self.unknown.len()
    }

    pub(super) fn items(&self) -> u64 {
        self.confirmed
            .last()
            .map_or(0, |w| w.first_item + u64::from(w.record.items))
    }

    pub(super) fn records(&self) -> usize {
        self.confirmed.len()
    }

    pub(super) fn refused_full(&self) -> usize {
        self.refused_full
    }

    fn acknowledged(&self) -> Acknowledged {
        let mut set = Acknowledged::default();
        for written in &self.confirmed {
            for range in &written.record.acknowledged {
                set.add(range.clone());
            }
        }
        set
    }

    /// Opens the log after a crash and holds it against the model.
    pub(super) fn reopen(&mut self, disk: &Disk, options: &Options) -> Opened {
        let mut log = open(disk, options).unwrap_or_else(|error| {
            panic!("a log opens after any crash: {error:?}, {:?}", disk.names())
        });
        self.check(disk, &mut log);
        log
    }

    /// All that was confirmed is there, in order and once, and nothing else.
    pub(super) fn check(&mut self, disk: &Disk, log: &mut Opened) {
        let there = log.folding.fold().records as usize;
        let known = self.confirmed.len();
        assert!(
            there >= known,
            "{there} of {known} confirmed records are there"
        );
        let extra = there - known;
        assert!(extra <= self.unknown.len(), "{extra} records too many");
        for record in std::mem::take(&mut self.unknown).into_iter().take(extra) {
            self.confirm(record, None);
        }
        assert_eq!(
            log.folding.fold(),
            self.fold_of(self.confirmed.len()),
            "each once and in order"
        );
        let count = log.writer.view().lock().count();
        assert_eq!(count.sequence, self.confirmed.len() as u64);
        assert_eq!(count.item, self.items());
        let acknowledged = self.acknowledged();
        assert_eq!(log.writer.acknowledged(), &acknowledged);
        assert_eq!(log.report.quarantined_frames, 0, "nothing is damaged");
        assert_eq!(log.report.quarantined_items, 0, "nothing is damaged");
        assert_eq!(
            log.report.pending_items,
            acknowledged.missing(0..self.items())
        );
        self.check_reading(disk, log, &[]);
    }

    /// Every payload is one that was written at that place.
    pub(super) fn check_payloads(&self, read: &BTreeMap<u64, Bytes>) {
        for (first_item, payload) in read {
            let written = self.confirmed.iter();
            let mut here = written.filter(|w| w.first_item == *first_item && w.record.items > 0);
            assert_eq!(here.next().map(|w| &w.record.payload), Some(payload));
        }
    }

    /// Writes one more item into a log that this model does not know, and says which.
    pub(super) fn commit_one(&mut self, writer: &mut Writer) -> u64 {
        let record = self.record(&put(1, 40));
        let outcome = writer.commit(vec![Prepared::new(record)]).pop();
        outcome.unwrap().unwrap().first_item
    }

    /// Everything that is not acknowledged can be read, but for what is lost.
    pub(super) fn check_reading(&self, disk: &Disk, log: &Opened, lost: &[Range<u64>]) {
        let acknowledged = self.acknowledged();
        let by_item: BTreeMap<u64, &Written> = self
            .confirmed
            .iter()
            .filter(|w| w.record.items > 0)
            .map(|w| (w.first_item, w))
            .collect();
        let mut read = read_all(disk, log, acknowledged.frontier());
        for (first, written) in by_item {
            let items = first..first + u64::from(written.record.items);
            let is_lost = lost.iter().any(|l| l.start <= first && first < l.end);
            match read.remove(&first) {
                Some(payload) => assert_eq!(payload, written.record.payload),
                None => assert!(is_lost || acknowledged.covers(items), "{first} is missing"),
            }
        }
        assert_eq!(read, BTreeMap::new(), "nothing is invented");
    }
}

pub(super) fn reader(disk: &Disk, log: &Opened, from_item: u64) -> Reader {
    let (view, quarantine) = (log.writer.view(), log.writer.quarantine());
    Reader::new(
        io_of(disk),
        Arc::clone(view),
        Some(Arc::clone(quarantine)),
        from_item,
    )
}

/// All frames from an item on, by their first items.
pub(super) fn read_all(disk: &Disk, log: &Opened, from_item: u64) -> BTreeMap<u64, Bytes> {
    let mut reader = reader(disk, log, from_item);
    let mut all = BTreeMap::new();
    let mut before = None;
    while let Some(read) = reader.next().unwrap() {
        if let Read::Frame {
            first_item,
            payload,
            ..
        } = read
        {
            assert!(before.is_none_or(|b| b < first_item), "in order");
            before = Some(first_item);
            all.insert(first_item, payload);
        }
    }
    all
}
