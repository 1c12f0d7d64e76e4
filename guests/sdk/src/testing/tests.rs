//! The fakes and the harnesses keep the host's promises, seen from a component.

use super::*;
use crate::{
    Answer, Batch, BatchBuilder, Error, Gauge, Interceptor, Next, Outcome, Polled, Rejected,
    Segment, Settings, Sink, Source, clock, state,
};

/// Does what the first body says.
struct Puppet;

impl Interceptor for Puppet {
    fn init(settings: &Settings) -> Result<Self, Error> {
        settings.get_or("count", 0).map(|_: u32| Puppet)
    }

    fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error> {
        let count = state::get_u64("count")?.unwrap_or(0) + 1;
        state::set_u64("count", count)?;
        let mut edits = events.edit();
        match events.body(0) {
            Some(b"fail") => return Err(Error::transient("as told")),
            Some(b"everything") => {
                edits
                    .set_header_on_all("all", "a")
                    .set_header(1, "one", "b")
                    .remove_header("old")
                    .set_body(2, b"new")
                    .drop_event(0);
            }
            Some(b"replace") => {
                let mut batch = BatchBuilder::new();
                batch.push("x").headers_of(&events.headers(), 1);
                batch.push("y").header("h", "1");
                return Ok(Answer::Replaced(batch.finish()?));
            }
            _ => {}
        }
        edits.finish()
    }
}

fn puppet() -> InterceptorHarness<Puppet> {
    InterceptorHarness::new([]).unwrap()
}

#[test]
fn edits_are_applied_by_the_rows_that_were_handed_in() {
    let batch = TestBatch::of(["everything", "b", "c"]).with_header("old", "o");
    let expected = [
        TestEvent::new("b")
            .with_header("all", "a")
            .with_header("one", "b"),
        TestEvent::new("new").with_header("all", "a"),
    ];
    assert_eq!(
        puppet().intercept(&batch),
        Ok(expected.into_iter().collect())
    );
}

#[test]
fn a_replaced_batch_has_only_the_headers_that_were_set() {
    let batch = TestBatch::of(["replace", "b"]).with_header("old", "o");
    let expected = [
        TestEvent::new("x").with_header("old", "o"),
        TestEvent::new("y").with_header("h", "1"),
    ];
    assert_eq!(
        puppet().intercept(&batch),
        Ok(expected.into_iter().collect())
    );
}

#[test]
fn state_is_kept_with_the_batch_or_not_at_all() {
    let mut puppet = puppet();
    let count = || state::get_u64("count").unwrap();
    puppet.intercept(&TestBatch::of(["a"])).unwrap();
    assert_eq!(count(), Some(1));
    puppet.intercept(&TestBatch::of(["fail"])).unwrap_err();
    assert_eq!(count(), Some(1), "a call that fails leaves no state");
    puppet.intercept(&TestBatch::of(["a"])).unwrap();
    puppet.refuse_last();
    assert_eq!(count(), Some(1), "nor does a batch that is refused");
    puppet.restart().unwrap();
    assert_eq!(count(), Some(1), "another instance finds it");
    InterceptorHarness::<Puppet>::new([]).unwrap();
    assert_eq!(count(), None, "another harness does not");
}

#[test]
fn state_has_its_bound_and_its_types() {
    let fits = vec![0; (1 << 20) - 1];
    assert_eq!(state::set("k", &fits), Ok(()));
    assert_eq!(state::set("k", &fits), Ok(()), "the old value makes room");
    assert!(state::set("l", b"").is_err());
    assert!(state::get_u64("k").is_err());
    state::delete("k").unwrap();
    assert_eq!(state::get("k"), Ok(None));
}

#[test]
fn init_that_fails_gives_no_harness() {
    assert!(InterceptorHarness::<Puppet>::new([("count", "x")]).is_err());
}

#[test]
fn lines_below_the_level_are_not_even_formatted() {
    keep_lines_from(Level::Info);
    let expensive = || -> u32 { panic!("formatted") };
    crate::debug!("{}", expensive());
    crate::warn!("{} of {}", 1, 2);
    crate::error!("plain");
    let lines = [(Level::Warn, "1 of 2"), (Level::Error, "plain")];
    assert_eq!(
        log_lines(),
        lines.map(|(level, text)| (level, text.to_owned()))
    );
}

#[test]
fn time_moves_by_waits_until_the_instance_is_to_stop() {
    let start = clock::now_ms();
    assert!(!clock::sleep_ms(5));
    advance_ms(10);
    assert_eq!(clock::now_ms() - start, 15);
    stop();
    assert!(clock::stopping());
    assert!(clock::sleep_ms(5));
    assert_eq!(clock::now_ms() - start, 15);
}

#[test]
fn a_gauge_shows_what_was_set_last() {
    assert_eq!(gauge("depth"), None);
    let depth = Gauge::new("depth");
    depth.set(1.0);
    depth.set(0.5);
    assert_eq!(gauge("depth"), Some(0.5));
}

/// Refuses events without a body and puts off those from `later` on.
struct Picky {
    segments: Vec<Segment>,
}

impl Sink for Picky {
    fn init(_settings: &Settings) -> Result<Self, Error> {
        Ok(Picky {
            segments: Vec::new(),
        })
    }

    fn deliver(&mut self, events: &Batch<'_>, segments: &[Segment]) -> Result<Outcome, Error> {
        self.segments.extend_from_slice(segments);
        let rows = events.bodies().enumerate();
        let empty = rows.clone().filter(|(_, body)| body.is_empty());
        let later = rows.filter(|(_, body)| *body == b"later");
        Ok(Outcome::Partial {
            retry: later.map(|(row, _)| row).collect(),
            rejected: empty
                .map(|(row, _)| Rejected {
                    row,
                    reason: "empty".to_owned(),
                })
                .collect(),
        })
    }

    fn flush(&mut self) -> Result<(), Error> {
        Err(Error::broken("nothing to flush"))
    }
}

#[test]
fn a_sink_sees_identities_that_go_on_and_its_outcome_comes_back() {
    let mut sink = SinkHarness::<Picky>::new([]).unwrap();
    let outcome = sink.deliver(&TestBatch::of(["a", "", "later"])).unwrap();
    let rejected = Rejected {
        row: 1,
        reason: "empty".to_owned(),
    };
    let expected = Outcome::Partial {
        retry: vec![2],
        rejected: vec![rejected],
    };
    assert_eq!(outcome, expected);
    sink.deliver(&TestBatch::of(["b"])).unwrap();
    let segments = &sink.instance().segments;
    let firsts: Vec<u64> = segments.iter().map(|own| own.first_sequence).collect();
    assert_eq!(firsts, [0, 3]);
    assert!(sink.flush().is_err());
    sink.restart().unwrap();
    assert!(sink.instance().segments.is_empty());
}

/// Gives as many events as the settings say, whatever was asked for.
struct Generous(usize);

impl Source for Generous {
    fn init(settings: &Settings) -> Result<Self, Error> {
        settings.get_or("events", 1).map(Generous)
    }

    fn open(&mut self, cursor: Option<&[u8]>) -> Result<(), Error> {
        state::set("opened", cursor.unwrap_or(b"new"))
    }

    fn poll(&mut self, _events_max: usize) -> Result<Polled, Error> {
        let mut events = BatchBuilder::new();
        events.set_header_on_all("from", "generous");
        for _ in 0..self.0 {
            events.push("e");
        }
        Ok(Polled {
            events: events.finish()?,
            cursor: Some(b"after".to_vec()),
            next: Next::Again,
        })
    }

    fn ack(&mut self, cursor: Option<&[u8]>) {
        assert_eq!(cursor, Some(b"after".as_slice()));
    }
}

#[test]
fn a_source_is_opened_at_its_last_commit() {
    let mut source = SourceHarness::<Generous>::new([]).unwrap();
    let polled = source.poll(1).unwrap();
    assert_eq!(
        polled.events,
        TestBatch::of(["e"]).with_header("from", "generous")
    );
    assert_eq!(polled.next, Next::Again);
    source.restart().unwrap();
    assert_eq!(state("opened").as_deref(), Some(b"new".as_slice()));
    source.poll(1).unwrap();
    source.commit();
    source.restart().unwrap();
    assert_eq!(state("opened").as_deref(), Some(b"after".as_slice()));
}

#[test]
fn a_source_that_gives_more_than_asked_for_is_refused() {
    let mut source = SourceHarness::<Generous>::new([("events", "3")]).unwrap();
    assert!(source.poll(2).is_err());
    assert!(source.poll(3).is_ok());
}
