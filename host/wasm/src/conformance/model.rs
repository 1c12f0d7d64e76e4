//! What an answer means, told event by event, slowly, and in other words than the host's.

use std::collections::{BTreeMap, BTreeSet};

use flumen_core::EventBatch;
use flumen_core::limits::{BATCH_HEADERS_MAX, HEADER_NAME_BYTES_MAX};
use flumen_core::sink::{Outcome, Rejected};

use crate::bindings::sink::exports::flumen::plugin::sink_api;
use crate::bindings::types::{Column, Edits, EventBatch as GuestEvents, HeaderColumn};

/// A body and its headers.
pub(super) type Event = (Vec<u8>, BTreeMap<String, String>);

pub(super) fn events_of(batch: &EventBatch) -> Vec<Event> {
    let event = |(row, body): (usize, &[u8])| {
        let headers = batch.headers_of(row);
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        (body.to_vec(), headers.collect())
    };
    batch.bodies().enumerate().map(event).collect()
}

/// The values of a column, when they are so many and the ends cut all of the data.
fn values(column: &Column, count: usize) -> Option<Vec<Vec<u8>>> {
    let mut values = Vec::new();
    let mut start = 0;
    for end in &column.ends {
        let end = usize::try_from(*end).ok()?;
        values.push(column.data.get(start..end)?.to_vec());
        start = end;
    }
    (values.len() == count && start == column.data.len()).then_some(values)
}

/// Row numbers as they are, when each is larger than the one before and below `len`.
fn rows(rows: &[u32], len: usize) -> Option<Vec<usize>> {
    let mut checked: Vec<usize> = Vec::new();
    for row in rows {
        let row = usize::try_from(*row).ok()?;
        if row >= len || checked.last().is_some_and(|last| *last >= row) {
            return None;
        }
        checked.push(row);
    }
    Some(checked)
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Option<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() || name.len() > HEADER_NAME_BYTES_MAX || !seen.insert(name) {
            return None;
        }
    }
    (seen.len() <= BATCH_HEADERS_MAX).then_some(())
}

/// The value of a header for each row that has one.
fn header(column: &HeaderColumn, len: usize) -> Option<Vec<(usize, String)>> {
    let rows = match &column.rows {
        Some(given) => rows(given, len)?,
        None => (0..len).collect(),
    };
    let mut texts = Vec::new();
    for (row, value) in rows.iter().zip(values(&column.values, rows.len())?) {
        texts.push((*row, String::from_utf8(value).ok()?));
    }
    Some(texts)
}

fn set_headers(events: &mut [Event], columns: &[HeaderColumn]) -> Option<()> {
    for column in columns {
        for (row, value) in header(column, events.len())? {
            let (_, headers) = events.get_mut(row)?;
            headers.insert(column.name.clone(), value);
        }
    }
    Some(())
}

/// The events after an interceptor's edits; `None` when the edits break a rule.
pub(super) fn edited(mut events: Vec<Event>, edits: &Edits) -> Option<Vec<Event>> {
    let constant = edits.set_all.iter().map(|header| header.name.as_str());
    let columns = edits.set_headers.iter().map(|header| header.name.as_str());
    names(constant.chain(columns))?;
    for set in &edits.set_all {
        for (_, headers) in &mut events {
            headers.insert(set.name.clone(), set.value.clone());
        }
    }
    set_headers(&mut events, &edits.set_headers)?;
    for (_, headers) in &mut events {
        headers.retain(|name, _| !edits.remove_headers.contains(name));
    }
    if let Some(edit) = &edits.bodies {
        let rows = rows(&edit.rows, events.len())?;
        for (row, body) in rows.iter().zip(values(&edit.bodies, rows.len())?) {
            let (old, _) = events.get_mut(*row)?;
            *old = body;
        }
    }
    let dropped = rows(&edits.dropped, events.len())?;
    let kept = (0..).zip(events).filter(|(row, _)| !dropped.contains(row));
    Some(kept.map(|(_, event)| event).collect())
}

/// The events that a guest made; `None` when they break a rule.
pub(super) fn made(made: &GuestEvents) -> Option<Vec<Event>> {
    names(made.headers.iter().map(|header| header.name.as_str()))?;
    let bodies = values(&made.bodies, made.bodies.ends.len())?;
    let mut events = bodies
        .into_iter()
        .map(|body| (body, BTreeMap::new()))
        .collect::<Vec<Event>>();
    set_headers(&mut events, &made.headers)?;
    Some(events)
}

/// What a sink's answer says of `len` events; `None` when it breaks a rule.
pub(super) fn outcome(answer: &sink_api::Outcome, len: usize) -> Option<Outcome> {
    let partial = match answer {
        sink_api::Outcome::Delivered => return Some(Outcome::Delivered),
        sink_api::Outcome::Buffered => return Some(Outcome::Buffered),
        sink_api::Outcome::Partial(partial) => partial,
    };
    let retry = rows(&partial.retry, len)?;
    let named: Vec<u32> = partial.rejected.iter().map(|one| one.row).collect();
    let rejected = rows(&named, len)?;
    if rejected.iter().any(|row| retry.contains(row)) {
        return None;
    }
    if retry.is_empty() && rejected.is_empty() {
        return Some(Outcome::Delivered);
    }
    Some(Outcome::Partial {
        retry: partial.retry.clone(),
        rejected: partial
            .rejected
            .iter()
            .map(|one| Rejected {
                index: one.row,
                reason: one.reason.clone(),
            })
            .collect(),
    })
}
