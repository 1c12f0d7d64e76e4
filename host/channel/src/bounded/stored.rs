//! A stored segment: events that were put together, or a part of them, with their identity.

use std::marker::PhantomData;

use flumen_core::EventBatch;
use flumen_core::channel::Segment;

use super::room::{Measure, Room};

/// Events that follow one another in the channel and were delivered equally often. Never empty.
#[derive(Debug)]
pub(crate) struct Stored<M> {
    pub(crate) first_sequence: u64,
    pub(crate) redeliveries: u32,
    /// Kept, so that a release does not look at the bodies again.
    pub(crate) size: u64,
    pub(crate) events: EventBatch,
    pub(crate) measure: PhantomData<M>,
}

impl<M: Measure> Stored<M> {
    pub(crate) fn new(first_sequence: u64, size: u64, events: EventBatch) -> Self {
        Self {
            first_sequence,
            redeliveries: 0,
            size,
            events,
            measure: PhantomData,
        }
    }

    /// Behind the last of the events.
    pub(crate) fn end(&self) -> u64 {
        self.first_sequence + self.events.len() as u64
    }

    pub(crate) fn room(&self) -> Room {
        Room {
            events: self.events.len() as u64,
            size: self.size,
        }
    }

    /// What a taker sees of it; shares the events.
    pub(crate) fn shown(&self) -> Segment {
        Segment {
            first_sequence: self.first_sequence,
            redeliveries: self.redeliveries,
            events: self.events.clone(),
        }
    }

    /// The events from `start` up to `end`, with their own identity; shares the events.
    pub(crate) fn part(&self, start: usize, end: usize) -> Self {
        let events = self.events.slice(start..end);
        Self {
            first_sequence: self.first_sequence + start as u64,
            redeliveries: self.redeliveries,
            size: M::size(&events),
            events,
            measure: PhantomData,
        }
    }

    /// Cuts off the first `count` events, fewer than there are, and keeps the others. Only the
    /// bodies of the shorter part are looked at.
    pub(crate) fn split_front(&mut self, count: usize) -> Self {
        let head = self.events.slice(0..count);
        let tail = self.events.slice(count..self.events.len());
        let head_size = if head.len() <= tail.len() {
            M::size(&head)
        } else {
            self.size.saturating_sub(M::size(&tail))
        };
        let front = Self {
            first_sequence: self.first_sequence,
            redeliveries: self.redeliveries,
            size: head_size,
            events: head,
            measure: PhantomData,
        };
        self.first_sequence += count as u64;
        self.size = self.size.saturating_sub(head_size);
        self.events = tail;
        front
    }

    /// How many events from the first on stay within `events` and `bytes` of bodies.
    pub(crate) fn fitting(&self, events: usize, bytes: u64) -> usize {
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
    pub(crate) fn kept(segments: Vec<Self>, indices: &[u32]) -> Vec<Self> {
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
