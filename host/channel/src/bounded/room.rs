//! Room: what a batch takes of a channel's two capacities.

use std::time::Duration;

use flumen_core::EventBatch;

/// How a channel counts bytes: a sum over the events, in a unit of its own.
pub(crate) trait Measure {
    /// What these events take.
    fn size(events: &EventBatch) -> u64;
}

/// Events, and their size in the unit of the channel, that are in use, wanted, or all that there
/// are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) events: u64,
    pub(crate) size: u64,
}

impl Room {
    /// What these events take. May look at the length of every body.
    pub(crate) fn of<M: Measure>(events: &EventBatch) -> Self {
        Self {
            events: events.len() as u64,
            size: M::size(events),
        }
    }

    pub(crate) fn is_within(self, capacity: Room) -> bool {
        self.events <= capacity.events && self.size <= capacity.size
    }

    #[must_use]
    pub(crate) fn plus(self, other: Room) -> Self {
        Self {
            events: self.events.saturating_add(other.events),
            size: self.size.saturating_add(other.size),
        }
    }

    /// Saturates: a channel that was shrunk below its fill has no room, not a negative one.
    #[must_use]
    pub(crate) fn minus(self, other: Room) -> Self {
        Self {
            events: self.events.saturating_sub(other.events),
            size: self.size.saturating_sub(other.size),
        }
    }
}

/// What a channel may hold and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) capacity: Room,
    pub(crate) transaction_events: usize,
    pub(crate) keep_alive: Duration,
}
