//! The state under the model checker: the orders in which two or three threads can meet.
//! Run with `cargo test -p flumen-channel --features loom --lib loom_`.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use flumen_core::EventBatch;
use flumen_core::channel::TakeLimits;
use loom::future::block_on;
use loom::thread;

use super::room::Slots;
use super::shared::{EventWait, Held, LeasedEvents, Shared};
use crate::bounded::{Bounds, Nothing, Refusal, Room, RoomWait, SharedPointer};

/// Forced switches between threads in one run. Nearly every known fault of this sort shows with
/// two; three take seconds, and three threads without a bound hours.
const PREEMPTIONS_MAX: usize = 3;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(model);
}

fn shared(capacity: u64) -> SharedPointer<Shared> {
    SharedPointer::new(Shared::new(Bounds {
        capacity: Room {
            events: capacity,
            size: 100,
        },
        transaction_events: 10,
        keep_alive: Duration::ZERO,
    }))
}

fn events(count: u32) -> EventBatch {
    EventBatch::from_columns("".into(), vec![0; count as usize]).unwrap()
}

async fn reserve(shared: &SharedPointer<Shared>, count: u32) -> Result<Held, Refusal> {
    let batch = events(count);
    let need = Room::of::<Slots>(&batch);
    let mut wait = RoomWait::new(&**shared, need);
    poll_fn(|context| wait.poll(context)).await?;
    Ok(Held::granted(shared, need, batch))
}

async fn take(shared: &SharedPointer<Shared>, events: usize) -> Result<LeasedEvents, Nothing> {
    let limits = TakeLimits {
        events,
        bytes: u64::MAX,
    };
    let mut wait = EventWait::new(shared, limits);
    poll_fn(|context| wait.poll(context)).await
}

fn count(lease: &LeasedEvents) -> usize {
    lease.segments().map(|stored| stored.events.len()).sum()
}

fn assert_free(shared: &Shared, capacity: u64) {
    let fill = shared.with(|state, _| state.fill());
    assert_eq!((fill.events, fill.leased_events), (0, 0));
    let all = Room {
        events: capacity,
        size: capacity,
    };
    assert_eq!(
        shared.with(|state, _| state.accounts.try_reserve(all)),
        Ok(())
    );
}

/// A putter that waits for room and a taker that waits for events, in a channel of one event.
#[test]
fn loom_put_and_take_hand_over() {
    check(|| {
        let channel = shared(1);
        let own = channel.clone();
        let putter = thread::spawn(move || {
            for _ in 0..2 {
                block_on(reserve(&own, 1)).unwrap().commit();
            }
        });
        for _ in 0..2 {
            let lease = block_on(take(&channel, 10)).unwrap();
            assert_eq!(count(&lease), 1);
            lease.ack();
        }
        putter.join().unwrap();
        assert_free(&channel, 1);
    });
}

/// Two takers, two events in one put: nobody sleeps while there is work.
#[test]
fn loom_each_of_two_takers_is_served() {
    check(|| {
        let channel = shared(2);
        let takers = [0, 1].map(|_| {
            let own = channel.clone();
            thread::spawn(move || block_on(take(&own, 1)).unwrap().ack())
        });
        block_on(reserve(&channel, 2)).unwrap().commit();
        for taker in takers {
            taker.join().unwrap();
        }
        assert_free(&channel, 2);
    });
}

/// A waiter for room is dropped while it is being granted: the next one gets the room.
#[test]
fn loom_a_dropped_waiter_passes_room_on() {
    check(|| {
        let channel = shared(1);
        let held = block_on(reserve(&channel, 1)).unwrap();
        let own = channel.clone();
        let leaver = thread::spawn(move || {
            let mut wait = RoomWait::new(&*own, Room { events: 1, size: 1 });
            // Polled once and dropped, granted or not; what is granted at once is released.
            if let Poll::Ready(Ok(())) = block_on(poll_fn(|cx| Poll::Ready(wait.poll(cx)))) {
                drop(Held::granted(&own, Room { events: 1, size: 1 }, events(1)));
            }
        });
        let own = channel.clone();
        let stayer = thread::spawn(move || drop(block_on(reserve(&own, 1)).unwrap()));
        drop(held);
        leaver.join().unwrap();
        stayer.join().unwrap();
        assert_free(&channel, 1);
    });
}

/// A taker is dropped while it is being woken: the other one takes.
#[test]
fn loom_a_dropped_taker_passes_its_wake_up_on() {
    check(|| {
        let channel = shared(1);
        let own = channel.clone();
        let leaver = thread::spawn(move || {
            let limits = TakeLimits {
                events: 1,
                bytes: 1,
            };
            let mut wait = EventWait::new(&own, limits);
            // A lease that it gets is dropped as well, and gives its events back.
            drop(block_on(poll_fn(|cx| Poll::Ready(wait.poll(cx)))));
        });
        let own = channel.clone();
        let stayer = thread::spawn(move || block_on(take(&own, 1)).unwrap().ack());
        block_on(reserve(&channel, 1)).unwrap().commit();
        leaver.join().unwrap();
        stayer.join().unwrap();
        assert_free(&channel, 1);
    });
}

/// A close meets a putter that waits for room and a taker that waits for events.
#[test]
fn loom_close_ends_every_wait() {
    check(|| {
        let channel = shared(1);
        let held = block_on(reserve(&channel, 1)).unwrap();
        let own = channel.clone();
        let putter = thread::spawn(move || match block_on(reserve(&own, 1)) {
            Ok(held) => drop(held),
            Err(refusal) => assert_eq!(refusal, Refusal::Closed),
        });
        let own = channel.clone();
        let taker = thread::spawn(move || {
            let end = block_on(take(&own, 1)).map(|_| ());
            assert_eq!(end, Err(Nothing::Closed));
        });
        channel.with(|state, outside| state.accounts.close(outside));
        drop(held);
        putter.join().unwrap();
        taker.join().unwrap();
    });
}

/// An acknowledgement makes room while the putter is about to give up: either it has the room or
/// the room is free.
#[test]
fn loom_room_is_never_lost_at_the_end_of_a_wait() {
    check(|| {
        let channel = shared(1);
        block_on(reserve(&channel, 1)).unwrap().commit();
        let own = channel.clone();
        let putter = thread::spawn(move || {
            let need = Room { events: 1, size: 1 };
            let mut wait = RoomWait::new(&*own, need);
            let first = block_on(poll_fn(|cx| Poll::Ready(wait.poll(cx))));
            let answer = match first {
                Poll::Ready(answer) => answer,
                Poll::Pending => wait.expire(),
            };
            if answer.is_ok() {
                drop(Held::granted(&own, need, events(1)));
            }
        });
        block_on(take(&channel, 1)).unwrap().ack();
        putter.join().unwrap();
        assert_free(&channel, 1);
    });
}
