//! The conformance suite of [`SinkProcessor`].

use std::time::{Duration, Instant};

use crate::sink_processor::{Attempt, SinkProcessor};

/// Rounds of asking and reporting, enough for every sink of a small group to fail, rest and come
/// back several times.
const ROUNDS: u32 = 200;

/// Longer than any processor leaves a failed sink out.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs the suite. `make` makes a fresh processor for a group of `sinks` sinks, at least one.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub fn conforms(mut make: impl FnMut() -> Box<dyn SinkProcessor>, sinks: usize) {
    let start = Instant::now();
    let first = order(&mut *make(), sinks, start);
    assert!(!first.is_empty(), "a new processor has a sink to try");
    every_order_is_valid_whatever_is_reported(&mut *make(), sinks, start);
    a_group_that_failed_is_tried_again(&mut *make(), sinks, start);
    a_report_about_no_sink_of_the_group_is_harmless(&mut *make(), sinks, start);
}

fn order(processor: &mut dyn SinkProcessor, sinks: usize, now: Instant) -> Vec<usize> {
    let order = processor.order(now);
    assert!(
        order.iter().all(|sink| *sink < sinks),
        "an order names sinks of the group: {order:?}"
    );
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert!(
        sorted.is_sorted_by(|a, b| a < b),
        "an order gives each sink at most once: {order:?}"
    );
    order
}

fn every_order_is_valid_whatever_is_reported(
    processor: &mut dyn SinkProcessor,
    sinks: usize,
    start: Instant,
) {
    let attempts = [Attempt::Delivered, Attempt::Idle, Attempt::Failed];
    for round in 0..ROUNDS {
        let now = start + Duration::from_millis(700) * round;
        let attempts = attempts.iter().cycle().skip(round as usize % 7);
        for (sink, attempt) in order(processor, sinks, now).into_iter().zip(attempts) {
            processor.report(sink, *attempt, now);
        }
    }
}

fn a_group_that_failed_is_tried_again(
    processor: &mut dyn SinkProcessor,
    sinks: usize,
    start: Instant,
) {
    for round in 0..ROUNDS {
        let now = start + Duration::from_millis(100) * round;
        for sink in order(processor, sinks, now) {
            processor.report(sink, Attempt::Failed, now);
        }
    }
    let later = start + LONG;
    let order = order(processor, sinks, later);
    assert!(
        !order.is_empty(),
        "sinks that failed are tried again after a while"
    );
    for sink in order {
        processor.report(sink, Attempt::Delivered, later);
    }
    assert!(
        !processor.order(later).is_empty(),
        "sinks that deliver are tried again at once"
    );
}

fn a_report_about_no_sink_of_the_group_is_harmless(
    processor: &mut dyn SinkProcessor,
    sinks: usize,
    start: Instant,
) {
    processor.report(sinks, Attempt::Failed, start);
    assert!(
        !order(processor, sinks, start).is_empty(),
        "a report about a sink that is not in the group changes nothing"
    );
}
