use std::sync::Arc;
use std::time::Duration;

use flumen_core::batch::{Existing, HeaderName};
use flumen_core::conformance::interceptor::conforms;
use flumen_core::interceptor::Interceptor;
use flumen_core::{EventBatch, FaultKind, Side};

use crate::rig::{Rig, Through, batch, bodies};

#[tokio::test]
async fn well_behaved_guests_conform() {
    let rig = Rig::new();
    let samples = [
        batch(["keep a", "drop", "keep b"]),
        with_header(&batch(["a b", "", "c d e"])),
    ];
    for mode in ["unchanged", "touch", "filter", "split", "edit", "wait"] {
        let options = [
            ("config.mode", mode),
            ("config.keep", "keep"),
            ("workers", "2"),
        ];
        conforms(&rig.interceptor("transform", &options), &samples).await;
    }
}

fn with_header(batch: &EventBatch) -> EventBatch {
    let name = HeaderName::new("gone").unwrap();
    let values = (0..batch.len()).map(|row| (row != 1).then_some("x"));
    batch.with_header(&name, values, Existing::Replace).unwrap()
}

#[tokio::test]
async fn a_guest_sees_all_and_its_answers_are_applied() {
    let rig = Rig::new();
    let guest = |mode| rig.interceptor("transform", &[("config.mode", mode), ("config.keep", "e")]);
    let events = batch(["one", "two", "three", "four", "five six"]);

    let touched = guest("touch").through(events.clone()).await.unwrap();
    assert_eq!(touched.header("touched").unwrap().constant(), Some("true"));
    assert_eq!(bodies(&touched), bodies(&events));

    let kept = guest("filter").through(events.clone()).await.unwrap();
    assert_eq!(bodies(&kept), ["one", "three", "five six"]);

    let split = guest("split").through(with_header(&events)).await.unwrap();
    assert_eq!(
        bodies(&split),
        ["one", "two", "three", "four", "five", "six"]
    );
    let gone = split.header("gone").unwrap();
    assert_eq!(gone.iter().filter(Option::is_none).count(), 1);
    assert_eq!(gone.get(1), None);

    let edited = guest("edit").through(with_header(&events)).await.unwrap();
    assert_eq!(bodies(&edited), ["one", "TWO", "four", "five six"]);
    let number = edited.header("number").unwrap();
    assert_eq!(
        number.iter().collect::<Vec<_>>(),
        [Some("0"), None, None, Some("4")]
    );
    assert_eq!(edited.header("edited").unwrap().constant(), Some("1"));
    assert!(edited.header("gone").is_none());
}

#[tokio::test]
async fn a_batch_larger_than_a_call_is_handled_in_order() {
    let rig = Rig::new();
    let guest = rig.interceptor(
        "transform",
        &[("config.mode", "filter"), ("config.keep", "7")],
    );
    let events = batch((0..10_000).map(|number| number.to_string()));
    let kept = guest.through(events).await.unwrap();
    let expected: Vec<String> = (0..10_000)
        .map(|number| number.to_string())
        .filter(|text| text.contains('7'))
        .collect();
    assert_eq!(bodies(&kept), expected);
    let none = guest.through(batch(["1"; 5000])).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn errors_of_a_guest_become_faults_of_their_kind_and_leave_no_state() {
    let rig = Rig::new();
    let guest = rig.interceptor("transform", &[("config.mode", "fail")]);
    let expected = [
        ("configuration", FaultKind::Configuration, Side::Operator),
        ("transient", FaultKind::Transient, Side::Peer),
        ("poison", FaultKind::Poison, Side::Data),
        ("broken", FaultKind::Broken, Side::Component),
    ];
    for (body, kind, side) in expected {
        let fault = guest.through(batch([body])).await.unwrap_err();
        assert_eq!((fault.kind(), fault.side()), (kind, side), "{fault}");
        let wait = (kind == FaultKind::Transient).then_some(Duration::from_millis(250));
        assert_eq!(fault.retry_after(), wait);
        assert!(fault.to_string().contains("i1"), "{fault}");
        assert_eq!(rig.state("i1", "seen"), None);
    }
    guest.through(batch(["fine"])).await.unwrap();
    assert_eq!(rig.state("i1", "seen"), Some(b"yes".to_vec()));
}

#[tokio::test]
async fn state_and_figures_outlive_the_instance_and_the_version() {
    let rig = Rig::new();
    let options = [("config.mode", "remember")];
    for round in 1..=3_u64 {
        let guest = rig.interceptor("transform", &options);
        for call in 0..5 {
            let answer = guest.through(batch(["x"])).await.unwrap();
            let count = ((round - 1) * 5 + call + 1).to_string();
            assert_eq!(
                answer.header("batches").unwrap().get(0),
                Some(count.as_str())
            );
        }
        let other = rig.named("i2", "transform", &options);
        let answer = other.through(batch(["x"])).await.unwrap();
        let count = round.to_string();
        assert_eq!(
            answer.header("batches").unwrap().get(0),
            Some(count.as_str())
        );
        let reports = rig.host.reports();
        let report = reports
            .iter()
            .find(|report| &*report.component.to_string() == "i1")
            .unwrap();
        assert_eq!(report.gauges, [("last".to_owned(), (round * 5) as f64)]);
    }
}

#[tokio::test]
async fn what_is_remembered_of_a_refused_batch_is_forgotten() {
    let rig = Rig::new();
    let guest = rig.interceptor("transform", &[("config.mode", "remember")]);
    let count = |events: &EventBatch| {
        let header = events.header("batches").unwrap();
        header.get(0).unwrap().to_owned()
    };
    let first = guest.through(batch(["x"])).await.unwrap();
    assert_eq!(count(&first), "1");
    for _ in 0..3 {
        let refused = guest.intercept(batch(["x"])).await.unwrap();
        assert_eq!(count(&refused.events), "2");
    }
    let again = guest.through(batch(["x"])).await.unwrap();
    assert_eq!(count(&again), "2", "a refused batch is no batch");
}

#[tokio::test]
async fn a_batch_waits_for_what_is_remembered_of_the_one_before() {
    let rig = Rig::new();
    let guest = rig.interceptor("transform", &[("config.mode", "remember")]);
    let first = guest.intercept(batch(["x"])).await.unwrap();
    let mut second = guest.intercept(batch(["x"]));
    let early = tokio::time::timeout(Duration::from_millis(20), &mut second).await;
    assert!(early.is_err(), "the state is not settled yet");
    first.pending.unwrap().commit().unwrap();
    let second = second.await.unwrap();
    assert_eq!(second.events.header("batches").unwrap().get(0), Some("2"));
}

#[tokio::test]
async fn a_guest_is_reported_with_its_own_words_and_the_memory_of_its_instances() {
    let rig = Rig::new();
    let first = rig.interceptor("transform", &[("config.mode", "remember")]);
    let report = || rig.host.reports().pop().unwrap();
    assert_eq!(report().info, None, "nobody has asked it");
    assert_eq!(report().memory_bytes, 0);
    first.through(batch(["x"])).await.unwrap();
    let info = report().info.unwrap();
    assert_eq!((&*info.name, &*info.version), ("transform", "0.1.0"));
    let of_one = first.idle_memory_bytes() as u64;
    assert!(of_one > 0);
    assert_eq!(report().memory_bytes, of_one);
    assert!(report().state_bytes.unwrap() > 0);
    let second = rig.interceptor("transform", &[]);
    second.prepare().await.unwrap();
    assert_eq!(
        report().memory_bytes,
        of_one + second.idle_memory_bytes() as u64
    );
}

#[tokio::test]
async fn a_guest_that_refuses_to_start_says_why() {
    let rig = Rig::new();
    let guest = rig.interceptor("transform", &[("config.mode", "refuse")]);
    let fault = guest.prepare().await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    assert!(
        fault.to_string().contains("option mode may not be refuse"),
        "{fault}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_share_the_load_and_each_connection_keeps_its_order() {
    let rig = Rig::new();
    let guest =
        Arc::new(rig.interceptor("transform", &[("config.mode", "wait"), ("workers", "4")]));
    let tasks = (0..8).map(|_| {
        let guest = Arc::clone(&guest);
        tokio::spawn(async move {
            for number in 0..20 {
                let events = batch([number.to_string()]);
                assert_eq!(guest.through(events.clone()).await.unwrap(), events);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let report = rig.host.reports().pop().unwrap();
    assert_eq!(report.instances, 4, "never more instances than workers");
    assert_eq!(report.strikes, 0);
}

#[tokio::test]
async fn a_call_that_is_cut_off_ends_its_instance_only() {
    let rig = Rig::new();
    let guest = rig.interceptor("hostile", &[]);
    guest.prepare().await.unwrap();
    let events = batch(["sleep for ever"]);
    let cut = tokio::time::timeout(Duration::from_millis(20), guest.through(events)).await;
    assert!(cut.is_err());
    let fine = batch(["fine"]);
    assert_eq!(guest.through(fine.clone()).await.unwrap(), fine);
    assert_eq!(rig.host.reports()[0].instances, 2);
}

#[tokio::test]
async fn the_example_interceptors_conform() {
    let rig = Rig::new();
    let samples = [
        batch(["a DEBUG", "1234-5678", "two\nlines\n", "", "DEBUG"]),
        with_header(&batch(["a b\r\n", "", "DEBUG 1234-5678"])),
    ];
    let examples = [
        ("drop_debug", ("config.word", "DEBUG")),
        ("redact", ("config.pattern", "[0-9]{4}-[0-9]{4}")),
        ("split_lines", ("workers", "2")),
    ];
    for (example, option) in examples {
        conforms(&rig.interceptor(example, &[option]), &samples).await;
    }
}
