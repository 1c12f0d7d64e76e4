//! The file channel as a store, behind the contract of channels alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use flumen_channel::file::{Beside, FileChannel};
use flumen_core::batch::EventBatch;
use flumen_core::channel::{
    Channel, Lease, PutError, PutPart, ReserveError, TakeError, TakeLimits, put_all,
};
use flumen_core::clock::SystemClock;
use flumen_core::name::ComponentName;
use flumen_core::settings::{Settings, Value};
use tokio::runtime::{Builder, Runtime};

use super::Orders;
use super::store::{Batch, PutOutcome, Seen, Store};
use crate::body;
use crate::event::{Item, Opened, Place};

/// How long a take waits for a put: it is woken, so this only bounds how late it sees a stop.
const TAKE_WAIT: Duration = Duration::from_millis(20);

/// How long a take may need while a backlog is read from the disk. Only a failure takes it.
const LIST_WAIT: Duration = Duration::from_secs(20);

/// Events of one put or take.
const TRANSACTION_EVENTS: i64 = 1_000;

/// Free space below which puts wait: the least that Flume allows.
const FREE_BYTES_MIN: i64 = 1 << 20;

/// The channel, and what drives its futures.
pub(crate) struct ChannelStore {
    // Before the runtime, which its last tasks need.
    channel: Arc<FileChannel>,
    runtime: Runtime,
    opened: Opened,
    lost_told: std::sync::Mutex<u64>,
}

impl ChannelStore {
    pub(crate) fn open(orders: &Orders) -> Result<ChannelStore> {
        let folder = orders.folder.display().to_string();
        let number = |value: u64| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        let text = |text: &str| Value::Text(text.to_owned());
        let settings = Settings::new()
            .with("dataDirs", text(&folder))
            .with("capacity", number(orders.capacity_events))
            .with("capacity_bytes", Value::Integer(1 << 32))
            .with("transactionCapacity", Value::Integer(TRANSACTION_EVENTS))
            .with("keep-alive", Value::Integer(0))
            .with("maxFileSize", number(orders.segment_bytes))
            .with("minimumRequiredSpace", Value::Integer(FREE_BYTES_MIN))
            .with("durability", text("sync"))
            .with("fsyncPerTransaction", Value::Boolean(true))
            .with("fsyncInterval", Value::Integer(5))
            .with("acknowledge", text("strict"));
        let name = ComponentName::new("c1");
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()?;
        let begin = Instant::now();
        let clock = Arc::new(SystemClock);
        let channel = FileChannel::open(&name, &settings, clock, Beside::Nothing)
            .map_err(|fault| anyhow::Error::msg(format!("{fault}")))?;
        let elapsed_us = begin.elapsed().as_micros() as u64;
        let recovery = channel.recovery();
        let opened = Opened {
            pending_items: recovery.pending_items,
            lost_frames: recovery.quarantined_frames,
            lost_items: recovery.quarantined_items,
            damaged_snapshots: recovery.damaged_snapshots,
            missing_segments: recovery.missing_segments,
            without_snapshot: u64::from(recovery.without_snapshot),
            scanned_bytes: recovery.scanned_bytes,
            elapsed_us,
        };
        Ok(ChannelStore {
            channel: Arc::new(channel),
            runtime,
            opened,
            lost_told: std::sync::Mutex::default(),
        })
    }

    fn take_for(&self, most: usize, wait: Duration) -> Result<Option<(Vec<Item>, Lease)>> {
        let limits = TakeLimits {
            events: most,
            bytes: u64::MAX,
        };
        match self.runtime.block_on(self.channel.take(limits, wait)) {
            Ok(lease) => {
                let bodies = lease.segments().iter().flat_map(|s| s.events.bodies());
                let items = bodies.map(body::read).collect();
                Ok(Some((items, lease)))
            }
            Err(TakeError::Empty) => Ok(None),
            Err(TakeError::Closed) => bail!("the channel is closed"),
            Err(TakeError::Failed(fault)) => bail!("{fault}"),
        }
    }
}

impl Store for ChannelStore {
    type Held = Lease;

    fn opened(&self) -> Opened {
        self.opened
    }

    fn cursors(&self) -> Option<BTreeMap<u32, u64>> {
        None
    }

    fn list(&self, seen: &mut dyn FnMut(Seen) -> Result<()>) -> Result<()> {
        let mut leases = Vec::new();
        loop {
            let fill = self.channel.fill();
            if fill.events == fill.leased_events {
                break;
            }
            let Some((items, lease)) = self.take_for(TRANSACTION_EVENTS as usize, LIST_WAIT)?
            else {
                // What was waited for may have been found to be lost meanwhile.
                let now = self.channel.fill();
                ensure!(now != fill, "nothing can be taken of {fill:?}");
                continue;
            };
            items
                .into_iter()
                .try_for_each(|item| seen(Seen::Item(item)))?;
            leases.push(lease);
        }
        if let Some((frames, items)) = self.lost() {
            seen(Seen::Lost { frames, items })?;
        }
        leases.into_iter().for_each(Lease::give_back);
        Ok(())
    }

    fn put(&self, batch: &Batch) -> PutOutcome {
        let mut data = Vec::new();
        let mut ends = Vec::new();
        for body in &batch.bodies {
            data.extend_from_slice(body);
            ends.push(data.len() as u32);
        }
        let events = match EventBatch::from_columns(data.into(), ends) {
            Ok(events) => events,
            Err(error) => return PutOutcome::Failed(error.to_string()),
        };
        let channel: Arc<dyn Channel> = Arc::<FileChannel>::clone(&self.channel);
        let part = PutPart { channel, events };
        match self.runtime.block_on(put_all(&[part], None)) {
            Ok(()) => PutOutcome::Confirmed(Place::default()),
            Err(PutError::Refused(ReserveError::Full { .. })) => PutOutcome::Full,
            Err(PutError::Refused(refused)) => PutOutcome::Failed(refused.to_string()),
            // The contract has no word for a log that is full at the commit; nothing is put then.
            Err(PutError::CommitFailed { fault, .. }) if fault.message().contains("no space") => {
                PutOutcome::Full
            }
            Err(failed) => PutOutcome::Unknown(failed.to_string()),
        }
    }

    fn take(&self, most: usize) -> Result<Option<(Vec<Item>, Lease)>> {
        self.take_for(most, TAKE_WAIT)
    }

    fn lost(&self) -> Option<(u64, u64)> {
        let lost = self.channel.lost_events();
        let mut told = self.lost_told.lock().ok()?;
        let more = lost - std::mem::replace(&mut *told, lost);
        // The channel counts events, not frames.
        (more > 0).then_some((1, more))
    }

    fn acknowledge(&self, held: Lease, kept: &[u32]) -> Result<()> {
        let outcome = match kept.is_empty() {
            true => self.runtime.block_on(held.ack()),
            false => self.runtime.block_on(held.ack_except(kept.to_vec())),
        };
        outcome.map_err(|fault| anyhow::Error::msg(fault.to_string()))
    }

    fn give_back(&self, held: Lease) {
        held.give_back();
    }

    fn close(self) {
        self.channel.close();
    }
}
