//! Answers made from bytes. Most keep the rules in most of their parts, so that those that break
//! one break it alone.

use flumen_core::EventBatch;
use flumen_core::batch::{BatchBuilder, Existing, HeaderName};

use crate::bindings::sink::exports::flumen::plugin::sink_api::{Outcome, Partial, Rejected};
use crate::bindings::types::{
    BodyEdit, Column, ConstantHeader, Edits, EventBatch as GuestEvents, HeaderColumn,
};

/// Events of a batch at most: rules are broken between two neighbours.
const EVENTS_MAX: usize = 5;

/// Headers of one kind at most.
const HEADERS_MAX: usize = 3;

/// One part in so many breaks a rule.
const BROKEN_ONE_IN: usize = 24;

/// Bytes that are taken from the front; when they are used up, zeros follow.
pub(super) struct Feed<'a> {
    bytes: &'a [u8],
}

impl<'a> Feed<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below a bound that is neither 0 nor above 256.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn breaks(&mut self) -> bool {
        self.below(BROKEN_ONE_IN) == 1
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        let at = self.below(values.len());
        values.get(at).copied()
    }

    /// A batch of at least one event, some of which have headers.
    pub(super) fn batch(&mut self) -> EventBatch {
        let mut builder = BatchBuilder::new();
        for _ in 0..=self.below(EVENTS_MAX) {
            let body = self.value();
            // A few bytes always have room.
            let _ = builder.push(&body);
        }
        let mut batch = builder.finish().unwrap_or_else(|_| EventBatch::empty());
        for name in ["a", "b"] {
            let has = self.byte();
            let Ok(name) = HeaderName::new(name) else {
                continue;
            };
            let values: Vec<_> = (0..batch.len())
                .map(|row| (has >> (row % 8) & 1 == 1).then_some("old"))
                .collect();
            if values.iter().any(Option::is_some)
                && let Ok(with) = batch.with_header(&name, values, Existing::Replace)
            {
                batch = with;
            }
        }
        batch
    }

    fn value(&mut self) -> Vec<u8> {
        let values: [&[u8]; 6] = [b"", b"x", b"yz", "\u{e4}".as_bytes(), b"x", b"\xff"];
        let value = self.one_of(&values).unwrap_or_default();
        match self.breaks() {
            // One half of a character; the other half may follow.
            true => vec![0xc3],
            false => value.to_vec(),
        }
    }

    /// Text values, or any bytes for bodies.
    fn column(&mut self, values: usize, text: bool) -> Column {
        let values = match self.breaks() {
            true => values + 1 - self.below(3).min(values),
            false => values,
        };
        let mut column = Column {
            data: Vec::new(),
            ends: Vec::new(),
        };
        for _ in 0..values {
            let value = self.value();
            let keeps = !text || std::str::from_utf8(&value).is_ok() || self.breaks();
            if keeps {
                column.data.extend_from_slice(&value);
            }
            column
                .ends
                .push(u32::try_from(column.data.len()).unwrap_or(u32::MAX));
        }
        if self.breaks() {
            let at = self.below(EVENTS_MAX);
            let shift = self.one_of(&[1, u32::MAX, 2, 7]).unwrap_or_default();
            if let Some(end) = column.ends.get_mut(at) {
                *end = end.wrapping_add(shift);
            }
        }
        if self.breaks() {
            column.data.push(b'!');
        }
        column
    }

    /// Row numbers of a batch.
    fn rows(&mut self, len: usize) -> Vec<u32> {
        let chosen = self.byte();
        let mut rows: Vec<u32> = (0..len)
            .zip(0_u32..)
            .filter(|(row, _)| chosen >> (row % 8) & 1 == 1)
            .map(|(_, number)| number)
            .collect();
        if self.breaks() {
            let past = u32::try_from(len).unwrap_or(u32::MAX);
            let more = [0, past, u32::MAX, past.wrapping_sub(1)];
            rows.push(self.one_of(&more).unwrap_or_default());
        }
        if self.breaks() {
            rows.reverse();
        }
        rows
    }

    /// A name that `others` do not have, unless the rule is to be broken.
    fn name(&mut self, others: &mut Vec<&'static str>) -> String {
        if self.breaks() {
            return match self.below(3) {
                0 => String::new(),
                1 => "n".repeat(1025),
                _ => "a".to_owned(),
            };
        }
        let at = self.below(others.len().max(1));
        match at < others.len() {
            true => others.swap_remove(at).to_owned(),
            false => "z".to_owned(),
        }
    }

    fn header(&mut self, names: &mut Vec<&'static str>, len: usize) -> HeaderColumn {
        let rows = (self.below(3) > 0).then(|| self.rows(len));
        let count = rows.as_ref().map_or(len, Vec::len);
        HeaderColumn {
            name: self.name(names),
            rows,
            values: self.column(count, true),
        }
    }

    /// Edits of a batch of `len` events.
    pub(super) fn edits(&mut self, len: usize) -> Edits {
        let mut names = vec!["a", "b", "c", "d", "e", "f"];
        let set_all = (0..self.below(HEADERS_MAX)).map(|_| ConstantHeader {
            name: self.name(&mut names),
            value: "all".to_owned(),
        });
        let set_all = set_all.collect();
        let set_headers = (0..self.below(HEADERS_MAX)).map(|_| self.header(&mut names, len));
        let set_headers = set_headers.collect();
        let remove_headers = (0..self.below(HEADERS_MAX))
            .filter_map(|_| self.one_of(&["a", "b", "c", ""]))
            .map(str::to_owned);
        let remove_headers = remove_headers.collect();
        let bodies = (self.below(2) > 0).then(|| {
            let rows = self.rows(len);
            let bodies = self.column(rows.len(), false);
            BodyEdit { rows, bodies }
        });
        let dropped = match self.below(2) {
            0 => Vec::new(),
            _ => self.rows(len),
        };
        Edits {
            set_all,
            set_headers,
            remove_headers,
            bodies,
            dropped,
        }
    }

    /// Events that a guest made.
    pub(super) fn events(&mut self) -> GuestEvents {
        let mut names = vec!["a", "b", "c", "d"];
        let len = self.below(EVENTS_MAX);
        let bodies = self.column(len, false);
        let headers = (0..self.below(HEADERS_MAX)).map(|_| self.header(&mut names, len));
        let headers = headers.collect();
        GuestEvents { bodies, headers }
    }

    /// What a sink says of a delivery of `len` events.
    pub(super) fn outcome(&mut self, len: usize) -> Outcome {
        match self.below(8) {
            0 => Outcome::Delivered,
            1 => Outcome::Buffered,
            _ => {
                let retry = self.rows(len);
                let mut rejected = self.rows(len);
                if !self.breaks() {
                    rejected.retain(|row| !retry.contains(row));
                }
                let rejected = rejected.into_iter().map(|row| Rejected {
                    row,
                    reason: "why".to_owned(),
                });
                Outcome::Partial(Partial {
                    retry,
                    rejected: rejected.collect(),
                })
            }
        }
    }
}
