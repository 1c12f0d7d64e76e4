//! A file channel that is driven, behind the contract of channels alone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use flumen_channel::file::{Beside, FileChannel, LOG_FOLDER};
use flumen_core::batch::EventBatch;
use flumen_core::channel::{
    Channel, Lease, PutError, PutPart, ReserveError, TakeError, TakeLimits,
};
use flumen_core::clock::SystemClock;
use flumen_core::name::ComponentName;
use flumen_core::settings::{Settings, Value};
use tokio::runtime::{Builder, Runtime};

use super::store::{PutOutcome, Seen};
use super::{Kind, Orders, SYNC_INTERVAL_MS};
use crate::body;
use crate::event::{Item, Opened, Place};

/// How long a take waits for a put: it is woken, so this only bounds how late it sees a stop.
pub(crate) const TAKE_WAIT: Duration = Duration::from_millis(20);

/// How long a take may need while a backlog is read from the disk. Only a failure takes it.
const LIST_WAIT: Duration = Duration::from_secs(20);

/// How long one of its tries waits: what it waits for may be found to be lost, and nobody wakes it then.
const LIST_STEP: Duration = Duration::from_millis(500);

/// Events of one put or take.
const TRANSACTION_EVENTS: i64 = 1_000;

/// Free space below which puts wait: the least that Flume allows.
const FREE_BYTES_MIN: i64 = 1 << 20;

/// An open channel.
pub(crate) struct Driven {
    pub(crate) channel: Arc<FileChannel>,
    pub(crate) opened: Opened,
    lost_told: Mutex<u64>,
}

/// Where a channel of this folder has its log.
pub(crate) fn log_folder(folder: &Path) -> PathBuf {
    folder.join(LOG_FOLDER)
}

/// What drives the futures of channels.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn runtime() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    Ok(builder.worker_threads(1).enable_time().build()?)
}

impl Driven {
    /// Opens a channel in this folder.
    ///
    /// # Errors
    /// When it does not open.
    pub(crate) fn open(orders: &Orders, folder: &Path, name: &str) -> Result<Driven> {
        let settings = settings(orders, folder);
        let name = ComponentName::new(name);
        let begin = Instant::now();
        let clock = Arc::new(SystemClock);
        let channel = FileChannel::open(&name, &settings, clock, Beside::Nothing)
            .map_err(|fault| anyhow::Error::msg(format!("{fault}")))?;
        let opened = Opened::of(channel.recovery(), begin.elapsed());
        Ok(Driven {
            channel: Arc::new(channel),
            opened,
            lost_told: Mutex::default(),
        })
    }

    /// Its part of a put.
    ///
    /// # Errors
    /// When the bodies are no batch.
    pub(crate) fn part(&self, bodies: &[Vec<u8>]) -> Result<PutPart> {
        let mut data = Vec::new();
        let mut ends = Vec::new();
        for body in bodies {
            data.extend_from_slice(body);
            ends.push(data.len() as u32);
        }
        let events = EventBatch::from_columns(data.into(), ends)?;
        let channel: Arc<dyn Channel> = Arc::<FileChannel>::clone(&self.channel);
        Ok(PutPart { channel, events })
    }

    /// Takes the oldest items.
    ///
    /// # Errors
    /// When the channel cannot be read.
    pub(crate) fn take(
        &self,
        runtime: &Runtime,
        most: usize,
        wait: Duration,
    ) -> Result<Option<(Vec<Item>, Lease)>> {
        let limits = TakeLimits {
            events: most,
            bytes: u64::MAX,
        };
        match runtime.block_on(self.channel.take(limits, wait)) {
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

    /// Shows all that waits, in order.
    ///
    /// # Errors
    /// Those of `seen`, or when the channel cannot be read.
    pub(crate) fn list(
        &self,
        runtime: &Runtime,
        seen: &mut dyn FnMut(Seen) -> Result<()>,
    ) -> Result<()> {
        let mut leases = Vec::new();
        let mut since = Instant::now();
        loop {
            let fill = self.channel.fill();
            if fill.events == fill.leased_events {
                break;
            }
            let taken = self.take(runtime, TRANSACTION_EVENTS as usize, LIST_STEP)?;
            let Some((items, lease)) = taken else {
                let waits = since.elapsed() < LIST_WAIT;
                ensure!(waits, "nothing can be taken of {fill:?}");
                continue;
            };
            since = Instant::now();
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

    /// Closes the channel, and waits until its log is closed, however long that takes.
    ///
    /// # Errors
    /// When it is not closed well.
    pub(crate) fn close(self, runtime: &Runtime) -> Result<()> {
        self.channel.close();
        let released = runtime.block_on(self.channel.release());
        released.map_err(|fault| anyhow::Error::msg(fault.to_string()))
    }

    /// What was found to be unreadable since this was last asked.
    pub(crate) fn lost(&self) -> Option<(u64, u64)> {
        let lost = self.channel.lost_events();
        let mut told = self.lost_told.lock().ok()?;
        let more = lost - std::mem::replace(&mut *told, lost);
        // The channel counts events, not frames.
        (more > 0).then_some((1, more))
    }
}

/// Ends a lease.
///
/// # Errors
/// When the items may come again.
pub(crate) fn acknowledge(runtime: &Runtime, held: Lease, kept: &[u32]) -> Result<()> {
    let outcome = match kept.is_empty() {
        true => runtime.block_on(held.ack()),
        false => runtime.block_on(held.ack_except(kept.to_vec())),
    };
    outcome.map_err(|fault| anyhow::Error::msg(fault.to_string()))
}

/// What became of a put.
pub(crate) fn outcome(put: Result<(), PutError>) -> PutOutcome {
    match put {
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

fn settings(orders: &Orders, folder: &Path) -> Settings {
    let number = |value: u64| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    let text = |text: &str| Value::Text(text.to_owned());
    let durability = match orders.kind {
        Kind::Interval => "interval",
        Kind::Os => "os",
        _ => "sync",
    };
    let acknowledge = match orders.kind.promises().acknowledged_us {
        Some(_) => "lazy",
        None => "strict",
    };
    Settings::new()
        .with("dataDirs", text(&folder.display().to_string()))
        .with("capacity", number(orders.capacity_events))
        .with("capacity_bytes", Value::Integer(1 << 32))
        .with("transactionCapacity", Value::Integer(TRANSACTION_EVENTS))
        .with("keep-alive", Value::Integer(0))
        .with("maxFileSize", number(orders.segment_bytes))
        .with("minimumRequiredSpace", Value::Integer(FREE_BYTES_MIN))
        .with("durability", text(durability))
        .with("sync_interval_ms", number(SYNC_INTERVAL_MS))
        .with("fsyncPerTransaction", Value::Boolean(true))
        .with("fsyncInterval", Value::Integer(5))
        .with("acknowledge", text(acknowledge))
}
