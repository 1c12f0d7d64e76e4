//! What readers may see of the log: confirmed frames, and nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Failure;
use crate::position::Count;
use crate::segment::Sealed;

/// The segments of a log, shared between its writer and its readers. A plain mutex suffices: the
/// writer holds it for some words once a group, a reader for a look at the table.
#[derive(Debug, Default)]
pub(crate) struct View {
    inner: Mutex<Segments>,
}

/// The table of segments.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Oldest first.
    pub(crate) sealed: Vec<Sealed>,
    /// The one that is written, up to what is confirmed.
    pub(crate) active: Option<Sealed>,
    /// Why nothing more is written.
    pub(crate) failure: Option<Arc<Failure>>,
}

impl View {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Segments> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segments {
    fn all(&self) -> impl Iterator<Item = &Sealed> {
        self.sealed.iter().chain(&self.active)
    }

    /// The segment of this number.
    pub(crate) fn numbered(&self, number: u64) -> Option<Sealed> {
        self.all().find(|segment| segment.number == number).copied()
    }

    /// The first segment that holds something from this item on.
    pub(crate) fn holding(&self, item: u64) -> Option<Sealed> {
        self.all()
            .find(|segment| segment.last.item > item.max(segment.first.item))
            .copied()
    }

    /// The count behind the last confirmed frame.
    pub(crate) fn count(&self) -> Count {
        self.active.map(|active| active.last).unwrap_or_default()
    }
}
