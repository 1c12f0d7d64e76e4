//! `flumen channel verify`: everything read, damage counted.

use std::fmt::Write as _;
use std::ops::Range;

use flumen_agent::channel_folders::{ChannelImage, Stored};

use crate::import::with_causes;
use crate::output::counted;

/// Places of damage that are told one by one; more are only counted.
const DAMAGE_SHOWN_MAX: u64 = 100;

/// Reads everything. The text, and whether all is whole.
pub(super) fn verify(image: &ChannelImage) -> Result<(String, bool), String> {
    let mut counts = Counts::default();
    let mut stored = image.stored(image.first_stored());
    while let Some(found) = stored.next_stored().map_err(|error| with_causes(&error))? {
        match found {
            Stored::Events {
                first_sequence,
                events,
            } => {
                counts.frames += 1;
                counts.events += events.len() as u64;
                counts.bytes += events.body_bytes();
                counts.waiting += image.waiting(first_sequence, &events).len() as u64;
            }
            Stored::Lost { frames, sequences } => counts.damaged(frames, &sequences, "damaged"),
            Stored::Unreadable { sequences, why } => {
                counts.damaged(1, &sequences, &with_causes(&why));
            }
        }
    }
    Ok(counts.text(image))
}

#[derive(Default)]
struct Counts {
    frames: u64,
    events: u64,
    bytes: u64,
    waiting: u64,
    places: u64,
    lost_frames: u64,
    lost_events: u64,
    /// A line for each place of damage, up to the bound.
    damage: String,
}

impl Counts {
    fn damaged(&mut self, frames: u64, sequences: &Range<u64>, why: &str) {
        self.places += 1;
        self.lost_frames += frames;
        self.lost_events += sequences.end - sequences.start;
        if self.places <= DAMAGE_SHOWN_MAX {
            // Writing to a string cannot fail.
            let _ = writeln!(
                self.damage,
                "damage: sequences {} to {}, {}: {why}",
                sequences.start,
                sequences.end.saturating_sub(1),
                counted(frames, "frame")
            );
        }
    }

    fn text(mut self, image: &ChannelImage) -> (String, bool) {
        let mut text = std::mem::take(&mut self.damage);
        if self.places > DAMAGE_SHOWN_MAX {
            let more = self.places - DAMAGE_SHOWN_MAX;
            let _ = writeln!(text, "damage: {}", counted(more, "more place"));
        }
        let _ = writeln!(
            text,
            "whole: {} with {} and {} bytes of bodies",
            counted(self.frames, "frame"),
            counted(self.events, "event"),
            self.bytes
        );
        let _ = writeln!(text, "waiting: {}", counted(self.waiting, "event"));
        let mut is_whole = self.places == 0;
        let mut told = |count: u64, word: &str, what: &str| {
            if count > 0 {
                is_whole = false;
                let _ = writeln!(text, "{} {what}", counted(count, word));
            }
        };
        let found = image.recovery();
        told(self.lost_frames, "frame", "damaged or not to be read");
        told(
            self.lost_events,
            "event",
            "in them, acknowledged ones included",
        );
        told(found.missing_segments, "segment", "missing");
        told(
            found.unreadable_blocks,
            "block",
            "that the disk does not give",
        );
        if found.without_snapshot {
            is_whole = false;
            text.push_str("no snapshot is whole: acknowledged events may come again\n");
        }
        if let Some(problem) = image.problem() {
            is_whole = false;
            let _ = writeln!(text, "no agent opens it: {}", with_causes(&problem));
        }
        if !is_whole {
            text.push_str(
                "the agent delivers all that is whole; `flumen channel salvage` copies it into a new folder\n",
            );
        }
        (text, is_whole)
    }
}
