//! Sources that are ended in the middle of a commit.

use flumen_core::channel::{ChannelFill, ChannelLimits, Lease, Permit, ReserveError, TakeError};
use flumen_core::metric::ChannelCounters;
use flumen_core::state::StateRecord;
use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::*;

/// A memory channel whose commits take as long as the test wants.
struct Gated {
    inner: Arc<dyn Channel>,
    open: watch::Sender<bool>,
    /// Commits that have begun.
    begun: watch::Sender<usize>,
}

impl Gated {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: memory_channel(100),
            open: watch::Sender::new(false),
            begun: watch::Sender::new(0),
        })
    }

    async fn begins(&self) {
        let mut begun = self.begun.subscribe();
        let reached = begun.wait_for(|begun| *begun > 0);
        let reached = tokio::time::timeout(DEADLINE, reached).await;
        reached.expect("in time").expect("a sender that is there");
    }
}

struct GatedPermit {
    inner: Box<dyn Permit>,
    open: watch::Receiver<bool>,
    begun: watch::Sender<usize>,
}

impl Permit for GatedPermit {
    fn commit(
        self: Box<Self>,
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        let mut own = *self;
        own.begun.send_modify(|begun| *begun += 1);
        Box::pin(async move {
            own.open.wait_for(|open| *open).await.expect("the test");
            own.inner.commit(record).await
        })
    }
}

impl Channel for Gated {
    fn name(&self) -> &ComponentName {
        self.inner.name()
    }

    fn limits(&self) -> ChannelLimits {
        self.inner.limits()
    }

    fn fill(&self) -> ChannelFill {
        self.inner.fill()
    }

    fn counters(&self) -> &Arc<ChannelCounters> {
        self.inner.counters()
    }

    fn try_reserve(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError> {
        Ok(Box::new(GatedPermit {
            inner: self.inner.try_reserve(batch)?,
            open: self.open.subscribe(),
            begun: self.begun.clone(),
        }))
    }

    fn reserve<'a>(
        &'a self,
        batch: &'a EventBatch,
        _wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Permit>, ReserveError>> {
        flumen_core::future::ready(self.try_reserve(batch))
    }

    fn take(&self, limits: TakeLimits, wait: Duration) -> BoxFuture<'_, Result<Lease, TakeError>> {
        self.inner.take(limits, wait)
    }

    fn close(&self) {
        self.inner.close();
    }

    fn reconfigure(&self, settings: &Settings) -> Result<bool, Fault> {
        self.inner.reconfigure(settings)
    }
}

fn counting() -> MakeSource {
    Arc::new(|| {
        let source = Box::new(Counting {
            next: 0,
            acknowledged: Arc::default(),
            opened_at: Arc::default(),
        });
        let states = StateFolder::new(None);
        Ok(Box::new(PolledDriver::new(
            source,
            PollBackOff::default(),
            states,
        )))
    })
}

/// Until the source was aborted, and its commit goes on without it.
async fn is_aborted(processor: &Processor) {
    let aborted = async {
        while processor.settled().now_or_never().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, aborted)
        .await
        .expect("aborted in time");
}

/// A source that was aborted in the middle of a commit, and the parts of its successor.
async fn aborted(gated: &Arc<Gated>) -> (tokio::task::JoinHandle<bool>, SourceParts) {
    let channel: Arc<dyn Channel> = Arc::clone(gated) as Arc<dyn Channel>;
    let first = parts(counting(), &channel);
    let second = first.clone();
    let task = SourceTask::spawn(first, None);
    gated.begins().await;
    // No time at all to end well, so it is aborted; its commit goes on, and its end waits for that.
    let ending = tokio::spawn(task.end(StopReason::Drain, Duration::ZERO));
    is_aborted(&second.processor).await;
    (ending, second)
}

#[tokio::test]
async fn a_commit_that_has_begun_is_not_given_up_with_its_source() {
    let gated = Gated::new();
    let channel: Arc<dyn Channel> = Arc::clone(&gated) as Arc<dyn Channel>;
    let (ended, second) = aborted(&gated).await;
    let successor = SourceTask::spawn(second, None);
    gated.open.send_replace(true);
    assert!(!ended.await.expect("an end"));

    // Nothing twice, nothing left out.
    let mut bodies = Vec::new();
    while bodies.len() < 20 {
        bodies.extend(take_bodies(&channel).await);
    }
    successor.tell(StopReason::Drain);
    let (ended, rest) = tokio::join!(
        successor.end(StopReason::Drain, DEADLINE),
        drained(&channel)
    );
    assert!(ended);
    bodies.extend(rest);
    let wanted: Vec<String> = (0..bodies.len()).map(|number| number.to_string()).collect();
    assert_eq!(bodies, wanted);
}

#[tokio::test]
async fn a_successor_that_is_stopped_does_not_wait_for_a_commit() {
    let gated = Gated::new();
    let channel: Arc<dyn Channel> = Arc::clone(&gated) as Arc<dyn Channel>;
    let (ending, second) = aborted(&gated).await;
    let successor = SourceTask::spawn(second, None);
    assert!(successor.end(StopReason::Drain, DEADLINE).await);
    gated.open.send_replace(true);
    assert!(!ending.await.expect("an end"));
    assert_eq!(take_bodies(&channel).await, ["0"]);
}
