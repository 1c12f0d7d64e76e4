//! Finding out what a log holds: from the newest whole snapshot forward, and no further back.
//!
//! Reading changes nothing. What is read is one segment, and one more for each snapshot that is
//! damaged; older segments are taken from the snapshot's table and looked at when they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::acknowledged::Acknowledged;
use crate::error::OpenError;
use crate::frame::{Frame, Kind};
use crate::io::{LogFile, LogIo};
use crate::mutation::{Mutation, file_lacks};
use crate::position::{Count, Position};
use crate::quarantine::Damaged;
use crate::record::{LogState, Passing};
use crate::scan::{Bounds, Scan, Step, Window, durable_by_frames, frame_at};
use crate::segment::{DATA_START, FileName, HeaderDamage, LogId, Sealed, SegmentHeader};
use crate::snapshot::{self, Lost};
pub use report::Recovery;

mod report;

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
    /// Files of no further use, once the log has gone on in a new segment.
    pub(crate) leftovers: Vec<FileName>,
    pub(crate) spares: Vec<u64>,
    /// What is worth a look before its segment is freed.
    pub(crate) damaged: Vec<Damaged>,
    pub(crate) report: Recovery,
}

/// A segment file as its head shows it.
struct Probe {
    number: u64,
    file: Arc<dyn LogFile>,
    length: u64,
    log: Option<LogId>,
    salt: u64,
    /// The count before its first frame.
    count: Count,
    /// Whether that is told by its head or snapshot, and not by the first frame that is whole.
    /// Frames before that one may never have been durable.
    counted: bool,
    /// Nothing when neither head nor snapshot say.
    previous_end: Option<Position>,
}

/// What a file with a segment's name turned out to be.
enum Probed {
    Segment(Probe),
    /// Made and never used.
    Unused,
    /// Something else, which is left alone unless it is a file of this log whose new name did not
    /// last.
    Stray(Option<LogId>),
}

/// Looks at the folder and finds out what the log holds. The folder is locked.
pub(crate) fn recover(io: &dyn LogIo, state: &mut dyn LogState) -> Result<Found, OpenError> {
    let names = io
        .list()
        .map_err(OpenError::disk("list the folder of the log"))?;
    let names: Vec<FileName> = names.iter().filter_map(|n| FileName::parse(n)).collect();
    let mut search = Search::new(io, &names);
    search.walk_back()?;
    let mut replay = search.base(state)?;
    replay.run(&search.chain, state)?;
    replay.drop_missing(&search, state);
    match search.log {
        Some(log) => Ok(replay.finish(log, &search)),
        None => replay.nothing(io, &search),
    }
}

/// The way back from the newest segment to the first whole snapshot.
struct Search<'io> {
    io: &'io dyn LogIo,
    segments: BTreeSet<u64>,
    others: Vec<FileName>,
    log: Option<LogId>,
    /// Newest first while searching, then oldest first.
    chain: Vec<Probe>,
    /// The frame of the snapshot of the oldest of the chain; empty when there is none.
    snapshot: Vec<u8>,
    strays: BTreeMap<u64, Option<LogId>>,
    report: Recovery,
}

impl<'io> Search<'io> {
    fn new(io: &'io dyn LogIo, names: &[FileName]) -> Search<'io> {
        let mut segments = BTreeSet::new();
        let mut others = Vec::new();
        for name in names {
            match name {
                FileName::Segment(number) => {
                    segments.insert(*number);
                }
                FileName::Spare(_) | FileName::Making(_) => others.push(*name),
            }
        }
        Search {
            io,
            segments,
            others,
            log: None,
            chain: Vec::new(),
            snapshot: Vec::new(),
            strays: BTreeMap::new(),
            report: Recovery::default(),
        }
    }

    fn walk_back(&mut self) -> Result<(), OpenError> {
        let mut below = u64::MAX;
        while let Some(number) = self.segments.range(..below).next_back().copied() {
            below = number;
            let probe = match self.probe(number)? {
                Probed::Segment(probe) => probe,
                Probed::Unused => continue,
                Probed::Stray(log) => {
                    self.strays.insert(number, log);
                    continue;
                }
            };
            self.belongs(&probe)?;
            // The one before is named, so that one the disk refused in between is passed over.
            let previous = probe.previous_end.map(Position::segment);
            let whole = self.load_snapshot(&probe)?;
            self.chain.push(probe);
            if whole {
                break;
            }
            self.report.damaged_snapshots += 1;
            if let Some(previous) = previous {
                below = previous.saturating_add(1).min(below);
            }
        }
        self.chain.reverse();
        Ok(())
    }

    fn belongs(&mut self, probe: &Probe) -> Result<(), OpenError> {
        match (self.log, probe.log) {
            (Some(own), Some(other)) if own != other => Err(OpenError::Foreign {
                segment: FileName::Segment(probe.number).to_string(),
            }),
            (None, Some(log)) => {
                self.log = Some(log);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn probe(&mut self, number: u64) -> Result<Probed, OpenError> {
        let name = FileName::Segment(number).to_string();
        let file = self
            .io
            .open(&name)
            .map_err(OpenError::disk("open a segment of the log"))?;
        let length = file
            .length()
            .map_err(OpenError::disk("ask for the length of a segment"))?;
        let mut window = Window::new(Arc::clone(&file), length.min(u64::from(DATA_START)));
        let header = SegmentHeader::decode(window.get(0, u64::from(DATA_START)));
        self.report.unreadable_blocks += window.unreadable_blocks;
        match header {
            Ok(header) if header.number == number => Ok(Probed::Segment(Probe {
                number,
                file,
                length,
                log: Some(header.log),
                salt: header.salt,
                count: header.count,
                counted: true,
                previous_end: Some(header.previous_end),
            })),
            Ok(header) => Ok(Probed::Stray(Some(header.log))),
            Err(HeaderDamage::Newer { version }) => Err(OpenError::Newer {
                segment: name,
                version,
            }),
            Err(HeaderDamage::Damaged) => Ok(self.salvage(number, file, length)),
        }
    }

    /// A segment without a head: its frames say which life of which segment they are of.
    fn salvage(&mut self, number: u64, file: Arc<dyn LogFile>, length: u64) -> Probed {
        let bounds = Bounds {
            number,
            salt: None,
            end: length,
            // Whatever is found counts: nothing is decided here.
            durable: Position::new(number, u32::MAX),
        };
        let mut scan = Scan::new(Arc::clone(&file), bounds, Count::default());
        self.report.scanned_bytes += length;
        let mut step = scan.next();
        if let Step::Lost { .. } = step {
            step = scan.next();
        }
        let found = match step {
            Step::Frame(frame) => Some(frame.header.clone()),
            _ => None,
        };
        let unreadable = scan.window().unreadable_blocks;
        self.report.unreadable_blocks += unreadable;
        match found {
            Some(header) => {
                let begins =
                    header.kind == Kind::Snapshot && header.position.offset() == DATA_START;
                Probed::Segment(Probe {
                    number,
                    file,
                    length,
                    log: None,
                    salt: header.salt,
                    count: header.count,
                    counted: begins,
                    // The snapshot at the start was written when all before it was durable.
                    previous_end: begins.then_some(header.durable),
                })
            }
            None if unreadable > 0 => Probed::Stray(None),
            None => Probed::Unused,
        }
    }

    /// Whether the segment begins with a whole snapshot; then it is kept.
    fn load_snapshot(&mut self, probe: &Probe) -> Result<bool, OpenError> {
        let at = u64::from(DATA_START);
        // What cannot be read is no snapshot; the one before is as good.
        let read = frame_at(&probe.file, at, probe.length, &mut self.snapshot);
        let whole = read.is_ok()
            && Frame::decode(&self.snapshot).is_ok_and(|frame| {
                frame.header.kind == Kind::Snapshot
                    && frame.header.salt == probe.salt
                    && frame.header.position == Position::new(probe.number, DATA_START)
                    && snapshot::decode(frame.payload).is_some()
            });
        if !whole {
            self.snapshot.clear();
        }
        Ok(whole)
    }

    /// What was known at the start of the chain.
    fn base(&mut self, state: &mut dyn LogState) -> Result<Replay, OpenError> {
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
    report: Recovery,
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
        Ok(())
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
                    self.lose(frames, items, state);
                    self.keep(probe, bytes);
                }
                Step::End => break,
            }
        }
        self.expected = scan.expected();
        let end = known_end.map_or(scan.end(), Position::offset);
        if known_end.is_none() {
            let (heads, heads_end) = scan.heads_behind();
            self.report.cut_frames += heads;
            self.report.cut_bytes += heads_end - u64::from(end);
            // The system may hold what the disk does not, when only the process ended.
            if !file_lacks(probe.file.as_ref(), Mutation::SyncAtOpening) {
                probe
                    .file
                    .sync()
                    .map_err(OpenError::disk("make the end of the log durable"))?;
            }
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
            let ours = search.strays.get(number).is_none_or(|of| *of == Some(log));
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
            leftovers,
            spares,
            damaged: self.damaged,
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
