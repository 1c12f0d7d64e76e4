//! The end: close while others put, wait, hold and take.

use super::{
    ChannelMaker, ack, at_most, channel, commit, drain, drive, is_closed, numbered, numbers,
    promised, put, take, try_take, waiting_put, waiting_reserve, waiting_take,
};
use crate::channel::{PutError, ReserveError, TakeError};

pub(super) fn run(maker: &dyn ChannelMaker) {
    a_closed_channel_refuses_puts(maker);
    a_closed_channel_is_drained_and_then_ends(maker);
    a_permit_from_before_the_close_commits(maker);
    a_lease_from_before_the_end_can_come_back(maker);
    closing_wakes_takers_of_an_empty_channel(maker);
}

fn is_end<T>(result: &Result<T, TakeError>) -> bool {
    matches!(result, Err(TakeError::Closed))
}

fn a_closed_channel_refuses_puts(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 2, 2);
    put(&channel, numbered(0..2));
    let waiting = waiting_reserve(&channel, numbered(2..4));
    let putting = waiting_put(vec![super::part(&channel, numbered(4..5))]);
    channel.close();
    assert!(
        is_closed(&waiting.finish()),
        "who waits for room is refused"
    );
    assert!(
        matches!(
            putting.finish(),
            Err(PutError::Refused(ReserveError::Closed { .. }))
        ),
        "a put that waits is refused"
    );
    assert!(is_closed(&channel.try_reserve(&numbered(2..3))));
    let one = numbered(2..3);
    assert!(is_closed(&drive::finish(
        channel.reserve(&one, super::LONG)
    )));
    channel.close();
    assert_eq!(drain(&channel), [0, 1], "closing twice changes nothing");
}

fn a_closed_channel_is_drained_and_then_ends(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 2);
    put(&channel, numbered(0..2));
    put(&channel, numbered(2..4));
    channel.close();
    assert_eq!(
        drain(&channel),
        (0..4).collect::<Vec<_>>(),
        "a closed channel goes on giving what it holds"
    );
    assert!(
        is_end(&try_take(&channel, at_most(1))),
        "a closed channel that is empty says that nothing will come"
    );
}

fn a_permit_from_before_the_close_commits(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    let (kept, dropped) = (numbered(0..2), numbered(2..4));
    let kept = promised(channel.try_reserve(&kept), "there is room");
    let dropped = promised(channel.try_reserve(&dropped), "there is room");
    channel.close();
    let mut waiting = waiting_take(&channel, 4);
    drop(dropped);
    waiting.assert_waits("while a permit is out, something may still come");
    commit(kept);
    let lease = promised(
        waiting.finish(),
        "a permit granted before the close commits",
    );
    assert_eq!(numbers(&lease), [0, 1]);
    ack(lease);
    assert!(is_end(&try_take(&channel, at_most(1))));
}

fn a_lease_from_before_the_end_can_come_back(maker: &dyn ChannelMaker) {
    let channel = channel(maker, 4, 4);
    put(&channel, numbered(0..2));
    let lease = take(&channel, 2);
    channel.close();
    let waiting = waiting_take(&channel, 4);
    lease.give_back();
    let lease = promised(
        waiting.finish(),
        "events that come back are given, closed or not",
    );
    let mut waiting = waiting_take(&channel, 4);
    waiting.assert_waits("while a lease is out, something may still come back");
    ack(lease);
    if channel.fill().events == 0 {
        assert!(
            is_end(&waiting.finish()),
            "the last acknowledgement is the end"
        );
    }
}

fn closing_wakes_takers_of_an_empty_channel(maker: &dyn ChannelMaker) {
    let empty = channel(maker, 4, 4);
    let waiting = [1, 1].map(|events| waiting_take(&empty, events));
    empty.close();
    for own in waiting {
        assert!(is_end(&own.finish()), "the close ends every waiting take");
    }
    let reserved = channel(maker, 4, 4);
    let events = numbered(0..1);
    let permit = promised(reserved.try_reserve(&events), "there is room");
    let waiting = [1, 1].map(|events| waiting_take(&reserved, events));
    reserved.close();
    drop(permit);
    for own in waiting {
        assert!(
            is_end(&own.finish()),
            "the last permit dropped ends every waiting take"
        );
    }
}
