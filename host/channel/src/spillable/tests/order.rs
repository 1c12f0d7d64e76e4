//! Order across memory and files, and when puts change from one to the other.

use std::sync::Arc;
use std::time::Duration;

use flumen_core::ComponentName;
use flumen_core::channel::{Channel, ReserveError};
use flumen_core::clock::{Clock, ManualClock};
use flumen_core::settings::Settings;

use super::super::options::Setup;
use super::super::{Overflow, SpillableChannel};
use super::{at_most, drain, number, numbered, numbers, open, put, settings, shown, take};

#[tokio::test]
async fn order_holds_however_often_puts_change_their_place() {
    let folder = tempfile::tempdir().unwrap();
    // Room in memory for ten; puts go back to memory when half of it is free.
    let half = settings(folder.path(), 10).with("overflowDeactivationThreshold", number(50));
    let channel = open(&half);
    let mut next = 0;
    let mut got = Vec::new();
    for round in 0..60_u64 {
        let count = 1 + round % 4;
        put(&channel, numbered(next..next + count)).await;
        next += count;
        // Now and then the sink catches up a bit, so that memory has room again.
        if round % 7 >= 4 {
            let lease = take(&channel, 8).await;
            got.extend(shown(&lease));
            lease.ack().await.unwrap();
        }
    }
    got.extend(drain(&channel).await);
    assert_eq!(numbers(&got), (0..next).collect::<Vec<_>>());
    assert!(
        got.is_sorted_by(|one, other| one.0 + 1 == other.0),
        "sequences follow"
    );
    assert_eq!(channel.fill(), Default::default());
}

#[tokio::test]
async fn what_comes_back_stands_before_what_is_younger_wherever_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let channel =
        open(&settings(folder.path(), 2).with("overflowDeactivationThreshold", number(100)));
    put(&channel, numbered(0..2)).await;
    put(&channel, numbered(2..4)).await;
    let memory = take(&channel, 2).await;
    let files = take(&channel, 2).await;
    assert_eq!(
        (numbers(&shown(&memory)), numbers(&shown(&files))),
        (vec![0, 1], vec![2, 3])
    );
    memory.ack().await.unwrap();
    // Memory is empty again, so these are in memory.
    put(&channel, numbered(4..6)).await;
    let younger = take(&channel, 2).await;
    assert_eq!(numbers(&shown(&younger)), [4, 5]);
    drop(younger);
    files.ack_except(vec![1]).await.unwrap();
    let lease = take(&channel, 9).await;
    assert_eq!(numbers(&shown(&lease)), [3]);
    assert_eq!(lease.segments()[0].redeliveries, 1);
    drop(lease);
    assert_eq!(numbers(&drain(&channel).await), [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_put_waits_for_memory_before_the_first_one_goes_to_files() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), 1)
        .with("overflowTimeout", number(7))
        .with("overflowDeactivationThreshold", number(100));
    let channel = open(&settings);
    put(&channel, numbered(0..1)).await;
    let one = numbered(1..2);
    let refused = channel.try_reserve(&one).err();
    assert!(
        matches!(refused, Some(ReserveError::Full { .. })),
        "memory may have room yet"
    );
    let before = tokio::time::Instant::now();
    put(&channel, one.clone()).await;
    assert_eq!(before.elapsed(), Duration::from_secs(7));
    put(&channel, numbered(2..3)).await;
    assert_eq!(
        before.elapsed(),
        Duration::from_secs(7),
        "the next does not wait any more"
    );
    take(&channel, 1).await.ack().await.unwrap();
    put(&channel, numbered(3..4)).await;
    // Memory is full again, and the wait begins anew; now there is room in time.
    let waiting = channel.reserve(&one, Duration::from_secs(60));
    let taking = async {
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(numbers(&drain(&channel).await), [1, 2, 3]);
    };
    let before = tokio::time::Instant::now();
    let (permit, ()) = tokio::join!(waiting, taking);
    permit.unwrap().commit(None).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(2));
}

#[tokio::test]
async fn without_an_overflow_a_put_waits_for_memory() {
    let folder = tempfile::tempdir().unwrap();
    let channel = open(&settings(folder.path(), 2).with("overflowCapacity", number(0)));
    put(&channel, numbered(0..2)).await;
    let refused = channel.try_reserve(&numbered(2..3)).err();
    assert!(matches!(refused, Some(ReserveError::Full { .. })));
    assert!(
        std::fs::read_dir(folder.path()).unwrap().next().is_none(),
        "no file is made"
    );
    assert_eq!(numbers(&drain(&channel).await), [0, 1]);
}

#[tokio::test]
async fn what_the_overflow_refuses_goes_to_memory_as_long_as_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), 4).with("overflowDeactivationThreshold", number(100));
    // An overflow that takes less than it was said to, as one does whose disk is full.
    let name = ComponentName::new("c1");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(0));
    let small = Settings::new()
        .with("capacity", number(2))
        .with("transactionCapacity", number(2))
        .with("keep-alive", number(0))
        .with("byteCapacity", number(0))
        .with("byteCapacityBufferPercentage", number(0));
    let overflow = Overflow {
        channel: crate::memory::build(&name, &small, Arc::clone(&clock)).unwrap(),
        epoch: 1,
    };
    let setup = Setup::read(&name, &settings).unwrap();
    let channel = SpillableChannel::new(&name, setup, Some(overflow), clock);
    let channel: Arc<dyn Channel> = Arc::new(channel);
    put(&channel, numbered(0..3)).await;
    put(&channel, numbered(3..5)).await;
    put(&channel, numbered(5..6)).await;
    let refused = channel.try_reserve(&numbered(6..7)).err();
    assert!(
        matches!(refused, Some(ReserveError::Full { .. })),
        "{refused:?}"
    );
    assert_eq!(numbers(&drain(&channel).await), [0, 1, 2, 3, 4, 5]);
    put(&channel, numbered(6..7)).await;
    assert_eq!(numbers(&drain(&channel).await), [6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_producers_and_consumers_lose_and_double_nothing() {
    const PRODUCERS: u64 = 4;
    const EACH: u64 = 600;
    let folder = tempfile::tempdir().unwrap();
    let channel =
        open(&settings(folder.path(), 50).with("overflowDeactivationThreshold", number(60)));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let channel = Arc::clone(&channel);
            tokio::spawn(async move {
                let first = producer * EACH;
                for number in (first..first + EACH).step_by(3) {
                    put(&channel, numbered(number..number + 3)).await;
                }
            })
        })
        .collect();
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            let channel = Arc::clone(&channel);
            tokio::spawn(async move {
                let mut got = Vec::new();
                for round in 0_u64.. {
                    let Ok(lease) = channel.take(at_most(7), Duration::from_secs(60)).await else {
                        break;
                    };
                    match round % 4 {
                        0 => drop(lease),
                        _ => {
                            got.extend(shown(&lease));
                            lease.ack().await.unwrap();
                        }
                    }
                }
                got
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    channel.close();
    let mut got = Vec::new();
    for consumer in consumers {
        got.extend(consumer.await.unwrap());
    }
    let mut sequences: Vec<u64> = got.iter().map(|(sequence, _)| *sequence).collect();
    sequences.sort_unstable();
    assert!(
        sequences.is_sorted_by(|one, next| one + 1 == *next),
        "each has its own"
    );
    let mut numbers = numbers(&got);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..PRODUCERS * EACH).collect::<Vec<_>>());
    assert_eq!(channel.fill(), Default::default());
}

#[tokio::test]
async fn a_put_that_nobody_waits_for_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let channel = open(&settings(folder.path(), 0));
    let permit = channel.try_reserve(&numbered(0..2)).unwrap();
    drop(permit.commit(None));
    put(&channel, numbered(2..3)).await;
    assert_eq!(numbers(&drain(&channel).await), [0, 1, 2]);
    assert_eq!(channel.fill(), Default::default());
}
