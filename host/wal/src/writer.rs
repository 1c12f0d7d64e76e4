//! The one hand that writes a log: groups into the segment in use, and segments one after another.
//!
//! It has no thread and no clock of its own, so that a test can drive it call by call.
//!
//! A group is written once. When the disk refuses it, it is written once more, into another
//! segment whose head says where the one before ended; a sync that failed is never asked again.
//! When that fails too the log has failed: it takes nothing any more and says so, and what was
//! confirmed before can still be read.

use std::io;
use std::sync::Arc;

use crate::acknowledged::Acknowledged;
use crate::error::{Failure, OpenError, Refusal};
use crate::frame::{Header, Kind};
use crate::io::{LogFile, LogIo};
use crate::layout::round_up;
use crate::mutation::{Mutation, lacks};
use crate::options::{Options, RESERVED_SEGMENTS};
use crate::pool::{Pool, Purpose};
use crate::position::{Count, Position};
use crate::quarantine::Quarantine;
use crate::record::{LogState, Prepared};
use crate::recovery::{Found, Recovery, recover};
use crate::segment::{BLOCK_BYTES, FileName, LogId, Sealed};
use crate::snapshot::Lost;
use crate::statistics::Counters;
use crate::view::View;
use outcomes::{Group, Outcomes};
use roll::NextSegment;

mod change;
mod files;
mod group;
mod outcomes;
mod roll;
#[cfg(test)]
mod tests;

pub(crate) use outcomes::Outcome;

/// What an idle log keeps of the buffer of its groups: enough for a small batch.
const IDLE_GROUP_BYTES: usize = 64 * 1024;

/// Short segments that are looked at when a log is opened. Each opening leaves one, so that it finds
/// one or two to cut off, and no more than some unless openings failed one after another.
const CUT_OFF_MAX: usize = 16;

/// Entries of the table that are left for segments without items.
const TABLE_ENTRIES_KEPT: u64 = 8;

/// Why the log cannot go on in a new segment.
#[derive(Debug)]
pub(crate) enum RollError {
    /// No file can be had for this purpose. Nothing has changed.
    Full,
    Disk(&'static str, io::Error),
    StateTooLarge {
        bytes: u64,
        most: u64,
    },
}

/// The segment in use.
pub(crate) struct Active {
    file: Arc<dyn LogFile>,
    /// Up to what is confirmed.
    entry: Sealed,
    /// Where the next group goes.
    next: u64,
    /// Its name may not be durable yet.
    fresh: bool,
    /// The disk refused something here, so nothing more is written.
    suspect: bool,
    /// The proof that all before it was durable stands here already.
    witnessed: u64,
}

/// The writer of one log.
pub(crate) struct Writer {
    io: Arc<dyn LogIo>,
    options: Options,
    log: LogId,
    pool: Arc<Pool>,
    state: Box<dyn LogState>,
    acknowledged: Acknowledged,
    lost: Lost,
    sealed: Vec<Sealed>,
    active: Active,
    next_number: u64,
    count: Count,
    /// All before it is durable.
    durable: Position,
    /// The count behind the last record that is.
    durable_sequence: u64,
    group: Vec<u8>,
    failure: Option<Arc<Failure>>,
    /// A segment was sealed since all were last looked at.
    release_due: bool,
    view: Arc<View>,
    counters: Arc<Counters>,
    quarantine: Arc<Quarantine>,
}

impl Writer {
    /// Recovers the log and goes on in a new segment; what was there is never appended to.
    pub(crate) fn open(
        io: Arc<dyn LogIo>,
        options: Options,
        mut state: Box<dyn LogState>,
    ) -> Result<(Writer, Recovery), OpenError> {
        options.check().map_err(OpenError::Options)?;
        let lock = io.lock().map_err(|cause| match cause.kind() {
            io::ErrorKind::WouldBlock => OpenError::Held,
            _ => OpenError::disk("lock the folder of the log")(cause),
        })?;
        let found = recover(io.as_ref(), state.as_mut(), options.unreadable_is_lost)?;
        // Before anything is changed: the user may refuse what it has read.
        state
            .recovered(found.acknowledged.frontier())
            .map_err(|cause| OpenError::State { cause })?;
        if let Some(end) = &found.unsettled {
            end.settle()
                .map_err(OpenError::disk("make the end of the log durable"))?;
        }
        let report = found.report;
        let writer = Writer::first_segment(io, options, state, found, lock)?;
        Ok((writer, report))
    }

    fn first_segment(
        io: Arc<dyn LogIo>,
        options: Options,
        state: Box<dyn LogState>,
        mut found: Found,
        lock: Box<dyn Send + Sync>,
    ) -> Result<Writer, OpenError> {
        let segment_bytes = options.segment_bytes;
        let refused = |error| match error {
            RollError::Full => OpenError::Full { segment_bytes },
            RollError::Disk(action, cause) => OpenError::Disk { action, cause },
            RollError::StateTooLarge { bytes, most } => OpenError::StateTooLarge { bytes, most },
        };
        let counters: Arc<Counters> = Arc::default();
        let quarantine = Quarantine::new(Arc::clone(&io), &options, Arc::clone(&counters));
        // Before any segment is freed.
        found.damaged.iter().for_each(|d| quarantine.keep(d));
        if found.report.created {
            files::forget_attempts(io.as_ref(), &mut found)
                .map_err(OpenError::disk("clear the folder of the log"))?;
        }
        let pool = files::open_pool(&io, &options, &mut found, Arc::clone(&counters), lock);
        let next = NextSegment {
            log: found.log,
            number: found.next_number,
            count: found.count,
            previous_end: found.end,
            acknowledged: &found.acknowledged,
            lost: found.lost,
            sealed: &found.sealed,
            state: state.as_ref(),
            options: &options,
        };
        let active = next
            .start(io.as_ref(), &pool, Purpose::Reserve)
            .map_err(refused)?;
        let mut writer = Writer {
            io,
            options,
            log: found.log,
            pool: Arc::new(pool),
            state,
            acknowledged: found.acknowledged,
            lost: found.lost,
            sealed: found.sealed,
            next_number: found.next_number + 1,
            count: found.count,
            durable: found.end,
            durable_sequence: found.count.sequence,
            active,
            group: Vec::new(),
            failure: None,
            release_due: true,
            view: Arc::default(),
            counters,
            quarantine: Arc::new(quarantine),
        };
        writer.sync_up_to(writer.active.next).map_err(refused)?;
        writer.cut_off_short();
        writer.show();
        writer.release();
        Ok(writer)
    }

    /// Gives back what segments that restarts ended early do not use. The newest is left as it is
    /// until the next time, with what may stand behind its end. What fails costs room, no more.
    fn cut_off_short(&self) {
        let segment_bytes = self.options.segment_bytes;
        let short = self.sealed.iter().rev().skip(1);
        let short = short.filter(|segment| segment.is_short(segment_bytes));
        for segment in short.take(CUT_OFF_MAX) {
            let name = FileName::Segment(segment.number).to_string();
            let length = segment.bytes(segment_bytes);
            let Ok(file) = self.io.open(&name) else {
                continue;
            };
            if file.length().is_ok_and(|now| now > length) {
                let _ = file.truncate(length);
            }
        }
    }

    /// Lets the readers see the segments as they are.
    fn show(&self) {
        let mut view = self.view.lock();
        view.sealed.clone_from(&self.sealed);
        view.active = Some(self.active.entry);
        drop(view);
        let segment_bytes = self.options.segment_bytes;
        self.pool
            .set_in_use(bytes_of(&self.sealed, segment_bytes) + segment_bytes);
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(crate) fn quarantine(&self) -> &Arc<Quarantine> {
        &self.quarantine
    }

    pub(crate) fn acknowledged(&self) -> &Acknowledged {
        &self.acknowledged
    }

    /// Writes a group of records, and answers for each in their order. Together they are at most
    /// [`Options::group_bytes_max`], or one record.
    pub(crate) fn commit(&mut self, group: Vec<Prepared>) -> Vec<Outcome> {
        let mut outcomes = Outcomes::of(group.len());
        let mut admitted: Group = Vec::with_capacity(group.len());
        for (index, prepared) in group.into_iter().enumerate() {
            match self.admit(&prepared, &admitted) {
                Ok(()) => admitted.push((index, prepared)),
                Err(refusal) => outcomes.refuse(index, prepared, refusal),
            }
        }
        self.settle(admitted, &mut outcomes);
        outcomes.finish()
    }

    /// Whether a record may be written behind those before it.
    fn admit(&self, prepared: &Prepared, before: &Group) -> Result<(), Refusal> {
        if let Some(failure) = &self.failure {
            return Err(Refusal::Failed(Arc::clone(failure)));
        }
        let ranges = &prepared.record.acknowledged;
        let next_item = self.count.item;
        if ranges.iter().any(|range| range.end > next_item) {
            return Err(Refusal::NotThere { next_item });
        }
        if ranges.is_empty() {
            return Ok(());
        }
        let most = self.options.ranges_max();
        let earlier = || before.iter().flat_map(|(_, p)| &p.record.acknowledged);
        let apart = self.acknowledged.ranges().len() + earlier().count() + ranges.len();
        if apart as u64 > most {
            // Ranges that close holes need no room. Rare, so the slow way is good enough.
            let mut after = self.acknowledged.clone();
            earlier().chain(ranges).for_each(|r| after.add(r.clone()));
            if after.ranges().len() as u64 > most {
                return Err(Refusal::Scattered { most });
            }
        }
        Ok(())
    }

    /// Makes room for admitted records, writes them, and fills in their outcomes.
    fn settle(&mut self, mut group: Group, outcomes: &mut Outcomes) {
        if group.is_empty() {
            return;
        }
        let has_items = group.iter().any(|(_, p)| p.record.items > 0);
        match self.make_room(&group, has_items) {
            Ok(()) => self.write(group, outcomes),
            Err(RollError::Full) => {
                // Acknowledgements make the room that items wait for, so they must get through.
                let refuse_all = !has_items;
                let refused = group.extract_if(.., |(_, p)| refuse_all || p.record.items > 0);
                for (index, prepared) in refused {
                    outcomes.refuse(index, prepared, Refusal::Full);
                }
                self.settle(group, outcomes);
            }
            Err(error) => {
                let failure = self.fail(error);
                outcomes.refuse_all(group, &Refusal::Failed(failure));
            }
        }
    }

    fn make_room(&mut self, group: &Group, has_items: bool) -> Result<(), RollError> {
        let bytes: u64 = group.iter().map(|(_, p)| p.frame_length()).sum();
        let suspect = self.active.suspect;
        // What is kept back is taken by restarts and acknowledgements. It comes first again.
        let table_is_full =
            self.sealed.len() as u64 + TABLE_ENTRIES_KEPT >= self.options.table_entries_max();
        if has_items && table_is_full {
            return Err(RollError::Full);
        }
        let reserved = self.pool.len() >= RESERVED_SEGMENTS
            || !has_items
            || lacks(self.io.as_ref(), Mutation::Reserve)
            || self.pool.fill(self.options.free_bytes_min);
        if !reserved {
            return Err(RollError::Full);
        }
        if !suspect && self.active.next + bytes <= self.options.segment_bytes {
            return Ok(());
        }
        let purpose = if has_items && !suspect {
            Purpose::Items
        } else {
            Purpose::Reserve
        };
        self.roll(purpose)
    }

    /// Makes all that was written durable, where appends are confirmed before. A log that cannot
    /// goes on in another segment with the next group.
    pub(crate) fn sync(&mut self) {
        if self.failure.is_some() || self.all_is_durable() {
            return;
        }
        if self.active.suspect || self.sync_up_to(self.active.next).is_err() {
            // The next group goes elsewhere. What was confirmed before it was durable is told, and
            // is all that can be done: asked again, the disk may say yes to nothing.
            let doubtful = self.count.sequence.saturating_sub(self.durable_sequence);
            self.counters.doubtful_records.add(doubtful);
        }
        self.durable_sequence = self.count.sequence;
        self.release();
    }

    fn sync_up_to(&mut self, end: u64) -> Result<(), RollError> {
        let synced = self.active.file.sync();
        self.counters.syncs.add(1);
        let named = synced.and_then(|()| match self.active.fresh {
            true => self.io.sync_folder(),
            false => Ok(()),
        });
        match named {
            Ok(()) => {
                self.active.fresh = false;
                self.durable = Position::new(self.active.entry.number, end as u32);
                Ok(())
            }
            Err(cause) => {
                self.active.suspect = true;
                self.counters.sync_failures.add(1);
                Err(RollError::Disk("make the log durable", cause))
            }
        }
    }

    /// Whether every confirmed frame is.
    fn all_is_durable(&self) -> bool {
        self.durable >= Position::new(self.active.entry.number, self.active.entry.end)
    }

    /// Gives memory back that only large groups need.
    pub(crate) fn shrink(&mut self) {
        self.group.clear();
        self.group.shrink_to(IDLE_GROUP_BYTES);
    }

    /// Whether [`Writer::witness`] would write something.
    pub(crate) fn wants_witness(&self) -> bool {
        let active = &self.active;
        self.failure.is_none()
            && !active.suspect
            && active.witnessed < u64::from(active.entry.end)
            && active.next + BLOCK_BYTES <= self.options.segment_bytes
    }

    /// Writes the proof that the last group was durable, if it is. It need not be durable itself.
    pub(crate) fn witness(&mut self) {
        if !self.wants_witness() || !self.all_is_durable() {
            return;
        }
        let header = self.header_without_items(Kind::Witness, self.active.next);
        let mut bytes = Vec::with_capacity(BLOCK_BYTES as usize);
        header.encode(&mut bytes);
        pad(&mut bytes, 0);
        match self.active.file.write_at(self.active.next, &bytes) {
            Ok(()) => {
                self.active.next += bytes.len() as u64;
                self.active.witnessed = self.active.next;
            }
            Err(_) => self.active.suspect = true,
        }
    }

    /// The head of a frame without items in the segment in use.
    fn header_without_items(&self, kind: Kind, offset: u64) -> Header {
        Header {
            kind,
            salt: self.active.entry.salt,
            position: Position::new(self.active.entry.number, offset as u32),
            durable: self.durable,
            count: self.count,
            items: 0,
            ranges: 0,
            payload_length: 0,
            body_checksum: crc32c::crc32c(&[]),
        }
    }

    /// Writes and syncs the last that a log which is not used any more has to know.
    pub(crate) fn close(&mut self) -> Result<(), Arc<Failure>> {
        self.sync();
        self.witness();
        if self.failure.is_none() && !self.active.suspect {
            let _ = self.sync_up_to(self.active.next);
        }
        match &self.failure {
            Some(failure) => Err(Arc::clone(failure)),
            None if self.all_is_durable() => Ok(()),
            None => Err(self.fail(RollError::Disk(
                "make the log durable",
                io::Error::other("the last sync failed"),
            ))),
        }
    }

    fn fail(&mut self, error: RollError) -> Arc<Failure> {
        let failure = Arc::new(match error {
            RollError::Full => Failure::NoSegment,
            RollError::Disk(action, cause) => Failure::Disk { action, cause },
            RollError::StateTooLarge { bytes, most } => Failure::StateTooLarge { bytes, most },
        });
        self.failure = Some(Arc::clone(&failure));
        self.view.lock().failure = Some(Arc::clone(&failure));
        failure
    }
}

/// What segments take of the log's bound. The newest is not cut off yet.
fn bytes_of(sealed: &[Sealed], segment_bytes: u64) -> u64 {
    let Some((_, older)) = sealed.split_last() else {
        return 0;
    };
    let older: u64 = older.iter().map(|s| s.bytes(segment_bytes)).sum();
    older.saturating_add(segment_bytes)
}

/// Fills up to the next block behind `start`.
fn pad(bytes: &mut Vec<u8>, start: usize) {
    let length = round_up((bytes.len() - start) as u64, BLOCK_BYTES);
    bytes.resize(start + length as usize, 0);
}
