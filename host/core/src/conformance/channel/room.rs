//! Room and waiting: capacities, back-pressure, the line, wake-ups.

use std::time::Duration;

use super::{
    ChannelMaker, ack, assert_all_free, batch, channel, commit, drain, drive, is_full,
    is_too_large, limits, numbered, numbers, promised, put, take, waiting_reserve, waiting_take,
};

pub(super) fn run(maker: &dyn ChannelMaker) {
    capacity_in_events_is_kept(maker);
    capacity_in_bytes_is_kept(maker);
    a_waiter_is_served_by_an_acknowledgement(maker);
    a_waiter_is_served_by_a_dropped_permit(maker);
    room_is_given_in_order_of_arrival(maker);
    a_waiter_that_leaves_does_not_hold_up_the_line(maker);
    a_waiter_that_leaves_with_room_releases_it(maker);
    a_taker_is_woken_by_a_commit_and_by_a_give_back(maker);
    a_woken_taker_that_leaves_passes_it_on(maker);
    as_many_takers_are_woken_as_there_is_work_for(maker);
    growing_serves_those_who_wait(maker);
    shrinking_keeps_events_and_refuses_what_never_fits(maker);
}

fn capacity_in_events_is_kept(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 5, 5);
    put(&channel, numbered(0..2));
    let events = numbered(2..5);
    let permit = promised(channel.try_reserve(&events), "there is room");
    assert_eq!(channel.fill().events, 2, "reserved room is no event");
    let one = numbered(5..6);
    assert!(
        is_full(&channel.try_reserve(&one)),
        "reserved room is taken"
    );
    assert!(
        is_full(&drive::finish(channel.reserve(&one, Duration::ZERO))),
        "a wait of no time is none"
    );
    commit(permit);
    assert!(
        is_full(&channel.try_reserve(&one)),
        "committed events take room"
    );
    assert_eq!(drain(&channel), (0..5).collect::<Vec<_>>());
    assert_all_free(&channel);
}

fn capacity_in_bytes_is_kept(maker: &dyn ChannelMaker) {
    let large = batch([(0, 400)]);
    let mut bounds = limits(maker, 100, 100);
    bounds.capacity_bytes = 2 * maker.counted_bytes(&large);
    let channel = maker.make("c1", bounds);
    assert_eq!(channel.limits(), bounds, "a channel tells its limits");
    put(&channel, large.clone());
    put(&channel, large.clone());
    assert_eq!(
        channel.fill().bytes,
        bounds.capacity_bytes,
        "bytes are counted"
    );
    let one = numbered(1..2);
    assert!(
        is_full(&channel.try_reserve(&one)),
        "bytes bound the channel"
    );
    let waiting = waiting_reserve(&channel, one.clone());
    ack(take(&channel, 1));
    let permit = promised(waiting.finish(), "a waiter is served when bytes are free");
    assert_eq!(
        channel.fill().bytes,
        maker.counted_bytes(&large),
        "bytes are free after the acknowledgement"
    );
    commit(permit);
    assert_eq!(drain(&channel), [0, 1]);
    assert_eq!(channel.fill().bytes, 0);
}

fn a_waiter_is_served_by_an_acknowledgement(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 2, 2);
    put(&channel, numbered(0..2));
    let mut waiting = waiting_reserve(&channel, numbered(2..4));
    let lease = take(&channel, 2);
    waiting.assert_waits("a take alone makes no room");
    let lease = if lease.len() == 2 {
        promised(drive::finish(lease.ack_except(vec![1])), "one is kept");
        waiting.assert_waits("room for a part is not enough");
        take(&channel, 2)
    } else {
        lease
    };
    ack(lease);
    drain(&channel);
    commit(promised(
        waiting.finish(),
        "a waiter is served when all its room is there",
    ));
    assert_eq!(drain(&channel), [2, 3]);
    assert_all_free(&channel);
}

fn a_waiter_is_served_by_a_dropped_permit(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 2, 2);
    let events = numbered(0..2);
    let permit = promised(channel.try_reserve(&events), "there is room");
    let waiting = waiting_reserve(&channel, numbered(2..3));
    drop(permit);
    commit(promised(waiting.finish(), "a dropped permit makes room"));
    assert_eq!(drain(&channel), [2]);
    assert_all_free(&channel);
}

fn room_is_given_in_order_of_arrival(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    for number in 0..4 {
        put(&channel, numbered(number..number + 1));
    }
    let mut large = waiting_reserve(&channel, numbered(4..7));
    let mut small = waiting_reserve(&channel, numbered(7..8));
    ack(take(&channel, 1));
    large.assert_waits("room for one is not room for three");
    small.assert_waits("nobody overtakes the one who waits for more");
    assert!(
        is_full(&channel.try_reserve(&numbered(8..9))),
        "who does not wait does not overtake those who do"
    );
    ack(take(&channel, 1));
    small.assert_waits("nobody overtakes the one who waits for more");
    ack(take(&channel, 1));
    let large = promised(large.finish(), "the first in line is served first");
    small.assert_waits("the second has to wait for its own room");
    ack(take(&channel, 1));
    let small = promised(small.finish(), "the second in line is served");
    commit(large);
    commit(small);
    assert_eq!(drain(&channel), (4..8).collect::<Vec<_>>());
    assert_all_free(&channel);
}

fn a_waiter_that_leaves_does_not_hold_up_the_line(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 3, 3);
    put(&channel, numbered(0..2));
    let large = waiting_reserve(&channel, numbered(2..5));
    let small = waiting_reserve(&channel, numbered(5..6));
    drop(large);
    commit(promised(
        small.finish(),
        "the next in line is served when the one before it leaves",
    ));
    assert_eq!(drain(&channel), [0, 1, 5]);
    assert_all_free(&channel);
}

fn a_waiter_that_leaves_with_room_releases_it(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 2, 2);
    put(&channel, numbered(0..2));
    let served = waiting_reserve(&channel, numbered(2..4));
    let next = waiting_reserve(&channel, numbered(4..6));
    drain(&channel);
    assert!(served.is_woken(), "who is served is woken");
    drop(served);
    commit(promised(
        next.finish(),
        "room that was granted to one who is gone goes to the next",
    ));
    assert_eq!(drain(&channel), [4, 5]);
    assert_all_free(&channel);
}

fn a_taker_is_woken_by_a_commit_and_by_a_give_back(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 2, 2);
    let waiting = waiting_take(&channel, 2);
    put(&channel, numbered(0..1));
    let lease = promised(waiting.finish(), "a commit wakes a taker");
    assert_eq!(numbers(&lease), [0]);
    let waiting = waiting_take(&channel, 2);
    lease.give_back();
    let lease = promised(waiting.finish(), "a give back wakes a taker");
    assert_eq!(numbers(&lease), [0]);
    let waiting = waiting_take(&channel, 2);
    promised(drive::finish(lease.ack_except(vec![0])), "all is kept");
    let lease = promised(waiting.finish(), "kept events wake a taker");
    ack(lease);
    assert_all_free(&channel);
}

fn a_woken_taker_that_leaves_passes_it_on(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 2, 2);
    let first = waiting_take(&channel, 1);
    let second = waiting_take(&channel, 1);
    put(&channel, numbered(0..1));
    let (woken, other) = if first.is_woken() {
        (first, second)
    } else {
        (second, first)
    };
    assert!(woken.is_woken(), "a commit wakes a taker");
    drop(woken);
    let lease = promised(other.finish(), "a taker that leaves passes its wake-up on");
    ack(lease);
    assert_all_free(&channel);
}

fn as_many_takers_are_woken_as_there_is_work_for(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    let waiting = [1, 1, 1].map(|events| waiting_take(&channel, events));
    put(&channel, numbered(0..3));
    assert!(
        waiting.iter().all(drive::Waiting::is_woken),
        "a commit wakes every taker that it has events for"
    );
    let mut leases = Vec::new();
    for own in waiting {
        leases.push(promised(
            own.finish(),
            "each taker is woken that can be served",
        ));
    }
    let mut all: Vec<u64> = leases.iter().flat_map(numbers).collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2]);
    for lease in leases {
        ack(lease);
    }
    assert_all_free(&channel);
}

fn growing_serves_those_who_wait(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 2, 2);
    put(&channel, numbered(0..2));
    let waiting = waiting_reserve(&channel, numbered(2..4));
    let larger = limits(maker, 4, 3);
    assert!(
        promised(
            channel.reconfigure(&maker.settings(larger)),
            "a channel can grow"
        ),
        "capacities are changed in place"
    );
    assert_eq!(channel.limits(), larger, "a channel tells its new limits");
    commit(promised(waiting.finish(), "growing serves those who wait"));
    assert_eq!(drain(&channel), (0..4).collect::<Vec<_>>());
    put(&channel, numbered(4..7));
    assert_eq!(take(&channel, usize::MAX).len(), 3);
}

fn shrinking_keeps_events_and_refuses_what_never_fits(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    put(&channel, numbered(0..4));
    let large = waiting_reserve(&channel, numbered(4..7));
    let mut small = waiting_reserve(&channel, numbered(7..8));
    promised(
        channel.reconfigure(&maker.settings(limits(maker, 2, 2))),
        "a channel can shrink below its fill",
    );
    assert!(
        is_too_large(&large.finish()),
        "who waits for what can never be there is refused"
    );
    assert_eq!(channel.fill().events, 4, "shrinking loses no event");
    for left in [3, 2] {
        ack(take(&channel, 1));
        assert_eq!(channel.fill().events, left);
        small.assert_waits("puts wait until the fill is below the new capacity");
    }
    ack(take(&channel, 1));
    commit(promised(small.finish(), "and are served then"));
    assert_eq!(drain(&channel), [3, 7]);
    assert_all_free(&channel);
}
