//! Batches that the suites hand to what they test: of every layout that a component may meet.

use crate::batch::{BatchBuilder, EventBatch, Existing, HeaderName};

/// Events whose bodies are these numbers in words.
pub(super) fn numbered(first: usize, events: usize) -> EventBatch {
    let mut builder = BatchBuilder::new();
    for number in first..first + events {
        valid(builder.push(format!("event {number}").as_bytes()));
    }
    valid(builder.finish())
}

/// Lines that keep their line feeds in the buffer.
pub(super) fn delimited(lines: usize) -> EventBatch {
    let mut data = Vec::new();
    let mut ends = Vec::new();
    for number in 0..lines {
        data.extend_from_slice(format!("line {number}").as_bytes());
        ends.push(u32::try_from(data.len()).unwrap_or(u32::MAX));
        data.push(b'\n');
    }
    valid(EventBatch::from_delimited(data.into(), b'\n', ends))
}

/// Three events without a byte.
pub(super) fn empty_bodies() -> EventBatch {
    valid(EventBatch::from_columns(Vec::new().into(), vec![0; 3]))
}

/// Three events without a byte, of which the first and the last have a header.
pub(super) fn headers_only() -> EventBatch {
    let values = [Some("a"), None, Some("b")];
    valid(empty_bodies().with_header(&header_name("key"), values, Existing::Replace))
}

pub(super) fn header_name(name: &str) -> HeaderName {
    valid(HeaderName::new(name))
}

pub(super) fn selected(batch: &EventBatch, indices: &[u32]) -> EventBatch {
    valid(batch.select(indices))
}

pub(super) fn bodies(batch: &EventBatch) -> Vec<Vec<u8>> {
    batch.bodies().map(<[u8]>::to_vec).collect()
}

/// The same events in every layout: as they are, in columns of their own, as a slice of a larger
/// batch, and as a list of rows of a larger batch.
pub(super) fn layouts_of(batch: &EventBatch) -> Vec<EventBatch> {
    let compacted = valid(batch.compacted());
    let foreign = numbered(0, 1);
    let surrounded = valid(EventBatch::concat(&[
        foreign.clone(),
        batch.clone(),
        foreign.clone(),
    ]));
    let mut parts = Vec::new();
    for index in 0..batch.len() {
        parts.push(foreign.clone());
        parts.push(batch.slice(index..index + 1));
    }
    let interleaved = valid(EventBatch::concat(&parts));
    vec![
        batch.clone(),
        compacted,
        surrounded.slice(1..batch.len() + 1),
        interleaved.filter(|index, _| index % 2 == 1),
    ]
}

/// What the suites build themselves is valid; anything else is a defect of the batch.
#[expect(clippy::expect_used, reason = "a suite panics at what must not be")]
pub(super) fn valid<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.expect("the suite's own batches are valid")
}
