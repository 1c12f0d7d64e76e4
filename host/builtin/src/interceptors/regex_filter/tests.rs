use flumen_core::FaultKind;
use flumen_core::clock::SystemClock;
use flumen_core::conformance::interceptor::conforms;

use super::*;
use flumen_core::conformance::settings::settings as checked;

fn filter(set: &[(&str, &str)]) -> Result<Box<dyn Interceptor>, Fault> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    build(&checked(&ROW, set), &clock)
}

fn packed(bodies: &[&str]) -> EventBatch {
    let mut data = Vec::new();
    let mut ends = Vec::new();
    for body in bodies {
        data.extend_from_slice(body.as_bytes());
        ends.push(data.len() as u32);
    }
    EventBatch::from_columns(data.into(), ends).expect("columns")
}

fn lines(bodies: &[&str]) -> EventBatch {
    let mut data = Vec::new();
    let mut ends = Vec::new();
    for body in bodies {
        data.extend_from_slice(body.as_bytes());
        ends.push(data.len() as u32);
        data.push(b'\n');
    }
    EventBatch::from_delimited(data.into(), b'\n', ends).expect("lines")
}

async fn kept(set: &[(&str, &str)], bodies: &[&str]) -> Vec<String> {
    let interceptor = filter(set).expect("builds");
    let (packed, lines) = (packed(bodies), lines(bodies));
    let kept = interceptor
        .intercept(packed.clone())
        .await
        .expect("filters")
        .events;
    let same = interceptor
        .intercept(lines.clone())
        .await
        .expect("filters")
        .events;
    assert_eq!(kept, same, "delimiters between bodies make no difference");
    conforms(&*interceptor, &[packed, lines]).await;
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    kept.bodies().map(text).collect()
}

#[tokio::test]
async fn events_with_a_match_are_kept_or_dropped() {
    let bodies = ["an ERROR", "ok", "", "ERROR"];
    for regex in ["ERROR", "ERR.R", "E(R)+OR"] {
        let keep = [("regex", regex)];
        assert_eq!(kept(&keep, &bodies).await, ["an ERROR", "ERROR"]);
        let exclude = [("regex", regex), ("excludeEvents", "true")];
        assert_eq!(kept(&exclude, &bodies).await, ["ok", ""]);
    }
    assert_eq!(kept(&[], &bodies).await, bodies);
    assert!(kept(&[("excludeEvents", "true")], &bodies).await.is_empty());
    assert!(kept(&[("regex", "nowhere")], &bodies).await.is_empty());
}

#[tokio::test]
async fn a_match_counts_only_within_one_body() {
    let keep = [("regex", "abab")];
    // The text reaches over every border, and a whole one stands right behind such a hit.
    let bodies = ["xab", "abab", "ab", "ab", "aba", "babab", "a", "", "bab"];
    assert_eq!(kept(&keep, &bodies).await, ["abab", "babab"]);
}

#[tokio::test]
async fn a_match_over_a_line_feed_is_within_a_body_or_nowhere() {
    let interceptor = filter(&[("regex", "\\Qa\nb\\E")]).expect("builds");
    let straddling = lines(&["a", "b"]);
    assert!(
        interceptor
            .intercept(straddling)
            .await
            .expect("filters")
            .events
            .is_empty()
    );
    let within = packed(&["xa\nb", "b"]);
    let kept = interceptor.intercept(within).await.expect("filters").events;
    assert_eq!(kept.bodies().collect::<Vec<_>>(), [b"xa\nb"]);
}

/// All batches of up to five bodies over two letters against a search body by body.
#[test]
fn one_pass_finds_what_a_search_in_each_body_finds() {
    let words = ["", "a", "b", "aa", "ab", "aba", "bb"];
    for text in ["a", "ab", "aa", "aba", "bab"] {
        let finder = Finder::new(text).into_owned();
        for number in 0..words.len().pow(5) {
            let bodies: Vec<&str> = (0..5)
                .map(|at| words[number / words.len().pow(at) % words.len()])
                .collect();
            let batch = packed(&bodies);
            let (stretch, places) = batch.contiguous().expect("a range");
            let mut hits = Hits::new(&finder, stretch);
            let found: Vec<bool> = places.map(|place| hits.within(place)).collect();
            let expected: Vec<bool> = bodies.iter().map(|body| body.contains(text)).collect();
            assert_eq!(found, expected, "{text} in {bodies:?}");
        }
    }
}

#[tokio::test]
async fn bodies_are_bytes() {
    let batch = EventBatch::from_columns(b"\xFFERROR\xFE\xFF"[..].into(), vec![7, 8]);
    let batch = batch.expect("columns");
    for regex in ["ERROR", "ER+OR"] {
        let interceptor = filter(&[("regex", regex)]).expect("builds");
        assert_eq!(
            interceptor
                .intercept(batch.clone())
                .await
                .expect("filters")
                .events
                .len(),
            1
        );
    }
}

#[test]
fn a_pattern_that_cannot_be_used_is_a_configuration_fault() {
    let fault = filter(&[("regex", "a(?=b)")]).err().expect("refused");
    assert_eq!(fault.kind(), FaultKind::Configuration);
    assert_eq!(
        fault.to_string(),
        "option regex cannot be used: \"a(?=b)\": look-ahead is not supported at character 2"
    );
}
