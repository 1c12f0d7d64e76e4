//! The difference of two plans, as a reload applies it and an operator reads it.

use flumen_config::{Plan, PlanDiff, check};

use crate::document;
use crate::rows::catalogue;

const OLD: &str = "
a.sources = r1 r2
a.channels = c1 c2
a.sinks = k1 k2
a.sources.r1.type = netcat
a.sources.r1.bind = localhost
a.sources.r1.port = 1
a.sources.r1.channels = c1
a.sources.r1.interceptors = i1
a.sources.r1.interceptors.i1.type = timestamp
a.sources.r2.type = thrift
a.sources.r2.port = 2
a.sources.r2.keystore-password = hunter2
a.sources.r2.channels = c2
a.channels.c1.type = memory
a.channels.c2.type = memory
a.sinks.k1.type = logger
a.sinks.k1.channel = c1
a.sinks.k2.type = null
a.sinks.k2.channel = c2
";

fn plan(text: &str) -> Plan {
    let checked = check(&document("d.conf", text), None, &catalogue());
    checked
        .plan
        .unwrap_or_else(|| panic!("{:#?}", checked.problems))
}

fn diff(replacements: &[(&str, &str)]) -> PlanDiff {
    let mut new = OLD.to_owned();
    for (from, to) in replacements {
        assert!(new.contains(from), "{from}");
        new = new.replace(from, to);
    }
    PlanDiff::between(&plan(OLD), &plan(&new))
}

#[test]
fn another_spelling_of_the_same_is_no_difference() {
    let same = diff(&[
        (
            "type = netcat",
            "type = org.apache.flume.source.NetcatSource",
        ),
        (
            "a.sources.r1.port = 1",
            "# moved\n\na.sources.r1.port = 1\na.sources.r1.max-line-length = 512",
        ),
        (
            "a.sources.r1.channels = c1",
            "a.sources.r1.channels = c1 c1\na.sources.r1.selector.type = REPLICATING",
        ),
    ]);
    assert!(same.is_empty());
    assert_eq!(same.to_string(), "");
}

#[test]
fn each_change_is_one_line() {
    let diff = diff(&[
        (
            "a.sources.r1.port = 1",
            "a.sources.r1.port = 7\na.sources.r1.selector.optional = c1",
        ),
        (
            "a.sources.r1.channels = c1",
            "a.sources.r1.channels = c1 c2",
        ),
        (
            "interceptors = i1",
            "interceptors = i2 i1\na.sources.r1.interceptors.i2.type = static",
        ),
        (
            "i1.type = timestamp",
            "i1.type = timestamp\na.sources.r1.interceptors.i1.header = t",
        ),
        ("hunter2", "hunter3"),
        (
            "c2.type = memory",
            "c2.type = memory\na.channels.c2.capacity = 500",
        ),
        ("a.sinks.k1.channel = c1", "a.sinks.k1.channel = c2"),
        ("a.sinks = k1 k2", "a.sinks = k1 k3"),
        (
            "a.sinks.k2.type = null\na.sinks.k2.channel = c2",
            "a.sinks.k3.type = file_roll\na.sinks.k3.sink.directory = /x\na.sinks.k3.channel = c1",
        ),
    ]);
    assert_eq!(
        diff.lines(),
        [
            "~ channel c2: capacity 100 -> 500",
            "~ source r1: port 1 -> 7",
            "~ source r1: channels c1 -> c1 c2",
            "~ source r1: selector.optional unset -> [\"c1\"]",
            "~ source r1: interceptors i1 -> i2 i1",
            "~ source r1: interceptors.i1.headerName \"timestamp\" -> \"t\"",
            "~ source r2: keystore-password changed",
            "- sink k2 (null) on c2",
            "+ sink k3 (file_roll) on c1",
            "~ sink k1: channel c1 -> c2",
        ]
    );
    assert!(!format!("{diff:?}").contains("hunter"));
    let source = diff.sources.changed.get("r1").expect("r1 changed");
    assert!(source.channels && source.selector && source.interceptors);
    let component = source.component.as_ref().expect("its own settings changed");
    assert_eq!(
        (component.is_other_type, component.options.as_slice()),
        (false, &["port".to_owned()][..])
    );
    let sink = diff.sinks.changed.get("k1").expect("k1 changed");
    assert!(sink.channel && sink.component.is_none());
}

#[test]
fn another_type_is_one_line_and_says_so() {
    let diff = diff(&[("k2.type = null", "k2.type = logger")]);
    assert_eq!(diff.lines(), ["~ sink k2: type null -> logger"]);
    assert!(
        diff.sinks
            .changed
            .get("k2")
            .and_then(|sink| sink.component.as_ref())
            .is_some_and(|own| own.is_other_type)
    );
    assert!(diff.sources.is_empty() && diff.channels.is_empty() && diff.sink_groups.is_empty());
}
