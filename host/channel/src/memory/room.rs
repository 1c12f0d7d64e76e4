//! How the memory channel counts bytes: as Flume does.

use flumen_core::EventBatch;

use crate::bounded::Measure;

/// Flume counts bytes of bodies in slots of this size, a body of any length at least one.
pub(super) const SLOT_BYTES: u32 = 100;

/// The size of events is slots. Looks at the length of every body.
#[derive(Debug)]
pub(super) struct Slots;

impl Measure for Slots {
    fn size(events: &EventBatch) -> u64 {
        events.body_slots::<SLOT_BYTES>()
    }
}

/// Slots as bytes, the unit of the contract.
pub(super) fn bytes(slots: u64) -> u64 {
    slots.saturating_mul(u64::from(SLOT_BYTES))
}
