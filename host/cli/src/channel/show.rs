//! `flumen channel show`: the state of one channel; `ls`: a line for each.

use std::fmt::Write as _;

use flumen_agent::channel_folders::{ChannelImage, ImageError};

use crate::import::with_causes;
use crate::output::counted;

/// Where the values begin.
const LABEL_COLUMNS: usize = 14;

/// Segments that are shown one by one, the oldest and the newest; more are only counted.
const SEGMENTS_SHOWN_MAX: usize = 20;

/// The text of `show`. Whether anything is damaged is the exit code of `verify`, not of this.
pub(super) fn text(image: &ChannelImage) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:LABEL_COLUMNS$}{value}");
    };
    line("folder", image.folder().display().to_string());
    line("waiting", waiting(image));
    line("ever put", counted(image.next_sequence(), "event"));
    if image.acknowledged_apart() > 0 {
        let apart = image.acknowledged_apart();
        line(
            "apart",
            format!("{apart} stretches behind the first waiting event are acknowledged"),
        );
    }
    if image.record_count() > 0 {
        let what = format!(
            "{} that the agent has not yet taken over, {} bytes",
            counted(image.record_count() as u64, "record"),
            image.record_bytes()
        );
        line("states", what);
    }
    segments(image, &mut line);
    for (index, what) in findings(image).into_iter().enumerate() {
        line(label(index, "damage"), what);
    }
    text
}

fn label(index: usize, label: &str) -> &str {
    if index == 0 { label } else { "" }
}

fn waiting(image: &ChannelImage) -> String {
    match image.recovery().pending_items {
        0 => "no events".to_owned(),
        events => format!(
            "{}, {} bytes of bodies, from sequence {}",
            counted(events, "event"),
            image.waiting_bytes(),
            image.first_waiting()
        ),
    }
}

fn segments(image: &ChannelImage, line: &mut dyn FnMut(&str, String)) {
    let segments = image.segments();
    let spare = image.spare_files();
    line(
        "segments",
        format!(
            "{}, and {}",
            segments.len(),
            counted(spare as u64, "spare file")
        ),
    );
    let shown = segments.len() > SEGMENTS_SHOWN_MAX;
    let half = SEGMENTS_SHOWN_MAX / 2;
    for (index, segment) in segments.iter().enumerate() {
        if shown && index == half {
            line("", format!("... {} more", segments.len() - 2 * half));
        }
        if shown && (half..segments.len() - half).contains(&index) {
            continue;
        }
        let events = match segment.last.item.checked_sub(segment.first.item) {
            None | Some(0) => "no events".to_owned(),
            Some(_) => format!(
                "sequences {} to {}",
                segment.first.item,
                segment.last.item - 1
            ),
        };
        let frames = segment.last.sequence.saturating_sub(segment.first.sequence);
        line(
            "",
            format!(
                "segment-{:016x}  {}, {events}, {} bytes",
                segment.number,
                counted(frames, "frame"),
                segment.end
            ),
        );
    }
}

/// What an opening would tell, in words; `none` when it is nothing.
fn findings(image: &ChannelImage) -> Vec<String> {
    let found = image.recovery();
    let mut all = Vec::new();
    let mut told = |count: u64, word: &str, what: &str| {
        if count > 0 {
            all.push(format!("{} {what}", counted(count, word)));
        }
    };
    told(found.lost.items, "event", "lost to damage so far");
    told(found.quarantined_frames, "damaged frame", "of that are new");
    told(found.missing_segments, "segment", "missing");
    told(
        found.unreadable_blocks,
        "block",
        "that the disk does not give",
    );
    told(
        found.cut_frames,
        "unfinished frame",
        "at the end; nobody was told that they count",
    );
    if found.without_snapshot {
        all.push("no snapshot is whole: acknowledged events may come again".to_owned());
    }
    if let Some(problem) = image.problem() {
        all.push(format!("no agent opens it: {}", with_causes(&problem)));
    }
    if all.is_empty() {
        all.push("none known; `flumen channel verify` reads everything".to_owned());
    }
    all
}

/// A line of `ls`, and whether the channel could be looked at or is in use.
pub(super) fn list_line(name: &str, image: Result<ChannelImage, ImageError>) -> (String, bool) {
    match image {
        Ok(image) => (format!("{name}\t{}", waiting(&image)), true),
        Err(error @ ImageError::InUse(_)) => (format!("{name}\tin use: {error}"), true),
        Err(error) => (format!("{name}\t{}", with_causes(&error)), false),
    }
}
