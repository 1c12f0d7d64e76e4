//! Events in the order of their identities, and what a take cuts off.

use std::collections::VecDeque;

use super::room::{Measure, Room};
use super::stored::Stored;

/// Stored events by sequence, without overlap; holes are events that are leased, gone or kept
/// elsewhere.
#[derive(Debug)]
pub(crate) struct Queue<M> {
    stored: VecDeque<Stored<M>>,
}

/// Events that were taken: in order, not empty. The first stands apart so that the usual take,
/// which cuts one segment, allocates nothing under the lock.
#[derive(Debug)]
pub(crate) struct Taken<M> {
    pub(crate) first: Stored<M>,
    pub(crate) rest: Vec<Stored<M>>,
}

impl<M: Measure> Taken<M> {
    pub(crate) fn room(&self) -> Room {
        self.rest
            .iter()
            .fold(self.first.room(), |sum, stored| sum.plus(stored.room()))
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &Stored<M>> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// Behind the last of them.
    pub(crate) fn end(&self) -> u64 {
        let last = self.rest.last().unwrap_or(&self.first);
        last.end()
    }

    pub(crate) fn into_segments(self) -> Vec<Stored<M>> {
        let mut segments = Vec::with_capacity(1 + self.rest.len());
        segments.push(self.first);
        segments.extend(self.rest);
        segments
    }
}

impl<M> Default for Queue<M> {
    fn default() -> Self {
        Self {
            stored: VecDeque::new(),
        }
    }
}

impl<M: Measure> Queue<M> {
    pub(crate) fn push_back(&mut self, stored: Stored<M>) {
        self.stored.push_back(stored);
    }

    /// Takes the oldest events whose sequence is below `before`, over holes: what stands in a hole
    /// is with another taker, and comes back to its own place or not at all.
    pub(crate) fn take(&mut self, events: usize, bytes: u64, before: u64) -> Option<Taken<M>> {
        let mut events = events;
        let first = self.cut_front(events, bytes, before, true)?;
        events -= first.events.len();
        let mut bytes = bytes.saturating_sub(first.events.body_bytes());
        let mut rest = Vec::new();
        while let Some(stored) = self.cut_front(events, bytes, before, false) {
            events -= stored.events.len();
            bytes = bytes.saturating_sub(stored.events.body_bytes());
            rest.push(stored);
        }
        Some(Taken { first, rest })
    }

    /// Cuts up to that many events and bytes off the first segment, `None` when not one fits.
    /// The first event of a take fits whatever its size.
    fn cut_front(
        &mut self,
        events: usize,
        bytes: u64,
        before: u64,
        is_first: bool,
    ) -> Option<Stored<M>> {
        let front = self.stored.front_mut()?;
        if front.first_sequence >= before {
            return None;
        }
        let count = front.fitting(events, bytes).max(usize::from(is_first));
        if count == 0 {
            return None;
        }
        if count >= front.events.len() {
            return self.stored.pop_front();
        }
        Some(front.split_front(count))
    }

    /// Puts events back to their places, and says what they take.
    pub(crate) fn put_back(&mut self, back: Vec<Stored<M>>) -> Room {
        let mut room = Room::default();
        // From the last to the first: events come back to the head as a rule, and then each is
        // pushed in front of all others.
        for stored in back.into_iter().rev() {
            room = room.plus(stored.room());
            let place = self.place_of(stored.first_sequence);
            self.stored.insert(place, stored);
        }
        room
    }

    /// How many segments stand below this sequence.
    pub(crate) fn place_of(&self, sequence: u64) -> usize {
        self.stored
            .partition_point(|own| own.first_sequence < sequence)
    }

    /// The sequence at which the segment at this place begins.
    pub(crate) fn first_sequence_at(&self, place: usize) -> Option<u64> {
        self.stored.get(place).map(|own| own.first_sequence)
    }

    /// Takes out the segment at this place.
    pub(crate) fn remove(&mut self, place: usize) -> Option<Stored<M>> {
        self.stored.remove(place)
    }
}
