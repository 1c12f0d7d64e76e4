//! The keeper: the channel's own thread, which reads the backlog into the window, writes
//! acknowledgements that nothing else took along, and closes the log at the end. Everything that
//! has to wait for the disk without anybody asking for it is here.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flumen_core::EventBatch;
use flumen_wal::{Acknowledged, Log, Position, Read, ReadError, Reader, Record};
use tracing::{error, warn};

use super::acks::Acks;
use super::core::Core;
use super::head::{Head, Tail};
use super::patience::Patience;
use super::payload::{self, MAGIC, PayloadError};
use super::state::{ACK_RANGES_MAX, Filled, State, Stored, Unreadable};
use crate::bounded::{Measure, Outside};

/// How long the keeper keeps its reader, with an open file and 1 MiB of buffer, after the last read.
const READER_IDLE: Duration = Duration::from_secs(1);

/// The keeper of one channel.
pub(super) struct Keeper {
    core: Arc<Core>,
    log: Arc<Log>,
    reader: Option<(Reader, Instant)>,
    /// Acknowledged when the channel was opened. Nothing that is read later was acknowledged since.
    acknowledged: Acknowledged,
    reading: Reading,
    /// The next read passes over what the disk does not give.
    passes_over: bool,
}

/// What a keeper has to know for reading.
pub(super) struct Reading {
    pub(super) patience: Patience,
    /// Where the log is, to be told.
    pub(super) folder: PathBuf,
}

enum Task {
    /// Read on from this sequence.
    Read(u64),
    Write(Acks),
    /// See whether the log has room again.
    Probe,
    DropReader,
    End(Acks),
}

impl Keeper {
    pub(super) fn new(core: Arc<Core>, log: Arc<Log>, reading: Reading) -> Self {
        Self {
            acknowledged: log.acknowledged_at_open().clone(),
            core,
            log,
            reader: None,
            reading,
            passes_over: false,
        }
    }

    /// Until the channel is gone. Closes the log as the last thing, and says whether that went well.
    pub(super) fn run(mut self) -> bool {
        loop {
            match self.next() {
                Task::Read(from) => self.read(from),
                Task::Write(acks) => self.write(acks),
                Task::Probe => self
                    .core
                    .with(|state, outside| state.set_full(None, outside)),
                Task::DropReader => self.reader = None,
                Task::End(acks) => return self.end(acks),
            }
        }
    }

    fn next(&self) -> Task {
        let reader_until = self.reader.as_ref().map(|(_, used)| *used + READER_IDLE);
        self.core.keeper_waits(|state| {
            if state.is_ending {
                return Ok(Task::End(state.acks.take(ACK_RANGES_MAX)));
            }
            let now = Instant::now();
            let is_past = |time: &Option<Instant>| time.is_some_and(|time| time <= now);
            if is_past(&state.retry_at) {
                state.retry_at = None;
                state.unreadable = None;
            }
            if is_past(&state.probe_at) {
                return Ok(Task::Probe);
            }
            if is_past(&state.acks_due()) || state.take_forget_due() {
                return Ok(Task::Write(state.acks.take(ACK_RANGES_MAX)));
            }
            if let Some(from) = state.wanted() {
                return Ok(Task::Read(from));
            }
            if is_past(&reader_until) {
                return Ok(Task::DropReader);
            }
            let times = [state.due(), reader_until];
            Err(times.into_iter().flatten().min())
        })
    }

    fn write(&self, acks: Acks) {
        let Acks { ranges, size_bytes } = acks;
        let payload = match self.payload(size_bytes) {
            Ok(payload) => payload,
            Err(error) => {
                // Only lengths could be wrong, and there are none.
                error!(channel = %self.core.name, "acknowledgements cannot be written: {error}");
                return;
            }
        };
        let record = Record {
            items: 0,
            acknowledged: ranges,
            payload,
        };
        let core = Arc::clone(&self.core);
        let done = Box::new(move |outcome| core.acks_done(outcome, size_bytes));
        if let Err(refused) = self.log.append(record, done) {
            self.core.acks_done(Err(refused), size_bytes);
        }
    }

    /// A frame that acknowledges.
    fn payload(&self, released_bytes: u64) -> Result<Bytes, PayloadError> {
        let tail = Tail {
            released_bytes,
            forgotten: self.core.with(|state, _| state.forgotten()),
        };
        let plain = payload::encode(&EventBatch::empty(), None, tail)?;
        self.core.keyring.seal(plain, MAGIC)
    }

    fn end(self, acks: Acks) -> bool {
        let mut is_written = true;
        let mut acks = Some(acks).filter(|acks| !acks.ranges.is_empty());
        while let Some(Acks { ranges, size_bytes }) = acks.take() {
            let Ok(payload) = self.payload(size_bytes) else {
                break;
            };
            let record = Record {
                items: 0,
                acknowledged: ranges,
                payload,
            };
            if let Err(refused) = self.log.append_and_wait(record) {
                warn!(
                    channel = %self.core.name,
                    "acknowledgements could not be written, so their events are delivered again after the next start: {refused}"
                );
                is_written = false;
                break;
            }
            let left = self.core.with(|state, _| state.acks.take(ACK_RANGES_MAX));
            acks = Some(left).filter(|acks| !acks.ranges.is_empty());
        }
        drop(self.reader);
        // Whoever else has a hand on the log is just handing a record in, and nobody follows.
        let mut log = self.log;
        let log = loop {
            match Arc::try_unwrap(log) {
                Ok(log) => break log,
                Err(shared) => log = shared,
            }
            thread::yield_now();
        };
        if let Err(failure) = log.close() {
            error!(channel = %self.core.name, "file channel was not closed in order: {failure}");
            return false;
        }
        is_written
    }

    fn read(&mut self, from: u64) {
        let mut reader = match self.reader.take() {
            Some((reader, _)) if reader.next_item() <= from => reader,
            _ => self.log.reader(from),
        };
        let passes_over = std::mem::take(&mut self.passes_over);
        if passes_over {
            reader.pass_unreadable();
        }
        let read = reader.next();
        if read.is_ok() {
            self.reading.patience.succeeded();
            // For the next place the disk is waited for again.
            self.reader = Some((reader, Instant::now())).filter(|_| !passes_over);
        }
        match read {
            Ok(Some(Read::Frame {
                first_item,
                items,
                payload,
                ..
            })) => {
                let frame = first_item..first_item + u64::from(items);
                let events = Head::decode(&payload, MAGIC).and_then(|head| {
                    payload::decode_events(&self.core.keyring, &payload, &head, items)
                });
                match events {
                    Ok(events) => {
                        let weight = super::weight(payload.len(), &events);
                        let size = super::state::Bodies::size(&events);
                        let stored = Stored::new(first_item, size, events);
                        self.fill(frame, stored, weight);
                    }
                    Err(error) => {
                        self.unreadable(format!("events {frame:?} cannot be read: {error}"), None)
                    }
                }
            }
            Ok(Some(Read::Lost { frames, items })) => self.lose(frames, items),
            Ok(Some(Read::Unreadable {
                position, items, ..
            })) => self.set_aside(position, items),
            Ok(None) => self.nothing_more(),
            Err(error) => self.wait_for_disk(&error),
        }
    }

    /// The disk did not give what was asked for: it is asked again, or passes for broken there.
    fn wait_for_disk(&mut self, error: &ReadError) {
        let Some(again) = self.reading.patience.failed(Instant::now()) else {
            self.passes_over = true;
            return;
        };
        let cause = std::error::Error::source(error)
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        self.unreadable(format!("{error}{cause}"), Some(again));
    }

    /// These are not given, and nobody waits for them any longer. They are not acknowledged, so they
    /// stay in the log, and the next opening tries them again.
    fn set_aside(&mut self, position: Position, items: Range<u64>) {
        self.reading.patience.passed(Instant::now());
        let events = self.core.with(|state, outside| {
            let Some(items) = in_gap(state, &items, outside) else {
                return 0;
            };
            let missing = self.acknowledged.missing(items.clone());
            let missing = missing.saturating_sub(state.hidden_in(&items));
            state.set_aside(items, missing, outside)
        });
        if events > 0 {
            let file = self.reading.folder.join(position.file_name());
            error!(
                channel = %self.core.name,
                "the disk does not give {events} events at offset {} of {}; they are set aside, and all others are delivered; mend the disk or copy the folder to another one, and they are tried again when the channel is opened",
                position.offset(), file.display()
            );
        }
    }

    fn fill(&self, frame: Range<u64>, stored: Stored, weight: u64) {
        let missing = self.acknowledged.missing(frame.clone());
        let stored = match missing {
            0 => Vec::new(),
            all if all == frame.end - frame.start => vec![stored],
            _ => self.waiting_parts(&frame, &stored),
        };
        let lost = self.core.with(|state, outside| {
            let gap = state.gap();
            let passed = gap.start..frame.start.clamp(gap.start, gap.end);
            let lost = self.pass_over(state, passed, outside);
            if frame.end <= gap.start {
                // Read again after a new reader was begun within a frame.
            } else if frame.start >= gap.end {
                // It is in memory, and nothing stands between it and what was read before.
                state.skip_gap(gap.end, outside);
            } else if state.passes_hidden(frame.start) {
                state.skip_gap(frame.end, outside);
            } else {
                let filled = Filled::Events {
                    stored,
                    frame,
                    weight,
                };
                state.fill_gap(filled, outside);
            }
            lost
        });
        self.tell_lost(lost, 0);
    }

    /// The log went on behind these sequences. What was acknowledged may be gone with its segment;
    /// anything else that is not there is lost.
    fn pass_over(&self, state: &mut State, passed: Range<u64>, outside: &mut Outside) -> u64 {
        let missing = self.acknowledged.missing(passed.clone());
        let missing = missing.saturating_sub(state.hidden_in(&passed));
        match missing {
            0 => 0,
            missing => {
                let items = passed;
                state.fill_gap(Filled::Lost { items, missing }, outside)
            }
        }
    }

    fn tell_lost(&self, lost: u64, frames: u64) {
        if lost > 0 {
            error!(
                channel = %self.core.name,
                "{lost} events in {frames} damaged frames of the file channel are lost; all others are delivered"
            );
        }
    }

    /// What of a frame is not acknowledged.
    fn waiting_parts(&self, frame: &Range<u64>, stored: &Stored) -> Vec<Stored> {
        let mut parts = Vec::new();
        let mut start = frame.start.max(self.acknowledged.frontier());
        let mut part = |from: u64, to: u64| {
            let place = |sequence: u64| (sequence - frame.start) as usize;
            if from < to {
                parts.push(stored.part(place(from), place(to)));
            }
        };
        for range in self.acknowledged.ranges() {
            if range.start >= frame.end {
                break;
            }
            if range.end > start {
                part(start, range.start.max(start));
                start = range.end;
            }
        }
        part(start.min(frame.end), frame.end);
        parts
    }

    fn lose(&self, frames: u64, items: Range<u64>) {
        let lost = self.core.with(|state, outside| {
            let Some(items) = in_gap(state, &items, outside) else {
                return 0;
            };
            let missing = self.acknowledged.missing(items.clone());
            state.fill_gap(Filled::Lost { items, missing }, outside)
        });
        self.tell_lost(lost, frames);
    }

    /// The log ends before the gap does.
    fn nothing_more(&self) {
        let (gap, hidden) = self
            .core
            .with(|state, _| (state.gap(), state.hidden_in(&state.gap())));
        if self.acknowledged.missing(gap.clone()) <= hidden {
            self.core
                .with(|state, outside| state.skip_gap(gap.end, outside));
            return;
        }
        self.unreadable(format!("events {gap:?} are not in the log"), None);
    }

    /// Nothing is read for now, or not before `again`.
    fn unreadable(&self, message: String, again: Option<Instant>) {
        let may_pass = again.is_some();
        let is_new = self.core.with(|state, outside| {
            state.accounts.wake_takers(outside);
            if again.is_some() {
                state.retry_at = again;
            }
            let is_new = state.was_unreadable != Some(may_pass);
            state.was_unreadable = Some(may_pass);
            state.unreadable = Some(Unreadable {
                message: message.clone(),
                may_pass,
            });
            is_new
        });
        if is_new {
            error!(channel = %self.core.name, "file channel cannot deliver what is in it: {message}");
        }
    }
}

/// Of items that the log does not give those that are not in memory. What is there is delivered from
/// there; when that is all, the gap begins behind them.
fn in_gap(state: &mut State, items: &Range<u64>, outside: &mut Outside) -> Option<Range<u64>> {
    let gap = state.gap();
    let items = items.start.max(gap.start)..items.end.min(gap.end);
    if items.is_empty() {
        state.skip_gap(items.start.min(gap.end), outside);
        return None;
    }
    Some(items)
}
