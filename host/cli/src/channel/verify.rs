//! `flumen channel verify`: everything read, damage counted.

use std::fmt::Write as _;

use flumen_agent::channel_folders::{ChannelImage, Stored};

use crate::import::with_causes;
use crate::output::counted;

/// Places of damage that are told one by one; more are only counted.
const DAMAGE_SHOWN_MAX: u64 = 100;

/// Reads everything. The text, and whether all is whole.
pub(super) fn verify(image: &ChannelImage) -> Result<(String, bool), String> {
    let mut text = String::new();
    let (mut frames, mut events, mut bytes, mut waiting) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut places, mut lost_frames, mut lost_events) = (0_u64, 0_u64, 0_u64);
    let mut stored = image.stored(image.first_stored());
    while let Some(found) = stored.next_stored().map_err(|error| with_causes(&error))? {
        let (count, sequences, why) = match found {
            Stored::Events {
                first_sequence,
                events: own,
            } => {
                frames += 1;
                events += own.len() as u64;
                bytes += own.body_bytes();
                waiting += image.waiting(first_sequence, &own).len() as u64;
                continue;
            }
            Stored::Lost { frames, sequences } => (frames, sequences, "damaged".to_owned()),
            Stored::Unreadable { sequences, why } => (1, sequences, with_causes(&why)),
        };
        places += 1;
        lost_frames += count;
        lost_events += sequences.end - sequences.start;
        if places <= DAMAGE_SHOWN_MAX {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "damage: sequences {} to {}, {}: {why}",
                sequences.start,
                sequences.end.saturating_sub(1),
                counted(count, "frame")
            );
        }
    }
    if places > DAMAGE_SHOWN_MAX {
        let _ = writeln!(text, "damage: {} more places", places - DAMAGE_SHOWN_MAX);
    }
    let found = image.recovery();
    let _ = writeln!(
        text,
        "whole: {} with {} and {bytes} bytes of bodies",
        counted(frames, "frame"),
        counted(events, "event")
    );
    let _ = writeln!(text, "waiting: {}", counted(waiting, "event"));
    let mut is_whole = places == 0;
    let mut told = |count: u64, word: &str, what: &str| {
        if count > 0 {
            is_whole = false;
            let _ = writeln!(text, "{} {what}", counted(count, word));
        }
    };
    told(lost_frames, "frame", "damaged or not to be read");
    told(lost_events, "event", "in them, acknowledged ones included");
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
    Ok((text, is_whole))
}
