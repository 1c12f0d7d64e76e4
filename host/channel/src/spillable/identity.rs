//! The identity of an event that lies in the overflow: a header that goes in with it and is taken
//! off again.
//!
//! The overflow counts only what it holds; the sequence of an event counts what lies in memory too.
//! So the sequence travels with the event, and is the same after a restart.
//!
//! Sequences of one opening of the channel follow one another from its *epoch* on, a number that
//! grows with each opening and is kept in the overflow. So no sequence is used twice, although what
//! lay in memory is forgotten.

use flumen_core::EventBatch;
use flumen_core::batch::{BatchError, Existing, HeaderName};
use flumen_core::channel::Segment;
use flumen_core::limits::BATCH_HEADERS_MAX;

use super::state::Stored;

/// The header. No source has reason to set one of this name; should it be there, it is replaced.
const HEADER: &str = "flumen:spilled-sequence";

/// Sequences of one epoch: more than a million events a second for twelve days.
const EPOCH_BITS: u32 = 40;

/// The first sequence of an epoch. The epochs of a folder that was a file channel's begin where the
/// generations of that one ended, so the number is cut to what there is room for: it comes round
/// after 16 million openings, and never to the sequences of the file channel, which begin at 0.
pub(super) fn first_sequence(epoch: u64) -> u64 {
    let epochs = 1 << (u64::BITS - EPOCH_BITS);
    (1 + epoch.saturating_sub(1) % (epochs - 1)) << EPOCH_BITS
}

/// The epoch behind the newest that was kept, as the generation of a record in the overflow.
pub(super) fn next_epoch(kept: u64) -> u64 {
    kept.saturating_add(1)
}

/// Whether a batch has room for one more header.
pub(super) fn fits(events: &EventBatch) -> bool {
    events.header_names().count() < BATCH_HEADERS_MAX
}

/// The events with their sequences. All take the same number of bytes, whatever the sequence.
pub(super) fn tagged(events: &EventBatch, first_sequence: u64) -> Result<EventBatch, BatchError> {
    let name = HeaderName::new(HEADER)?;
    let sequences = (first_sequence..).take(events.len());
    let texts: Vec<String> = sequences.map(|own| format!("{own:016x}")).collect();
    let values = texts.iter().map(|text| Some(text.as_str()));
    events.with_header(&name, values, Existing::Replace)
}

/// The events of the overflow as they were put, in runs whose sequences follow one another. Events
/// without a sequence were put by a file channel of the same folder: they keep that one's, which is
/// of no epoch.
pub(super) fn untagged(segment: &Segment) -> Vec<Stored> {
    let events = segment.events.without_headers(|name| name == HEADER);
    let tags = segment.events.header(HEADER);
    let sequence = |index: usize| {
        let text = tags.as_ref().and_then(|tags| tags.get(index));
        let tagged = text.and_then(|text| u64::from_str_radix(text, 16).ok());
        tagged.unwrap_or(segment.first_sequence + index as u64)
    };
    let sequences: Vec<u64> = (0..events.len()).map(sequence).collect();
    let mut start = 0;
    let mut runs = Vec::new();
    for run in sequences.chunk_by(|one, next| one + 1 == *next) {
        let part = events.slice(start..start + run.len());
        start += run.len();
        if let Some(first) = run.first() {
            let mut stored = Stored::new(*first, part.body_bytes(), part);
            stored.redeliveries = segment.redeliveries;
            runs.push(stored);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(events: EventBatch) -> Segment {
        Segment {
            first_sequence: 7,
            redeliveries: 2,
            events,
        }
    }

    fn events() -> EventBatch {
        let plain = EventBatch::from_columns("abc".into(), vec![1, 2, 3]).unwrap();
        let name = HeaderName::new("host").unwrap();
        plain
            .with_header(&name, [Some("x"), None, Some("")], Existing::Replace)
            .unwrap()
    }

    #[test]
    fn events_come_out_as_they_went_in() {
        let first = first_sequence(3) + 250;
        let runs = untagged(&segment(tagged(&events(), first).unwrap()));
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].first_sequence, runs[0].redeliveries), (first, 2));
        assert_eq!(runs[0].events, events());
        assert_eq!(runs[0].events.header_names().collect::<Vec<_>>(), ["host"]);
    }

    #[test]
    fn events_of_two_puts_are_two_runs() {
        let both = [
            tagged(&events(), 100).unwrap(),
            tagged(&events(), 200).unwrap(),
        ];
        let runs = untagged(&segment(EventBatch::concat(&both).unwrap()));
        let places: Vec<_> = runs
            .iter()
            .map(|run| (run.first_sequence, run.events.len()))
            .collect();
        assert_eq!(places, [(100, 3), (200, 3)]);
    }

    #[test]
    fn events_of_a_file_channel_keep_their_places() {
        let runs = untagged(&segment(events()));
        let places: Vec<_> = runs
            .iter()
            .map(|run| (run.first_sequence, run.events.len()))
            .collect();
        assert_eq!(places, [(7, 3)]);
    }

    #[test]
    fn epochs_grow() {
        assert_eq!(next_epoch(0), 1);
        assert_eq!(next_epoch(41), 42);
        assert!(first_sequence(42) > first_sequence(41) + 1_000_000_000_000);
        let last = (1 << 24) - 1;
        assert_eq!(first_sequence(last), last << 40);
        assert_eq!(first_sequence(last + 1), 1 << 40);
        assert!(first_sequence(1 << 24) > 0);
    }
}
