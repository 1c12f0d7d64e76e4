//! Reading the log from some item on.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::buffers::Buffers;
use crate::error::ReadError;
use crate::frame::{Frame, Kind};
use crate::io::{LogFile, LogIo};
use crate::position::Position;
use crate::quarantine::{Damaged, Quarantine};
use crate::scan::{Bounds, Scan, Step, frame_at};
use crate::segment::{FileName, Sealed};
use crate::view::View;

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A frame with items.
    Frame {
        /// Where it stands.
        position: Position,
        /// The number of its first item, which may be one before the item asked for.
        first_item: u64,
        /// How many items it holds.
        items: u32,
        /// What was written.
        payload: Bytes,
    },
    /// These items cannot be read any more. Acknowledge them, so that their segment is freed.
    Lost {
        /// Frames that are damaged.
        frames: u64,
        /// The items in them.
        items: Range<u64>,
    },
    /// The disk does not give these items, and the reader was told to pass over them. They are not
    /// lost: the disk may give them when it is mended. So do not acknowledge them.
    Unreadable {
        /// Where they begin.
        position: Position,
        /// Frames that are not given.
        frames: u64,
        /// The items in them.
        items: Range<u64>,
    },
}

/// What becomes of frames that stand where the disk gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unreadable {
    /// An error, each time that they are asked for.
    Error,
    /// They are lost like damaged ones.
    Lost,
    /// They are told and passed over.
    Passed,
}

/// A reader of one log. It sees confirmed frames in their order, those with items, and passes over
/// segments that were released. It holds one open file and one stretch of 1 MiB, or one frame.
pub struct Reader {
    io: Arc<dyn LogIo>,
    view: Arc<View>,
    /// Where damaged bytes are kept; nowhere when the log is only looked at.
    quarantine: Option<Arc<Quarantine>>,
    buffers: Arc<Buffers>,
    next_item: u64,
    unreadable: Unreadable,
    walk: Option<Walk>,
}

/// A walk over one segment.
struct Walk {
    number: u64,
    /// How far it was confirmed when that was last looked at.
    end: u32,
    scan: Scan,
}

/// How a walk begins.
enum Begun {
    Walk(Walk),
    /// The segment cannot be opened.
    Passed(Read),
    Nothing,
}

/// Frames that cannot be had, and the items in them that are still to be read.
struct Lost {
    frames: u64,
    items: Range<u64>,
}

/// What a step of a walk led to.
enum Found {
    Read(Read),
    /// It is lost, and this is where it stood.
    Lost(Lost, Range<u64>),
    /// Nothing of interest; go on.
    Nothing,
    /// The end, as far as it was known.
    End,
}

impl Reader {
    pub(crate) fn new(
        io: Arc<dyn LogIo>,
        view: Arc<View>,
        quarantine: Option<Arc<Quarantine>>,
        from_item: u64,
    ) -> Reader {
        let is_lost = |quarantine: &Arc<Quarantine>| quarantine.unreadable_is_lost();
        Reader {
            io,
            view,
            unreadable: match quarantine.as_ref().is_some_and(is_lost) {
                true => Unreadable::Lost,
                false => Unreadable::Error,
            },
            quarantine,
            buffers: Arc::default(),
            next_item: from_item,
            walk: None,
        }
    }

    /// Payloads are read into this memory.
    pub(crate) fn into_buffers(self, buffers: &Arc<Buffers>) -> Reader {
        Reader {
            buffers: Arc::clone(buffers),
            ..self
        }
    }

    /// The first item that the next frame has to hold.
    pub fn next_item(&self) -> u64 {
        self.next_item
    }

    /// From now on takes what the disk does not give as lost. Else it is an error each time, since
    /// it may be read again when the disk is mended, and what was acknowledged as lost is gone.
    pub fn lose_unreadable(&mut self) {
        self.unreadable = Unreadable::Lost;
    }

    /// From now on passes over what the disk does not give, and over segments whose file it does not
    /// open, and tells them as [`Read::Unreadable`].
    pub fn pass_unreadable(&mut self) {
        self.unreadable = Unreadable::Passed;
    }

    /// The next frame, or nothing when all that is confirmed was read; then more may come later.
    ///
    /// # Errors
    /// When a segment cannot be opened, or the disk does not give the bytes of the next frame. The
    /// next call tries again. Bytes that are there and damaged are [`Read::Lost`].
    #[expect(
        clippy::should_implement_trait,
        reason = "it may fail, and give more after it gave nothing"
    )]
    pub fn next(&mut self) -> Result<Option<Read>, ReadError> {
        loop {
            if self.walk.is_none() {
                match self.begin()? {
                    Begun::Walk(walk) => self.walk = Some(walk),
                    Begun::Passed(read) => return Ok(Some(self.given(read))),
                    Begun::Nothing => return Ok(None),
                }
            }
            let Some(walk) = &mut self.walk else {
                return Ok(None);
            };
            let found = walk.step(self.next_item, &self.buffers);
            let segments = self.view.lock();
            let Some(segment) = segments.numbered(walk.number) else {
                // Released meanwhile: what was found may be of another life of the file.
                drop(segments);
                self.walk = None;
                continue;
            };
            let is_active = segments.active.is_some_and(|a| a.number == walk.number);
            drop(segments);
            let (read, bytes) = match found {
                Found::Read(read) => return Ok(Some(self.given(read))),
                Found::Lost(read, bytes) => (read, bytes),
                Found::Nothing => continue,
                Found::End if segment.end > walk.end => {
                    walk.extend(segment.end);
                    continue;
                }
                Found::End => match walk.missing(segment, self.next_item) {
                    Some(missing) => missing,
                    None if is_active => return Ok(None),
                    None => {
                        // Nothing more is in it, so it is never begun again.
                        self.next_item = self.next_item.max(segment.last.item);
                        self.walk = None;
                        continue;
                    }
                },
            };
            return self.missed(read, bytes).map(Some);
        }
    }

    /// It is what the next call goes on behind.
    fn given(&mut self, read: Read) -> Read {
        self.next_item = read.next_item();
        read
    }

    /// Frames are missing in this stretch: damaged, or not given by the disk.
    fn missed(&mut self, lost: Lost, bytes: Range<u64>) -> Result<Read, ReadError> {
        let Lost { frames, items } = lost;
        let walk = self.walk.as_ref();
        let unread = walk.and_then(|walk| walk.unreadable(&bytes));
        let read = match (unread, self.unreadable) {
            (Some(error), Unreadable::Error) => {
                self.walk = None;
                return Err(error);
            }
            (Some(ReadError::Disk { position, .. }), Unreadable::Passed) => Read::Unreadable {
                position,
                frames,
                items,
            },
            _ => {
                if let (Some(quarantine), Some(walk)) = (&self.quarantine, walk) {
                    quarantine.keep(&walk.damaged(bytes));
                }
                Read::Lost { frames, items }
            }
        };
        Ok(self.given(read))
    }

    /// The walk over the segment that holds the next item, if one does.
    fn begin(&mut self) -> Result<Begun, ReadError> {
        loop {
            let Some(segment) = self.view.lock().holding(self.next_item) else {
                return Ok(Begun::Nothing);
            };
            let name = FileName::Segment(segment.number).to_string();
            let cause = match self.io.open(&name) {
                Ok(file) => return Ok(Begun::Walk(Walk::new(segment, file))),
                Err(cause) => cause,
            };
            if self.view.lock().numbered(segment.number).is_none() {
                // One that was released is not asked for again.
                continue;
            }
            let position = Position::new(segment.number, 0);
            if self.unreadable == Unreadable::Passed && is_of_the_file(&cause) {
                return Ok(Begun::Passed(Read::Unreadable {
                    position,
                    frames: segment.last.sequence - segment.first.sequence,
                    items: segment.first.item.max(self.next_item)..segment.last.item,
                }));
            }
            return Err(ReadError::Disk { position, cause });
        }
    }
}

/// Whether a file does not open for what became of it, and not for what the process lacks.
fn is_of_the_file(cause: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(cause);
    cause.kind() == io::ErrorKind::NotFound
        || matches!(
            errno,
            Some(rustix::io::Errno::IO | rustix::io::Errno::UCLEAN)
        )
}

impl Walk {
    fn new(segment: Sealed, file: Arc<dyn LogFile>) -> Walk {
        let bounds = Bounds {
            number: segment.number,
            salt: Some(segment.salt),
            end: u64::from(segment.end),
            // Everything a reader is shown was confirmed, so what is damaged is lost.
            durable: Position::new(segment.number, segment.end),
        };
        Walk {
            number: segment.number,
            end: segment.end,
            scan: Scan::new(file, bounds, segment.first),
        }
    }

    fn extend(&mut self, end: u32) {
        self.end = end;
        self.scan.extend(u64::from(end));
    }

    fn step(&mut self, next_item: u64, buffers: &Arc<Buffers>) -> Found {
        match self.scan.next() {
            Step::End => Found::End,
            Step::Lost {
                frames,
                items,
                bytes,
            } => lost(frames, items, next_item)
                .map_or(Found::Nothing, |lost| Found::Lost(lost, bytes)),
            Step::Frame(frame) => {
                let header = &frame.header;
                let is_read = header.count_after().item <= next_item;
                if header.kind != Kind::Data || header.items == 0 || is_read {
                    return Found::Nothing;
                }
                Found::Read(Read::Frame {
                    position: header.position,
                    first_item: header.count.item,
                    items: header.items,
                    payload: buffers.copy(frame.payload),
                })
            }
        }
    }

    /// What is missing between the last whole frame of a segment and its end, as far as that is known.
    fn missing(&mut self, segment: Sealed, next_item: u64) -> Option<(Lost, Range<u64>)> {
        let before = self.scan.expected();
        let bytes = u64::from(self.scan.end())..u64::from(segment.end);
        self.scan.skip_to(segment.last);
        let frames = segment.last.sequence.saturating_sub(before.sequence);
        let lost = lost(frames, before.item..segment.last.item, next_item);
        lost.filter(|_| frames > 0).map(|lost| (lost, bytes))
    }

    /// That the disk did not give a part of this stretch, if so.
    fn unreadable(&self, stretch: &Range<u64>) -> Option<ReadError> {
        let block = self.scan.window().unreadable_in(stretch)?;
        Some(ReadError::Disk {
            position: Position::new(self.number, block as u32),
            cause: io::Error::other("the disk does not give some of its blocks"),
        })
    }

    fn damaged(&self, bytes: Range<u64>) -> Damaged {
        Damaged {
            segment: self.number,
            file: Arc::clone(self.scan.window().file()),
            bytes,
        }
    }
}

/// Damage, as far as it is about items that are still to be read.
fn lost(frames: u64, items: Range<u64>, next_item: u64) -> Option<Lost> {
    let items = items.start.max(next_item)..items.end;
    (!items.is_empty()).then_some(Lost { frames, items })
}

impl Read {
    /// The item behind those of this.
    fn next_item(&self) -> u64 {
        match self {
            Read::Frame {
                first_item, items, ..
            } => first_item.saturating_add(u64::from(*items)),
            Read::Lost { items, .. } | Read::Unreadable { items, .. } => items.end,
        }
    }
}

/// The payload of the frame of data at a position.
pub(crate) fn read_at(io: &dyn LogIo, view: &View, position: Position) -> Result<Bytes, ReadError> {
    let released = ReadError::Released { position };
    let Some(segment) = view.lock().numbered(position.segment()) else {
        return Err(released);
    };
    let mut bytes = Vec::new();
    let name = FileName::Segment(segment.number).to_string();
    let read = io.open(&name).and_then(|file| {
        let offset = u64::from(position.offset());
        frame_at(&file, offset, u64::from(segment.end), &mut bytes)
    });
    let payload = Frame::decode(&bytes).ok().and_then(|frame| {
        let header = &frame.header;
        let is_it = header.position == position && header.salt == segment.salt;
        (is_it && header.kind == Kind::Data).then(|| Bytes::copy_from_slice(frame.payload))
    });
    match (payload, read) {
        (Some(payload), _) => Ok(payload),
        _ if view.lock().numbered(position.segment()).is_none() => Err(released),
        (None, Err(cause)) => Err(ReadError::Disk { position, cause }),
        (None, Ok(())) => Err(ReadError::Damaged { position }),
    }
}
