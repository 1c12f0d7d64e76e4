//! Walking over the frames of one segment, whole or damaged.
//!
//! Damage never stops the walk: it is searched for the next whole frame, and the counts of the two
//! frames around it say exactly what is missing. Only where nothing proves that the missing frames
//! had been durable is the tail torn, and ends.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::buffers::Room;
use crate::frame::{ALIGNMENT_BYTES, Damage, Frame, HEADER_BYTES, Header, looks_like_frame};
use crate::io::LogFile;
use crate::layout::round_up;
use crate::mutation::{Mutation, file_lacks};
use crate::position::{Count, Position};
use crate::segment::{BLOCK_BYTES, DATA_START};

/// What is read at once: the size from which a sequential read is at full speed.
const READ_BYTES: u64 = 1024 * 1024;

/// A stretch of a file in memory. Blocks that the disk does not give are read as zeros, and
/// counted: a frame on them is damaged like any other.
pub(crate) struct Window {
    file: Arc<dyn LogFile>,
    /// Nothing is read from here on.
    end: u64,
    start: u64,
    loaded: Room,
    pub(crate) unreadable_blocks: u64,
    /// Where they begin.
    unreadable: BTreeSet<u64>,
}

impl Window {
    pub(crate) fn new(file: Arc<dyn LogFile>, end: u64) -> Window {
        Window {
            file,
            end,
            start: 0,
            loaded: Room::new(),
            unreadable_blocks: 0,
            unreadable: BTreeSet::new(),
        }
    }

    /// The first block of this stretch that the disk did not give. Nobody knows what stands there.
    pub(crate) fn unreadable_in(&self, stretch: &Range<u64>) -> Option<u64> {
        let first = stretch.start.saturating_sub(BLOCK_BYTES - 1);
        let mut blocks = match first < stretch.end {
            true => self.unreadable.range(first..stretch.end),
            false => return None,
        };
        blocks.next().copied()
    }

    pub(crate) fn file(&self) -> &Arc<dyn LogFile> {
        &self.file
    }

    /// The bytes at this offset, as many as asked for or all up to the end.
    pub(crate) fn get(&mut self, offset: u64, length: u64) -> &[u8] {
        let bytes = self.get_all(offset, length);
        let length = bytes
            .len()
            .min(usize::try_from(length).unwrap_or(usize::MAX));
        bytes.get(..length).unwrap_or_default()
    }

    /// The bytes at this offset that are in memory: at least as many as asked for, or all up to
    /// the end.
    fn get_all(&mut self, offset: u64, least: u64) -> &[u8] {
        let least = least.min(self.end.saturating_sub(offset));
        let loaded_end = self.start + self.loaded.bytes().len() as u64;
        if offset < self.start || offset + least > loaded_end {
            self.load(offset, least.max(READ_BYTES));
        }
        let from = (offset - self.start) as usize;
        self.loaded.bytes().get(from..).unwrap_or_default()
    }

    fn load(&mut self, offset: u64, length: u64) {
        let length = length.min(self.end.saturating_sub(offset));
        self.start = offset;
        let bytes = self.loaded.replace(length as usize);
        match self.file.read_at(offset, bytes) {
            Ok(read) => self.loaded.truncate(read),
            Err(_) => self.load_by_blocks(offset),
        }
    }

    /// Reads what can be read, one block at a time: blocks of the disk, so that one that it does not
    /// give takes nothing of the next with it.
    fn load_by_blocks(&mut self, offset: u64) {
        let (mut at, mut rest) = (offset, self.loaded.bytes_mut());
        while !rest.is_empty() {
            let length = (BLOCK_BYTES - at % BLOCK_BYTES).min(rest.len() as u64);
            let Some((block, behind)) = rest.split_at_mut_checked(length as usize) else {
                return;
            };
            block.fill(0);
            // Once more: the cable may have been moved.
            let read = self.file.read_at(at, block);
            if read.or_else(|_| self.file.read_at(at, block)).is_err() {
                block.fill(0);
                let is_new = self.unreadable.insert(at - at % BLOCK_BYTES);
                self.unreadable_blocks += u64::from(is_new);
            }
            at += length;
            rest = behind;
        }
    }
}

/// What is known about a segment before its frames are walked over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) number: u64,
    /// The salt of its frames; when it is not known, that of the first one found.
    pub(crate) salt: Option<u64>,
    /// Frames end here at the latest.
    pub(crate) end: u64,
    /// What stands before this was durable, so damage there is rot. [`Position::START`]: nothing
    /// is known.
    pub(crate) durable: Position,
}

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step<'window> {
    /// A whole frame, the next in order.
    Frame(Frame<'window>),
    /// Frames of data that were durable and are damaged. What comes next is whole.
    Lost {
        /// How many frames.
        frames: u64,
        /// The numbers of their items.
        items: Range<u64>,
        /// Where they stood in the file.
        bytes: Range<u64>,
    },
    /// Nothing more that counts.
    End,
}

/// A walk over one segment.
pub(crate) struct Scan {
    window: Window,
    bounds: Bounds,
    /// Behind the last frame that counted.
    at: u64,
    /// The count behind the last frame that counted.
    expected: Count,
}

impl Scan {
    pub(crate) fn new(file: Arc<dyn LogFile>, bounds: Bounds, expected: Count) -> Scan {
        Scan {
            window: Window::new(file, bounds.end),
            bounds,
            at: u64::from(DATA_START),
            expected,
        }
    }

    /// The count behind the last frame that counted.
    pub(crate) fn expected(&self) -> Count {
        self.expected
    }

    /// Goes on as if all up to this count had been seen.
    pub(crate) fn skip_to(&mut self, count: Count) {
        self.expected = count;
    }

    /// Where the last frame that counted ends.
    pub(crate) fn end(&self) -> u32 {
        self.at as u32
    }

    /// The number of the segment.
    pub(crate) fn segment(&self) -> u64 {
        self.bounds.number
    }

    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// Moves the end, when more of the segment was confirmed.
    pub(crate) fn extend(&mut self, end: u64) {
        self.bounds.end = end;
        self.bounds.durable = Position::new(self.bounds.number, end as u32);
        // The window may have been cut at the old end.
        self.window.end = end;
    }

    fn lacks(&self, protection: Mutation) -> bool {
        file_lacks(self.window.file.as_ref(), protection)
    }

    /// Goes on to the next frame.
    pub(crate) fn next(&mut self) -> Step<'_> {
        let mut from = self.at;
        loop {
            let Some((offset, header)) = self.next_head(from) else {
                return Step::End;
            };
            if header.count.sequence < self.expected.sequence {
                // Written again elsewhere after the disk refused it here.
                from = offset + header.frame_length();
            } else if let Err(next) = self.body_is_whole(offset, &header) {
                from = next;
            } else if header.count.sequence > self.expected.sequence {
                return self.gap(header.count, offset);
            } else {
                return self.accept(offset, header);
            }
        }
    }

    /// Frames are missing before one that is whole.
    fn gap(&mut self, found: Count, offset: u64) -> Step<'_> {
        let start = self.damage_start();
        let damage = Position::new(self.bounds.number, start as u32);
        let was_durable = damage < self.bounds.durable;
        if !was_durable && !self.lacks(Mutation::TornTail) {
            return Step::End;
        }
        let frames = found.sequence - self.expected.sequence;
        let items = self.expected.item..found.item.max(self.expected.item);
        self.expected = found;
        Step::Lost {
            frames,
            items,
            bytes: start..offset,
        }
    }

    fn accept(&mut self, offset: u64, header: Header) -> Step<'_> {
        let length = header.frame_length();
        self.at = offset + length;
        self.expected = header.count_after();
        match Frame::checked(header, self.window.get(offset, length)) {
            Some(frame) => Step::Frame(frame),
            None => Step::End,
        }
    }

    /// Where the first frame that is missing began: behind the last one, or at the next block when
    /// nothing but padding is in between.
    fn damage_start(&mut self) -> u64 {
        let block = round_up(self.at, BLOCK_BYTES);
        let padding = self.window.get(self.at, block - self.at);
        if padding.iter().all(|byte| *byte == 0) {
            block
        } else {
            self.at
        }
    }

    /// The first head of this segment from an offset on, whatever its body and its place in order.
    fn next_head(&mut self, from: u64) -> Option<(u64, Header)> {
        let mut at = round_up(from, ALIGNMENT_BYTES);
        while at + HEADER_BYTES as u64 <= self.bounds.end {
            let bytes = self.window.get_all(at, HEADER_BYTES as u64);
            if bytes.len() < HEADER_BYTES {
                return None;
            }
            let Some(found) = search(bytes) else {
                // The last bytes may be the start of a head that the next stretch completes.
                let passed = bytes.len() - HEADER_BYTES + ALIGNMENT_BYTES as usize;
                at += round_up(passed as u64, ALIGNMENT_BYTES).max(ALIGNMENT_BYTES);
                continue;
            };
            at += found;
            if let Some(header) = self.head_at(at) {
                return Some((at, header));
            }
            at += ALIGNMENT_BYTES;
        }
        None
    }

    /// The head at this offset, when it is one of this segment's present life.
    fn head_at(&mut self, offset: u64) -> Option<Header> {
        let bytes = self.window.get(offset, HEADER_BYTES as u64);
        let header = Header::decode(bytes).ok()?;
        let here = Position::new(self.bounds.number, offset as u32);
        let salted = self.bounds.salt.is_none_or(|salt| salt == header.salt);
        let salted = salted || self.lacks(Mutation::Salt);
        if header.position != here || !salted {
            return None;
        }
        self.bounds.salt = Some(header.salt);
        Some(header)
    }

    /// Looks at the body behind a head; when it is damaged, says where to go on.
    fn body_is_whole(&mut self, offset: u64, header: &Header) -> Result<(), u64> {
        let unchecked = self.lacks(Mutation::BodyChecksum);
        match Frame::decode(self.window.get(offset, header.frame_length())) {
            Ok(_) => Ok(()),
            Err(Damage::Body { .. }) if unchecked => Ok(()),
            // The head is whole, so its length can be believed.
            Err(Damage::Body { length }) => Err(offset + length),
            Err(_) => Err(offset + ALIGNMENT_BYTES),
        }
    }

    /// The heads from an offset on that no walk accepted: how many, and where the last one ends.
    pub(crate) fn heads_behind(&mut self) -> (u64, u64) {
        let (mut heads, mut end) = (0, self.at);
        while let Some((offset, header)) = self.next_head(end) {
            heads += 1;
            end = offset + header.frame_length();
        }
        (heads, end)
    }
}

/// How far everything in a segment was durable, as its own frames testify. A head is enough for
/// that, its body may be damaged.
pub(crate) fn durable_by_frames(file: Arc<dyn LogFile>, bounds: Bounds) -> Position {
    let mut scan = Scan::new(file, bounds, Count::default());
    let mut durable = Position::START;
    let mut from = u64::from(DATA_START);
    while let Some((offset, header)) = scan.next_head(from) {
        durable = durable.max(header.durable);
        from = match scan.body_is_whole(offset, &header) {
            Ok(()) => offset + header.frame_length(),
            Err(next) => next,
        };
    }
    durable
}

/// The first place, in steps of the alignment, where a frame may begin and its head is all there.
fn search(bytes: &[u8]) -> Option<u64> {
    let last = bytes.len().checked_sub(HEADER_BYTES)?;
    let places = bytes.chunks(ALIGNMENT_BYTES as usize);
    let found = places
        .take(last / ALIGNMENT_BYTES as usize + 1)
        .position(looks_like_frame)?;
    Some(found as u64 * ALIGNMENT_BYTES)
}

/// The frame at an offset, alone.
pub(crate) fn frame_at(
    file: &Arc<dyn LogFile>,
    offset: u64,
    end: u64,
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    bytes.clear();
    bytes.resize(HEADER_BYTES, 0);
    let read = file.read_at(offset, bytes)?;
    bytes.truncate(read);
    let Ok(header) = Header::decode(bytes) else {
        bytes.clear();
        return Ok(());
    };
    let length = header.frame_length();
    if offset.saturating_add(length) > end {
        bytes.clear();
        return Ok(());
    }
    bytes.resize(length as usize, 0);
    let rest = bytes.get_mut(HEADER_BYTES..).unwrap_or_default();
    let read = file.read_at(offset + HEADER_BYTES as u64, rest)?;
    bytes.truncate(HEADER_BYTES + read);
    Ok(())
}
