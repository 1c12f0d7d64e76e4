//! The window: which frames have their events in memory, and what they weigh.

use std::collections::VecDeque;

/// How much of memory the events of the window may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Head and tail together. A frame of any size is kept when it is alone.
    pub(super) bytes_max: u64,
    /// What is read ahead of the takers; one frame may go beyond it.
    pub(super) read_ahead_bytes: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            // A sink that is half a second behind a source of 50 MB/s needs no disk.
            bytes_max: 32 * 1024 * 1024,
            // Some ten milliseconds of reading, and above the largest batch of the usual sinks.
            read_ahead_bytes: 8 * 1024 * 1024,
        }
    }
}

/// A frame whose events are in memory, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) first: u64,
    pub(super) end: u64,
    /// Bytes of memory.
    pub(super) weight: u64,
}

/// Frames in the order of their sequences, and what they weigh.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frames: VecDeque<Frame>,
    weight: u64,
}

impl Frames {
    /// Bytes of memory of all of them.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn is_one(&self) -> bool {
        self.frames.len() <= 1
    }

    /// Lets those go whose last event is before this sequence.
    pub(super) fn pass(&mut self, sequence: u64) {
        while self.frames.front().is_some_and(|own| own.end <= sequence) {
            self.pop_front();
        }
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.weight += frame.weight;
        self.frames.push_back(frame);
    }

    pub(super) fn pop_front(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.weight = self.weight.saturating_sub(frame.weight);
        Some(frame)
    }

    pub(super) fn pop_back(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_back()?;
        self.weight = self.weight.saturating_sub(frame.weight);
        Some(frame)
    }
}
