//! The stress source: the same event again and again, as fast as the channel takes it.
//!
//! * The body is `size` bytes of 0x7F, as Flume's. All batches share one buffer that is built once,
//!   so a batch costs the same however large it is.
//! * `maxTotalEvents` counts events given, `maxSuccessfulEvents` events committed. Nothing is given
//!   twice and nothing given fails for good, so the lower of the two is where it ends; then the
//!   source is finished (Flume's backs off for ever). It is met exactly, also by the last batch.
//! * `maxEventsPerSecond` holds on average. A source that fell behind, because the channel was full
//!   or a timer late, catches up on at most one second, as Flume's does.
//! * It has no position: a restart begins anew.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flumen_core::limits::{BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX};
use flumen_core::option::{
    ComponentKind, ComponentRow, DefaultValue, OptionRow, Support, Unit, ValueKind,
};
use flumen_core::settings::Settings;
use flumen_core::source::{PollNext, Polled, PolledSource, SourceInstance};
use flumen_core::{BoxFuture, EventBatch, Fault, future};
use tokio::time::Instant;

use super::poll_back_off;

const SIZE: &str = "size";
const MAX_TOTAL_EVENTS: &str = "maxTotalEvents";
const MAX_SUCCESSFUL_EVENTS: &str = "maxSuccessfulEvents";
const BATCH_SIZE: &str = "batchSize";
const MAX_EVENTS_PER_SECOND: &str = "maxEventsPerSecond";

/// A count for which -1 means "no end".
const COUNT_OR_NONE: ValueKind = ValueKind::Integer {
    min: -1,
    max: i64::MAX,
};

/// The stress source.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "stress",
    aliases: &["org.apache.flume.source.StressSource"],
    doc: "Generates the same event again and again, to load a flow.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            SIZE,
            ValueKind::Integer {
                min: 0,
                max: BATCH_BODY_BYTES_MAX as i64,
            },
            DefaultValue::Is("500"),
            "Bytes of each body; all are 0x7F.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            MAX_TOTAL_EVENTS,
            COUNT_OR_NONE,
            DefaultValue::Is("-1"),
            "The source is finished after it has given this many events; -1: never.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            MAX_SUCCESSFUL_EVENTS,
            COUNT_OR_NONE,
            DefaultValue::Is("-1"),
            "The source is finished after this many of its events are committed; -1: never.",
        )
        .unit(Unit::Events),
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
            MAX_EVENTS_PER_SECOND,
            ValueKind::Integer {
                min: 0,
                max: i64::MAX,
            },
            DefaultValue::Is("0"),
            "Events per second on average; 0: as many as the channel takes.",
        )
        .unit(Unit::Events),
        poll_back_off::INCREMENT,
        poll_back_off::MAXIMUM,
    ],
};

/// Makes a stress source.
///
/// # Errors
/// A configuration fault that names the option; `size` times `batchSize` is bounded too.
pub fn build(settings: &Settings) -> Result<SourceInstance, Fault> {
    let events_per_second = settings.number(MAX_EVENTS_PER_SECOND)?;
    let stress = Stress {
        batch: repeated(settings.number(SIZE)?, settings.number(BATCH_SIZE)?)?,
        given_max: count(settings, MAX_TOTAL_EVENTS)?,
        committed_max: count(settings, MAX_SUCCESSFUL_EVENTS)?,
        given: 0,
        committed: 0,
        pace: (events_per_second > 0).then_some(Pace {
            events_per_second,
            due: None,
        }),
    };
    Ok(SourceInstance::Polled {
        source: Box::new(stress),
        back_off: poll_back_off::read(settings)?,
    })
}

fn count(settings: &Settings, name: &str) -> Result<u64, Fault> {
    // Only -1 is below zero.
    Ok(u64::try_from(settings.integer(name)?).unwrap_or(u64::MAX))
}

fn repeated(body_bytes: usize, events: usize) -> Result<EventBatch, Fault> {
    let too_large = || {
        Fault::configuration(format!(
            "{SIZE} times {BATCH_SIZE} is {body_bytes} times {events} bytes, more than the \
             {BATCH_BODY_BYTES_MAX} of a batch; make one of them smaller"
        ))
    };
    let bytes = body_bytes.checked_mul(events);
    let bytes = bytes.filter(|bytes| *bytes <= BATCH_BODY_BYTES_MAX);
    let bytes = bytes.ok_or_else(too_large)?;
    let ends = (1..=events).map(|row| u32::try_from(row * body_bytes).unwrap_or(u32::MAX));
    EventBatch::from_columns(Bytes::from(vec![0x7F; bytes]), ends.collect())
        .map_err(|error| too_large().with_cause(error))
}

struct Stress {
    batch: EventBatch,
    given_max: u64,
    committed_max: u64,
    given: u64,
    committed: u64,
    pace: Option<Pace>,
}

impl Stress {
    fn left(&self) -> u64 {
        // What is given and not committed yet is going to be.
        let most = self.given_max.min(self.committed_max);
        most.saturating_sub(self.given)
    }

    fn give(&mut self, events_max: usize) -> Polled {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let events = self.batch.len().min(events_max).min(left);
        let batch = if events == self.batch.len() {
            self.batch.clone()
        } else {
            self.batch.slice(0..events)
        };
        self.given += events as u64;
        let wait = match &mut self.pace {
            Some(pace) => pace.wait_after(events, Instant::now()),
            None => Duration::ZERO,
        };
        Polled {
            events: batch,
            cursor: None,
            writes: Arc::default(),
            next: if self.left() == 0 {
                PollNext::End
            } else if wait.is_zero() {
                PollNext::Again
            } else {
                PollNext::Wait(wait)
            },
        }
    }
}

impl PolledSource for Stress {
    fn open(&mut self, _cursor: Option<&[u8]>) -> BoxFuture<'_, Result<(), Fault>> {
        // What was given and could not be put did not happen.
        self.given = self.committed;
        future::ready(Ok(()))
    }

    fn poll(&mut self, events_max: usize) -> BoxFuture<'_, Result<Polled, Fault>> {
        // Nothing is given before the future is polled, so that a dropped one takes nothing along.
        Box::pin(async move { Ok(self.give(events_max)) })
    }

    fn ack(&mut self, _cursor: Option<&[u8]>) {
        self.committed = self.given;
    }
}

/// How far behind its rate a source may catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

struct Pace {
    events_per_second: u64,
    /// When the next events are due; in the past when the source is behind.
    due: Option<Instant>,
}

impl Pace {
    fn wait_after(&mut self, events: usize, now: Instant) -> Duration {
        let earliest = now.checked_sub(CATCH_UP_MAX).unwrap_or(now);
        let due = self.due.unwrap_or(now).max(earliest);
        // Rounded down by less than a nanosecond a batch.
        let cost_ns = events as u128 * 1_000_000_000 / u128::from(self.events_per_second);
        let cost = Duration::from_nanos(u64::try_from(cost_ns).unwrap_or(u64::MAX));
        let due = due.checked_add(cost).unwrap_or(due);
        self.due = Some(due);
        due.saturating_duration_since(now)
    }
}
