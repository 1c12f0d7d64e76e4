//! A source under test, its fake channels and its clients.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use flumen_core::channel::{PutError, ReserveError, SourceState};
use flumen_core::clock::SystemClock;
use flumen_core::future::BoxFuture;
use flumen_core::metric::SourceCounters;
use flumen_core::settings::{Settings, Value};
use flumen_core::source::{
    ChannelProcessor, Handover, ProcessError, ProcessFailure, Source, SourceContext,
    SourceInstance, StopReason, StopSignal,
};
use flumen_core::{EventBatch, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A bound on everything that a test waits for; only a broken test reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// What the fake channels do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    /// Take it.
    Open,
    /// Take so many events of each batch and refuse the rest.
    FullAfter(usize),
    /// Refuse it for good.
    TooSmall,
    /// Keep it waiting until this changes.
    Waiting,
    /// Panic.
    Defective,
}

/// Fake channels that keep what they took.
pub(super) struct FakeProcessor {
    pub(super) channels: watch::Sender<Channels>,
    pub(super) events: watch::Sender<Vec<Vec<u8>>>,
    /// Calls that have begun.
    pub(super) calls: watch::Sender<usize>,
}

impl FakeProcessor {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            channels: watch::Sender::new(Channels::Open),
            events: watch::Sender::new(Vec::new()),
            calls: watch::Sender::new(0),
        })
    }

    pub(super) async fn events(&self, count: usize) -> Vec<Vec<u8>> {
        let mut events = self.events.subscribe();
        let seen = events.wait_for(|events| events.len() >= count);
        soon("events", seen)
            .await
            .expect("the sender lives")
            .clone()
    }

    pub(super) async fn calls(&self, count: usize) {
        let mut calls = self.calls.subscribe();
        let seen = calls.wait_for(|calls| *calls >= count);
        drop(soon("calls", seen).await.expect("the sender lives"));
    }

    fn keep(&self, batch: &EventBatch) {
        self.events
            .send_modify(|events| events.extend(batch.bodies().map(<[u8]>::to_vec)));
    }
}

fn refusal(accepted: usize, error: ReserveError) -> ProcessError {
    ProcessError {
        accepted,
        cause: ProcessFailure::Put(PutError::Refused(error)),
    }
}

impl ChannelProcessor for FakeProcessor {
    fn process<'a>(
        &'a self,
        batch: EventBatch,
        _state: Option<SourceState>,
    ) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async move {
            self.calls.send_modify(|calls| *calls += 1);
            let mut channels = self.channels.subscribe();
            let now = *channels
                .wait_for(|channels| *channels != Channels::Waiting)
                .await
                .expect("the sender lives");
            match now {
                Channels::Open | Channels::Waiting => {
                    self.keep(&batch);
                    Ok(())
                }
                Channels::FullAfter(room) => {
                    self.keep(&batch.slice(0..room));
                    if batch.len() <= room {
                        return Ok(());
                    }
                    Err(refusal(
                        room,
                        ReserveError::Full {
                            channel: "c1".into(),
                            waited: Duration::ZERO,
                        },
                    ))
                }
                Channels::TooSmall => Err(refusal(
                    0,
                    ReserveError::TooLarge {
                        channel: "c1".into(),
                        reason: "more bytes than it holds".into(),
                    },
                )),
                Channels::Defective => panic!("a defect on purpose"),
            }
        })
    }

    fn transaction_events(&self) -> usize {
        100
    }
}

#[derive(Debug)]
struct FakeStop(watch::Sender<Option<StopReason>>);

impl StopSignal for FakeStop {
    fn stopped(&self) -> BoxFuture<'_, StopReason> {
        let mut reason = self.0.subscribe();
        Box::pin(async move {
            let reason = reason.wait_for(Option::is_some).await;
            reason
                .expect("the sender lives")
                .expect("there is a reason")
        })
    }

    fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }
}

pub(super) fn settings() -> Settings {
    Settings::new()
        .with("bind", Value::Text("127.0.0.1".into()))
        .with("port", Value::Integer(0))
        .with("max-line-length", Value::Integer(512))
        .with("ack-every-event", Value::Boolean(true))
        .with("encoding", Value::Text("utf-8".into()))
}

pub(super) fn make(settings: &Settings) -> Box<dyn Source> {
    match super::super::build(settings) {
        Ok(SourceInstance::EventDriven(source)) => source,
        Ok(_) => panic!("netcat is not polled"),
        Err(fault) => panic!("{fault}"),
    }
}

/// A source that runs.
pub(super) struct Running {
    pub(super) address: String,
    pub(super) processor: Arc<FakeProcessor>,
    pub(super) counters: Arc<SourceCounters>,
    pub(super) handover: Option<Handover>,
    stop: Arc<FakeStop>,
    run: JoinHandle<Result<(), Fault>>,
}

impl Running {
    pub(super) async fn start(settings: &Settings) -> Self {
        let source = Self::prepared(settings, None).await.expect("it binds");
        Self::run(source, FakeProcessor::new())
    }

    pub(super) async fn prepared(
        settings: &Settings,
        predecessor: Option<Handover>,
    ) -> Result<Box<dyn Source>, Fault> {
        let mut source = make(settings);
        source.prepare(predecessor).await.map(|()| source)
    }

    pub(super) fn run(mut source: Box<dyn Source>, processor: Arc<FakeProcessor>) -> Self {
        let stop = Arc::new(FakeStop(watch::Sender::new(None)));
        let counters = Arc::new(SourceCounters::default());
        let context = SourceContext {
            name: "r1".into(),
            processor: Arc::clone(&processor) as Arc<dyn ChannelProcessor>,
            stop: Arc::clone(&stop) as Arc<dyn StopSignal>,
            counters: Arc::clone(&counters),
            clock: Arc::new(SystemClock),
            state: None,
        };
        Self {
            address: source.address().expect("it is bound"),
            handover: source.handover(),
            processor,
            counters,
            stop,
            run: tokio::spawn(async move { source.run(context).await }),
        }
    }

    pub(super) fn tell(&self, reason: StopReason) {
        self.stop.0.send_replace(Some(reason));
    }

    pub(super) async fn ended(self) -> (Arc<FakeProcessor>, Arc<SourceCounters>) {
        let ended = soon("the end of the run", self.run).await;
        ended.expect("no panic").expect("no fault");
        (self.processor, self.counters)
    }

    pub(super) async fn fault(self) -> Fault {
        let ended = soon("the end of the run", self.run).await;
        ended.expect("no panic").expect_err("a fault")
    }

    pub(super) async fn stop(
        self,
        reason: StopReason,
    ) -> (Arc<FakeProcessor>, Arc<SourceCounters>) {
        self.tell(reason);
        self.ended().await
    }

    /// Hands over to a new instance as the agent does.
    pub(super) async fn replace(mut self, settings: &Settings) -> Self {
        let next = Self::prepared(settings, self.handover.take()).await;
        let next = next.expect("it takes over");
        let (processor, _) = self.stop(StopReason::HandOver).await;
        Self::run(next, processor)
    }

    pub(super) async fn client(&self) -> Client {
        let stream = TcpStream::connect(&self.address).await;
        Client(stream.expect("it listens"))
    }
}

pub(super) struct Client(pub(super) TcpStream);

impl Client {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.0.write_all(bytes.as_ref());
        soon("room to send", sent).await.expect("it reads");
    }

    /// Reads exactly these bytes.
    pub(super) async fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let mut found = vec![0; bytes.as_ref().len()];
        let read = self.0.read_exact(&mut found);
        soon("an answer", read).await.expect("it answers");
        assert_eq!(
            String::from_utf8_lossy(&found),
            String::from_utf8_lossy(bytes.as_ref())
        );
    }

    /// Reads until the source closes, and expects exactly this.
    pub(super) async fn expect_last(&mut self, text: &str) {
        let mut found = Vec::new();
        let read = self.0.read_to_end(&mut found);
        soon("the end", read).await.expect("a clean end");
        assert_eq!(String::from_utf8_lossy(&found), text);
    }

    pub(super) async fn half_close(&mut self) {
        self.0.shutdown().await.expect("it is open");
    }
}

pub(super) fn lines(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
