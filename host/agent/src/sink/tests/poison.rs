//! Sinks that fail on some events: which events are found, and what becomes of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flumen_core::batch::BatchBuilder;
use flumen_core::channel::{Channel, PutPart, Segment, TakeLimits, put_all};
use flumen_core::clock::SystemClock;
use flumen_core::metric::SinkCounters;
use flumen_core::poison::header;
use flumen_core::sink::{Outcome, Rejected, Sink, SinkContext};
use flumen_core::{BoxFuture, ComponentName, Fault, FaultKind, Side};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use crate::build;
use crate::poison::{ChannelDirectory, POISON_IN_A_ROW_MAX, PoisonCounters, PoisonHandler, Policy};
use crate::probation::{PROBATION_BATCHES, Version, Versions};
use crate::sink::{GroupTask, MakeSink, SinkSlot, SlotParts};
use crate::state::{ComponentState, StateCell};
use crate::state_folder::StateFolder;
use crate::test_rig::{memory_channel, proven};

const DEADLINE: Duration = Duration::from_secs(3600);

/// How a sink fails on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Breaks,
    SaysPoison,
    Panics,
    Rejects,
    /// Takes events into its buffer, and breaks at the flush.
    BreaksAtFlush,
}

/// What the instances of one sink share.
#[derive(Default)]
struct World {
    poison: BTreeSet<u32>,
    delivered: Vec<u32>,
    deliveries: usize,
    instances: usize,
}

struct Fragile {
    world: Arc<Mutex<World>>,
    way: Way,
    demand: usize,
    buffer: Vec<u32>,
}

fn number(body: &[u8]) -> u32 {
    std::str::from_utf8(body).unwrap().parse().unwrap()
}

fn fault(way: Way) -> Fault {
    let kind = match way {
        Way::SaysPoison => FaultKind::Poison,
        _ => FaultKind::Broken,
    };
    Fault::new(kind, Side::Data, "cannot stand this event")
}

impl Fragile {
    fn take(&mut self, events: Vec<u32>) -> Result<Outcome, Fault> {
        let mut world = self.world.lock().unwrap();
        world.deliveries += 1;
        if self.way == Way::BreaksAtFlush {
            self.buffer.extend(events);
            return Ok(Outcome::Buffered);
        }
        let bad: Vec<usize> = (0..events.len())
            .filter(|at| world.poison.contains(&events[*at]))
            .collect();
        match (bad.is_empty(), self.way) {
            (true, _) => {
                world.delivered.extend(events);
                Ok(Outcome::Delivered)
            }
            (false, Way::Rejects) => {
                let good = (0..events.len()).filter(|at| !bad.contains(at));
                let good: Vec<u32> = good.map(|at| events[at]).collect();
                world.delivered.extend(good);
                let rejected = bad.iter().map(|at| Rejected {
                    index: u32::try_from(*at).unwrap(),
                    reason: "too old".into(),
                });
                Ok(Outcome::Partial {
                    retry: Vec::new(),
                    rejected: rejected.collect(),
                })
            }
            (false, Way::Panics) => {
                drop(world);
                panic!("told to panic")
            }
            (false, way) => Err(fault(way)),
        }
    }
}

impl Sink for Fragile {
    fn demand(&self) -> TakeLimits {
        TakeLimits {
            events: self.demand,
            bytes: u64::MAX,
        }
    }

    fn start(&mut self, _context: SinkContext) -> BoxFuture<'_, Result<(), Fault>> {
        self.world.lock().unwrap().instances += 1;
        flumen_core::future::ready(Ok(()))
    }

    fn deliver<'a>(&'a mut self, events: &'a [Segment]) -> BoxFuture<'a, Result<Outcome, Fault>> {
        let bodies = events.iter().flat_map(|segment| segment.events.bodies());
        let events = bodies.map(number).collect();
        Box::pin(async move { self.take(events) })
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        let mut world = self.world.lock().unwrap();
        let buffer = std::mem::take(&mut self.buffer);
        let result = match buffer.iter().any(|event| world.poison.contains(event)) {
            true => Err(fault(self.way)),
            false => {
                world.delivered.extend(buffer);
                Ok(())
            }
        };
        flumen_core::future::ready(result)
    }

    fn tick(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        flumen_core::future::ready(Ok(()))
    }

    fn stop(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        flumen_core::future::ready(Ok(()))
    }
}

fn maker(world: &Arc<Mutex<World>>, way: Way, demand: usize) -> MakeSink {
    let world = Arc::clone(world);
    Arc::new(move || {
        Ok(Box::new(Fragile {
            world: Arc::clone(&world),
            way,
            demand,
            buffer: Vec::new(),
        }))
    })
}

struct Rig {
    channel: Arc<dyn Channel>,
    dead: Arc<dyn Channel>,
    directory: Arc<ChannelDirectory>,
    world: Arc<Mutex<World>>,
    state: Arc<StateCell>,
    counters: Arc<PoisonCounters>,
    group: GroupTask,
}

fn dead_letter() -> Policy {
    Policy::DeadLetter(ComponentName::from("dead"))
}

fn rig(events: u32, poison: &BTreeSet<u32>, policy: Policy, (way, demand): (Way, usize)) -> Rig {
    let world = Arc::new(Mutex::new(World {
        poison: poison.clone(),
        ..World::default()
    }));
    let versions = proven(maker(&world, way, demand));
    rig_of(events, world, policy, versions)
}

fn rig_of(
    events: u32,
    world: Arc<Mutex<World>>,
    policy: Policy,
    versions: Arc<Versions<MakeSink>>,
) -> Rig {
    let (channel, dead) = (memory_channel(1000), memory_channel(1000));
    let counters = Arc::new(PoisonCounters::default());
    let directory = Arc::new(ChannelDirectory::default());
    let named = [(ComponentName::from("dead"), Arc::clone(&dead))];
    directory.set(&named.into());
    let poison = PoisonHandler::new(
        ComponentName::from("sinks.k1"),
        policy,
        Arc::clone(&directory),
        Arc::clone(&counters),
        Arc::new(SystemClock),
    );
    let state = Arc::new(StateCell::new());
    let slot = SinkSlot::new(SlotParts {
        name: ComponentName::from("k1"),
        channel: Arc::clone(&channel),
        versions,
        poison: Some(poison),
        counters: Arc::new(SinkCounters::default()),
        state: Arc::clone(&state),
        clock: Arc::new(SystemClock),
        states: StateFolder::new(None),
    });
    fill(&channel, 0..events);
    let processor = build::sink_processor(None, &[ComponentName::from("k1")]).unwrap();
    Rig {
        channel,
        dead,
        directory,
        world,
        state,
        counters,
        group: GroupTask::spawn(vec![slot], processor),
    }
}

fn fill(channel: &Arc<dyn Channel>, events: std::ops::Range<u32>) {
    let events: Vec<u32> = events.collect();
    for chunk in events.chunks(100) {
        let mut builder = BatchBuilder::new();
        for event in chunk {
            builder.push(event.to_string().as_bytes()).unwrap();
        }
        let part = PutPart {
            channel: Arc::clone(channel),
            events: builder.finish().unwrap(),
        };
        let put = put_all(std::slice::from_ref(&part), None);
        futures_util::FutureExt::now_or_never(put).unwrap().unwrap();
    }
}

async fn until(mut reached: impl FnMut() -> bool) {
    let reached = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, reached).await.unwrap();
}

async fn bodies(channel: &Arc<dyn Channel>) -> Vec<u32> {
    let mut all = Vec::new();
    let limits = TakeLimits {
        events: 100,
        bytes: u64::MAX,
    };
    while let Ok(lease) = channel.take(limits, Duration::ZERO).await {
        let segments = lease.segments().iter();
        all.extend(segments.flat_map(|segment| segment.events.bodies().map(number)));
        lease.ack().await.unwrap();
    }
    all
}

impl Rig {
    async fn empty(&self) {
        until(|| self.channel.fill().events == 0).await;
    }

    async fn end(self) -> Vec<u32> {
        self.group.end(DEADLINE).await.unwrap();
        self.world.lock().unwrap().delivered.clone()
    }
}

/// The event that follows a full row of poison is never poison itself.
fn without_long_rows(events: &[bool]) -> BTreeSet<u32> {
    let (mut row, mut poison) = (0, BTreeSet::new());
    for (at, is_poison) in (0..).zip(events) {
        match *is_poison && row < POISON_IN_A_ROW_MAX {
            true => {
                row += 1;
                poison.insert(at);
            }
            false => row = 0,
        }
    }
    poison
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        Just(Way::Breaks),
        Just(Way::SaysPoison),
        Just(Way::Rejects),
        Just(Way::BreaksAtFlush)
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn exactly_the_poison_events_become_dead_letters(
        events in proptest::collection::vec(any::<bool>(), 0..80),
        way in way(),
        demand in 1_usize..40,
    ) {
        let poison = without_long_rows(&events);
        let count = u32::try_from(events.len()).unwrap();
        paused().block_on(async {
            let rig = rig(count, &poison, dead_letter(), (way, demand));
            rig.empty().await;
            let (dead, counters) = (Arc::clone(&rig.dead), Arc::clone(&rig.counters));
            let delivered = rig.end().await;
            let good: Vec<u32> = (0..count).filter(|event| !poison.contains(event)).collect();
            assert_eq!(delivered, good);
            assert_eq!(bodies(&dead).await, poison.iter().copied().collect::<Vec<_>>());
            assert_eq!(counters.dead_lettered.get(), poison.len() as u64);
            assert_eq!(counters.poison.get(), poison.len() as u64);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_on_one_event_loses_only_that() {
    let rig = rig(50, &[17].into(), dead_letter(), (Way::Panics, 20));
    rig.empty().await;
    assert_eq!(rig.state.get(), ComponentState::Running);
    let dead = Arc::clone(&rig.dead);
    assert_eq!(rig.end().await.len(), 49);
    let limits = TakeLimits {
        events: 1,
        bytes: u64::MAX,
    };
    let lease = dead.take(limits, Duration::ZERO).await.unwrap();
    let letter = &lease.segments()[0].events;
    let value = |name: &str| letter.header(name).and_then(|header| header.get(0));
    assert_eq!(value(header::COMPONENT), Some("sinks.k1"));
    assert_eq!(value(header::CODE), Some("broken"));
    assert_eq!(value(header::CALL), Some("deliver"));
    assert!(value(header::REASON).unwrap().contains("panicked"));
    assert!(value(header::TIMESTAMP_MS).unwrap().parse::<u64>().unwrap() > 0);
}

#[tokio::test(start_paused = true)]
async fn dropped_events_are_counted() {
    let poison = [3, 4, 20].into();
    let rig = rig(30, &poison, Policy::Drop, (Way::Breaks, 10));
    rig.empty().await;
    let (counters, dead) = (Arc::clone(&rig.counters), Arc::clone(&rig.dead));
    assert_eq!(rig.end().await.len(), 27);
    assert_eq!(counters.dropped.get(), 3);
    assert_eq!(counters.dead_lettered.get(), 0);
    assert_eq!(dead.fill().events, 0);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_to_stop_stops_at_the_event_and_keeps_it() {
    for way in [Way::Breaks, Way::Rejects] {
        let rig = rig(30, &[12].into(), Policy::Stop, (way, 10));
        until(|| matches!(rig.state.get(), ComponentState::Failed { .. })).await;
        let (channel, counters) = (Arc::clone(&rig.channel), Arc::clone(&rig.counters));
        let delivered = rig.end().await;
        assert_eq!(delivered[..12], (0..12).collect::<Vec<_>>());
        assert_eq!(channel.fill().events, 30 - delivered.len() as u64);
        assert_eq!(channel.fill().leased_events, 0);
        assert_eq!(counters.poison.get(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_event_is_tried_for_ever_and_counted_once() {
    let rig = rig(30, &[12].into(), Policy::Block, (Way::Breaks, 10));
    until(|| rig.world.lock().unwrap().deliveries > 40).await;
    let (channel, counters) = (Arc::clone(&rig.channel), Arc::clone(&rig.counters));
    assert!(matches!(rig.state.get(), ComponentState::Retrying { .. }));
    assert_eq!(rig.end().await, (0..12).collect::<Vec<_>>());
    assert_eq!(channel.fill().events, 18);
    assert_eq!(counters.poison.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_on_everything_does_not_pour_its_channel_out() {
    for way in [
        Way::Breaks,
        Way::SaysPoison,
        Way::Rejects,
        Way::BreaksAtFlush,
    ] {
        let rig = rig(200, &(0..200).collect(), dead_letter(), (way, 50));
        let most = u64::from(POISON_IN_A_ROW_MAX);
        until(|| rig.dead.fill().events == most).await;
        let (before, since) = (
            rig.world.lock().unwrap().deliveries,
            tokio::time::Instant::now(),
        );
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(rig.dead.fill().events, most, "{way:?}");
        assert_eq!(rig.channel.fill().events, 200 - most);
        let tries = rig.world.lock().unwrap().deliveries - before;
        let waits = usize::try_from(since.elapsed().as_secs()).unwrap();
        assert!(tries > 0 && tries < waits, "{tries} tries: with back-off");
        // Mended, it goes on.
        rig.world.lock().unwrap().poison.clear();
        rig.empty().await;
        assert_eq!(rig.state.get(), ComponentState::Running);
        assert_eq!(rig.end().await.len(), 200 - most as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_dead_letter_channel_holds_the_event_back_and_loses_nothing() {
    for way in [Way::Breaks, Way::Rejects] {
        let rig = rig(30, &[5, 6].into(), dead_letter(), (way, 10));
        let small = memory_channel(1);
        let named = [(ComponentName::from("dead"), Arc::clone(&small))];
        rig.directory.set(&named.into());
        until(|| small.fill().events == 1).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(rig.channel.fill().events > 0);
        if way == Way::Breaks {
            // The sink is not broken again and again by what is known to break it.
            let before = rig.world.lock().unwrap().deliveries;
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(rig.world.lock().unwrap().deliveries, before);
        }
        assert_eq!(bodies(&small).await, [5]);
        rig.empty().await;
        assert_eq!(bodies(&small).await, [6]);
        assert_eq!(rig.end().await.len(), 28);
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letters_wait_for_a_channel_that_is_not_there() {
    let rig = rig(10, &[5].into(), dead_letter(), (Way::Breaks, 10));
    rig.directory.set(&Default::default());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.channel.fill().events, 5);
    let named = [(ComponentName::from("dead"), Arc::clone(&rig.dead))];
    rig.directory.set(&named.into());
    rig.empty().await;
    let dead = Arc::clone(&rig.dead);
    rig.end().await;
    assert_eq!(bodies(&dead).await, [5]);
}

#[tokio::test(start_paused = true)]
async fn two_sinks_of_one_channel_find_the_same_events() {
    let poison: BTreeSet<u32> = [3, 40, 41, 90].into();
    let rig = rig(100, &poison, dead_letter(), (Way::Breaks, 7));
    let poison_handler = PoisonHandler::new(
        ComponentName::from("sinks.k2"),
        dead_letter(),
        Arc::clone(&rig.directory),
        Arc::clone(&rig.counters),
        Arc::new(SystemClock),
    );
    let second = SinkSlot::new(SlotParts {
        name: ComponentName::from("k2"),
        channel: Arc::clone(&rig.channel),
        versions: proven(maker(&rig.world, Way::Breaks, 11)),
        poison: Some(poison_handler),
        counters: Arc::new(SinkCounters::default()),
        state: Arc::new(StateCell::new()),
        clock: Arc::new(SystemClock),
        states: StateFolder::new(None),
    });
    let processor = build::sink_processor(None, &[ComponentName::from("k2")]).unwrap();
    let group = GroupTask::spawn(vec![second], processor);
    rig.empty().await;
    group.end(DEADLINE).await.unwrap();
    let dead = Arc::clone(&rig.dead);
    let mut delivered = rig.end().await;
    delivered.sort_unstable();
    let good: Vec<u32> = (0..100).filter(|event| !poison.contains(event)).collect();
    assert_eq!(delivered, good);
    let mut letters = bodies(&dead).await;
    letters.sort_unstable();
    assert_eq!(letters, poison.into_iter().collect::<Vec<_>>());
}

fn successor(world: &Arc<Mutex<World>>, old: &Arc<Mutex<World>>) -> Arc<Versions<MakeSink>> {
    let old = Arc::new(Version::built_in(maker(old, Way::Breaks, 10)));
    let new = Version::built_in(maker(world, Way::Breaks, 10));
    Versions::after(old, ComponentName::from("sinks.k1"), new, Arc::default())
}

#[tokio::test(start_paused = true)]
async fn a_new_sink_that_breaks_at_once_is_taken_back_with_its_batch() {
    let (new, old) = (Arc::default(), Arc::default());
    let versions = successor(&new, &old);
    new.lock().unwrap().poison.insert(13);
    let rig = rig_of(50, Arc::clone(&new), dead_letter(), versions);
    rig.empty().await;
    assert_eq!(
        rig.state.get(),
        ComponentState::RolledBack {
            reason: "cannot stand this event".into()
        }
    );
    assert_eq!(rig.dead.fill().events, 0);
    assert_eq!(rig.end().await, (0..10).collect::<Vec<_>>());
    let old = old.lock().unwrap();
    assert_eq!(old.delivered, (10..50).collect::<Vec<_>>());
    assert_eq!((old.instances, new.lock().unwrap().instances), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_has_passed_its_probation_stays() {
    let (new, old) = (Arc::default(), Arc::default());
    let versions = successor(&new, &old);
    let late = PROBATION_BATCHES * 10 + 5;
    new.lock().unwrap().poison.insert(late);
    let rig = rig_of(late + 20, Arc::clone(&new), dead_letter(), versions);
    rig.empty().await;
    assert_eq!(rig.state.get(), ComponentState::Running);
    let dead = Arc::clone(&rig.dead);
    rig.end().await;
    assert_eq!(bodies(&dead).await, [late]);
    assert!(old.lock().unwrap().delivered.is_empty());
}
