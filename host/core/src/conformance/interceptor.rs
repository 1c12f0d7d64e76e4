//! The conformance suite of [`Interceptor`], for interceptors whose answer depends on the batch
//! alone (give one that asks the time a clock that stands still).

use std::future::poll_fn;
use std::task::Poll;

use super::samples::{
    delimited, empty_bodies, header_name, headers_only, layouts_of, numbered, valid,
};
use crate::batch::{EventBatch, Existing};
use crate::fault::Fault;
use crate::interceptor::{Intercepted, Interceptor};

/// The header by which the suite knows an event again. An interceptor that removes it is spared the
/// checks that need it.
const MARK: &str = "flumen.conformance.mark";

/// Runs the suite on its own batches and on `samples`, which are batches that make this interceptor
/// do something.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub async fn conforms(interceptor: &dyn Interceptor, samples: &[EventBatch]) {
    let own = [
        numbered(0, 1),
        numbered(0, 100),
        delimited(100),
        empty_bodies(),
        headers_only(),
    ];
    for batch in own.iter().chain(samples).filter(|batch| !batch.is_empty()) {
        the_batch_of_the_source_stays_as_it_was(interceptor, batch).await;
        layout_makes_no_difference(interceptor, batch).await;
        order_is_kept(interceptor, batch).await;
        batches_may_be_under_way_at_the_same_time(interceptor, batch).await;
    }
}

/// Fault or not, the source still has what it had; and the same batch may come again.
async fn the_batch_of_the_source_stays_as_it_was(
    interceptor: &dyn Interceptor,
    batch: &EventBatch,
) {
    let before = valid(batch.compacted());
    let first = events_of(interceptor, batch.clone()).await;
    let again = events_of(interceptor, batch.clone()).await;
    assert_eq!(
        *batch, before,
        "a batch never changes in the source's hands"
    );
    assert_eq!(
        comparable(&first),
        comparable(&again),
        "a batch that comes again leads to the same answer"
    );
}

async fn layout_makes_no_difference(interceptor: &dyn Interceptor, batch: &EventBatch) {
    let mut answers = Vec::new();
    for same in layouts_of(batch) {
        assert_eq!(same, *batch, "the suite's layouts hold the same events");
        answers.push(events_of(interceptor, same).await);
    }
    for pair in answers.windows(2) {
        assert_eq!(
            pair.first().map(comparable),
            pair.last().map(comparable),
            "equal events lead to equal answers, whether they are slices, lists of rows or columns of their own"
        );
    }
}

async fn order_is_kept(interceptor: &dyn Interceptor, batch: &EventBatch) {
    let marks: Vec<String> = (0..batch.len()).map(|index| index.to_string()).collect();
    let values = marks.iter().map(|mark| Some(mark.as_str()));
    let marked = valid(batch.with_header(&header_name(MARK), values, Existing::Replace));
    let Ok(answer) = events_of(interceptor, marked).await else {
        return;
    };
    let Some(view) = answer.header(MARK) else {
        return;
    };
    let places: Vec<usize> = view
        .iter()
        .flatten()
        .filter_map(|mark| mark.parse().ok())
        .collect();
    assert!(
        places.is_sorted(),
        "events that stay keep the order they came in"
    );
}

async fn batches_may_be_under_way_at_the_same_time(
    interceptor: &dyn Interceptor,
    batch: &EventBatch,
) {
    let alone = events_of(interceptor, batch.clone()).await;
    let mut under_way = [(); 2].map(|()| Some(Box::pin(events_of(interceptor, batch.clone()))));
    let mut answers = Vec::new();
    poll_fn(|context| {
        for slot in &mut under_way {
            if let Some(future) = slot
                && let Poll::Ready(answer) = future.as_mut().poll(context)
            {
                answers.push(answer);
                *slot = None;
            }
        }
        if under_way.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    for answer in &answers {
        assert_eq!(
            comparable(answer),
            comparable(&alone),
            "batches under way at the same time do not mix"
        );
    }
}

/// What becomes of a batch that is not put after all: nothing of it is remembered.
async fn events_of(interceptor: &dyn Interceptor, batch: EventBatch) -> Result<EventBatch, Fault> {
    let answer = interceptor.intercept(batch).await;
    answer.map(Intercepted::into_events)
}

fn comparable(answer: &Result<EventBatch, Fault>) -> Result<&EventBatch, String> {
    answer.as_ref().map_err(Fault::to_string)
}
