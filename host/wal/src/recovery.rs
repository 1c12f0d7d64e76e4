//! Finding out what a log holds: from the newest whole snapshot forward, and no further back.
//!
//! Reading changes nothing. What is read is one segment, and one more for each snapshot that is
//! damaged; older segments are taken from the snapshot's table and looked at when they are read.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::acknowledged::Acknowledged;
use crate::error::OpenError;
use crate::frame::{Frame, Kind};
use crate::io::LogIo;
use crate::mutation::{Mutation, file_lacks};
use crate::position::{Count, Position};
use crate::quarantine::Damaged;
use crate::record::{LogState, Passing};
use crate::scan::{Bounds, Scan, Step, durable_by_frames};
use crate::segment::{DATA_START, FileName, LogId, Sealed};
use crate::snapshot::{self, Lost};
pub use report::Recovery;
use search::{Probe, Search};
pub(crate) use settle::Unsettled;

mod report;
mod search;
mod settle;
mod which_log;

/// Damaged stretches that are kept for the quarantine. One that is rotten through and through has
/// more, and the first ones tell as much.
const DAMAGED_MAX: usize = 1024;

/// The state of a log after its last confirmed frame.
pub(crate) struct Found {
    pub(crate) log: LogId,
    /// No segment had this number or a higher one.
    pub(crate) next_number: u64,
    pub(crate) end: Position,
    pub(crate) count: Count,
    pub(crate) acknowledged: Acknowledged,
    pub(crate) lost: Lost,
    pub(crate) sealed: Vec<Sealed>,
    /// What stands before this segment is not looked at by the next opening either.
    pub(crate) base: u64,
    /// Files of no further use, once the log has gone on in a new segment.
    pub(crate) leftovers: Vec<FileName>,
    pub(crate) spares: Vec<u64>,
    /// What is worth a look before its segment is freed.
    pub(crate) damaged: Vec<Damaged>,
    /// The end of the log, which may not be durable.
    pub(crate) unsettled: Option<Unsettled>,
    pub(crate) report: Recovery,
}

/// Looks at the folder and finds out what the log holds. The folder is locked.
pub(crate) fn recover(
    io: &dyn LogIo,
    state: &mut dyn LogState,
    unreadable_is_lost: bool,
) -> Result<Found, OpenError> {
    let names = io
        .list()
        .map_err(OpenError::disk("list the folder of the log"))?;
    let names: Vec<FileName> = names.iter().filter_map(|n| FileName::parse(n)).collect();
    let mut search = Search::new(io, &names, unreadable_is_lost);
    search.walk_back()?;
    let mut replay = search.base(state)?;
    replay.run(&search.chain, state)?;
    replay.drop_missing(&search, state);
    match search.log {
        Some(log) => Ok(replay.finish(log, &search)),
        None => replay.nothing(io, &search),
    }
}

impl Search<'_> {
    /// What was known at the start of the chain.
    fn base(&mut self, state: &mut dyn LogState) -> Result<Replay, OpenError> {
        let unreadable_is_lost = self.unreadable_is_lost;
        let report = std::mem::take(&mut self.report);
        let frame = Frame::decode(&self.snapshot).ok();
        let snapshot = frame.as_ref().and_then(|f| snapshot::decode(f.payload));
        let Some((frame, snapshot)) = frame.as_ref().zip(snapshot) else {
            let first = self.chain.first().map(|p| p.count).unwrap_or_default();
            return Ok(Replay {
                acknowledged: Acknowledged::below(first.item),
                lost: Lost::default(),
                sealed: Vec::new(),
                expected: first,
                end: Position::START,
                missing: BTreeSet::new(),
                damaged: Vec::new(),
                unsettled: None,
                unreadable_is_lost,
                report: Recovery {
                    without_snapshot: !self.chain.is_empty(),
                    ..report
                },
            });
        };
        state
            .restore(snapshot.state)
            .map_err(|cause| OpenError::State { cause })?;
        Ok(Replay {
            acknowledged: snapshot.acknowledged,
            lost: snapshot.lost,
            sealed: snapshot.sealed,
            expected: frame.header.count,
            end: Position::START,
            missing: BTreeSet::new(),
            damaged: Vec::new(),
            unsettled: None,
            unreadable_is_lost,
            report,
        })
    }
}

/// The way forward over the frames of the chain.
struct Replay {
    acknowledged: Acknowledged,
    lost: Lost,
    sealed: Vec<Sealed>,
    expected: Count,
    end: Position,
    /// Segments whose items are missing. What stands under their names is left alone.
    missing: BTreeSet<u64>,
    damaged: Vec<Damaged>,
    unsettled: Option<Unsettled>,
    unreadable_is_lost: bool,
    report: Recovery,
}

/// The disk did not give what has to be known.
fn unreadable(what: &'static str, segment: u64, offset: u64) -> OpenError {
    OpenError::Unreadable {
        segment: FileName::Segment(segment).to_string(),
        offset,
        what,
    }
}

impl Replay {
    fn run(&mut self, chain: &[Probe], state: &mut dyn LogState) -> Result<(), OpenError> {
        for (index, probe) in chain.iter().enumerate() {
            if probe.counted && probe.count.sequence > self.expected.sequence {
                let frames = probe.count.sequence - self.expected.sequence;
                self.lose(frames, self.expected.item..probe.count.item, state);
                self.expected = probe.count;
            }
            let next = chain.get(index + 1).and_then(|next| next.previous_end);
            let is_told = |end: &Position| {
                end.segment() == probe.number
                    && !file_lacks(probe.file.as_ref(), Mutation::PreviousEnd)
            };
            let known = next.filter(is_told);
            self.segment(probe, known, state)?;
        }
        self.drop_unfinished(chain);
        Ok(())
    }

    /// Drops segments at the end of the chain that were begun and hold nothing: their snapshots are
    /// not whole, so that they are nothing to fall back on.
    fn drop_unfinished(&mut self, chain: &[Probe]) {
        for probe in chain.iter().skip(1).rev() {
            let empty = |s: &mut Sealed| s.number == probe.number && s.first == s.last;
            if self.sealed.pop_if(empty).is_none() {
                break;
            }
            let before = self.sealed.last();
            self.end = before.map_or(Position::START, |s| Position::new(s.number, s.end));
        }
    }

    fn segment(
        &mut self,
        probe: &Probe,
        known_end: Option<Position>,
        state: &mut dyn LogState,
    ) -> Result<(), OpenError> {
        let mut bounds = Bounds {
            number: probe.number,
            salt: Some(probe.salt),
            end: probe.length.min(u64::from(u32::MAX)),
            durable: Position::START,
        };
        if let Some(end) = known_end {
            bounds.end = bounds.end.min(u64::from(end.offset()));
            bounds.durable = end;
        } else if !file_lacks(probe.file.as_ref(), Mutation::DurableMark) {
            bounds.durable = durable_by_frames(Arc::clone(&probe.file), bounds);
        }
        let first = self.expected;
        let mut scan = Scan::new(Arc::clone(&probe.file), bounds, first);
        loop {
            match scan.next() {
                Step::Frame(frame) => self.frame(&frame, state),
                Step::Lost {
                    frames,
                    items,
                    bytes,
                } => {
                    self.check_readable(&scan, &bytes)?;
                    self.lose(frames, items, state);
                    self.keep(probe, bytes);
                }
                Step::End => break,
            }
        }
        self.expected = scan.expected();
        let end = known_end.map_or(scan.end(), Position::offset);
        let (heads, heads_end) = scan.heads_behind();
        self.check_readable(&scan, &(u64::from(scan.end())..bounds.end))?;
        if known_end.is_none() {
            self.report.cut_frames += heads;
            self.report.cut_bytes += heads_end - u64::from(end);
            // The system may hold what the disk does not: when only the process ended, and when a
            // sync had failed before.
            let durable = bounds.durable;
            let in_doubt = match durable.segment() == probe.number {
                true => u64::from(durable.offset()),
                false => 0,
            };
            self.unsettled = Some(Unsettled {
                file: Arc::clone(&probe.file),
                bytes: in_doubt..u64::from(end),
            });
        }
        self.report.scanned_bytes += bounds.end.saturating_sub(u64::from(DATA_START));
        self.report.unreadable_blocks += scan.window().unreadable_blocks;
        self.end = Position::new(probe.number, end);
        self.sealed.push(Sealed {
            number: probe.number,
            salt: probe.salt,
            first,
            last: self.expected,
            end,
        });
        Ok(())
    }

    fn frame(&mut self, frame: &Frame<'_>, state: &mut dyn LogState) {
        if frame.header.kind != Kind::Data {
            return;
        }
        self.report.frames += 1;
        for range in frame.acknowledged() {
            self.acknowledged
                .add(range.start..range.end.min(frame.header.count.item));
        }
        state.apply(Passing::of(frame));
    }

    /// Refuses to go on where it is not known what stands in a stretch that matters.
    fn check_readable(&self, scan: &Scan, stretch: &Range<u64>) -> Result<(), OpenError> {
        match scan.window().unreadable_in(stretch) {
            Some(offset) if !self.unreadable_is_lost => {
                Err(unreadable("a block with records", scan.segment(), offset))
            }
            _ => Ok(()),
        }
    }

    fn keep(&mut self, probe: &Probe, bytes: Range<u64>) {
        if self.damaged.len() < DAMAGED_MAX {
            self.damaged.push(Damaged {
                segment: probe.number,
                file: Arc::clone(&probe.file),
                bytes,
            });
        }
    }

    fn lose(&mut self, frames: u64, items: Range<u64>, state: &mut dyn LogState) {
        let missing = self.acknowledged.missing(items.clone());
        self.report.quarantined_frames += frames;
        self.report.quarantined_items += missing;
        self.lost.frames = self.lost.frames.saturating_add(frames);
        self.lost.items = self.lost.items.saturating_add(missing);
        // Nobody can ever take them, so nobody shall wait for them.
        self.acknowledged.add(items.clone());
        state.lost(items);
    }

    /// There is no segment that says which log this is, so there is none.
    fn nothing(mut self, io: &dyn LogIo, search: &Search<'_>) -> Result<Found, OpenError> {
        let salt = || io.salt().map_err(OpenError::disk("draw a number"));
        let mut id = [0; 16];
        let (head, tail) = id.split_at_mut(8);
        head.copy_from_slice(&salt()?.to_le_bytes());
        tail.copy_from_slice(&salt()?.to_le_bytes());
        self.report.created = search.chain.is_empty();
        Ok(self.finish(LogId(id), search))
    }

    fn finish(mut self, log: LogId, search: &Search<'_>) -> Found {
        let kept: BTreeSet<u64> = self.sealed.iter().map(|s| s.number).collect();
        let mut leftovers = Vec::new();
        let mut spares = Vec::new();
        for number in &search.segments {
            let stray = search.strays.get(number);
            // One that is needed and was only given another name may be given its own again.
            let ours = stray.is_none_or(|of| {
                of.is_some_and(|(id, own)| id == log && !self.missing.contains(&own))
            });
            if ours && !kept.contains(number) && !self.missing.contains(number) {
                leftovers.push(FileName::Segment(*number));
            }
        }
        for name in &search.others {
            match name {
                FileName::Spare(number) => spares.push(*number),
                other => leftovers.push(*other),
            }
        }
        self.report.lost = self.lost;
        self.report.pending_items = self.acknowledged.missing(0..self.expected.item);
        Found {
            log,
            next_number: search.segments.last().map_or(1, |last| last + 1),
            end: self.end,
            count: self.expected,
            acknowledged: self.acknowledged,
            lost: self.lost,
            sealed: self.sealed,
            base: search.chain.first().map_or(0, |probe| probe.number),
            leftovers,
            spares,
            damaged: self.damaged,
            unsettled: self.unsettled,
            report: self.report,
        }
    }

    /// Segments of the table whose files are gone. One whose items were all acknowledged was
    /// released; the others are lost.
    fn drop_missing(&mut self, search: &Search<'_>, state: &mut dyn LogState) {
        let there = |segment: &Sealed| {
            search.segments.contains(&segment.number)
                && !search.strays.contains_key(&segment.number)
        };
        let (kept, gone): (Vec<_>, Vec<_>) = self.sealed.drain(..).partition(there);
        self.sealed = kept;
        for segment in gone {
            let items = segment.first.item..segment.last.item;
            if !self.acknowledged.covers(items.clone()) {
                let frames = segment.last.sequence.saturating_sub(segment.first.sequence);
                self.report.missing_segments += 1;
                self.missing.insert(segment.number);
                self.lose(frames, items, state);
            }
        }
    }
}
