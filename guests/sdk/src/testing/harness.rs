//! The agent's part, for each of the three kinds.

use crate::batch::Batch;
use crate::error::Error;
use crate::host::fake::{self, FakeBatch, FakeHost, State};
use crate::interceptor::Interceptor;
use crate::settings::Settings;
use crate::sink::{Outcome, Segment, Sink};
use crate::source::{Next, Source};

use super::apply::apply;
use super::batch::TestBatch;

fn fresh_host(settings: impl IntoIterator<Item = (&'static str, &'static str)>) -> Settings {
    fake::with(|host| *host = FakeHost::new());
    settings.into_iter().collect()
}

/// The state before the last call, for taking it back.
fn stored() -> State {
    fake::with(|host| host.state.clone())
}

fn restore(state: State) {
    fake::with(|host| host.state = state);
}

/// Runs one call; state written by one that fails is taken back.
fn call<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    let before = stored();
    let done = work();
    if done.is_err() {
        restore(before);
    }
    done
}

/// An interceptor under test.
pub struct InterceptorHarness<T> {
    instance: T,
    settings: Settings,
    before: State,
}

impl<T: Interceptor> InterceptorHarness<T> {
    /// A fresh host and an instance with these settings.
    ///
    /// # Errors
    /// What `init` says.
    pub fn new(
        settings: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Result<Self, Error> {
        let settings = fresh_host(settings);
        Ok(InterceptorHarness {
            instance: call(|| T::init(&settings))?,
            settings,
            before: stored(),
        })
    }

    /// Hands in a batch and gives what comes out.
    ///
    /// # Errors
    /// What `intercept` says; [`Error::Broken`] when the host would refuse the answer.
    pub fn intercept(&mut self, batch: &TestBatch) -> Result<TestBatch, Error> {
        self.before = stored();
        let instance = &mut self.instance;
        call(|| {
            let answer = instance.intercept(&Batch::new(FakeBatch(batch)))?;
            apply(batch, answer)
        })
    }

    /// The channels refused the last answer: the state it wrote is taken back, and the source will
    /// bring the batch again.
    pub fn refuse_last(&mut self) {
        restore(self.before.clone());
    }

    /// Another instance takes over, as after a trap or with a new version: the state stays.
    ///
    /// # Errors
    /// What `init` says.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.instance = call(|| T::init(&self.settings))?;
        Ok(())
    }

    /// The instance itself.
    pub fn instance(&mut self) -> &mut T {
        &mut self.instance
    }
}

/// A sink under test.
pub struct SinkHarness<T> {
    instance: T,
    settings: Settings,
    next_sequence: u64,
}

impl<T: Sink> SinkHarness<T> {
    /// A fresh host and an instance with these settings.
    ///
    /// # Errors
    /// What `init` says.
    pub fn new(
        settings: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Result<Self, Error> {
        let settings = fresh_host(settings);
        Ok(SinkHarness {
            instance: call(|| T::init(&settings))?,
            settings,
            next_sequence: 0,
        })
    }

    /// Delivers events that were never delivered before, as one segment behind the last.
    ///
    /// # Errors
    /// What `deliver` says.
    pub fn deliver(&mut self, batch: &TestBatch) -> Result<Outcome, Error> {
        let segment = Segment {
            events: FakeBatch(batch).len(),
            first_sequence: self.next_sequence,
            redeliveries: 0,
        };
        self.next_sequence += u64::from(segment.events);
        self.deliver_segments(batch, &[segment])
    }

    /// Delivers events with the identities that the test says.
    ///
    /// # Errors
    /// What `deliver` says.
    pub fn deliver_segments(
        &mut self,
        batch: &TestBatch,
        segments: &[Segment],
    ) -> Result<Outcome, Error> {
        let instance = &mut self.instance;
        call(|| instance.deliver(&Batch::new(FakeBatch(batch)), segments))
    }

    /// Events pause.
    ///
    /// # Errors
    /// What `flush` says.
    pub fn flush(&mut self) -> Result<(), Error> {
        let instance = &mut self.instance;
        call(|| instance.flush())
    }

    /// Another instance takes over, as after a trap or with a new version: the state stays.
    ///
    /// # Errors
    /// What `init` says.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.instance = call(|| T::init(&self.settings))?;
        Ok(())
    }

    /// The instance itself.
    pub fn instance(&mut self) -> &mut T {
        &mut self.instance
    }
}

/// What a source under test gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestPolled {
    /// The events.
    pub events: TestBatch,
    /// The position after them.
    pub cursor: Option<Vec<u8>>,
    /// What the source expects next.
    pub next: Next,
}

/// A source under test.
pub struct SourceHarness<T> {
    instance: T,
    settings: Settings,
    given: Option<Vec<u8>>,
    committed: Option<Vec<u8>>,
}

impl<T: Source> SourceHarness<T> {
    /// A fresh host and an instance with these settings, opened at the beginning.
    ///
    /// # Errors
    /// What `init` and `open` say.
    pub fn new(
        settings: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Result<Self, Error> {
        let settings = fresh_host(settings);
        Ok(SourceHarness {
            instance: opened(&settings, None)?,
            settings,
            given: None,
            committed: None,
        })
    }

    /// Asks for events.
    ///
    /// # Errors
    /// What `poll` says; [`Error::Broken`] when the host would refuse the answer.
    pub fn poll(&mut self, events_max: usize) -> Result<TestPolled, Error> {
        let instance = &mut self.instance;
        let polled = call(|| instance.poll(events_max))?;
        if polled.events.len() > events_max {
            return Err(Error::broken(format!(
                "{} events where at most {events_max} were asked for",
                polled.events.len()
            )));
        }
        if polled.cursor.is_some() {
            self.given.clone_from(&polled.cursor);
        }
        Ok(TestPolled {
            events: TestBatch::from_columns(polled.events.0)?,
            cursor: polled.cursor,
            next: polled.next,
        })
    }

    /// Commits what was given so far and tells the source.
    pub fn commit(&mut self) {
        self.committed.clone_from(&self.given);
        self.instance.ack(self.committed.as_deref());
    }

    /// Another instance takes over, as after a trap or with a new version, and is opened at the last
    /// commit: what was given after it is lost and has to come again.
    ///
    /// # Errors
    /// What `init` and `open` say.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.instance = opened(&self.settings, self.committed.as_deref())?;
        self.given.clone_from(&self.committed);
        Ok(())
    }

    /// The instance itself.
    pub fn instance(&mut self) -> &mut T {
        &mut self.instance
    }
}

fn opened<T: Source>(settings: &Settings, cursor: Option<&[u8]>) -> Result<T, Error> {
    call(|| {
        let mut instance = T::init(settings)?;
        instance.open(cursor)?;
        Ok(instance)
    })
}
