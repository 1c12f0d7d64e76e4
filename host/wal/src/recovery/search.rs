//! The way back: from the newest segment to the first whole snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::OpenError;
use crate::frame::{Frame, Kind};
use crate::io::{LogFile, LogIo};
use crate::position::{Count, Position};
use crate::scan::{Bounds, Scan, Step, Window, frame_at};
use crate::segment::{DATA_START, FileName, HeaderDamage, LogId, SegmentHeader};
use crate::snapshot;

use super::Recovery;

/// A segment file as its head shows it.
pub(super) struct Probe {
    pub(super) number: u64,
    pub(super) file: Arc<dyn LogFile>,
    pub(super) length: u64,
    pub(super) log: Option<LogId>,
    pub(super) salt: u64,
    /// The count before its first frame.
    pub(super) count: Count,
    /// Whether that is told by its head or snapshot, and not by the first frame that is whole.
    /// Frames before that one may never have been durable.
    pub(super) counted: bool,
    /// Nothing when neither head nor snapshot say.
    pub(super) previous_end: Option<Position>,
}

/// What a file with a segment's name turned out to be.
pub(super) enum Probed {
    Segment(Probe),
    /// Made and never used.
    Unused,
    /// Something else, which is left alone unless it is a file of this log whose new name did not
    /// last.
    Stray(Option<(LogId, u64)>),
}

/// The way back from the newest segment to the first whole snapshot.
pub(super) struct Search<'io> {
    pub(super) io: &'io dyn LogIo,
    pub(super) segments: BTreeSet<u64>,
    pub(super) others: Vec<FileName>,
    pub(super) log: Option<LogId>,
    /// Newest first while searching, then oldest first.
    pub(super) chain: Vec<Probe>,
    /// The frame of the snapshot of the oldest of the chain; empty when there is none.
    pub(super) snapshot: Vec<u8>,
    /// Which segment of which log stands under the name of another.
    pub(super) strays: BTreeMap<u64, Option<(LogId, u64)>>,
    pub(super) unreadable_is_lost: bool,
    /// The newest segment whose snapshot the disk does not give.
    unreadable_snapshot: Option<u64>,
    pub(super) report: Recovery,
}

impl<'io> Search<'io> {
    pub(super) fn new(
        io: &'io dyn LogIo,
        names: &[FileName],
        unreadable_is_lost: bool,
    ) -> Search<'io> {
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
            unreadable_is_lost,
            unreadable_snapshot: None,
            report: Recovery::default(),
        }
    }

    pub(super) fn walk_back(&mut self) -> Result<(), OpenError> {
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
        if let Some(number) = self.unreadable_snapshot
            && self.snapshot.is_empty()
            && !self.unreadable_is_lost
        {
            let at = u64::from(DATA_START);
            return Err(super::unreadable("the only snapshot", number, at));
        }
        self.log = self.which_log()?;
        self.nothing_foreign_is_newer()
    }

    /// A segment of another log under a name that ours could have does not come from a crash.
    fn nothing_foreign_is_newer(&self) -> Result<(), OpenError> {
        let newest = self.chain.last().map_or(0, |probe| probe.number);
        let foreign = |of: &Option<(LogId, u64)>| of.is_some_and(|(log, _)| self.log != Some(log));
        let mut newer = self.strays.range(newest..);
        match newer.find(|(_, of)| foreign(of)) {
            Some((number, _)) => Err(OpenError::Foreign {
                segment: FileName::Segment(*number).to_string(),
            }),
            None => Ok(()),
        }
    }

    fn belongs(&mut self, probe: &Probe) -> Result<(), OpenError> {
        match (self.log, probe.log) {
            (Some(own), Some(other)) if own != other => {
                Err(self.two_logs(self.chain_told_by(), probe.number))
            }
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
            Ok(header) => Ok(Probed::Stray(Some((header.log, header.number)))),
            Err(HeaderDamage::Newer { version }) => Err(OpenError::Newer {
                segment: name,
                version,
            }),
            Err(HeaderDamage::Damaged) => self.salvage(number, file, length),
        }
    }

    /// A segment without a head: its frames say which life of which segment they are of.
    fn salvage(
        &mut self,
        number: u64,
        file: Arc<dyn LogFile>,
        length: u64,
    ) -> Result<Probed, OpenError> {
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
        let Some(header) = found else {
            return match unreadable {
                0 => Ok(Probed::Unused),
                _ if self.unreadable_is_lost => Ok(Probed::Stray(None)),
                _ => {
                    let at = scan.window().unreadable_in(&(0..length)).unwrap_or(0);
                    Err(super::unreadable("the records", number, at))
                }
            };
        };
        let begins = header.kind == Kind::Snapshot && header.position.offset() == DATA_START;
        Ok(Probed::Segment(Probe {
            number,
            file,
            length,
            log: None,
            salt: header.salt,
            count: header.count,
            counted: begins,
            // The snapshot at the start was written when all before it was durable.
            previous_end: begins.then_some(header.durable),
        }))
    }

    /// Whether the segment begins with a whole snapshot; then it is kept.
    fn load_snapshot(&mut self, probe: &Probe) -> Result<bool, OpenError> {
        let at = u64::from(DATA_START);
        // What cannot be read is no snapshot; the one before is as good, if there is one.
        let read = frame_at(&probe.file, at, probe.length, &mut self.snapshot);
        let whole = read.is_ok()
            && Frame::decode(&self.snapshot).is_ok_and(|frame| {
                frame.header.kind == Kind::Snapshot
                    && frame.header.salt == probe.salt
                    && frame.header.position == Position::new(probe.number, DATA_START)
                    && snapshot::decode(frame.payload).is_some()
            });
        if read.is_err() {
            self.unreadable_snapshot.get_or_insert(probe.number);
        }
        if !whole {
            self.snapshot.clear();
        }
        Ok(whole)
    }
}
