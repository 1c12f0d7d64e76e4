//! Putting: order, all or nothing, bounds of one put.

use std::sync::Arc;

use super::{
    ChannelMaker, assert_all_free, batch, channel, commit, drain, drive, is_full, is_refused_full,
    is_too_large, limits, numbered, numbers, part, promised, put, take, waiting_put,
};
use crate::channel::{PutError, put_all};
use crate::state::StateRecord;

pub(super) fn run(maker: &dyn ChannelMaker) {
    puts_stand_in_the_order_of_their_commits(maker);
    a_dropped_permit_puts_nothing(maker);
    an_empty_batch_is_no_event(maker);
    a_put_stays_within_the_transaction_capacity(maker);
    a_batch_that_never_fits_is_refused_at_once(maker);
    a_put_carries_a_record_of_state(maker);
    a_put_goes_to_all_channels_or_to_none(maker);
    a_put_that_waits_holds_nothing_elsewhere(maker);
    puts_in_opposite_order_do_not_block_each_other(maker);
    puts_are_counted_per_event(maker);
}

fn puts_stand_in_the_order_of_their_commits(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 10, 10);
    let (first, second) = (numbered(0..3), numbered(3..5));
    let late = promised(channel.try_reserve(&first), "there is room");
    let early = promised(channel.try_reserve(&second), "there is room");
    commit(early);
    commit(late);
    assert_eq!(
        drain(&channel),
        [3, 4, 0, 1, 2],
        "puts stand in the order of their commits, the events of one put in their own"
    );
}

fn a_dropped_permit_puts_nothing(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    let events = numbered(0..4);
    drop(promised(channel.try_reserve(&events), "there is room"));
    assert!(drain(&channel).is_empty(), "a dropped permit puts nothing");
    assert_all_free(&channel);
}

fn an_empty_batch_is_no_event(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    put(&channel, numbered(0..0));
    assert!(drain(&channel).is_empty(), "an empty put gives no lease");
    assert_all_free(&channel);
}

fn a_put_stays_within_the_transaction_capacity(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 10, 4);
    assert!(
        is_too_large(&channel.try_reserve(&numbered(0..5))),
        "more events than the transaction capacity are refused"
    );
    let events = numbered(0..5);
    assert!(
        is_too_large(&drive::finish(channel.reserve(&events, super::LONG))),
        "what can never fit is not waited for"
    );
    put(&channel, numbered(0..4));
    assert_eq!(drain(&channel).len(), 4);
    assert_all_free(&channel);
}

fn a_batch_that_never_fits_is_refused_at_once(maker: &dyn ChannelMaker) {
    let large = batch([(0, 500), (1, 500)]);
    let mut bounds = limits(maker, 10, 10);
    bounds.capacity_bytes = maker.counted_bytes(&large);
    let channel = maker.make("c1", bounds);
    let larger = batch([(0, 500), (1, 500), (2, 0)]);
    assert!(
        is_too_large(&channel.try_reserve(&larger)),
        "a batch of more bytes than the capacity is refused"
    );
    put(&channel, large);
    assert_eq!(drain(&channel), [0, 1], "a batch of just the capacity fits");
}

fn a_put_carries_a_record_of_state(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    let record = StateRecord {
        generation: 7,
        bytes: Arc::from(*b"offset 7"),
    };
    let parts = [part(&channel, numbered(0..2))];
    promised(
        drive::finish(put_all(&parts, Some(&record))),
        "a put may carry a record of state",
    );
    assert_eq!(drain(&channel), [0, 1]);
}

fn a_put_goes_to_all_channels_or_to_none(maker: &dyn ChannelMaker) {
    let roomy = maker.make("c1", limits(maker, 4, 4));
    let mut narrow_limits = limits(maker, 2, 2);
    narrow_limits.keep_alive = std::time::Duration::ZERO;
    let mut roomy_limits = limits(maker, 4, 4);
    roomy_limits.keep_alive = std::time::Duration::ZERO;
    promised(
        roomy.reconfigure(&maker.settings(roomy_limits)),
        "keep-alive can be changed",
    );
    let narrow = maker.make("c2", narrow_limits);
    put(&narrow, numbered(0..2));

    for order in [[&roomy, &narrow], [&narrow, &roomy]] {
        let parts = order.map(|channel| part(channel, numbered(2..4)));
        assert!(
            is_refused_full(&drive::finish(put_all(&parts, None))),
            "a put is refused when one of its channels stays full"
        );
        assert_all_free(&roomy);
    }
    let parts = [part(&roomy, numbered(2..5)), part(&narrow, numbered(2..5))];
    assert!(
        matches!(
            drive::finish(put_all(&parts, None)),
            Err(PutError::Refused(_))
        ),
        "a put is refused when it can never fit one of its channels"
    );
    assert_all_free(&roomy);
    assert_eq!(drain(&narrow), [0, 1], "a refused put leaves no event");

    let parts = [part(&roomy, numbered(2..4)), part(&narrow, numbered(2..4))];
    promised(drive::finish(put_all(&parts, None)), "both have room");
    assert_eq!((drain(&roomy), drain(&narrow)), (vec![2, 3], vec![2, 3]));
}

fn a_put_that_waits_holds_nothing_elsewhere(maker: &dyn ChannelMaker) {
    let free = maker.make("c1", limits(maker, 2, 2));
    let full = maker.make("c2", limits(maker, 2, 2));
    put(&full, numbered(0..2));
    let waiting = waiting_put(vec![
        part(&free, numbered(2..4)),
        part(&full, numbered(2..4)),
    ]);
    assert_all_free(&free);
    drop(waiting);

    let waiting = waiting_put(vec![
        part(&free, numbered(2..4)),
        part(&full, numbered(2..4)),
    ]);
    assert_eq!(drain(&full), [0, 1]);
    promised(
        waiting.finish(),
        "a put that waits is served when there is room",
    );
    assert_eq!((drain(&free), drain(&full)), (vec![2, 3], vec![2, 3]));
    assert_all_free(&free);
    assert_all_free(&full);
}

fn puts_in_opposite_order_do_not_block_each_other(maker: &dyn ChannelMaker) {
    let one = maker.make("c1", limits(maker, 1, 1));
    let two = maker.make("c2", limits(maker, 1, 1));
    put(&one, numbered(0..1));
    put(&two, numbered(0..1));
    let forth = waiting_put(vec![part(&one, numbered(1..2)), part(&two, numbered(1..2))]);
    let back = waiting_put(vec![part(&two, numbered(2..3)), part(&one, numbered(2..3))]);
    let (mut from_one, mut from_two) = (Vec::new(), Vec::new());
    let done = drive::finish_both(forth, back, || {
        from_one.extend(drain(&one));
        from_two.extend(drain(&two));
    });
    for result in done {
        promised(result, "both puts are served in the end");
    }
    from_one.extend(drain(&one));
    from_two.extend(drain(&two));
    from_one.sort_unstable();
    from_two.sort_unstable();
    assert_eq!((from_one, from_two), (vec![0, 1, 2], vec![0, 1, 2]));
    assert_all_free(&one);
    assert_all_free(&two);
}

fn puts_are_counted_per_event(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    put(&channel, numbered(0..3));
    assert!(is_full(&channel.try_reserve(&numbered(3..6))));
    let counters = channel.counters();
    assert_eq!(
        counters.event_put_success.get(),
        3,
        "events put are counted"
    );
    assert!(
        counters.event_put_attempt.get() >= 3,
        "events that a put is tried for are counted"
    );
    let lease = take(&channel, 2);
    assert_eq!(
        counters.event_take_success.get(),
        0,
        "a take is no success yet"
    );
    assert_eq!(numbers(&lease), [0, 1]);
    super::ack(lease);
    assert_eq!(
        counters.event_take_success.get(),
        2,
        "events that were acknowledged are counted"
    );
    drop(take(&channel, 1));
    assert_eq!(
        (
            counters.event_take_attempt.get(),
            counters.event_take_success.get()
        ),
        (2, 2),
        "each take is an attempt, and what is given back no success"
    );
}
