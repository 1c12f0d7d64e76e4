//! A channel that keeps what is put, and fails when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flumen_core::channel::{
    Channel, ChannelFill, ChannelLimits, Lease, Permit, ReserveError, TakeError, TakeLimits,
};
use flumen_core::metric::ChannelCounters;
use flumen_core::settings::Settings;
use flumen_core::state::StateRecord;
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault};

/// What was put, as lines.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) lines: Vec<String>,
    pub(super) puts: usize,
}

pub(super) struct Recorder {
    name: ComponentName,
    transaction_events: usize,
    counters: Arc<ChannelCounters>,
    kept: Arc<Mutex<Kept>>,
    /// How many puts go through.
    puts_left: AtomicU64,
}

impl Recorder {
    pub(super) fn new(transaction_events: usize) -> Arc<Self> {
        Arc::new(Self {
            name: ComponentName::new("c1"),
            transaction_events,
            counters: Arc::default(),
            kept: Arc::default(),
            puts_left: AtomicU64::new(u64::MAX),
        })
    }

    pub(super) fn fail_after(&self, puts: u64) {
        self.puts_left.store(puts, Ordering::Relaxed);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.kept.lock().unwrap().lines.clone()
    }

    pub(super) fn puts(&self) -> usize {
        self.kept.lock().unwrap().puts
    }
}

struct Place {
    batch: EventBatch,
    kept: Arc<Mutex<Kept>>,
}

impl Permit for Place {
    fn commit(
        self: Box<Self>,
        _record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        let mut kept = self.kept.lock().unwrap();
        kept.puts += 1;
        kept.lines.extend(super::lines_of(&self.batch));
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Channel for Recorder {
    fn name(&self) -> &ComponentName {
        &self.name
    }

    fn limits(&self) -> ChannelLimits {
        ChannelLimits {
            capacity_events: u64::MAX,
            capacity_bytes: u64::MAX,
            transaction_events: self.transaction_events,
            keep_alive: Duration::ZERO,
        }
    }

    fn fill(&self) -> ChannelFill {
        ChannelFill::default()
    }

    fn counters(&self) -> &Arc<ChannelCounters> {
        &self.counters
    }

    fn try_reserve(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError> {
        assert!(batch.len() <= self.transaction_events);
        let left = self.puts_left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(ReserveError::Full {
                channel: self.name.clone(),
                waited: Duration::ZERO,
            });
        }
        self.puts_left.store(left - 1, Ordering::Relaxed);
        Ok(Box::new(Place {
            batch: batch.clone(),
            kept: Arc::clone(&self.kept),
        }))
    }

    fn reserve<'a>(
        &'a self,
        batch: &'a EventBatch,
        _wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Permit>, ReserveError>> {
        Box::pin(std::future::ready(self.try_reserve(batch)))
    }

    fn take(&self, _: TakeLimits, _: Duration) -> BoxFuture<'_, Result<Lease, TakeError>> {
        Box::pin(std::future::ready(Err(TakeError::Empty)))
    }

    fn close(&self) {}

    fn reconfigure(&self, _: &Settings) -> Result<bool, Fault> {
        Ok(true)
    }
}
