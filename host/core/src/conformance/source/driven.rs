//! The suite for sources that run by themselves.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::{ManualStop, RecordingProcessor, poll_once};
use crate::clock::ManualClock;
use crate::fault::Fault;
use crate::future::BoxFuture;
use crate::metric::SourceCounters;
use crate::name::ComponentName;
use crate::source::{Source, SourceContext, StopReason};

/// What the suite has to know of a source.
pub trait DrivenCase: Send + Sync {
    /// Makes a new instance. All instances read the same place (address, file, command).
    fn make(&self) -> Box<dyn Source>;

    /// Makes events come in while a source runs: one for each number, with the number as decimal
    /// text as its body, in order, from one client. `address` is what the source gave
    /// ([`Source::address`]). Returns when all are sent; sends again what the source refuses to the
    /// client.
    ///
    /// Where all events of all calls come through one pipe or file, as from a command, that is as
    /// good as one client for each call.
    fn feed(&self, address: Option<String>, numbers: std::ops::Range<u64>) -> BoxFuture<'_, ()>;

    /// Waits until what a dropped run left to the system is gone: a process that was killed may
    /// live long enough to take an event that is meant for its successor.
    fn settle(&self) -> BoxFuture<'_, ()> {
        crate::future::ready(())
    }
}

/// A context without source state: name `r1`, new counters, a clock that stands.
pub fn context(processor: &Arc<RecordingProcessor>, stop: &Arc<ManualStop>) -> SourceContext {
    SourceContext {
        name: ComponentName::from("r1"),
        processor: Arc::clone(processor) as _,
        stop: Arc::clone(stop) as _,
        counters: Arc::new(SourceCounters::default()),
        clock: Arc::new(ManualClock::default()),
        state: None,
    }
}

/// A source at work, polled by the task of the test, so that a test needs no runtime to run it and
/// may drop it at any point.
pub struct RunningSource<'a> {
    run: Option<BoxFuture<'a, Result<(), Fault>>>,
    result: Option<Result<(), Fault>>,
}

impl<'a> RunningSource<'a> {
    /// Starts nothing yet: the source runs while it is polled below.
    pub fn new(source: &'a mut dyn Source, context: SourceContext) -> Self {
        Self {
            run: Some(source.run(context)),
            result: None,
        }
    }

    /// Runs the source until the other future is ready. A run that ends earlier is kept for
    /// [`Self::end`].
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|task| {
            if let Some(run) = &mut self.run
                && let Poll::Ready(result) = run.as_mut().poll(task)
            {
                self.result = Some(result);
                self.run = None;
            }
            other.as_mut().poll(task)
        })
        .await
    }

    /// Runs the source until it ends.
    ///
    /// # Errors
    /// The fault that ended it.
    pub async fn end(mut self) -> Result<(), Fault> {
        if let Some(run) = self.run.take() {
            return run.await;
        }
        self.result.unwrap_or(Ok(()))
    }

    /// Whether the run has ended, as far as it was polled.
    pub fn has_ended(&self) -> bool {
        self.run.is_none()
    }
}

/// What one part of the suite works with.
struct Bench {
    source: Box<dyn Source>,
    processor: Arc<RecordingProcessor>,
    stop: Arc<ManualStop>,
}

impl Bench {
    fn new(case: &dyn DrivenCase) -> Self {
        Self {
            source: case.make(),
            processor: Arc::new(RecordingProcessor::new()),
            stop: Arc::new(ManualStop::new()),
        }
    }

    async fn prepared(case: &dyn DrivenCase) -> Self {
        let mut bench = Self::new(case);
        bench.prepare().await;
        bench
    }

    async fn prepare(&mut self) {
        let prepared = self.source.prepare(None).await;
        assert!(prepared.is_ok(), "a source prepares: {prepared:?}");
    }

    /// Feeds these numbers, waits until `accepted` events are in, stops, and gives the counters
    /// back.
    async fn run_through(
        &mut self,
        case: &dyn DrivenCase,
        numbers: std::ops::Range<u64>,
        accepted: usize,
    ) -> Arc<SourceCounters> {
        let context = context(&self.processor, &self.stop);
        let counters = Arc::clone(&context.counters);
        let address = self.source.address();
        let mut running = RunningSource::new(self.source.as_mut(), context);
        running.during(case.feed(address, numbers)).await;
        running
            .during(self.processor.until_accepted(accepted))
            .await;
        self.stop.stop(StopReason::Drain);
        let ended = running.end().await;
        assert!(ended.is_ok(), "a stopped source ends well: {ended:?}");
        counters
    }
}

fn texts(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// Runs the whole suite.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub async fn run_driven(case: &dyn DrivenCase) {
    events_come_in_order_and_are_counted(case).await;
    a_stop_ends_the_run_at_any_time(case).await;
    what_is_refused_is_tried_again(case).await;
    a_stop_waits_for_what_was_read(case).await;
    a_dropped_run_leaves_nothing_behind(case).await;
    prepare_may_be_repeated(case).await;
    a_successor_takes_over(case).await;
    a_foreign_handover_is_left_alone(case).await;
}

async fn events_come_in_order_and_are_counted(case: &dyn DrivenCase) {
    let mut bench = Bench::prepared(case).await;
    let counters = bench.run_through(case, 0..1000, 1000).await;
    assert!(
        bench.processor.lines() == texts(0..1000),
        "events come in order, none lost, none doubled"
    );
    assert!(
        counters.event_accepted.get() == 1000 && counters.event_received.get() == 1000,
        "EventReceivedCount and EventAcceptedCount count every event once"
    );
}

async fn a_stop_ends_the_run_at_any_time(case: &dyn DrivenCase) {
    // Before the first poll of the run.
    let mut bench = Bench::prepared(case).await;
    bench.stop.stop(StopReason::Drain);
    let context_now = context(&bench.processor, &bench.stop);
    let ended = bench.source.run(context_now).await;
    assert!(ended.is_ok(), "a stop before the run ends it: {ended:?}");

    // While it waits for its first event.
    let mut bench = Bench::prepared(case).await;
    let context_now = context(&bench.processor, &bench.stop);
    let mut running = RunningSource::new(bench.source.as_mut(), context_now);
    running.during(std::future::ready(())).await;
    bench.stop.stop(StopReason::Drain);
    let ended = running.end().await;
    assert!(ended.is_ok(), "a stop ends a source that waits: {ended:?}");
    assert!(bench.processor.accepted() == 0, "a stop makes no event");
}

async fn what_is_refused_is_tried_again(case: &dyn DrivenCase) {
    let mut bench = Bench::prepared(case).await;
    bench.processor.refuse_next(2);
    bench.processor.refuse_next_after(3);
    bench.processor.refuse_next_after(0);
    let counters = bench.run_through(case, 0..500, 500).await;
    assert!(
        bench.processor.lines() == texts(0..500),
        "events that a full channel refused come again, in order, none lost, none doubled"
    );
    assert!(
        counters.event_accepted.get() == 500,
        "EventAcceptedCount counts what is accepted, once"
    );
}

async fn a_stop_waits_for_what_was_read(case: &dyn DrivenCase) {
    let mut bench = Bench::prepared(case).await;
    bench.processor.block();
    let context = context(&bench.processor, &bench.stop);
    let address = bench.source.address();
    let mut running = RunningSource::new(bench.source.as_mut(), context);
    let mut feed = pin!(case.feed(address, 0..1));
    let processor = &bench.processor;
    // A source that answers its client may keep the feed waiting for as long as the put is held.
    let mut is_fed = false;
    running
        .during(poll_fn(|task| {
            is_fed = is_fed || feed.as_mut().poll(task).is_ready();
            pin!(processor.until_held()).as_mut().poll(task)
        }))
        .await;
    bench.stop.stop(StopReason::Drain);
    running.during(std::future::ready(())).await;
    assert!(
        !running.has_ended(),
        "a stopped source goes on trying what it has read"
    );
    bench.processor.release();
    if !is_fed {
        running.during(feed).await;
    }
    let ended = running.end().await;
    assert!(ended.is_ok(), "a stopped source ends well: {ended:?}");
    assert!(
        bench.processor.lines() == texts(0..1),
        "what was read before the stop is put once"
    );
}

async fn a_dropped_run_leaves_nothing_behind(case: &dyn DrivenCase) {
    let mut bench = Bench::prepared(case).await;
    // Dropped before it was ever polled.
    drop(bench.source.run(context(&bench.processor, &bench.stop)));
    // Dropped after one poll.
    let context_now = context(&bench.processor, &bench.stop);
    let _ = poll_once(bench.source.run(context_now).as_mut());
    case.settle().await;
    // Dropped at work.
    bench.prepare().await;
    let address = bench.source.address();
    let context_now = context(&bench.processor, &bench.stop);
    let mut running = RunningSource::new(bench.source.as_mut(), context_now);
    running.during(case.feed(address, 0..10)).await;
    running.during(bench.processor.until_accepted(10)).await;
    drop(running);
    case.settle().await;

    let first = std::mem::replace(&mut bench.processor, Arc::new(RecordingProcessor::new()));
    bench.prepare().await;
    bench.run_through(case, 10..20, 10).await;
    assert!(
        bench.processor.lines() == texts(10..20),
        "a source can be run again after its run was dropped"
    );
    assert!(
        first.lines() == texts(0..10),
        "nothing of a dropped run puts events any more"
    );
}

async fn prepare_may_be_repeated(case: &dyn DrivenCase) {
    let mut bench = Bench::new(case);
    assert!(
        bench.source.handover().is_none(),
        "there is nothing to hand over before prepare"
    );
    bench.prepare().await;
    bench.prepare().await;
    bench.run_through(case, 0..10, 10).await;
    bench.stop = Arc::new(ManualStop::new());
    bench.prepare().await;
    bench.run_through(case, 10..20, 20).await;
    assert!(
        bench.processor.lines() == texts(0..20),
        "the same instance may be prepared and run again"
    );
}

async fn a_successor_takes_over(case: &dyn DrivenCase) {
    let mut old = Bench::prepared(case).await;
    let handover = old.source.handover();
    let context_now = context(&old.processor, &old.stop);
    let address = old.source.address();
    let mut running = RunningSource::new(old.source.as_mut(), context_now);
    running.during(case.feed(address, 0..10)).await;
    running.during(old.processor.until_accepted(10)).await;

    let mut new = Bench::new(case);
    let prepared = running.during(new.source.prepare(handover)).await;
    assert!(
        prepared.is_ok(),
        "a successor prepares while the old one runs: {prepared:?}"
    );
    old.stop.stop(StopReason::HandOver);
    let ended = running.end().await;
    assert!(
        ended.is_ok(),
        "a source that hands over ends well: {ended:?}"
    );
    new.run_through(case, 10..20, 10).await;
    assert!(
        new.processor.lines() == texts(10..20),
        "the successor goes on where the old one ended"
    );
    assert!(
        old.processor.lines() == texts(0..10),
        "after a hand-over the old source's context gets nothing"
    );
}

/// The type of a component may change under the same name.
async fn a_foreign_handover_is_left_alone(case: &dyn DrivenCase) {
    let mut bench = Bench::new(case);
    let prepared = bench.source.prepare(Some(Arc::new("not yours"))).await;
    assert!(
        prepared.is_ok(),
        "a source ignores what another type hands over: {prepared:?}"
    );
    bench.run_through(case, 0..10, 10).await;
    assert!(
        bench.processor.lines() == texts(0..10),
        "a source ignores what another type hands over"
    );
}
