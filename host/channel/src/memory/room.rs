//! Room: what a batch takes of a channel's two capacities.

use flumen_core::EventBatch;

/// Flume counts bytes of bodies in slots of this size, a body of any length at least one.
pub(super) const SLOT_BYTES: u32 = 100;

/// Events and slots of bytes that are in use, wanted, or all that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) events: u64,
    pub(super) slots: u64,
}

impl Room {
    /// What these events take. Looks at the length of every body.
    pub(super) fn of(events: &EventBatch) -> Self {
        Self {
            events: events.len() as u64,
            slots: events.body_slots::<SLOT_BYTES>(),
        }
    }

    pub(super) fn is_within(self, capacity: Room) -> bool {
        self.events <= capacity.events && self.slots <= capacity.slots
    }

    #[must_use]
    pub(super) fn plus(self, other: Room) -> Self {
        Self {
            events: self.events.saturating_add(other.events),
            slots: self.slots.saturating_add(other.slots),
        }
    }

    /// Saturates: a channel that was shrunk below its fill has no room, not a negative one.
    #[must_use]
    pub(super) fn minus(self, other: Room) -> Self {
        Self {
            events: self.events.saturating_sub(other.events),
            slots: self.slots.saturating_sub(other.slots),
        }
    }

    /// The slots as bytes, the unit of the contract.
    pub(super) fn bytes(self) -> u64 {
        self.slots.saturating_mul(u64::from(SLOT_BYTES))
    }
}
