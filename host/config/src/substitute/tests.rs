use super::*;
use crate::document::Dialect;

struct Fixed;

impl Lookups for Fixed {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/users/flume".into()),
            "PREFIX" => Some("DEV".into()),
            "TRICK" => Some("${HOME}".into()),
            _ => None,
        }
    }

    fn system_property(&self, name: &str) -> Option<String> {
        (name == "stage").then(|| "DEV".into())
    }
}

fn resolved(text: &str) -> Document {
    Document::parse(Dialect::Properties, "t.conf", text).resolve(&Fixed)
}

fn value(written: &str) -> (String, Vec<String>) {
    let text = format!("DEV_BIND = 0.0.0.0\na.sources.r.x = {written}");
    let document = resolved(&text);
    let value = document
        .get("a.sources.r.x")
        .map(|entry| entry.value.text().into_owned());
    (
        value.unwrap_or_default(),
        document
            .problems()
            .iter()
            .map(|problem| problem.what.clone())
            .collect(),
    )
}

#[test]
fn references_are_resolved() {
    for (written, expected) in [
        ("${env:HOME}/x", "/users/flume/x"),
        ("${sys:stage}", "DEV"),
        ("${DEV_BIND}:1", "0.0.0.0:1"),
        ("${${sys:stage}_BIND}", "0.0.0.0"),
        ("${${env:PREFIX}_BIND}${sys:stage}", "0.0.0.0DEV"),
        ("${env:NONE:-fall back}", "fall back"),
        ("${env:NONE:-${env:HOME}}", "/users/flume"),
        ("${env:NONE:-}", ""),
        ("$${env:HOME}", "${env:HOME}"),
        ("a$b}c$", "a$b}c$"),
        ("${env:TRICK}", "${HOME}"),
    ] {
        assert_eq!(value(written), (expected.to_owned(), vec![]), "{written}");
    }
}

#[test]
fn what_nothing_answers_stays_with_a_warning() {
    for written in [
        "${env:NONE}",
        "${nobody}",
        "${nobody",
        "a${nobody:-x",
        "${${env:NONE}_BIND}",
    ] {
        let (value, problems) = value(written);
        assert_eq!(value, written);
        assert!(!problems.is_empty(), "{written}");
    }
    assert_eq!(value("${open ${env:HOME}").0, "${open /users/flume");
}

#[test]
fn lookups_that_are_not_built_are_errors() {
    let document = resolved("a.sources.r.x = ${java:version}${date:yyyy}");
    assert_eq!(
        document
            .problems()
            .iter()
            .filter(|problem| problem.is_error())
            .count(),
        2
    );
}

#[test]
fn a_cycle_is_an_error_with_its_place() {
    let document = resolved("a = ${b}\nb = x${c}\nc = ${b}\n");
    let problems: Vec<_> = document
        .problems()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        problems,
        ["t.conf:3: error: c: the value refers to itself: b -> c -> b"]
    );
}

#[test]
fn doubling_and_deep_values_are_bounded() {
    let mut text = String::new();
    for step in 0..30 {
        text.push_str(&format!(
            "k{step} = ${{k{next}}}${{k{next}}}\n",
            next = step + 1
        ));
    }
    text.push_str("k30 = 0123456789\n");
    assert!(resolved(&text).problems().iter().any(Problem::is_error));
    let chain: String = (0..100)
        .map(|at| format!("k{at} = ${{k{}}}\n", at + 1))
        .collect();
    assert!(resolved(&chain).problems().iter().any(Problem::is_error));
    let nested = format!("k = {}x{}", "${".repeat(5000), "}".repeat(5000));
    assert!(!resolved(&nested).problems().is_empty());
}

#[test]
fn placeholders_of_the_environment_filter_are_resolved() {
    let document = resolved(
        "a.configfilters = f\na.configfilters.f.type = ENV\n\
         a.sources.r.x = ${f[HOME]} ${f['HOME']} ${f[\"HOME\"]}\n\
         a.sources.r.y = ${f[NONE]}\na.sources.r.z = ${g['HOME']}\n",
    );
    let value = |key| {
        document
            .get(key)
            .map(|entry| entry.value.text().into_owned())
    };
    assert_eq!(
        value("a.sources.r.x").as_deref(),
        Some("/users/flume /users/flume /users/flume")
    );
    assert_eq!(value("a.sources.r.y").as_deref(), Some("${f[NONE]}"));
    assert_eq!(document.problems().len(), 2);
}
