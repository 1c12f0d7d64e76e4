//! Taking: limits, order, identity, and the ends of a lease.

use super::{
    ChannelMaker, Seen, ack, assert_all_free, at_most, batch, channel, drain, drive, limits,
    numbered, numbers, promised, put, seen, take, try_take,
};
use crate::channel::{TakeError, TakeLimits};
use crate::fault::FaultKind;

pub(super) fn run(maker: &dyn ChannelMaker) {
    a_take_gives_the_oldest_within_its_limits(maker);
    a_take_stays_within_the_transaction_capacity(maker);
    an_event_larger_than_the_byte_limit_is_given_alone(maker);
    an_empty_channel_says_so(maker);
    competing_takers_get_different_events(maker);
    acknowledged_events_are_gone(maker);
    kept_events_come_back_to_their_places(maker);
    wrong_indices_give_everything_back(maker);
    events_given_back_come_first_again(maker);
    leases_given_back_in_any_order_stand_in_order(maker);
    identity_is_stable_and_redeliveries_are_counted(maker);
    leased_events_fill_the_channel(maker);
}

fn a_take_gives_the_oldest_within_its_limits(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 20, 20);
    put(&channel, numbered(0..5));
    put(&channel, numbered(5..8));
    let mut taken = Vec::new();
    while let Ok(lease) = try_take(&channel, at_most(3)) {
        assert!(lease.len() <= 3, "a take stays within its limit of events");
        taken.extend(numbers(&lease));
        ack(lease);
    }
    assert_eq!(taken, (0..8).collect::<Vec<_>>(), "the oldest come first");

    put(&channel, numbered(8..12));
    let three = TakeLimits {
        events: 20,
        bytes: 31,
    };
    let lease = promised(try_take(&channel, three), "there are events");
    assert!(
        lease.len() <= 3,
        "a take stays within its limit of bytes: bodies of 8 bytes, 31 bytes at most"
    );
    drop(lease);
    assert_eq!(drain(&channel), (8..12).collect::<Vec<_>>());
    assert_all_free(&channel);
}

fn a_take_stays_within_the_transaction_capacity(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 10, 3);
    put(&channel, numbered(0..3));
    put(&channel, numbered(3..6));
    assert!(
        take(&channel, usize::MAX).len() <= 3,
        "the transaction capacity bounds a take"
    );
    assert_eq!(drain(&channel), (0..6).collect::<Vec<_>>());
}

fn an_event_larger_than_the_byte_limit_is_given_alone(maker: &dyn ChannelMaker) {
    let events = batch([(0, 300), (1, 300)]);
    let mut bounds = limits(maker, 10, 10);
    bounds.capacity_bytes = maker.counted_bytes(&events);
    let channel = maker.make("c1", bounds);
    put(&channel, events);
    for number in 0..2 {
        let one = TakeLimits {
            events: 10,
            bytes: 1,
        };
        let lease = promised(
            try_take(&channel, one),
            "an event that is too large is given",
        );
        assert_eq!(numbers(&lease), [number], "and it is given alone");
        ack(lease);
    }
    assert_eq!(channel.fill().bytes, 0);
}

fn an_empty_channel_says_so(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 10, 10);
    assert!(
        matches!(try_take(&channel, at_most(1)), Err(TakeError::Empty)),
        "a take that does not wait finds an empty channel empty"
    );
}

fn competing_takers_get_different_events(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 10, 10);
    put(&channel, numbered(0..10));
    let mut leases = Vec::new();
    while let Ok(lease) = try_take(&channel, at_most(4)) {
        leases.push(lease);
    }
    let all: Vec<u64> = leases.iter().flat_map(numbers).collect();
    assert_eq!(
        all,
        (0..10).collect::<Vec<_>>(),
        "an event under lease is given to nobody else"
    );
    for lease in leases {
        ack(lease);
    }
    assert_all_free(&channel);
}

fn acknowledged_events_are_gone(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 10, 10);
    put(&channel, numbered(0..10));
    let lease = take(&channel, 10);
    let count = lease.len() as u64;
    let fill = channel.fill();
    assert_eq!(
        (fill.events, fill.leased_events),
        (10, count),
        "events under lease are in the fill"
    );
    ack(lease);
    let fill = channel.fill();
    assert_eq!((fill.events, fill.leased_events), (10 - count, 0));
    drain(&channel);
    assert_all_free(&channel);
}

fn kept_events_come_back_to_their_places(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 20, 20);
    put(&channel, numbered(0..6));
    put(&channel, numbered(6..10));
    let lease = take(&channel, 20);
    let before = seen(&lease);
    let kept = [0, 2, 3, 5];
    promised(
        drive::finish(lease.ack_except(kept.to_vec())),
        "a partial acknowledgement succeeds",
    );
    put(&channel, numbered(10..12));
    let held = channel.fill();
    assert_eq!(held.leased_events, 0, "a lease that ended holds nothing");
    let mut expected: Vec<Seen> = before
        .iter()
        .zip(0_u32..)
        .filter(|(_, index)| kept.contains(index))
        .map(|(event, _)| Seen {
            redeliveries: event.redeliveries + 1,
            ..*event
        })
        .collect();
    let mut after = Vec::new();
    while let Ok(lease) = try_take(&channel, at_most(20)) {
        after.extend(seen(&lease));
        ack(lease);
    }
    let rest = after.split_off(kept.len());
    assert_eq!(
        after, expected,
        "kept events come back, with their identity"
    );
    expected.retain(|event| rest.iter().any(|other| other.sequence == event.sequence));
    assert!(expected.is_empty(), "no event comes twice");
    let rest: Vec<u64> = rest.iter().map(|event| event.number).collect();
    let untaken = 10 - before.len() as u64;
    assert_eq!(
        rest,
        (10 - untaken..12).collect::<Vec<_>>(),
        "acknowledged events do not come back, later ones come behind"
    );
    assert_all_free(&channel);
}

fn wrong_indices_give_everything_back(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 10, 10);
    put(&channel, numbered(0..3));
    for wrong in [vec![1, 0], vec![1, 1], vec![0, 3], vec![7]] {
        let lease = take(&channel, 3);
        assert_eq!(numbers(&lease), [0, 1, 2]);
        let fault = drive::finish(lease.ack_except(wrong)).err();
        assert_eq!(
            fault.map(|fault| fault.kind()),
            Some(FaultKind::Broken),
            "indices out of order or range are a fault of the sink"
        );
    }
    let lease = take(&channel, 3);
    promised(
        drive::finish(lease.ack_except(vec![0, 1, 2])),
        "all events may be kept",
    );
    let lease = take(&channel, 3);
    promised(
        drive::finish(lease.ack_except(Vec::new())),
        "no event may be kept",
    );
    assert_all_free(&channel);
}

fn events_given_back_come_first_again(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 10, 10);
    put(&channel, numbered(0..4));
    let lease = take(&channel, 3);
    put(&channel, numbered(4..6));
    lease.give_back();
    drop(take(&channel, 2));
    assert_eq!(
        channel.fill().leased_events,
        0,
        "a dropped lease gives back"
    );
    assert_eq!(
        drain(&channel),
        (0..6).collect::<Vec<_>>(),
        "events given back stand before everything that was put later"
    );
    assert_all_free(&channel);
}

fn leases_given_back_in_any_order_stand_in_order(maker: &dyn ChannelMaker) {
    let orders: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let channel = channel(maker, 10, 10);
        put(&channel, numbered(0..4));
        put(&channel, numbered(4..9));
        let mut leases = [2, 3, 2].map(|events| Some(take(&channel, events)));
        for place in order {
            drop(leases.get_mut(place).and_then(Option::take));
        }
        assert_eq!(
            drain(&channel),
            (0..9).collect::<Vec<_>>(),
            "events come back to their old places, whoever is first"
        );
        assert_all_free(&channel);
    }
}

fn identity_is_stable_and_redeliveries_are_counted(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 20, 20);
    put(&channel, numbered(0..7));
    put(&channel, numbered(7..10));
    let mut redelivered = [0_u32; 10];
    let mut base = None;
    for events in [3, 5, 1, 10, 4, 2, 20] {
        let lease = take(&channel, events);
        for (event, redeliveries) in seen(&lease).iter().zip(&mut redelivered) {
            let base = *base.get_or_insert(event.sequence);
            assert_eq!(
                event.sequence - base,
                event.number,
                "an event keeps its sequence, which counts the events put"
            );
            assert_eq!(
                event.redeliveries, *redeliveries,
                "each give back counts once for each event of the lease"
            );
            *redeliveries += 1;
        }
        lease.give_back();
    }
    assert_eq!(drain(&channel), (0..10).collect::<Vec<_>>());
    put(&channel, numbered(10..11));
    let lease = take(&channel, 1);
    let last = seen(&lease).first().map(|event| event.sequence);
    assert_eq!(
        last,
        base.map(|base| base + 10),
        "sequences are not used twice"
    );
}

fn leased_events_fill_the_channel(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 3, 3);
    put(&channel, numbered(0..3));
    let lease = take(&channel, 3);
    assert!(
        super::is_full(&channel.try_reserve(&numbered(3..4))),
        "events under lease take room"
    );
    ack(lease);
    drain(&channel);
    assert_all_free(&channel);
}
