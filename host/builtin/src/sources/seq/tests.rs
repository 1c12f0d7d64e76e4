use flumen_core::conformance::settings::settings;
use flumen_core::conformance::source::{PolledCase, run_polled};
use flumen_core::source::PollBackOff;

use super::*;

fn sequence(options: &[(&str, &str)]) -> Box<dyn PolledSource> {
    match build(&settings(&ROW, options)).expect("builds") {
        SourceInstance::Polled { source, .. } => source,
        SourceInstance::EventDriven(_) => panic!("seq is a polled source"),
    }
}

fn lines(batch: &EventBatch) -> Vec<String> {
    let texts = batch.bodies().map(String::from_utf8_lossy);
    texts.map(String::from).collect()
}

#[tokio::test]
async fn conforms() {
    run_polled(PolledCase {
        make: &|| sequence(&[("batchSize", "9"), ("totalEvents", "1100")]),
        events: 1100,
        resumes: false,
        ends: true,
    })
    .await;
}

#[tokio::test]
async fn numbers_count_from_zero_one_per_batch() {
    let mut source = sequence(&[]);
    source.open(None).await.expect("opens");
    for number in ["0", "1", "2"] {
        let polled = source.poll(1000).await.expect("polls");
        assert_eq!(lines(&polled.events), [number]);
        assert_eq!(polled.next, PollNext::Again);
        assert_eq!(polled.events.headers().count(), 0);
    }
}

#[tokio::test]
async fn the_last_batch_is_what_is_left_and_says_that_it_is_the_last() {
    let mut source = sequence(&[("batchSize", "4"), ("totalEvents", "6")]);
    source.open(None).await.expect("opens");
    let first = source.poll(1000).await.expect("polls");
    assert_eq!(lines(&first.events), ["0", "1", "2", "3"]);
    let last = source.poll(1000).await.expect("polls");
    assert_eq!(lines(&last.events), ["4", "5"]);
    assert_eq!(last.next, PollNext::End);
}

#[tokio::test]
async fn without_events_to_give_it_is_finished_at_once() {
    let mut source = sequence(&[("totalEvents", "0")]);
    source.open(None).await.expect("opens");
    let polled = source.poll(10).await.expect("polls");
    assert!(polled.events.is_empty());
    assert_eq!(polled.next, PollNext::End);
}

#[tokio::test]
async fn after_a_failed_put_the_same_numbers_come_again() {
    let mut source = sequence(&[("batchSize", "3")]);
    source.open(None).await.expect("opens");
    let committed = source.poll(10).await.expect("polls");
    source.ack(committed.cursor.as_deref());
    source.poll(10).await.expect("polls");
    source.open(None).await.expect("opens again");
    let again = source.poll(10).await.expect("polls");
    assert_eq!(lines(&again.events), ["3", "4", "5"]);
}

#[test]
fn counting_in_place_agrees_with_formatting() {
    for start in [0, 8, 98, 995, 99_995, i64::MAX as u64 - 20, u64::MAX - 12] {
        let range = start..start + 12;
        let expected: Vec<String> = range.clone().map(|number| number.to_string()).collect();
        assert_eq!(lines(&numbers(range).expect("fits")), expected);
    }
}

#[test]
fn the_back_off_options_are_read() {
    let options = [("backoffSleepIncrement", "10"), ("maxBackoffSleep", "30")];
    let built = build(&settings(&ROW, &options)).expect("builds");
    let SourceInstance::Polled { back_off, .. } = built else {
        panic!("seq is a polled source");
    };
    assert_eq!(back_off.increment.as_millis(), 10);
    assert_eq!(back_off.maximum.as_millis(), 30);
    let SourceInstance::Polled { back_off, .. } = build(&settings(&ROW, &[])).expect("builds")
    else {
        panic!("seq is a polled source");
    };
    assert_eq!(back_off, PollBackOff::default());
}
