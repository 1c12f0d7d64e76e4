use std::sync::Arc;
use std::time::Duration;

use flumen_core::channel::{Segment, TakeLimits};
use flumen_core::conformance::sink::{Faults, Harness, conforms, context, segments};
use flumen_core::option::ComponentKind;
use flumen_core::sink::{Outcome, Rejected, Sink, SinkContext};
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, FaultKind};
use flumen_wasm::{GuestSink, MemoryState, StateStore, StateWrite};

use crate::rig::{Rig, batch, options_of, trap};

const NAME: &str = "k1";

/// A sink whose events are acknowledged as soon as they are delivered, as the agent does it.
struct Acknowledged(GuestSink);

impl Acknowledged {
    fn remember<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        let value = result?;
        if let Some(pending) = self.0.pending_state() {
            pending.commit()?;
        }
        Ok(value)
    }
}

impl Sink for Acknowledged {
    fn demand(&self) -> TakeLimits {
        self.0.demand()
    }

    fn start(&mut self, context: SinkContext) -> BoxFuture<'_, Result<(), Fault>> {
        self.0.start(context)
    }

    fn deliver<'a>(&'a mut self, events: &'a [Segment]) -> BoxFuture<'a, Result<Outcome, Fault>> {
        Box::pin(async move {
            let delivered = self.0.deliver(events).await;
            self.remember(delivered)
        })
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let flushed = self.0.flush().await;
            self.remember(flushed)
        })
    }

    fn tick(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        self.0.tick()
    }

    fn stop(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        self.0.stop()
    }
}

fn sink(rig: &Rig, options: &[(&str, &str)]) -> Acknowledged {
    of(rig, "record", options)
}

fn of(rig: &Rig, fixture: &str, options: &[(&str, &str)]) -> Acknowledged {
    let mut all = vec![("limits.state_bytes", "67108864")];
    all.extend_from_slice(options);
    let settings = options_of(ComponentKind::Sink, fixture, &all);
    let guest = rig.load(ComponentKind::Sink, NAME, &settings);
    Acknowledged(guest.unwrap().sink().unwrap())
}

/// What the guest has delivered: bodies, each behind its length.
fn delivered(states: &MemoryState) -> Vec<Vec<u8>> {
    let stored = states.get(&NAME.into(), "out").unwrap().unwrap_or_default();
    let mut rest = stored.as_slice();
    let mut bodies = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let (body, behind) = behind.split_at(u32::from_le_bytes(*len) as usize);
        bodies.push(body.to_vec());
        rest = behind;
    }
    bodies
}

fn set(states: &MemoryState, key: &str, value: Option<&[u8]>) {
    let write = StateWrite {
        key: key.into(),
        value: value.map(<[u8]>::to_vec),
    };
    states
        .apply(&ComponentName::from(NAME), vec![write])
        .unwrap();
}

fn texts(bodies: Vec<Vec<u8>>) -> Vec<String> {
    bodies
        .into_iter()
        .map(|body| String::from_utf8(body).unwrap())
        .collect()
}

fn one(events: EventBatch) -> Vec<Segment> {
    segments([events])
}

#[tokio::test]
async fn guests_conform_whether_they_deliver_at_once_or_at_the_flush() {
    for mode in ["deliver", "buffer"] {
        conforms(|| {
            let rig = Rig::new();
            let sink = sink(&rig, &[("config.mode", mode), ("limits.cpu_ms", "20000")]);
            let (seen, failing, mending) = (
                Arc::clone(&rig.states),
                Arc::clone(&rig.states),
                Arc::clone(&rig.states),
            );
            Harness::seeing(Box::new(sink), Box::new(move || delivered(&seen))).with_faults(
                Faults {
                    fail: Box::new(move || set(&failing, "fault", Some(b"transient"))),
                    mend: Box::new(move || set(&mending, "fault", None)),
                },
            )
        })
        .await;
    }
}

#[tokio::test]
async fn rows_that_are_asked_for_again_or_rejected_are_named() {
    let rig = Rig::new();
    let mut sink = sink(&rig, &[("config.mode", "partial")]);
    sink.start(context()).await.unwrap();
    let events = batch(["a", "retry", "reject", "b"]);
    let outcome = sink.deliver(&one(events.clone())).await.unwrap();
    let rejected = vec![Rejected {
        index: 2,
        reason: "told to".into(),
    }];
    let retry = vec![1];
    assert_eq!(outcome, Outcome::Partial { retry, rejected });
    let again = Segment {
        first_sequence: 1,
        redeliveries: 1,
        events: events.slice(1..2),
    };
    assert_eq!(sink.deliver(&[again]).await.unwrap(), Outcome::Delivered);
    assert_eq!(texts(delivered(&rig.states)), ["a", "b", "retry"]);
}

#[tokio::test]
async fn outcomes_that_break_the_rules_count_nothing() {
    let rig = Rig::new();
    let mut sink = sink(&rig, &[("config.mode", "lie")]);
    for lie in [
        "retry 2",
        "retry 1 0",
        "reject 0 0",
        "reject 9",
        "retry 0 reject 0",
    ] {
        let fault = sink.deliver(&one(batch([lie, "x"]))).await.unwrap_err();
        assert_eq!(
            trap(&fault).cause.code(),
            "answer-refused",
            "{lie}: {fault}"
        );
    }
    let nothing = sink.deliver(&one(batch(["retry"]))).await.unwrap();
    assert_eq!(
        nothing,
        Outcome::Delivered,
        "no row to deliver again is delivered"
    );
}

#[tokio::test]
async fn a_sink_that_traps_is_made_anew_and_delivers_the_same_events() {
    let rig = Rig::new();
    let mut sink = sink(&rig, &[]);
    sink.start(context()).await.unwrap();
    sink.deliver(&one(batch(["a"]))).await.unwrap();
    set(&rig.states, "fault", Some(b"trap"));
    let fault = sink.deliver(&one(batch(["b"]))).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Broken);
    assert!(trap(&fault).last_words.contains("told to"), "{fault}");
    set(&rig.states, "fault", None);
    sink.deliver(&one(batch(["b"]))).await.unwrap();
    assert_eq!(texts(delivered(&rig.states)), ["a", "b"]);
}

#[tokio::test]
async fn what_was_buffered_in_a_lost_instance_is_reported_as_not_delivered() {
    let rig = Rig::new();
    let mut sink = sink(&rig, &[("config.mode", "buffer")]);
    let buffered = sink.deliver(&one(batch(["a"]))).await.unwrap();
    assert_eq!(buffered, Outcome::Buffered);
    let cut = one(batch(["sleep"]));
    let cut = tokio::time::timeout(Duration::from_millis(20), sink.deliver(&cut)).await;
    assert!(cut.is_err());
    let fault = sink.flush().await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Transient, "{fault}");
    assert!(delivered(&rig.states).is_empty());
    sink.deliver(&one(batch(["a"]))).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(texts(delivered(&rig.states)), ["a"]);
}

#[tokio::test]
async fn a_stop_tells_the_guest() {
    let rig = Rig::new();
    let mut sink = sink(&rig, &[]);
    sink.start(context()).await.unwrap();
    sink.stop().await.unwrap();
    let report = rig.host.reports().pop().unwrap();
    assert_eq!(report.counters, [("shutdowns".to_owned(), 1)]);
}

/// The sink of an example conforms as the fixtures do; what it delivers is only counted.
#[tokio::test]
async fn the_example_digest_conforms() {
    conforms(|| {
        let rig = Rig::new();
        Harness::blind(Box::new(of(&rig, "digest", &[])))
    })
    .await;
}

#[tokio::test]
async fn the_example_digest_counts_what_it_delivers() {
    let rig = Rig::new();
    let mut sink = of(&rig, "digest", &[]);
    sink.start(context()).await.unwrap();
    let first = sink.deliver(&one(batch(["one", "three"]))).await.unwrap();
    assert_eq!(first, Outcome::Delivered);
    let again = Segment {
        redeliveries: 1,
        ..one(batch(["two"])).remove(0)
    };
    sink.deliver(&[again]).await.unwrap();
    let mut counters = rig.host.reports().pop().unwrap().counters;
    counters.sort();
    let expected = [("body_bytes", 11), ("events", 3), ("redelivered_events", 1)];
    assert_eq!(counters, expected.map(|(name, count)| (name.into(), count)));
}

#[tokio::test]
async fn each_misbehaviour_of_a_sink_ends_in_a_fault_that_names_it() {
    let limits = [
        ("limits.cpu_ms", "100"),
        ("limits.memory_bytes", "16777216"),
    ];
    let expected = [
        ("endless loop", "cpu-limit"),
        ("memory bomb", "memory-limit"),
        ("stack overflow", "stack-overflow"),
        ("panic", "unreachable"),
        ("sleep for ever", "wall-limit"),
        ("sleep in std", "wall-limit"),
        ("rows out of range", "answer-refused"),
        ("rows twice", "answer-refused"),
        ("broken", "broken"),
    ];
    let rig = Rig::new();
    for (mode, code) in expected {
        let mut options = limits.to_vec();
        options.extend([("config.mode", mode), ("config.word", "poison")]);
        // Who computes must not run out of time first on a machine that has other work.
        let wall_ms = if code == "wall-limit" { "300" } else { "60000" };
        options.push(("limits.wall_ms", wall_ms));
        let mut sink = of(&rig, "hostile_sink", &options);
        sink.start(context()).await.unwrap();
        let events = one(batch(["fine", "some poison", "fine"]));
        let fault = sink.deliver(&events).await.unwrap_err();
        assert_eq!(trap(&fault).cause.code(), code, "{mode}: {fault}");
        let next = sink.deliver(&one(batch(["fine"]))).await;
        assert_eq!(next.unwrap(), Outcome::Delivered, "after {mode}");
    }
}

#[tokio::test]
async fn what_a_guest_writes_counts_when_its_events_are_acknowledged() {
    let rig = Rig::new();
    let Acknowledged(mut sink) = sink(&rig, &[]);
    sink.start(context()).await.unwrap();
    sink.deliver(&one(batch(["a"]))).await.unwrap();
    let pending = sink.pending_state().expect("it wrote what it delivered");
    assert!(sink.pending_state().is_none(), "it is given once");
    assert_eq!(pending.component(), &ComponentName::from(NAME));
    let written = pending.writes();
    assert!(written.iter().any(|own| own.key == "out"), "{written:?}");
    assert!(delivered(&rig.states).is_empty(), "not acknowledged yet");
    drop(pending);
    assert!(delivered(&rig.states).is_empty(), "and never was");
    sink.deliver(&one(batch(["a"]))).await.unwrap();
    sink.pending_state().unwrap().commit().unwrap();
    assert_eq!(texts(delivered(&rig.states)), ["a"]);
}
