//! A log that is only looked at.

use std::io;
use std::sync::Arc;

use crate::acknowledged::Acknowledged;
use crate::error::OpenError;
use crate::io::LogIo;
use crate::position::Count;
use crate::reader::Reader;
use crate::record::LogState;
use crate::recovery::{Recovery, recover};
use crate::segment::LogId;
use crate::view::View;

/// What a log holds, found as an opening would find it, without changing anything: no new segment is
/// begun. Over a [`crate::ReadOnlyFolder`] nothing can be changed. As long as it lives it has the
/// folder's lock.
pub struct Image {
    io: Arc<dyn LogIo>,
    view: Arc<View>,
    id: LogId,
    acknowledged: Acknowledged,
    count: Count,
    recovery: Recovery,
    spare_files: usize,
    unreadable_is_lost: bool,
    _lock: Box<dyn Send + Sync>,
}

/// One segment of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentImage {
    /// Its number.
    pub number: u64,
    /// The count before its first frame.
    pub first: Count,
    /// The count behind its last frame.
    pub last: Count,
    /// Where its frames end in the file.
    pub end: u32,
}

impl Image {
    /// Looks at the log. `state` is the fold that the log's user keeps. What the disk does not give
    /// is an error, or counts as lost, as with [`crate::Options::unreadable_is_lost`].
    ///
    /// # Errors
    /// As [`crate::Log::open`]: in use, newer, foreign, unreadable.
    pub fn open(
        io: Arc<dyn LogIo>,
        state: &mut dyn LogState,
        unreadable_is_lost: bool,
    ) -> Result<Image, OpenError> {
        let lock = io.lock().map_err(|cause| match cause.kind() {
            io::ErrorKind::WouldBlock => OpenError::Held,
            _ => OpenError::disk("lock the folder of the log")(cause),
        })?;
        let found = recover(io.as_ref(), state, unreadable_is_lost)?;
        let view = View::default();
        view.lock().sealed = found.sealed;
        Ok(Image {
            io,
            view: Arc::new(view),
            id: found.log,
            acknowledged: found.acknowledged,
            count: found.count,
            recovery: found.report,
            spare_files: found.spares.len(),
            unreadable_is_lost,
            _lock: lock,
        })
    }

    /// Which log it is.
    pub fn id(&self) -> LogId {
        self.id
    }

    /// What an opening would tell.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// What is acknowledged; what is lost counts as that.
    pub fn acknowledged(&self) -> &Acknowledged {
        &self.acknowledged
    }

    /// The count behind the last frame.
    pub fn count(&self) -> Count {
        self.count
    }

    /// Files that wait to become segments.
    pub fn spare_files(&self) -> usize {
        self.spare_files
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentImage> {
        let segments = self.view.lock();
        let sealed = segments.sealed.iter();
        sealed
            .map(|segment| SegmentImage {
                number: segment.number,
                first: segment.first,
                last: segment.last,
                end: segment.end,
            })
            .collect()
    }

    /// Reads from the frame on that holds this item.
    pub fn reader(&self, from_item: u64) -> Reader {
        let (io, view) = (Arc::clone(&self.io), Arc::clone(&self.view));
        let mut reader = Reader::new(io, view, None, from_item);
        if self.unreadable_is_lost {
            reader.lose_unreadable();
        }
        reader
    }
}
