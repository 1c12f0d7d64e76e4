//! Events that the disk does not give. They stay in the channel, as what they are, and nobody waits
//! for them: not takes, not puts for their room, not the end of the channel.

use std::ops::Range;

use super::State;
use crate::bounded::{Outside, Room};

impl State {
    /// Passes over a part of the gap, of whose events `missing` are not acknowledged. They can be
    /// taken after the next opening at the earliest. Gives how many they are.
    pub(in super::super) fn set_aside(
        &mut self,
        items: Range<u64>,
        missing: u64,
        outside: &mut Outside,
    ) -> u64 {
        self.was_unreadable = None;
        let queued = self.accounts.queued();
        let events = missing.min(queued.events);
        // A share, which only the room for puts depends on. What they really take stays in the sum.
        let size = queued.size / queued.events.max(1) * events;
        self.accounts.set_aside(Room { events, size });
        self.gap.start = items.end.clamp(self.gap.start, self.gap.end);
        if self.gap.is_empty() {
            self.close_gap();
        }
        self.accounts.serve(outside);
        events
    }
}
