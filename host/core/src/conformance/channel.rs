//! The conformance suite of [`crate::channel::Channel`].
//!
//! Futures are polled by hand with a waker that remembers being woken, so that "waits", "is served"
//! and "was woken" are observations and not guesses from timing; no promise here rests on a timer.
//! That a wait ends when its time is over is left to the room of the channel, whose runtime can
//! move its clock. A channel that needs a runtime for its timers or its files gets the suite run
//! from within that runtime's context.

mod drive;
mod durable;
mod end;
mod model;
mod put;
mod room;
mod take;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::{BatchBuilder, EventBatch};
use crate::channel::{
    Channel, ChannelLimits, Lease, Permit, PutError, PutPart, ReserveError, TakeError, TakeLimits,
    put_all,
};
use crate::settings::Settings;

pub use durable::{DurableChannelMaker, run_durable};

/// Makes the channels that the suite tries.
pub trait ChannelMaker {
    /// A new channel, open and empty, of this name and with exactly these limits.
    fn make(&self, name: &str, limits: ChannelLimits) -> Arc<dyn Channel>;

    /// The settings that give these limits, for [`Channel::reconfigure`].
    fn settings(&self, limits: ChannelLimits) -> Settings;

    /// The bytes of these events as the channel counts them; a sum over the events.
    fn counted_bytes(&self, events: &EventBatch) -> u64;
}

/// Checks every promise of the contract.
///
/// # Panics
/// At the first promise that is broken, and names it.
pub fn run(maker: &dyn ChannelMaker) {
    put::run(maker);
    take::run(maker);
    room::run(maker);
    end::run(maker);
    model::run(maker, model::SEEDS, model::STEPS);
}

/// Checks the channel against a naive model with random actions, for longer than [`run`] does: one
/// run of `steps` actions for each seed.
///
/// # Panics
/// At the first difference, and names seed and step.
pub fn run_model(maker: &dyn ChannelMaker, seeds: std::ops::Range<u64>, steps: usize) {
    model::run(maker, seeds, steps);
}

/// A wait that no test outlasts.
const LONG: Duration = Duration::from_secs(3600);

/// The value, or the end of the suite with the promise that was broken.
#[track_caller]
#[expect(clippy::panic, reason = "a suite ends at the first broken promise")]
fn promised<T, E: Debug>(result: Result<T, E>, promise: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{promise}: {error:?}"),
    }
}

/// Room in bytes for each event of the capacity, in bodies of the usual size: enough that events
/// are what bounds a channel, unless a promise is about bytes.
const BYTES_PER_EVENT: u64 = 8;

/// Limits with room for that many events of the suite, whatever their bytes.
fn limits(maker: &dyn ChannelMaker, capacity: u64, transaction_events: usize) -> ChannelLimits {
    ChannelLimits {
        capacity_events: capacity,
        capacity_bytes: capacity * BYTES_PER_EVENT * maker.counted_bytes(&numbered(0..1)),
        transaction_events,
        keep_alive: LONG,
    }
}

fn channel(maker: &dyn ChannelMaker, capacity: u64, transaction_events: usize) -> Arc<dyn Channel> {
    maker.make("c1", limits(maker, capacity, transaction_events))
}

/// Events whose bodies are these numbers.
fn numbered(numbers: std::ops::Range<u64>) -> EventBatch {
    batch(numbers.map(|number| (number, 0)))
}

/// Events whose bodies are these numbers, each with that many bytes behind it.
fn batch(events: impl IntoIterator<Item = (u64, usize)>) -> EventBatch {
    let mut builder = BatchBuilder::new();
    for (number, more) in events {
        let body = format!("{number:08}{:more$}", "");
        promised(builder.push(body.as_bytes()), "a small batch can be built");
    }
    promised(builder.finish(), "a small batch can be built")
}

/// An event as the suite sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    sequence: u64,
    number: u64,
    redeliveries: u32,
}

fn seen(lease: &Lease) -> Vec<Seen> {
    let mut seen = Vec::new();
    for segment in lease.segments() {
        assert!(!segment.events.is_empty(), "no segment of a lease is empty");
        for (sequence, body) in (segment.first_sequence..).zip(segment.events.bodies()) {
            let text = promised(std::str::from_utf8(body), "a body comes out as it went in");
            let number = promised(text.trim_end().parse(), "a body comes out as it went in");
            seen.push(Seen {
                sequence,
                number,
                redeliveries: segment.redeliveries,
            });
        }
    }
    assert_eq!(seen.len(), lease.len(), "a lease counts its events");
    seen
}

fn numbers(lease: &Lease) -> Vec<u64> {
    seen(lease).iter().map(|event| event.number).collect()
}

fn part(channel: &Arc<dyn Channel>, events: EventBatch) -> PutPart {
    PutPart {
        channel: Arc::clone(channel),
        events,
    }
}

#[track_caller]
fn put(channel: &Arc<dyn Channel>, events: EventBatch) {
    let parts = [part(channel, events)];
    promised(
        drive::finish(put_all(&parts, None)),
        "a put into a channel with room succeeds",
    );
}

#[track_caller]
fn commit(permit: Box<dyn Permit>) {
    promised(
        drive::finish(permit.commit(None)),
        "a permit that was granted commits",
    );
}

fn at_most(events: usize) -> TakeLimits {
    TakeLimits {
        events,
        bytes: u64::MAX,
    }
}

/// Takes what is there, without waiting.
fn try_take(channel: &Arc<dyn Channel>, limits: TakeLimits) -> Result<Lease, TakeError> {
    drive::finish(channel.take(limits, Duration::ZERO))
}

#[track_caller]
fn take(channel: &Arc<dyn Channel>, events: usize) -> Lease {
    promised(
        try_take(channel, at_most(events)),
        "a take from a channel with events gives some",
    )
}

#[track_caller]
fn ack(lease: Lease) {
    promised(drive::finish(lease.ack()), "an acknowledgement succeeds");
}

/// Takes and acknowledges all that is there, and gives the numbers.
fn drain(channel: &Arc<dyn Channel>) -> Vec<u64> {
    let mut drained = Vec::new();
    while let Ok(lease) = try_take(channel, at_most(usize::MAX)) {
        drained.extend(numbers(&lease));
        ack(lease);
    }
    drained
}

fn is_full<T>(result: &Result<T, ReserveError>) -> bool {
    matches!(result, Err(ReserveError::Full { .. }))
}

fn is_too_large<T>(result: &Result<T, ReserveError>) -> bool {
    matches!(result, Err(ReserveError::TooLarge { .. }))
}

fn is_closed<T>(result: &Result<T, ReserveError>) -> bool {
    matches!(result, Err(ReserveError::Closed { .. }))
}

fn is_refused_full(result: &Result<(), PutError>) -> bool {
    matches!(result, Err(PutError::Refused(ReserveError::Full { .. })))
}

/// Waits in line for room; owns what it needs, so that it can be kept and dropped at will.
fn waiting_reserve(
    channel: &Arc<dyn Channel>,
    events: EventBatch,
) -> drive::Waiting<Result<Box<dyn Permit>, ReserveError>> {
    let channel = Arc::clone(channel);
    drive::Waiting::start(async move { channel.reserve(&events, LONG).await })
}

/// Waits for events; owns what it needs.
fn waiting_take(
    channel: &Arc<dyn Channel>,
    events: usize,
) -> drive::Waiting<Result<Lease, TakeError>> {
    let channel = Arc::clone(channel);
    drive::Waiting::start(async move { channel.take(at_most(events), LONG).await })
}

/// Waits in a put over several channels; owns what it needs.
fn waiting_put(parts: Vec<PutPart>) -> drive::Waiting<Result<(), PutError>> {
    drive::Waiting::start(async move { put_all(&parts, None).await })
}

/// Nothing is held any more, so that the whole capacity is there again.
#[track_caller]
fn assert_all_free(channel: &Arc<dyn Channel>) {
    let fill = channel.fill();
    assert_eq!(
        (fill.events, fill.leased_events, fill.bytes),
        (0, 0, 0),
        "the accounts of an empty channel are zero"
    );
    let most = channel.limits();
    let mut permits = Vec::new();
    for _ in 0..most.capacity_events {
        permits.push(promised(
            channel.try_reserve(&numbered(0..1)),
            "room that was released can be reserved again",
        ));
    }
    assert!(
        is_full(&channel.try_reserve(&numbered(0..1))),
        "no more room is there than the capacity"
    );
}
