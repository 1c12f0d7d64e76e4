use flumen_core::FaultKind;
use flumen_core::conformance::settings::settings;
use flumen_core::conformance::source::{PolledCase, run_polled};

use super::*;

fn stress(options: &[(&str, &str)]) -> Box<dyn PolledSource> {
    match build(&settings(&ROW, options)).expect("builds") {
        SourceInstance::Polled { source, .. } => source,
        SourceInstance::EventDriven(_) => panic!("stress is a polled source"),
    }
}

#[tokio::test]
async fn conforms() {
    run_polled(PolledCase {
        make: &|| stress(&[("batchSize", "9"), ("maxTotalEvents", "500")]),
        events: 500,
        resumes: false,
        ends: true,
    })
    .await;
}

#[tokio::test]
async fn an_event_is_five_hundred_bytes_of_delete() {
    let mut source = stress(&[]);
    source.open(None).await.expect("opens");
    let polled = source.poll(1000).await.expect("polls");
    assert_eq!(polled.events.len(), 1);
    assert_eq!(polled.events.body(0), Some(&[0x7F; 500][..]));
    assert_eq!(polled.next, PollNext::Again);
    assert_eq!(polled.cursor, None);
}

#[tokio::test]
async fn all_batches_share_one_buffer() {
    let mut source = stress(&[("batchSize", "100")]);
    source.open(None).await.expect("opens");
    let address = |polled: &Polled| polled.events.body(0).map(<[u8]>::as_ptr);
    let first = source.poll(1000).await.expect("polls");
    let second = source.poll(1000).await.expect("polls");
    let part = source.poll(7).await.expect("polls");
    assert_eq!(first.events.len(), 100);
    assert_eq!(part.events.len(), 7);
    assert_eq!(address(&first), address(&second));
    assert_eq!(address(&first), address(&part));
}

#[tokio::test]
async fn the_lower_of_the_two_maxima_is_met_exactly() {
    for options in [
        [("maxTotalEvents", "25"), ("maxSuccessfulEvents", "-1")],
        [("maxTotalEvents", "-1"), ("maxSuccessfulEvents", "25")],
        [("maxTotalEvents", "30"), ("maxSuccessfulEvents", "25")],
    ] {
        let mut source = stress(&[options[0], options[1], ("batchSize", "10")]);
        source.open(None).await.expect("opens");
        let mut sizes = Vec::new();
        loop {
            let polled = source.poll(1000).await.expect("polls");
            sizes.push(polled.events.len());
            source.ack(None);
            if polled.next == PollNext::End {
                break;
            }
        }
        assert_eq!(sizes, [10, 10, 5], "{options:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_put_does_not_count() {
    let mut source = stress(&[("maxSuccessfulEvents", "10"), ("batchSize", "6")]);
    source.open(None).await.expect("opens");
    source.poll(1000).await.expect("polls");
    source.open(None).await.expect("opens again");
    assert_eq!(source.poll(1000).await.expect("polls").events.len(), 6);
    source.ack(None);
    assert_eq!(source.poll(1000).await.expect("polls").events.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_rate_holds_on_average() {
    let mut source = stress(&[("maxEventsPerSecond", "1000"), ("batchSize", "100")]);
    source.open(None).await.expect("opens");
    let started = Instant::now();
    let mut events = 0;
    while started.elapsed() < Duration::from_secs(10) {
        let polled = source.poll(1000).await.expect("polls");
        events += polled.events.len();
        if let PollNext::Wait(wait) = polled.next {
            tokio::time::advance(wait).await;
        }
    }
    assert_eq!(events, 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_late_source_catches_up_on_one_second_at_most() {
    let mut source = stress(&[("maxEventsPerSecond", "100"), ("batchSize", "10")]);
    source.open(None).await.expect("opens");
    source.poll(1000).await.expect("polls");
    tokio::time::advance(Duration::from_secs(60)).await;
    let mut at_once = 0;
    while source.poll(1000).await.expect("polls").next == PollNext::Again {
        at_once += 10;
    }
    assert_eq!(at_once, 100);
}

#[test]
fn a_batch_that_is_too_large_is_refused_with_both_options() {
    let options = [("size", "1073741824"), ("batchSize", "2")];
    let fault = build(&settings(&ROW, &options)).err().expect("too large");
    assert_eq!(fault.kind(), FaultKind::Configuration);
    let text = fault.to_string();
    assert!(
        text.contains("size") && text.contains("batchSize"),
        "{text}"
    );
}
