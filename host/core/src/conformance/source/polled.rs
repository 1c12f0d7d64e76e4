//! The suite for polled sources.

use std::pin::pin;
use std::sync::Arc;

use super::poll_once;
use crate::source::{PollNext, Polled, PolledSource};

/// What the suite has to know of a polled source.
pub struct PolledCase<'a> {
    /// Makes a new instance. All instances have the same input: opened at its start, each gives
    /// the same events, at least [`PolledCase::events`] of them.
    pub make: &'a dyn Fn() -> Box<dyn PolledSource>,
    /// How many events the suite may ask for; at least 50. With `ends`, exactly as many as there
    /// are.
    pub events: usize,
    /// Whether the source gives cursors and goes on from one.
    pub resumes: bool,
    /// Whether the input ends.
    pub ends: bool,
}

/// The most polls in a row that may give nothing while events are left. A source that reads may
/// have to look more than once; one that never gives anything must not keep the suite for ever.
const EMPTY_POLLS_MAX: usize = 100;

/// Runs the whole suite.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub async fn run_polled(case: PolledCase<'_>) {
    assert!(case.events >= 50, "the suite needs at least 50 events");
    let all = order_does_not_depend_on_the_size_of_polls(&case).await;
    a_poll_future_that_is_dropped_loses_nothing(&case, &all).await;
    a_cursor_leads_to_what_follows_it(&case, &all).await;
    what_is_not_acknowledged_is_given_again(&case, &all).await;
    an_acknowledgement_may_be_repeated(&case, &all).await;
    a_foreign_cursor_is_survived(&case, &all).await;
    the_end_stays_the_end(&case, &all).await;
}

/// Instance and position as a driver has them.
struct Reader {
    source: Box<dyn PolledSource>,
    cursor: Option<Arc<[u8]>>,
}

impl Reader {
    async fn open(case: &PolledCase<'_>, cursor: Option<&[u8]>) -> Self {
        let mut source = (case.make)();
        let opened = source.open(cursor).await;
        assert!(opened.is_ok(), "a new source opens: {opened:?}");
        Self {
            source,
            cursor: None,
        }
    }

    async fn poll(&mut self, events_max: usize) -> Polled {
        let polled = self.source.poll(events_max).await;
        assert!(polled.is_ok(), "a poll succeeds: {polled:?}");
        let polled = polled.unwrap_or_default();
        assert!(
            polled.events.len() <= events_max,
            "a poll gives at most {events_max} events and gave {}",
            polled.events.len()
        );
        if polled.cursor.is_some() {
            self.cursor.clone_from(&polled.cursor);
        }
        polled
    }

    /// Reads until there are `events` bodies, never asking for more than `events_max` at once.
    async fn read(&mut self, events: usize, events_max: usize) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        let mut empty_polls = 0;
        while bodies.len() < events {
            let polled = self.poll(events_max.min(events - bodies.len())).await;
            bodies.extend(polled.events.bodies().map(<[u8]>::to_vec));
            empty_polls = if polled.events.is_empty() {
                empty_polls + 1
            } else {
                0
            };
            let ended = polled.next == PollNext::End;
            assert!(
                bodies.len() == events || !(ended || empty_polls > EMPTY_POLLS_MAX),
                "the source gives {events} events and gave {}",
                bodies.len()
            );
        }
        bodies
    }

    fn ack(&mut self) {
        self.source.ack(self.cursor.clone().as_deref());
    }
}

async fn order_does_not_depend_on_the_size_of_polls(case: &PolledCase<'_>) -> Vec<Vec<u8>> {
    let all = Reader::open(case, None).await.read(case.events, 1000).await;
    for events_max in [1, 2, 7, 64] {
        let mut reader = Reader::open(case, None).await;
        let again = reader.read(case.events, events_max).await;
        assert!(
            again == all,
            "polls of at most {events_max} give the same events in the same order"
        );
    }
    all
}

/// The driver drops a poll when the stop signal comes first.
async fn a_poll_future_that_is_dropped_loses_nothing(case: &PolledCase<'_>, all: &[Vec<u8>]) {
    let mut reader = Reader::open(case, None).await;
    drop(reader.source.poll(5));
    let mut bodies = Vec::new();
    {
        let mut polled = pin!(reader.source.poll(5));
        if let std::task::Poll::Ready(Ok(polled)) = poll_once(polled.as_mut()) {
            bodies.extend(polled.events.bodies().map(<[u8]>::to_vec));
        }
    }
    let left = case.events - bodies.len();
    bodies.extend(reader.read(left, 10).await);
    assert!(
        bodies == all,
        "a poll that is dropped before it is ready takes no event with it"
    );
}

async fn a_cursor_leads_to_what_follows_it(case: &PolledCase<'_>, all: &[Vec<u8>]) {
    if !case.resumes {
        return;
    }
    for read in [1, 7, 30] {
        let mut reader = Reader::open(case, None).await;
        let before = reader.read(read, 7).await;
        reader.ack();
        let cursor = reader.cursor.clone();
        assert!(cursor.is_some(), "a source that resumes gives cursors");
        let left = case.events - read;
        let mut other = Reader::open(case, cursor.as_deref()).await;
        let after = other.read(left, 13).await;
        assert!(
            before.into_iter().chain(after).eq(all.iter().cloned()),
            "a new instance goes on exactly behind the cursor of {read} events"
        );
        reopen(&mut reader, cursor.as_deref()).await;
        let again = reader.read(left, 13).await;
        assert!(
            again.iter().eq(all.iter().skip(read)),
            "the same instance, opened again, goes on exactly behind the cursor"
        );
    }
}

async fn reopen(reader: &mut Reader, cursor: Option<&[u8]>) {
    let opened = reader.source.open(cursor).await;
    assert!(opened.is_ok(), "a source may be opened again: {opened:?}");
}

/// After a fault of the put the agent opens the source again at the last commit.
async fn what_is_not_acknowledged_is_given_again(case: &PolledCase<'_>, all: &[Vec<u8>]) {
    if !case.resumes {
        return;
    }
    let mut reader = Reader::open(case, None).await;
    reader.read(10, 5).await;
    reader.ack();
    let committed = reader.cursor.clone();
    reader.read(10, 5).await;
    reopen(&mut reader, committed.as_deref()).await;
    let again = reader.read(case.events - 10, 100).await;
    assert!(
        again.iter().eq(all.iter().skip(10)),
        "events behind the last commit are given again, in order"
    );
}

async fn an_acknowledgement_may_be_repeated(case: &PolledCase<'_>, all: &[Vec<u8>]) {
    let mut reader = Reader::open(case, None).await;
    reader.source.ack(None);
    let mut bodies = reader.read(10, 5).await;
    reader.ack();
    reader.ack();
    bodies.extend(reader.read(case.events - 10, 100).await);
    assert!(
        bodies == all,
        "a repeated or empty acknowledgement neither skips nor repeats events"
    );
}

/// A cursor that another type of source left under the same name: it may be refused, with a
/// fault, but it must not panic, nor spoil the instance.
async fn a_foreign_cursor_is_survived(case: &PolledCase<'_>, all: &[Vec<u8>]) {
    let mut source = (case.make)();
    let foreign: &[&[u8]] = &[b"", b"\xff", b"another kind of source wrote this"];
    for cursor in foreign {
        if let Err(fault) = source.open(Some(cursor)).await {
            assert!(
                !fault.message().is_empty(),
                "a fault over a foreign cursor says what is wrong"
            );
        }
    }
    let mut reader = Reader {
        source,
        cursor: None,
    };
    reopen(&mut reader, None).await;
    let bodies = reader.read(case.events, 100).await;
    assert!(
        bodies == all,
        "after a refused cursor the source opens at its start"
    );
}

async fn the_end_stays_the_end(case: &PolledCase<'_>, all: &[Vec<u8>]) {
    if !case.ends {
        return;
    }
    let mut reader = Reader::open(case, None).await;
    let bodies = reader.read(all.len(), 1000).await;
    assert!(bodies == all, "the same input has the same end");
    reader.ack();
    for _ in 0..3 {
        let polled = reader.poll(10).await;
        assert!(
            polled.events.is_empty() && polled.next == PollNext::End,
            "after the last event every poll is empty and says that the input has ended"
        );
    }
}
