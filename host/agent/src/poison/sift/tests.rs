//! Interceptors that fail on some events, in the way from a source into its channels.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flumen_core::batch::BatchBuilder;
use flumen_core::channel::{Channel, PutError, TakeLimits};
use flumen_core::clock::SystemClock;
use flumen_core::interceptor::{Intercepted, Interceptor};
use flumen_core::poison::header;
use flumen_core::settings::Settings;
use flumen_core::source::{ChannelProcessor, ProcessFailure};
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, FaultKind, Side};
use proptest::prelude::{any, proptest};

use super::{Refused, Stage};
use crate::metrics::FlowCounters;
use crate::poison::{ChannelDirectory, POISON_IN_A_ROW_MAX, PoisonCounters, PoisonHandler, Policy};
use crate::probation::{Version, Versions};
use crate::processor::{Pipeline, Processor};
use crate::state_folder::StateFolder;
use crate::test_rig::{memory_channel, proven};

/// An interceptor that fails on some events, and doubles all others.
struct Fragile {
    poison: Mutex<BTreeSet<u32>>,
    kind: FaultKind,
    /// Faults of this kind that come before all others, whatever the events are.
    chance: AtomicUsize,
    calls: AtomicUsize,
}

impl Fragile {
    fn on(poison: impl IntoIterator<Item = u32>, kind: FaultKind) -> Arc<Self> {
        Arc::new(Self {
            poison: Mutex::new(poison.into_iter().collect()),
            kind,
            chance: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn number(body: &[u8]) -> u32 {
    std::str::from_utf8(body).unwrap().parse().unwrap()
}

fn batch(events: impl IntoIterator<Item = u32>) -> EventBatch {
    let mut builder = BatchBuilder::new();
    for event in events {
        builder.push(event.to_string().as_bytes()).unwrap();
    }
    builder.finish().unwrap()
}

impl Interceptor for Fragile {
    fn intercept(&self, batch: EventBatch) -> BoxFuture<'_, Result<Intercepted, Fault>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let chance = self.chance.load(Ordering::Relaxed);
        self.chance
            .store(chance.saturating_sub(1), Ordering::Relaxed);
        let poison = self.poison.lock().unwrap();
        let fails = chance > 0 || batch.bodies().any(|body| poison.contains(&number(body)));
        let fault = || Fault::new(self.kind, Side::Data, "cannot stand this event");
        let twice = batch.bodies().flat_map(|body| [number(body); 2]);
        flumen_core::future::ready(match fails {
            true => Err(fault()),
            false => Ok(self::batch(twice).into()),
        })
    }
}

struct Rig {
    channel: Arc<dyn Channel>,
    dead: Arc<dyn Channel>,
    counters: Arc<PoisonCounters>,
    processor: Arc<Processor>,
}

fn dead_letter() -> Policy {
    Policy::DeadLetter(ComponentName::from("dead"))
}

fn rig(interceptor: &Arc<Fragile>, policy: Policy) -> Rig {
    let interceptor = Arc::clone(interceptor) as Arc<dyn Interceptor>;
    rig_of(proven(interceptor), policy, memory_channel(10_000))
}

fn rig_of(
    versions: Arc<Versions<Arc<dyn Interceptor>>>,
    policy: Policy,
    dead: Arc<dyn Channel>,
) -> Rig {
    let channel = memory_channel(10_000);
    let directory = Arc::new(ChannelDirectory::default());
    directory.set(&[(ComponentName::from("dead"), Arc::clone(&dead))].into());
    let counters = Arc::new(PoisonCounters::default());
    let handler = PoisonHandler::new(
        ComponentName::from("sources.r1.interceptors.i1"),
        policy,
        directory,
        Arc::clone(&counters),
        Arc::new(SystemClock),
    );
    let stage = Stage::new(ComponentName::from("i1"), versions, Some(handler));
    let names = [ComponentName::from("c1")];
    let row = flumen_builtin::rows().find(|row| row.name == "replicating");
    let selector =
        flumen_builtin::selectors::build(row.unwrap(), &Settings::new(), &names).unwrap();
    let pipeline = Pipeline::new(vec![stage], selector, vec![Arc::clone(&channel)]);
    Rig {
        channel,
        dead,
        counters,
        processor: Processor::new(
            pipeline,
            Arc::new(FlowCounters::default()),
            StateFolder::new(None),
        ),
    }
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

fn doubled(events: impl IntoIterator<Item = u32>) -> Vec<u32> {
    events.into_iter().flat_map(|event| [event; 2]).collect()
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn exactly_the_poison_events_become_dead_letters(
        events in proptest::collection::vec(any::<bool>(), 1..150),
        breaks in any::<bool>(),
    ) {
        let count = u32::try_from(events.len()).unwrap();
        let mut poison = BTreeSet::new();
        for (at, _) in (0..).zip(&events).filter(|(_, is_poison)| **is_poison) {
            // Rows stay below what makes the interceptor count as broken.
            if at % POISON_IN_A_ROW_MAX != 0 {
                poison.insert(at);
            }
        }
        let kind = if breaks { FaultKind::Broken } else { FaultKind::Poison };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = rig(&Fragile::on(poison.clone(), kind), dead_letter());
            rig.processor.process(batch(0..count), None).await.unwrap();
            let good = (0..count).filter(|event| !poison.contains(event));
            assert_eq!(bodies(&rig.channel).await, doubled(good));
            assert_eq!(bodies(&rig.dead).await, poison.iter().copied().collect::<Vec<_>>());
            assert_eq!(rig.counters.dead_lettered.get(), poison.len() as u64);
        });
    }
}

#[tokio::test]
async fn one_failure_by_chance_costs_one_more_call_and_no_event() {
    let interceptor = Fragile::on([], FaultKind::Broken);
    interceptor.chance.store(1, Ordering::Relaxed);
    let rig = rig(&interceptor, dead_letter());
    rig.processor.process(batch(0..10), None).await.unwrap();
    assert_eq!(interceptor.calls(), 2);
    assert_eq!(bodies(&rig.channel).await, doubled(0..10));
    assert_eq!(rig.counters.poison.get(), 0);
}

#[tokio::test]
async fn a_letter_names_the_interceptor() {
    let rig = rig(&Fragile::on([3], FaultKind::Poison), dead_letter());
    rig.processor.process(batch(0..10), None).await.unwrap();
    let limits = TakeLimits {
        events: 1,
        bytes: u64::MAX,
    };
    let lease = rig.dead.take(limits, Duration::ZERO).await.unwrap();
    let letter = &lease.segments()[0].events;
    let value = |name: &str| letter.header(name).and_then(|header| header.get(0));
    assert_eq!(value(header::COMPONENT), Some("sources.r1.interceptors.i1"));
    assert_eq!(value(header::CODE), Some("poison"));
    assert_eq!(value(header::CALL), Some("intercept"));
    assert_eq!(value(header::DIGEST), None);
}

#[tokio::test]
async fn a_put_that_is_refused_puts_and_counts_nothing() {
    let interceptor = Fragile::on([3, 4], FaultKind::Poison) as Arc<dyn Interceptor>;
    let rig = rig_of(proven(interceptor), dead_letter(), memory_channel(1));
    for _ in 0..40 {
        let refused = rig.processor.process(batch(0..5), None).await.unwrap_err();
        assert_eq!(refused.accepted, 0);
        let cause = refused.cause;
        assert!(
            matches!(cause, ProcessFailure::Put(PutError::Refused(_))),
            "{cause:?}"
        );
    }
    assert_eq!(rig.channel.fill().events + rig.dead.fill().events, 0);
    assert_eq!(rig.counters.poison.get(), 0);
    // One letter fits, and nothing was counted against the interceptor.
    rig.processor.process(batch(0..4), None).await.unwrap();
    assert_eq!(bodies(&rig.dead).await, [3]);
}

#[tokio::test]
async fn dropped_events_are_counted() {
    let rig = rig(&Fragile::on([3, 4], FaultKind::Broken), Policy::Drop);
    rig.processor.process(batch(0..10), None).await.unwrap();
    assert_eq!(bodies(&rig.channel).await.len(), 16);
    assert_eq!(rig.counters.dropped.get(), 2);
    assert_eq!(rig.dead.fill().events, 0);
}

#[tokio::test]
async fn an_interceptor_that_is_to_stop_refuses_everything_after() {
    let interceptor = Fragile::on([3], FaultKind::Broken);
    let rig = rig(&interceptor, Policy::Stop);
    for events in [0..10, 20..30] {
        let refused = rig
            .processor
            .process(batch(events), None)
            .await
            .unwrap_err();
        let ProcessFailure::Component { fault, .. } = refused.cause else {
            panic!("{:?}", refused.cause);
        };
        assert_eq!(fault.kind(), FaultKind::Configuration);
    }
    assert_eq!(rig.channel.fill().events, 0);
    assert_eq!(rig.counters.poison.get(), 1);
}

#[tokio::test]
async fn what_blocks_comes_back_to_the_source_after_one_call() {
    for kind in [FaultKind::Broken, FaultKind::Poison] {
        let interceptor = Fragile::on([3], kind);
        let rig = rig(&interceptor, Policy::Block);
        let refused = rig.processor.process(batch(0..10), None).await.unwrap_err();
        assert_eq!(refused.may_succeed_later(), kind == FaultKind::Broken);
        assert_eq!(interceptor.calls(), 1);
    }
}

#[tokio::test]
async fn an_interceptor_that_fails_on_everything_does_not_empty_its_source_into_dead_letters() {
    let interceptor = Fragile::on(0..1000, FaultKind::Broken);
    let rig = rig(&interceptor, dead_letter());
    let (mut left, most) = (batch(0..200), POISON_IN_A_ROW_MAX as usize);
    for _ in 0..20 {
        let refused = rig.processor.process(left.clone(), None).await.unwrap_err();
        left = left.slice(refused.accepted..left.len());
    }
    assert_eq!(left.len(), 200 - most);
    assert_eq!(rig.dead.fill().events, most as u64);
    // Each further try of the source is a call for the batch and one that looks whether it is back.
    let before = interceptor.calls();
    rig.processor.process(left.clone(), None).await.unwrap_err();
    assert_eq!(interceptor.calls(), before + 2);
    // Mended but for one event, it goes on.
    *interceptor.poison.lock().unwrap() = [20].into();
    rig.processor.process(left, None).await.unwrap();
    assert_eq!(bodies(&rig.channel).await.len(), 2 * (200 - most - 1));
    assert_eq!(rig.dead.fill().events, most as u64 + 1);
}

#[tokio::test]
async fn a_long_row_of_poison_among_good_events_is_no_reason_to_stop() {
    let rig = rig(&Fragile::on(10..40, FaultKind::Poison), dead_letter());
    rig.processor.process(batch(0..100), None).await.unwrap();
    assert_eq!(rig.dead.fill().events, 30);
    assert_eq!(bodies(&rig.channel).await, doubled((0..10).chain(40..100)));
}

#[tokio::test]
async fn a_search_ends_when_the_agent_stops() {
    let interceptor = Fragile::on([3], FaultKind::Broken) as Arc<dyn Interceptor>;
    let handler = PoisonHandler::new(
        ComponentName::from("i1"),
        Policy::Drop,
        Arc::default(),
        Arc::default(),
        Arc::new(SystemClock),
    );
    let stage = Stage::new(
        ComponentName::from("i1"),
        proven(interceptor),
        Some(handler),
    );
    let stopping = AtomicBool::new(true);
    let handled = stage.handle(batch(0..10), &stopping).await;
    assert!(matches!(handled, Err(Refused::Stopping)));
}

#[tokio::test]
async fn a_new_interceptor_that_breaks_is_taken_back_within_the_call() {
    for kind in [FaultKind::Broken, FaultKind::Configuration] {
        let old = Fragile::on([7], FaultKind::Poison);
        let new = Fragile::on([3, 7], kind);
        let version =
            |made: &Arc<Fragile>| Version::built_in(Arc::clone(made) as Arc<dyn Interceptor>);
        let name = ComponentName::from("sources.r1.interceptors.i1");
        let versions =
            Versions::after(Arc::new(version(&old)), name, version(&new), Arc::default());
        let rig = rig_of(Arc::clone(&versions), dead_letter(), memory_channel(100));
        rig.processor.process(batch(0..3), None).await.unwrap();
        assert_eq!(old.calls(), 0);
        rig.processor.process(batch(3..7), None).await.unwrap();
        assert_eq!((new.calls(), old.calls()), (2, 1));
        assert!(versions.rolled_back().is_some());
        // What the old one cannot handle either is poison.
        rig.processor.process(batch(7..10), None).await.unwrap();
        assert_eq!(new.calls(), 2);
        assert_eq!(bodies(&rig.dead).await, [7]);
        assert_eq!(
            bodies(&rig.channel).await,
            doubled([0, 1, 2, 3, 4, 5, 6, 8, 9])
        );
    }
}
