//! Reading events back: a page of them at a time, over holes and over what cannot be read.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use flumen_clients::sqlite::{Database, Failure, Row, SqliteError, Value};
use flumen_core::batch::{BatchBuilder, BatchError, HeaderName};
use flumen_core::limits::BATCH_HEADERS_MAX;

use super::headers;
use super::schema::EVENTS_FROM;
use super::state::Stored;
use super::store::{signed, unsigned};

/// Events of one page. As many as a large take wants, so that a reader that keeps up is asked once
/// for each take.
pub(super) const PAGE_EVENTS_MAX: u64 = 8192;

/// Bytes of bodies and headers of one page, but for the first event, which is read whatever its
/// size. A small part of what may be in memory, so that taking and reading overlap.
const PAGE_BYTES_MAX: u64 = 2 << 20;

/// Sequences that are tried one by one where a page cannot be read. Each is a search in the tree,
/// so this bounds the time that a damaged file keeps the reader busy at a time.
const PROBES_MAX: u64 = 1024;

/// Sequences that are named in the log when events cannot be read. More of them tell nothing new.
const NAMED_MAX: usize = 8;

/// Events that were read.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// In order.
    pub(super) stored: Vec<Stored>,
    /// Bytes of bodies and headers.
    pub(super) bytes: u64,
    /// Where to go on.
    pub(super) next: u64,
    /// Rows that are there and cannot be read as events. They stay where they are.
    pub(super) unreadable: u64,
    /// The first of them.
    pub(super) unreadable_named: Vec<u64>,
}

impl Page {
    fn skip(&mut self, sequence: u64) {
        self.unreadable += 1;
        if self.unreadable_named.len() < NAMED_MAX {
            self.unreadable_named.push(sequence);
        }
    }
}

/// Reads events from `from` on and before `to`: those that are there and not in the ranges of
/// `without`, until the page is full.
///
/// # Errors
/// The database cannot be read at all for now.
pub(super) fn read(
    database: &Database,
    without: [&[(u64, u64)]; 2],
    from: u64,
    to: u64,
) -> Result<Page, SqliteError> {
    let mut reading = Reading::new(without, from);
    match reading.rows(database, from, to, PAGE_EVENTS_MAX) {
        Ok(()) => return Ok(reading.finish()),
        Err(error) if error.failure() != Some(Failure::Corrupt) => return Err(error),
        // What was read before the damage is whole.
        Err(_) if !reading.is_empty() => return Ok(reading.finish()),
        Err(_) => {}
    }
    for sequence in from..to.min(from.saturating_add(PROBES_MAX)) {
        match reading.rows(database, sequence, sequence + 1, 1) {
            Ok(()) if !reading.is_empty() => break,
            Ok(()) => {}
            Err(error) if error.failure() == Some(Failure::Corrupt) => reading.page.skip(sequence),
            Err(error) => return Err(error),
        }
        reading.page.next = sequence + 1;
    }
    Ok(reading.finish())
}

struct Reading<'a> {
    without: [&'a [(u64, u64)]; 2],
    page: Page,
    builder: BatchBuilder,
    sequences: Vec<u64>,
    names: BTreeSet<HeaderName>,
    /// The headers that were read last: most events have the same as the one before.
    last_text: String,
    last_headers: Vec<(HeaderName, String)>,
}

impl<'a> Reading<'a> {
    fn new(without: [&'a [(u64, u64)]; 2], from: u64) -> Self {
        Self {
            without,
            page: Page {
                next: from,
                ..Page::default()
            },
            builder: BatchBuilder::new(),
            sequences: Vec::new(),
            names: BTreeSet::new(),
            last_text: "{}".to_owned(),
            last_headers: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Adds the rows of a range, until the page is full. The range is done when it was not.
    fn rows(
        &mut self,
        database: &Database,
        from: u64,
        to: u64,
        rows_max: u64,
    ) -> Result<(), SqliteError> {
        let bounds = [from, to, rows_max].map(|bound| Value::Integer(signed(bound)));
        let mut rows = 0;
        let mut is_full = false;
        database.statements().query(EVENTS_FROM, &bounds, |row| {
            let flow = self.row(row)?;
            rows += 1;
            is_full = flow.is_break();
            Ok(flow)
        })?;
        if !is_full && rows < rows_max {
            self.page.next = to;
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) -> Result<ControlFlow<()>, SqliteError> {
        let sequence = unsigned(row.integer(0)?);
        let is_over = |(first, last): &(u64, u64)| (*first..=*last).contains(&sequence);
        if self.without.iter().copied().flatten().any(is_over) {
            self.page.next = sequence + 1;
            return Ok(ControlFlow::Continue(()));
        }
        let (Ok(text), Ok(body)) = (row.text(1), row.bytes(2)) else {
            return Ok(self.unreadable(sequence));
        };
        let bytes = (text.len() + body.len()) as u64;
        if !self.is_empty() && self.page.bytes + bytes > PAGE_BYTES_MAX {
            return Ok(ControlFlow::Break(()));
        }
        if text != self.last_text {
            let Some(headers) = headers::read(text) else {
                return Ok(self.unreadable(sequence));
            };
            let new = headers
                .iter()
                .filter(|(name, _)| !self.names.contains(name));
            if self.names.len() + new.count() > BATCH_HEADERS_MAX {
                if self.is_empty() {
                    return Ok(self.unreadable(sequence));
                }
                return Ok(ControlFlow::Break(()));
            }
            self.names
                .extend(headers.iter().map(|(name, _)| name.clone()));
            self.last_headers = headers;
            text.clone_into(&mut self.last_text);
        }
        if self.push(body).is_err() {
            // The limits of a batch are far above a page, so this is a row of another program.
            if self.is_empty() {
                self.builder = BatchBuilder::new();
                return Ok(self.unreadable(sequence));
            }
            // It begins the next page. What there is of it in the builder stands behind the events
            // of this one and is cut off.
            return Ok(ControlFlow::Break(()));
        }
        self.sequences.push(sequence);
        self.page.bytes += bytes;
        self.page.next = sequence + 1;
        Ok(ControlFlow::Continue(()))
    }

    fn push(&mut self, body: &[u8]) -> Result<(), BatchError> {
        self.builder.push(body)?;
        for (name, value) in &self.last_headers {
            self.builder.set_header(name, value)?;
        }
        Ok(())
    }

    fn unreadable(&mut self, sequence: u64) -> ControlFlow<()> {
        self.page.skip(sequence);
        self.page.next = sequence + 1;
        ControlFlow::Continue(())
    }

    /// The page: a segment for each run of sequences without a hole.
    fn finish(mut self) -> Page {
        // Never fails: every event was accepted with its headers.
        let events = self.builder.finish().unwrap_or_default();
        let mut start = 0;
        for run in self.sequences.chunk_by(|one, next| one + 1 == *next) {
            let part = events.slice(start..start + run.len());
            start += run.len();
            let Some(first) = run.first() else { continue };
            if !part.is_empty() {
                let size = part.body_bytes();
                self.page.stored.push(Stored::new(*first, size, part));
            }
        }
        self.page
    }
}
