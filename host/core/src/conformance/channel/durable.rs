//! What outlives the channel: events, records, and puts that another channel decides.

use std::sync::Arc;

use super::{
    ChannelMaker, LONG, ack, at_most, channel, drive, numbered, numbers, part, promised, put,
    try_take,
};
use crate::channel::{Channel, Lease, PreparedPut, put_all};
use crate::name::ComponentName;
use crate::state::{RecoveredRecord, StateRecord};

/// Makes durable channels, and opens them again.
pub trait DurableChannelMaker: ChannelMaker {
    /// The channel as it is found after a crash at this moment: what was not confirmed may be gone,
    /// and nothing is settled yet. A copy of its files is as good; what is left of the old channel
    /// is dropped some time later.
    fn reopen(&self, channel: &Arc<dyn Channel>) -> Arc<dyn Channel>;
}

/// Checks every promise of the contract that is about a crash.
///
/// # Panics
/// At the first promise that is broken, and names it.
pub fn run_durable(maker: &dyn DurableChannelMaker) {
    what_was_committed_is_there_after_a_crash(maker);
    records_are_found_again_until_they_are_forgotten(maker);
    what_is_prepared_is_taken_by_nobody_until_it_is_published(maker);
    what_is_withdrawn_never_was(maker);
    a_prepared_put_is_settled_after_a_crash(maker);
    a_put_into_two_channels_is_in_both_or_in_none(maker);
    a_released_channel_can_be_opened_again(maker);
}

fn record(generation: u64, bytes: &[u8]) -> StateRecord {
    StateRecord {
        generation,
        bytes: Arc::from(bytes),
    }
}

#[track_caller]
fn reopened(maker: &dyn DurableChannelMaker, channel: &Arc<dyn Channel>) -> Arc<dyn Channel> {
    let channel = maker.reopen(channel);
    settle(&channel, &[]);
    channel
}

/// Takes so many events, however long the channel reads them.
#[track_caller]
fn take(channel: &Arc<dyn Channel>, events: usize) -> Lease {
    promised(
        drive::finish(channel.take(at_most(events), LONG)),
        "a channel that holds events gives some",
    )
}

/// Takes and acknowledges all that the channel says it holds.
#[track_caller]
fn drain(channel: &Arc<dyn Channel>) -> Vec<u64> {
    let mut drained = Vec::new();
    while channel.fill().events > 0 {
        let lease = take(channel, usize::MAX);
        drained.extend(numbers(&lease));
        ack(lease);
    }
    drained
}

#[track_caller]
fn settle(channel: &Arc<dyn Channel>, withdrawn: &[u64]) {
    promised(
        drive::finish(channel.settle(withdrawn)),
        "a recovery can be ended",
    );
}

#[track_caller]
fn prepare(
    channel: &Arc<dyn Channel>,
    events: std::ops::Range<u64>,
    generation: u64,
) -> Box<dyn PreparedPut> {
    let permit = promised(channel.try_reserve(&numbered(events)), "there is room");
    let decider = ComponentName::new("decider");
    promised(
        drive::finish(permit.prepare(record(generation, b""), decider)),
        "a durable channel prepares a put",
    )
}

#[track_caller]
fn put_with(channel: &Arc<dyn Channel>, events: std::ops::Range<u64>, record: &StateRecord) {
    let parts = [part(channel, numbered(events))];
    promised(
        drive::finish(put_all(&parts, Some(record))),
        "a put may carry a record of state",
    );
}

#[track_caller]
fn ack_with(lease: Lease, record: StateRecord) {
    promised(
        drive::finish(lease.ack_with(Some(record))),
        "an acknowledgement may carry a record of state",
    );
}

fn what_was_committed_is_there_after_a_crash(maker: &dyn DurableChannelMaker) {
    let channel = channel(maker, 20, 20);
    assert!(channel.is_durable(), "a durable channel says that it is");
    put(&channel, numbered(0..3));
    put(&channel, numbered(3..7));
    let lease = take(&channel, 1);
    let first = super::seen(&lease);
    // With a record it is as durable as a put.
    ack_with(lease, record(1, b""));
    let unanswered = take(&channel, 1);
    let crashed = channel;
    let channel = reopened(maker, &crashed);
    drop(unanswered);
    assert_eq!(channel.fill().events, 6, "the fill is what was left");
    let lease = take(&channel, 1);
    assert_eq!(
        super::seen(&lease).first().map(|event| event.sequence),
        first.first().map(|event| event.sequence + 1),
        "an event keeps its identity over a crash"
    );
    drop(lease);
    assert_eq!(
        drain(&channel),
        [1, 2, 3, 4, 5, 6],
        "what was confirmed and not acknowledged is there after a crash, in order"
    );
}

fn what_is_prepared_is_taken_by_nobody_until_it_is_published(maker: &dyn DurableChannelMaker) {
    let channel = channel(maker, 10, 10);
    let prepared = prepare(&channel, 0..2, 1);
    assert!(
        try_take(&channel, at_most(10)).is_err(),
        "nobody takes what is prepared"
    );
    put(&channel, numbered(2..4));
    let lease = take(&channel, 10);
    assert_eq!(
        numbers(&lease),
        [2, 3],
        "what is prepared holds up nobody else"
    );
    drop(lease);
    prepared.publish();
    let mut all = drain(&channel);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3], "what is published can be taken");
    super::assert_all_free(&channel);
}

fn what_is_withdrawn_never_was(maker: &dyn DurableChannelMaker) {
    let channel = channel(maker, 10, 10);
    let prepared = prepare(&channel, 0..2, 1);
    promised(drive::finish(prepared.withdraw()), "a put can be withdrawn");
    drop(prepare(&channel, 2..4, 2));
    put(&channel, numbered(4..5));
    assert_eq!(drain(&channel), [4], "nobody sees what was withdrawn");
    super::assert_all_free(&channel);
}

fn a_prepared_put_is_settled_after_a_crash(maker: &dyn DurableChannelMaker) {
    let channel = channel(maker, 20, 20);
    put(&channel, numbered(0..1));
    let open = [prepare(&channel, 1..3, 11), prepare(&channel, 3..5, 12)];
    put(&channel, numbered(5..6));
    let crashed = channel;
    let channel = maker.reopen(&crashed);
    drop(open);
    let undecided: Vec<u64> = channel
        .recovered()
        .records
        .into_iter()
        .filter(|found| found.decider == Some(ComponentName::new("decider")))
        .map(|found| found.record.generation)
        .collect();
    assert_eq!(
        undecided,
        [11, 12],
        "prepared puts are found, with who decides"
    );
    settle(&channel, &[11]);
    let channel = reopened(maker, &channel);
    let mut left = drain(&channel);
    left.sort_unstable();
    assert_eq!(left, [0, 3, 4, 5], "one is withdrawn for good, one counts");
    super::assert_all_free(&channel);
}

fn records_are_found_again_until_they_are_forgotten(maker: &dyn DurableChannelMaker) {
    let channel = channel(maker, 20, 20);
    let records = [
        record(1, b"first"),
        record(2, b"second"),
        record(3, b"third"),
    ];
    let [first, second, third] = records.clone();
    put_with(&channel, 0..1, &first);
    put_with(&channel, 1..2, &second);
    ack_with(take(&channel, 1), third);
    let channel = reopened(maker, &channel);
    let found = |channel: &Arc<dyn Channel>| -> Vec<StateRecord> {
        let counts = |found: &RecoveredRecord| found.decider.is_none();
        let found = channel.recovered().records.into_iter().filter(counts);
        found.map(|found| found.record).collect()
    };
    assert_eq!(found(&channel), records, "records outlive a crash");
    assert!(
        channel.kept_record_bytes() >= 16,
        "what is kept for the agent is counted"
    );
    channel.forget(2);
    // It takes effect with a frame.
    put(&channel, numbered(2..3));
    let channel = reopened(maker, &channel);
    let [_, _, third] = records;
    assert_eq!(found(&channel), [third], "what is forgotten is not found");
    assert_eq!(
        channel.recovered().forgotten,
        2,
        "up to where it was told to forget outlives a crash"
    );
    assert_eq!(drain(&channel), [1, 2]);
}

fn a_put_into_two_channels_is_in_both_or_in_none(maker: &dyn DurableChannelMaker) {
    let first = maker.make("c1", super::limits(maker, 10, 10));
    let second = maker.make("c2", super::limits(maker, 10, 10));
    let both = |from: u64, record: &StateRecord| {
        let parts = [
            part(&first, numbered(from..from + 2)),
            part(&second, numbered(from..from + 2)),
        ];
        promised(
            drive::finish(put_all(&parts, Some(record))),
            "there is room",
        );
    };
    both(0, &record(1, b"state"));
    assert_eq!(drain(&first), [0, 1]);
    assert_eq!(drain(&second), [0, 1]);
    both(2, &record(2, b"state"));
    let (first, second) = (maker.reopen(&first), maker.reopen(&second));
    let decided = second.recovered().records;
    let is_decided = |generation| {
        let mut own = decided.iter().filter(|found| found.decider.is_none());
        own.any(|found| found.record.generation == generation)
    };
    let asks = first.recovered().records;
    let last = asks.iter().find(|found| found.record.generation == 2);
    assert_eq!(
        last.and_then(|found| found.decider.clone()),
        Some(ComponentName::new("c2")),
        "the last channel decides"
    );
    assert!(is_decided(2), "the decider knows the puts that count");
    settle(&first, &[]);
    settle(&second, &[]);
    assert_eq!(drain(&first), [2, 3]);
    assert_eq!(drain(&second), [2, 3]);
}

fn a_released_channel_can_be_opened_again(maker: &dyn DurableChannelMaker) {
    let channel = channel(maker, 10, 10);
    put(&channel, numbered(0..2));
    channel.close();
    promised(
        drive::finish(channel.release()),
        "a closed channel writes what it owes",
    );
    let channel = reopened(maker, &channel);
    assert_eq!(drain(&channel), [0, 1], "a release keeps what is there");
}
