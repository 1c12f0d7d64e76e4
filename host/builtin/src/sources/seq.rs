//! The sequence generator: numbers from 0 as decimal text, for trying out a flow.
//!
//! * No headers. The batches are as large as `batchSize` says, the last one smaller.
//! * The numbers begin again at 0 with each start, as Flume's do: it gives no cursor.
//! * After `totalEvents` the source is finished, and its state says so. Flume's goes on backing off
//!   for ever, which looks like a source that still has something to give.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use flumen_core::batch::BatchError;
use flumen_core::limits::BATCH_EVENTS_MAX;
use flumen_core::option::{
    ComponentKind, ComponentRow, DefaultValue, OptionRow, Support, Unit, ValueKind,
};
use flumen_core::settings::Settings;
use flumen_core::source::{PollNext, Polled, PolledSource, SourceInstance};
use flumen_core::{BoxFuture, EventBatch, Fault, FaultKind, Side, future};

use super::poll_back_off;

const BATCH_SIZE: &str = "batchSize";
const TOTAL_EVENTS: &str = "totalEvents";

/// The sequence generator.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "seq",
    aliases: &["org.apache.flume.source.SequenceGeneratorSource"],
    doc: "Generates events whose bodies are the numbers from 0 as decimal text.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            BATCH_SIZE,
            ValueKind::Integer {
                min: 1,
                max: BATCH_EVENTS_MAX as i64,
            },
            DefaultValue::Is("1"),
            "Events in one batch.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            TOTAL_EVENTS,
            ValueKind::Integer {
                min: 0,
                max: i64::MAX,
            },
            DefaultValue::Is("9223372036854775807"),
            "The source is finished after this many events.",
        )
        .unit(Unit::Events),
        poll_back_off::INCREMENT,
        poll_back_off::MAXIMUM,
    ],
};

/// Makes a sequence generator.
///
/// # Errors
/// A configuration fault that names the option.
pub fn build(settings: &Settings) -> Result<SourceInstance, Fault> {
    Ok(SourceInstance::Polled {
        source: Box::new(Sequence {
            batch_events: settings.number(BATCH_SIZE)?,
            total_events: settings.number(TOTAL_EVENTS)?,
            next: 0,
            committed: 0,
        }),
        back_off: poll_back_off::read(settings)?,
    })
}

struct Sequence {
    batch_events: usize,
    total_events: u64,
    next: u64,
    /// Where an instance that is opened again goes on: the numbers before it are in a channel.
    committed: u64,
}

impl Sequence {
    fn give(&mut self, events_max: usize) -> Result<Polled, Fault> {
        let left = self.total_events.saturating_sub(self.next);
        let events = self.batch_events.min(events_max) as u64;
        let end = self.next + events.min(left);
        let batch = numbers(self.next..end).map_err(|error| {
            let message = "numbers do not fit a batch";
            Fault::new(FaultKind::Broken, Side::Component, message).with_cause(error)
        })?;
        self.next = end;
        Ok(Polled {
            events: batch,
            cursor: None,
            writes: Arc::default(),
            next: if end < self.total_events {
                PollNext::Again
            } else {
                PollNext::End
            },
        })
    }
}

impl PolledSource for Sequence {
    fn open(&mut self, _cursor: Option<&[u8]>) -> BoxFuture<'_, Result<(), Fault>> {
        self.next = self.committed;
        future::ready(Ok(()))
    }

    fn poll(&mut self, events_max: usize) -> BoxFuture<'_, Result<Polled, Fault>> {
        // Nothing is given before the future is polled, so that a dropped one takes nothing along.
        Box::pin(async move { self.give(events_max) })
    }

    fn ack(&mut self, _cursor: Option<&[u8]>) {
        self.committed = self.next;
    }
}

/// The most digits of a number.
const DIGITS_MAX: usize = 20;

fn numbers(range: std::ops::Range<u64>) -> Result<EventBatch, BatchError> {
    let events = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let mut digits = [b'0'; DIGITS_MAX];
    let mut length = write_digits(range.start, &mut digits);
    let mut data = Vec::with_capacity(events.saturating_mul(length + 1));
    let mut ends = Vec::with_capacity(events);
    for _ in range {
        let shown = digits.get(DIGITS_MAX - length..).unwrap_or_default();
        data.extend_from_slice(shown);
        // Batches are far below four gigabytes; `from_columns` refuses one that is not.
        ends.push(u32::try_from(data.len()).unwrap_or(u32::MAX));
        length = increment(&mut digits).max(length);
    }
    EventBatch::from_columns(data.into(), ends)
}

/// Writes a number right-aligned and gives the count of its digits.
fn write_digits(number: u64, digits: &mut [u8; DIGITS_MAX]) -> usize {
    let mut left = number;
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        if left == 0 && length > 0 {
            break;
        }
        // Below ten.
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        length += 1;
    }
    length
}

/// Adds one in place, which is several times faster than writing each number anew, and gives the
/// count of the digits that changed.
fn increment(digits: &mut [u8; DIGITS_MAX]) -> usize {
    let mut changed = 0;
    for digit in digits.iter_mut().rev() {
        changed += 1;
        if *digit < b'9' {
            *digit += 1;
            break;
        }
        *digit = b'0';
    }
    changed
}
