//! A stored segment: events that were put together, or a part of them, with their identity.

use flumen_core::EventBatch;
use flumen_core::channel::Segment;

use super::room::{Room, SLOT_BYTES};

/// Events that follow one another in the channel and were delivered equally often. Never empty.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) first_sequence: u64,
    pub(super) redeliveries: u32,
    /// Kept, so that a release does not look at the bodies again.
    pub(super) slots: u64,
    pub(super) events: EventBatch,
}

impl Stored {
    pub(super) fn room(&self) -> Room {
        Room {
            events: self.events.len() as u64,
            slots: self.slots,
        }
    }

    /// What a taker sees of it; shares the events.
    pub(super) fn shown(&self) -> Segment {
        Segment {
            first_sequence: self.first_sequence,
            redeliveries: self.redeliveries,
            events: self.events.clone(),
        }
    }

    /// The events from `start` up to `end`, with their own identity; shares the events.
    pub(super) fn part(&self, start: usize, end: usize) -> Self {
        let events = self.events.slice(start..end);
        Self {
            first_sequence: self.first_sequence + start as u64,
            redeliveries: self.redeliveries,
            slots: events.body_slots::<SLOT_BYTES>(),
            events,
        }
    }

    /// Cuts off the first `count` events, fewer than there are, and keeps the others. Only the
    /// bodies of the shorter part are looked at.
    pub(super) fn split_front(&mut self, count: usize) -> Self {
        let head = self.events.slice(0..count);
        let tail = self.events.slice(count..self.events.len());
        let head_slots = if head.len() <= tail.len() {
            head.body_slots::<SLOT_BYTES>()
        } else {
            self.slots.saturating_sub(tail.body_slots::<SLOT_BYTES>())
        };
        let front = Self {
            first_sequence: self.first_sequence,
            redeliveries: self.redeliveries,
            slots: head_slots,
            events: head,
        };
        self.first_sequence += count as u64;
        self.slots = self.slots.saturating_sub(head_slots);
        self.events = tail;
        front
    }

    /// How many events from the first on stay within `events` and `bytes` of bodies.
    pub(super) fn fitting(&self, events: usize, bytes: u64) -> usize {
        let most = self.events.len().min(events);
        if self.events.body_bytes() <= bytes {
            return most;
        }
        let mut left = bytes;
        self.events
            .bodies()
            .take(most)
            .take_while(|body| match left.checked_sub(body.len() as u64) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => false,
            })
            .count()
    }

    /// The events at these indices, as the fewest segments that keep every identity. Indices count
    /// over all of `segments`, increase strictly and are in range; each event was delivered once
    /// more.
    pub(super) fn kept(segments: Vec<Stored>, indices: &[u32]) -> Vec<Stored> {
        let mut kept = Vec::new();
        let mut indices = indices.iter().map(|index| *index as usize).peekable();
        let mut before = 0;
        for mut stored in segments {
            stored.redeliveries = stored.redeliveries.saturating_add(1);
            let behind = before + stored.events.len();
            while let Some(first) = indices.next_if(|index| *index < behind) {
                let mut end = first + 1;
                while indices
                    .next_if(|index| *index == end && end < behind)
                    .is_some()
                {
                    end += 1;
                }
                kept.push(stored.part(first - before, end - before));
            }
            before = behind;
        }
        kept
    }
}
