use flumen_wasm::{Digest, GuestInfo, GuestReport};

use super::*;
use crate::poison::PoisonCounts;

fn report(name: &str, code: &[u8], calls: u64) -> GuestReport {
    GuestReport {
        component: name.into(),
        digest: Digest::of(code),
        info: Some(GuestInfo {
            name: "own name".to_owned(),
            version: "1.2.3".to_owned(),
        }),
        calls,
        strikes: 0,
        instances: 1,
        retired: 0,
        memory_bytes: 65_536,
        state_bytes: Some(70),
        log_lines_suppressed: 0,
        own_refused: 0,
        counters: vec![("events".to_owned(), 3)],
        gauges: vec![("share".to_owned(), 0.5)],
    }
}

fn registry(reports: &[GuestReport]) -> Registry {
    let reports = reports.to_vec();
    Registry::new(GuestFigures {
        reports: Box::new(move || reports.clone()),
        poison: Box::new(BTreeMap::new),
    })
}

fn number(component: &ComponentMetrics, attribute: &str) -> Option<u64> {
    let mut attributes = component.attributes.iter();
    match attributes.find(|(name, _)| *name == attribute)?.1 {
        MetricValue::Number(number) => Some(number),
        MetricValue::Percent(_) => None,
    }
}

#[test]
fn of_two_versions_the_later_one_is_shown() {
    let registry = registry(&[
        report("sinks.k1", b"old", 7),
        report("sources.r1", b"other", 1),
        report("sinks.k1", b"new", 7),
    ]);
    let shown = registry.snapshot();
    let names: Vec<_> = shown.iter().map(|shown| shown.name.as_str()).collect();
    assert_eq!(names, ["sinks.k1", "sources.r1"]);
    assert!(shown.iter().all(|shown| shown.kind == MetricKind::Guest));
    let guest = shown[0].guest.as_ref().unwrap();
    assert_eq!(guest.digest, Digest::of(b"new").to_string());
    assert_eq!(guest.name.as_deref(), Some("own name"));
    assert_eq!(guest.counters, [("events".to_owned(), 3)]);
    assert_eq!(number(&shown[0], "CallCount"), Some(7));
    assert_eq!(number(&shown[0], "StateBytes"), Some(70));
    assert_eq!(number(&shown[0], "PoisonCount"), Some(0));
}

#[test]
fn a_guest_has_the_state_of_the_source_or_sink_that_it_is() {
    let registry = registry(&[
        report("sources.r1", b"r1", 0),
        report("sources.r1.interceptors.i1", b"i1", 0),
        report("sinks.k1", b"k1", 0),
    ]);
    let (source, sink) = (Arc::new(StateCell::new()), Arc::new(StateCell::new()));
    let (counters, flow) = (Arc::default(), Arc::default());
    registry.add_source(&"r1".into(), &counters, &flow, &source);
    registry.add_sink(&"k1".into(), &Arc::default(), &sink);
    source.set(ComponentState::Running);
    sink.set(ComponentState::Finished);
    let states = || {
        let of =
            |component: &ComponentMetrics| (component.name.to_string(), component.state.clone());
        let shown: BTreeMap<_, _> = registry.snapshot().iter().map(of).collect();
        shown
    };
    assert_eq!(states()["sources.r1"], Some(ComponentState::Running));
    assert_eq!(states()["sinks.k1"], Some(ComponentState::Finished));
    assert_eq!(
        states()["sources.r1.interceptors.i1"],
        Some(ComponentState::Running)
    );
}

#[test]
fn what_became_of_poison_is_told_with_the_guest() {
    let counts = PoisonCounts {
        poison: 3,
        dead_lettered: 2,
        dropped: 1,
        rolled_back: 4,
        rolled_back_because: Some("it trapped".to_owned()),
    };
    let registry = Registry::new(GuestFigures {
        reports: Box::new(|| vec![report("sinks.k1", b"k1", 0), report("sinks.k2", b"k2", 0)]),
        poison: Box::new(move || BTreeMap::from([("sinks.k1".into(), counts.clone())])),
    });
    let shown = registry.snapshot();
    let reason = "it trapped".to_owned();
    assert_eq!(shown[0].state, Some(ComponentState::RolledBack { reason }));
    assert_eq!(shown[1].state, Some(ComponentState::Running));
    for (attribute, count) in [
        ("PoisonCount", 3),
        ("DeadLetterCount", 2),
        ("DroppedPoisonCount", 1),
        ("RolledBackCount", 4),
    ] {
        assert_eq!(number(&shown[0], attribute), Some(count), "{attribute}");
        assert_eq!(number(&shown[1], attribute), Some(0), "{attribute}");
    }
}
