//! The suite of the contract, and what only this channel promises: options, time, threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flumen_core::channel::{
    Channel, ChannelLimits, PutPart, ReserveError, TakeError, TakeLimits, put_all,
};
use flumen_core::clock::ManualClock;
use flumen_core::conformance::channel::ChannelMaker;
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, EventBatch, FaultKind, conformance};

use super::room::{Slots, bytes};
use crate::bounded::Measure;

struct Maker;

impl ChannelMaker for Maker {
    fn make(&self, name: &str, limits: ChannelLimits) -> Arc<dyn Channel> {
        channel(name, &self.settings(limits))
    }

    fn settings(&self, limits: ChannelLimits) -> Settings {
        settings(
            limits.capacity_events,
            limits.transaction_events as u64,
            limits.keep_alive.as_secs(),
            limits.capacity_bytes,
            0,
        )
    }

    fn counted_bytes(&self, events: &EventBatch) -> u64 {
        bytes(Slots::size(events))
    }
}

fn settings(
    capacity: u64,
    transaction: u64,
    keep_alive: u64,
    bytes: u64,
    percent: u64,
) -> Settings {
    let number = |value: u64| Value::Integer(value.try_into().unwrap());
    Settings::new()
        .with("capacity", number(capacity))
        .with("transactionCapacity", number(transaction))
        .with("keep-alive", number(keep_alive))
        .with("byteCapacity", number(bytes))
        .with("byteCapacityBufferPercentage", number(percent))
}

fn channel(name: &str, settings: &Settings) -> Arc<dyn Channel> {
    let clock = Arc::new(ManualClock::at(5000));
    let row = crate::rows().find(|row| row.is_called("memory")).unwrap();
    crate::build(row, &ComponentName::new(name), settings, clock).unwrap()
}

fn events(bodies: &[&str]) -> EventBatch {
    let data: String = bodies.concat();
    let ends = bodies.iter().scan(0, |end, body| {
        *end += body.len() as u32;
        Some(*end)
    });
    EventBatch::from_columns(data.into(), ends.collect()).unwrap()
}

fn all() -> TakeLimits {
    TakeLimits {
        events: usize::MAX,
        bytes: u64::MAX,
    }
}

/// The channel makes a timer when it waits, so the suite runs where there is one; it never fires.
#[test]
fn the_contract_is_kept() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _context = runtime.enter();
    conformance::channel::run(&Maker);
}

#[tokio::test(start_paused = true)]
async fn a_put_waits_for_keep_alive_and_tells_how_long() {
    let channel = channel("c1", &settings(1, 1, 3, 0, 20));
    let part = |body| PutPart {
        channel: Arc::clone(&channel),
        events: events(&[body]),
    };
    put_all(&[part("a")], None).await.unwrap();
    let before = tokio::time::Instant::now();
    let batch = events(&["b"]);
    let keep_alive = channel.limits().keep_alive;
    let error = channel.reserve(&batch, keep_alive).await.err().unwrap();
    assert_eq!(before.elapsed().as_secs(), 3);
    assert!(matches!(error, ReserveError::Full { waited, .. } if waited.as_secs() == 3));
    assert!(error.to_string().starts_with("channel c1 is full"));
    assert!(put_all(&[part("b")], None).await.is_err());
    // The room that nobody waits for any more is there for the next.
    let lease = channel.take(all(), Duration::ZERO).await.unwrap();
    lease.ack().await.unwrap();
    assert!(channel.try_reserve(&batch).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_take_waits_and_then_finds_nothing() {
    let channel = channel("c1", &settings(1, 1, 3, 0, 20));
    let before = tokio::time::Instant::now();
    let result = channel.take(all(), Duration::from_secs(3)).await;
    assert!(matches!(result, Err(TakeError::Empty)));
    assert_eq!(before.elapsed().as_secs(), 3);
    assert_eq!(channel.counters().event_take_attempt.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_whose_time_is_over_does_not_hold_up_the_line() {
    let channel = channel("c1", &settings(2, 2, 3, 0, 20));
    let (one, two) = (events(&["a"]), events(&["b", "c"]));
    let held = channel.try_reserve(&one).unwrap();
    let (large, small) = tokio::join!(
        channel.reserve(&two, Duration::from_secs(1)),
        channel.reserve(&one, Duration::from_secs(9)),
    );
    assert!(matches!(large.err(), Some(ReserveError::Full { .. })));
    small.unwrap().commit(None).await.unwrap();
    held.commit(None).await.unwrap();
    assert_eq!(channel.fill().events, 2);
}

#[test]
fn bytes_are_counted_in_slots_of_a_hundred() {
    let channel = channel("c1", &settings(100, 100, 0, 1000, 20));
    assert_eq!(channel.limits().capacity_bytes, 800);
    let body = "x".repeat(100);
    let longer = "x".repeat(101);
    let batch = events(&["", "a", &body, &longer]);
    let permit = channel.try_reserve(&batch).unwrap();
    drop(permit.commit(None));
    assert_eq!(channel.fill().bytes, 500);
    assert!(channel.try_reserve(&events(&[&longer, &longer])).is_err());
    assert!(channel.try_reserve(&events(&[&longer, &body])).is_ok());
    let error = channel.try_reserve(&events(&["x".repeat(900).as_str()]));
    assert_eq!(
        error.err().unwrap().to_string(),
        "batch does not fit channel c1: 900 bytes (in slots of 100) are more than the 800 that \
         byteCapacity leaves; raise it or lower the batch size of the source"
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused_and_change_nothing() {
    let channel = channel("c1", &settings(100, 100, 3, 0, 20));
    let before = channel.limits();
    assert_eq!(before.capacity_bytes, 214_748_364_700);
    for wrong in [settings(50, 100, 3, 0, 20), settings(50, 50, 3, 100, 20)] {
        let fault = channel.reconfigure(&wrong).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Configuration);
        assert!(fault.to_string().contains("channel c1: "), "{fault}");
        assert_eq!(channel.limits(), before);
    }
}

#[test]
fn defaults_are_those_of_flume() {
    let row = crate::rows().next().unwrap();
    assert!(row.is_called("org.apache.flume.channel.MemoryChannel"));
    let mut settings = Settings::new();
    for option in row.options {
        let flumen_core::option::DefaultValue::Is(value) = option.default else {
            panic!("{} has a default", option.name);
        };
        settings = settings.with(option.name, Value::Integer(value.parse().unwrap()));
    }
    let channel = channel("c1", &settings);
    let limits = channel.limits();
    assert_eq!(
        (limits.capacity_events, limits.transaction_events),
        (100, 100)
    );
    assert_eq!(limits.keep_alive, Duration::from_secs(3));
    assert_eq!(limits.capacity_bytes, 214_748_300);
}

#[test]
fn a_channel_tells_when_it_started_and_stopped() {
    let channel = channel("c1", &settings(1, 1, 0, 0, 20));
    assert_eq!(channel.counters().start_time.get(), 5000);
    assert_eq!(channel.counters().stop_time.get(), 0);
    channel.close();
    assert_eq!(channel.counters().stop_time.get(), 5000);
}

const PRODUCERS: u64 = 4;
const PUTS_PER_PRODUCER: u64 = 400;

/// Puts `PUTS_PER_PRODUCER` batches of one to seven events, each `producer:number`.
async fn produce(channel: Arc<dyn Channel>, producer: u64) -> u64 {
    let mut number = 0;
    for put in 0..PUTS_PER_PRODUCER {
        let bodies: Vec<String> = (0..1 + (put + producer) % 7)
            .map(|offset| format!("{producer}:{}", number + offset))
            .collect();
        number += bodies.len() as u64;
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let part = PutPart {
            channel: Arc::clone(&channel),
            events: events(&bodies),
        };
        put_all(&[part], None).await.unwrap();
    }
    number
}

/// Takes until the end; every third lease is given back, every fifth acknowledged in part.
async fn consume(channel: Arc<dyn Channel>, batch: usize) -> Vec<(u64, u64)> {
    let mut got = Vec::new();
    let limits = TakeLimits {
        events: batch,
        bytes: u64::MAX,
    };
    for round in 1_u64.. {
        let lease = match channel.take(limits, Duration::from_secs(60)).await {
            Ok(lease) => lease,
            Err(TakeError::Closed) => break,
            Err(error) => panic!("{error:?}"),
        };
        let bodies = lease.segments().iter().flat_map(|segment| {
            segment.events.bodies().map(|body| {
                let (producer, number) =
                    std::str::from_utf8(body).unwrap().split_once(':').unwrap();
                (producer.parse().unwrap(), number.parse().unwrap())
            })
        });
        let mut bodies: Vec<(u64, u64)> = bodies.collect();
        if round.is_multiple_of(3) {
            drop(lease);
        } else if round.is_multiple_of(5) {
            let last = bodies.len() as u32 - 1;
            bodies.pop();
            got.extend(bodies);
            lease.ack_except(vec![last]).await.unwrap();
        } else {
            got.extend(bodies);
            lease.ack().await.unwrap();
        }
    }
    got
}

async fn exchange(consumers: usize) -> (BTreeMap<u64, u64>, Vec<Vec<(u64, u64)>>) {
    let channel = channel("c1", &settings(20, 7, 60, 0, 20));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| tokio::spawn(produce(Arc::clone(&channel), producer)))
        .collect();
    let consumers: Vec<_> = (0..consumers)
        .map(|index| tokio::spawn(consume(Arc::clone(&channel), 2 + index)))
        .collect();
    let mut put = BTreeMap::new();
    for (producer, task) in (0..).zip(producers) {
        put.insert(producer, task.await.unwrap());
    }
    channel.close();
    let mut got = Vec::new();
    for task in consumers {
        got.push(task.await.unwrap());
    }
    let fill = channel.fill();
    assert_eq!((fill.events, fill.leased_events, fill.bytes), (0, 0, 0));
    (put, got)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_producers_and_consumers_lose_and_double_nothing() {
    let (put, got) = exchange(3).await;
    let mut got: Vec<(u64, u64)> = got.into_iter().flatten().collect();
    got.sort_unstable();
    let expected: Vec<(u64, u64)> = put
        .iter()
        .flat_map(|(producer, count)| (0..*count).map(|number| (*producer, number)))
        .collect();
    assert_eq!(got, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_consumer_gets_each_producers_events_in_order() {
    let (put, got) = exchange(1).await;
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for (producer, number) in got.into_iter().flatten() {
        let expected = next.entry(producer).or_default();
        assert_eq!(number, *expected, "producer {producer}");
        *expected += 1;
    }
    assert_eq!(next, put);
}
