//! The conformance suite of [`Sink`].
//!
//! Call [`conforms`] with a function that makes a sink and says how to look at what it put out. The
//! suite makes a fresh one for each promise. What "out" means, and how safe it is there, is the
//! sink's own documentation and is tested beside the sink.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::samples::{bodies, delimited, empty_bodies, headers_only, numbered, selected, valid};
use crate::batch::EventBatch;
use crate::channel::Segment;
use crate::clock::ManualClock;
use crate::fault::{Fault, FaultKind};
use crate::metric::SinkCounters;
use crate::sink::{Outcome, Sink, SinkContext};

/// How often the suite delivers again what a sink asks to retry: a sink that wants more than that
/// makes no progress.
const RETRIES_MAX: usize = 10;

/// Sees the bodies of all events that are out, in order.
pub type Output = Box<dyn FnMut() -> Vec<Vec<u8>>>;

/// Makes the sink's output fail, and makes it work again.
pub struct Faults {
    /// From now on deliveries fail.
    pub fail: Box<dyn FnMut()>,
    /// From now on they succeed.
    pub mend: Box<dyn FnMut()>,
}

/// A sink under test, not started, and what can be seen and done around it.
pub struct Harness {
    sink: Box<dyn Sink>,
    output: Option<Output>,
    faults: Option<Faults>,
}

impl Harness {
    /// A sink whose output nobody can see: that events are out is taken on trust.
    pub fn blind(sink: Box<dyn Sink>) -> Self {
        Self {
            sink,
            output: None,
            faults: None,
        }
    }

    /// A sink whose output can be seen.
    pub fn seeing(sink: Box<dyn Sink>, output: Output) -> Self {
        Self {
            output: Some(output),
            ..Self::blind(sink)
        }
    }

    /// The same, with a way to make deliveries fail.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    async fn started(mut self) -> Self {
        let result = self.sink.start(context()).await;
        assert!(result.is_ok(), "a sink that can work starts: {result:?}");
        self
    }

    /// Delivers until all of it is out, as the agent does.
    async fn deliver(&mut self, events: &[Segment]) -> Result<(), Fault> {
        let mut left = events.to_vec();
        for _ in 0..RETRIES_MAX {
            let len: usize = left.iter().map(|segment| segment.events.len()).sum();
            match self.sink.deliver(&left).await? {
                Outcome::Delivered => return Ok(()),
                Outcome::Buffered => return self.sink.flush().await,
                Outcome::Partial { retry, rejected } => {
                    check_partial(&retry, len);
                    assert!(
                        rejected.is_empty(),
                        "the suite's events are deliverable, but the sink rejects {rejected:?}"
                    );
                    left = kept(&left, &retry);
                }
            }
        }
        assert!(
            left.is_empty(),
            "a sink that asks for retries gets somewhere"
        );
        Ok(())
    }

    async fn delivers(&mut self, events: &[Segment]) {
        let result = self.deliver(events).await;
        assert!(result.is_ok(), "a sink that can work delivers: {result:?}");
    }

    fn shows(&mut self, expected: &[Vec<u8>], promise: &str) {
        if let Some(output) = &mut self.output {
            let seen = output();
            assert!(
                seen == expected,
                "{promise}: {} events are out, {} were expected",
                seen.len(),
                expected.len()
            );
        }
    }

    async fn stops(&mut self) {
        let result = self.sink.stop().await;
        assert!(result.is_ok(), "a sink that works stops: {result:?}");
    }
}

/// A context for a sink under test: counters of its own and a clock that stands still.
pub fn context() -> SinkContext {
    SinkContext {
        name: "k1".into(),
        counters: Arc::new(SinkCounters::default()),
        clock: Arc::new(ManualClock::at(1_700_000_000_000)),
    }
}

/// Batches as segments of one delivery, with sequences that follow one another.
pub fn segments(batches: impl IntoIterator<Item = EventBatch>) -> Vec<Segment> {
    let mut first_sequence = 0;
    batches
        .into_iter()
        .map(|events| {
            let segment = Segment {
                first_sequence,
                redeliveries: 0,
                events,
            };
            first_sequence += segment.events.len() as u64;
            segment
        })
        .collect()
}

/// Runs the suite.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub async fn conforms(mut make: impl FnMut() -> Harness) {
    demand_is_usable(make());
    delivered_events_are_out_in_order(make().started().await).await;
    every_layout_of_a_batch_is_the_same_to_a_sink(make().started().await).await;
    calls_without_events_are_harmless(make()).await;
    a_stopped_sink_starts_again(make().started().await).await;
    a_dropped_delivery_can_be_repeated(make().started().await).await;
    let harness = make();
    if harness.faults.is_some() {
        a_fault_counts_nothing_and_a_retry_delivers(harness.started().await).await;
    }
}

fn demand_is_usable(harness: Harness) {
    let demand = harness.sink.demand();
    assert!(
        demand.events > 0 && demand.bytes > 0,
        "a sink wants at least one event and one byte"
    );
}

async fn delivered_events_are_out_in_order(mut harness: Harness) {
    let mut expected = Vec::new();
    for round in 0..5 {
        let batch = numbered(round * 100, 100);
        expected.extend(bodies(&batch));
        harness.delivers(&segments([batch])).await;
        harness.shows(&expected, "delivered events are out, in order, once");
    }
    harness.stops().await;
    harness.shows(
        &expected,
        "what was delivered stays delivered after the stop",
    );
}

async fn every_layout_of_a_batch_is_the_same_to_a_sink(mut harness: Harness) {
    let mut expected = Vec::new();
    for batches in layouts() {
        expected.extend(batches.iter().flat_map(bodies));
        harness.delivers(&segments(batches)).await;
        harness.shows(
            &expected,
            "slices, lists of rows, empty bodies and delimited text are events like all others",
        );
    }
    harness.stops().await;
}

/// Batches of every shape that a channel may hand out.
fn layouts() -> Vec<Vec<EventBatch>> {
    let packed = numbered(0, 100);
    let odd: Vec<u32> = (1..100).step_by(2).collect();
    let lines = delimited(100);
    let large = EventBatch::from_delimited(
        [vec![b'x'; 1 << 20], vec![b'\n']].concat().into(),
        b'\n',
        vec![1 << 20],
    );
    vec![
        vec![packed.slice(99..100)],
        vec![packed.slice(10..20)],
        vec![selected(&packed, &odd)],
        vec![lines.clone()],
        vec![lines.slice(3..50)],
        vec![selected(&lines, &odd)],
        vec![empty_bodies()],
        vec![headers_only()],
        vec![valid(large)],
        vec![numbered(0, 20_000)],
        (0..200).map(|number| numbered(number, 1)).collect(),
        vec![lines, headers_only(), packed],
    ]
}

async fn calls_without_events_are_harmless(mut harness: Harness) {
    harness.stops().await;
    let mut harness = harness.started().await;
    let batch = numbered(0, 10);
    for _ in 0..2 {
        let ticked = harness.sink.tick().await;
        assert!(
            ticked.is_ok(),
            "a tick without events is harmless: {ticked:?}"
        );
        let flushed = harness.sink.flush().await;
        assert!(
            flushed.is_ok(),
            "a flush of nothing is harmless: {flushed:?}"
        );
    }
    harness.delivers(&segments([batch.clone()])).await;
    let ticked = harness.sink.tick().await;
    assert!(
        ticked.is_ok(),
        "a tick after events is harmless: {ticked:?}"
    );
    harness.stops().await;
    harness.stops().await;
    harness.shows(
        &bodies(&batch),
        "calls without events put nothing out and lose nothing",
    );
}

async fn a_stopped_sink_starts_again(mut harness: Harness) {
    let (before, after) = (numbered(0, 10), numbered(10, 10));
    harness.delivers(&segments([before])).await;
    harness.stops().await;
    let mut harness = harness.started().await;
    harness.delivers(&segments([after])).await;
    harness.stops().await;
    harness.shows(
        &bodies(&numbered(0, 20)),
        "a sink that is started again goes on",
    );
}

async fn a_dropped_delivery_can_be_repeated(mut harness: Harness) {
    let batch = segments([numbered(0, 1000)]);
    let mut dropped = harness.sink.deliver(&batch);
    let outcome = poll_fn(|context| Poll::Ready(dropped.as_mut().poll(context))).await;
    drop(dropped);
    // A delivery that was ready at the first poll was not cut off; what is repeated is then a
    // redelivery, which a sink has to bear as well.
    assert!(
        !matches!(outcome, Poll::Ready(Err(_))),
        "a sink that can work delivers"
    );
    harness.delivers(&batch).await;
    harness.stops().await;
    let expected = bodies(&numbered(0, 1000));
    if let Some(output) = &mut harness.output {
        assert!(
            output().ends_with(&expected),
            "after a delivery that was dropped half way the repeated one is whole"
        );
    }
}

async fn a_fault_counts_nothing_and_a_retry_delivers(mut harness: Harness) {
    let (before, failed) = (numbered(0, 10), numbered(10, 10));
    harness.delivers(&segments([before])).await;
    harness.fault(true);
    let again = segments([failed.clone()]);
    for _ in 0..3 {
        let result = harness.deliver(&again).await;
        let kind = result.as_ref().err().map(Fault::kind);
        assert!(
            kind == Some(FaultKind::Transient),
            "an output that may come back is a transient fault: {result:?}"
        );
    }
    harness.fault(false);
    harness.delivers(&again).await;
    harness.stops().await;
    if let Some(output) = &mut harness.output {
        let seen = output();
        assert!(
            seen.starts_with(&bodies(&numbered(0, 10))),
            "a fault takes back nothing that was delivered before"
        );
        assert!(
            seen.ends_with(&bodies(&failed)),
            "the same instance delivers the same events when the fault is over"
        );
    }
}

impl Harness {
    fn fault(&mut self, failing: bool) {
        if let Some(faults) = &mut self.faults {
            if failing {
                (faults.fail)();
            } else {
                (faults.mend)();
            }
        }
    }
}

fn check_partial(retry: &[u32], len: usize) {
    assert!(
        retry.is_sorted_by(|a, b| a < b) && retry.last().is_none_or(|last| (*last as usize) < len),
        "indices of a partial delivery increase strictly and stay in range"
    );
}

/// The events at these indices, counted over all segments.
fn kept(segments: &[Segment], indices: &[u32]) -> Vec<Segment> {
    let mut first = 0;
    let mut left = Vec::new();
    for segment in segments {
        let end = first + segment.events.len();
        let own: Vec<u32> = indices
            .iter()
            .filter(|index| (first..end).contains(&(**index as usize)))
            .map(|index| index - u32::try_from(first).unwrap_or(u32::MAX))
            .collect();
        if !own.is_empty() {
            left.push(Segment {
                events: selected(&segment.events, &own),
                ..segment.clone()
            });
        }
        first = end;
    }
    left
}
