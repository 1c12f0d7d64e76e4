use std::sync::Arc;
use std::time::Duration;

use flumen_core::FaultKind;
use flumen_core::conformance::source::{PolledCase, run_polled};
use flumen_core::option::ComponentKind;
use flumen_core::source::{PollNext, PolledSource, SourceInstance};

use crate::rig::{Rig, bodies, options_of, trap};

fn source(rig: &Rig, options: &[(&str, &str)]) -> Box<dyn PolledSource> {
    of(rig, "count", options)
}

fn of(rig: &Rig, fixture: &str, options: &[(&str, &str)]) -> Box<dyn PolledSource> {
    let settings = options_of(ComponentKind::Source, fixture, options);
    match rig
        .load(ComponentKind::Source, "r1", &settings)
        .unwrap()
        .source()
        .unwrap()
    {
        SourceInstance::Polled { source, .. } => source,
        SourceInstance::EventDriven(_) => panic!("a guest is polled"),
    }
}

#[tokio::test]
async fn a_guest_conforms() {
    let rig = Rig::new();
    let options = [("config.events", "120")];
    let make = || source(&rig, &options);
    run_polled(PolledCase {
        make: &make,
        events: 120,
        resumes: true,
        ends: true,
    })
    .await;
}

#[tokio::test]
async fn events_carry_headers_and_state_counts_with_the_acknowledgement() {
    let rig = Rig::new();
    let mut source = source(&rig, &[("config.events", "5")]);
    source.open(None).await.unwrap();
    let polled = source.poll(3).await.unwrap();
    assert_eq!(bodies(&polled.events), ["event 0", "event 1", "event 2"]);
    assert_eq!(polled.events.header("number").unwrap().get(2), Some("2"));
    assert_eq!(polled.next, PollNext::Again);
    assert_eq!(rig.state("r1", "polled"), None);
    source.ack(polled.cursor.as_deref());
    assert_eq!(rig.state("r1", "polled"), Some(b"3".to_vec()));
    let polled = source.poll(3).await.unwrap();
    assert_eq!(polled.next, PollNext::End);
    let acks = rig.host.reports()[0].counters.clone();
    assert_eq!(acks, [("acks".to_owned(), 1)]);
}

#[tokio::test]
async fn a_poll_that_is_cut_off_half_way_takes_no_event_with_it() {
    let rig = Rig::new();
    let mut source = source(&rig, &[("config.events", "100"), ("config.mode", "slow")]);
    source.open(None).await.unwrap();
    let first = source.poll(10).await.unwrap();
    source.ack(first.cursor.as_deref());
    let cut = tokio::time::timeout(Duration::from_millis(5), source.poll(10)).await;
    assert!(cut.is_err(), "the guest sleeps longer than that");
    let second = source.poll(10).await.unwrap();
    assert_eq!(second.events.body(0), Some(&b"event 10"[..]));
}

#[tokio::test]
async fn a_source_that_traps_goes_on_behind_what_it_gave() {
    let rig = Rig::new();
    let mut source = source(&rig, &[("config.mode", "panic")]);
    source.open(None).await.unwrap();
    let polled = source.poll(10).await.unwrap();
    source.ack(polled.cursor.as_deref());
    let fault = source.poll(10).await.unwrap_err();
    assert_eq!(
        (fault.kind(), trap(&fault).call),
        (FaultKind::Broken, "poll")
    );
    let cursor: Option<Arc<[u8]>> = polled.cursor;
    source.open(cursor.as_deref()).await.unwrap();
    let fault = source.poll(10).await.unwrap_err();
    assert!(trap(&fault).last_words.contains("told to"), "{fault}");
}

#[tokio::test]
async fn answers_that_break_the_rules_give_nothing() {
    let rig = Rig::new();
    for (mode, reason) in [
        ("greedy", "11 events, where 10"),
        ("large cursor", "a cursor of 2097152"),
    ] {
        let mut source = source(&rig, &[("config.mode", mode)]);
        source.open(None).await.unwrap();
        let fault = source.poll(10).await.unwrap_err();
        assert_eq!(trap(&fault).cause.code(), "answer-refused");
        assert!(fault.to_string().contains(reason), "{fault}");
    }
}

#[tokio::test]
async fn a_foreign_cursor_is_refused_by_the_guest() {
    let rig = Rig::new();
    let mut source = source(&rig, &[]);
    let fault = source.open(Some(b"foreign")).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    source.open(None).await.unwrap();
}

#[tokio::test]
async fn the_example_ticker_conforms() {
    let rig = Rig::new();
    let options = [("config.interval_ms", "0"), ("config.limit", "120")];
    let make = || of(&rig, "ticker", &options);
    run_polled(PolledCase {
        make: &make,
        events: 120,
        resumes: true,
        ends: true,
    })
    .await;
}

#[tokio::test]
async fn each_misbehaviour_of_a_source_gives_nothing_and_is_named() {
    let small = [
        ("limits.cpu_ms", "100"),
        ("limits.wall_ms", "300"),
        ("limits.memory_bytes", "16777216"),
    ];
    let memory = ("limits.memory_bytes", "268435456");
    let answer = ("limits.answer_bytes", "268435456");
    let expected = [
        ("endless loop", &small[..], "cpu-limit"),
        ("memory bomb", &small[..], "memory-limit"),
        ("stack overflow", &small[..], "stack-overflow"),
        ("panic", &small[..], "unreachable"),
        ("sleep for ever", &small[..], "wall-limit"),
        ("greedy", &small[..], "answer-refused"),
        // A cursor of 100 MiB meets whichever limit is the least.
        ("huge cursor", &small[..], "memory-limit"),
        ("huge cursor", &[memory][..], "answer-limit"),
        ("huge cursor", &[memory, answer][..], "answer-refused"),
    ];
    let rig = Rig::new();
    for (mode, limits, code) in expected {
        let mut options = limits.to_vec();
        options.extend([("config.mode", mode), ("config.after", "20")]);
        let mut source = of(&rig, "hostile_source", &options);
        source.open(None).await.unwrap();
        for _ in 0..2 {
            let polled = source.poll(10).await.unwrap();
            source.ack(polled.cursor.as_deref());
        }
        for _ in 0..2 {
            let fault = source.poll(10).await.unwrap_err();
            assert_eq!(trap(&fault).cause.code(), code, "{mode}: {fault}");
        }
    }
}
