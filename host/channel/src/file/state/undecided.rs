//! Puts that are in the log and do not count, or not yet.

use std::ops::Range;

use super::{State, Stored};
use crate::bounded::{Outside, Room};
use crate::file::window::Frame;

impl State {
    /// A frame is in the log, and nobody is to see its events.
    pub(in super::super) fn hide(&mut self, frame: Range<u64>) {
        self.hidden.insert(frame.start, frame.end);
    }

    /// How many hidden events stand in this part of the gap. Frames are in it as a whole.
    pub(in super::super) fn hidden_in(&self, part: &Range<u64>) -> u64 {
        let frames = self.hidden.range(part.clone());
        frames.map(|(first, end)| end - first).sum()
    }

    /// Whether the frame that begins here is hidden. The gap passes it.
    pub(in super::super) fn passes_hidden(&mut self, first: u64) -> bool {
        self.hidden.remove(&first).is_some()
    }

    /// A hidden put counts from now on.
    pub(in super::super) fn publish(
        &mut self,
        stored: Stored,
        room: Room,
        weight: u64,
        outside: &mut Outside,
    ) {
        self.hidden.remove(&stored.first_sequence);
        if stored.events.is_empty() {
            self.accounts.queue_reserved(room, 0);
        } else if self.gap.contains(&stored.first_sequence) {
            // The keeper reads it in its turn.
            self.accounts.queue_reserved(room, 0);
        } else {
            let frame = Frame {
                first: stored.first_sequence,
                end: stored.end(),
                weight,
            };
            if self.gap.is_empty() || frame.first < self.gap.start {
                self.accounts.queue_reserved(room, room.events);
                self.head.insert(frame);
            } else {
                self.accounts.queue_reserved(room, 0);
                self.tail_events += room.events;
                self.tail.insert(frame);
            }
            self.queue.put_back(vec![stored]);
            self.evict();
        }
        self.accounts.serve(outside);
    }

    /// It is known which puts of the log count; these do not, and left the channel.
    pub(in super::super) fn settle(
        &mut self,
        withdrawn: &[(Range<u64>, u64)],
        outside: &mut Outside,
    ) {
        for (frame, size) in withdrawn {
            self.hide(frame.clone());
            self.accounts.unqueue(Room {
                events: frame.end - frame.start,
                size: *size,
            });
        }
        self.is_settled = true;
        self.accounts.serve(outside);
    }

    pub(in super::super) fn is_settled(&self) -> bool {
        self.is_settled
    }
}
