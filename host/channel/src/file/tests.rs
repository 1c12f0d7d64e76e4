//! The suite of the contract, and what only this channel promises.

mod backlog;
mod change;
mod contract;
mod crash;
mod format;
mod image;
mod model;
mod restart;
mod rig;
mod sealed;
mod several;
mod unreadable;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flumen_core::channel::{Channel, ChannelLimits, PutPart, TakeLimits, put_all};
use flumen_core::clock::ManualClock;
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, EventBatch};
use tempfile::TempDir;

use super::payload::Record;
use super::put::Granted;
use super::state::Bodies;
use super::{Beside, FileChannel};
use crate::bounded::Room;

/// Settings with small segments and without a wait for the disk.
fn settings(folder: &Path) -> Settings {
    let number = Value::Integer;
    let text = |text: &str| Value::Text(text.to_owned());
    Settings::new()
        .with("dataDirs", text(folder.to_str().unwrap()))
        .with("capacity", number(1_000_000))
        .with("capacity_bytes", number(1 << 40))
        .with("transactionCapacity", number(10_000))
        .with("keep-alive", number(0))
        .with("maxFileSize", number(64 * 1024))
        .with("minimumRequiredSpace", number(1 << 20))
        .with("durability", text("os"))
        .with("fsyncPerTransaction", Value::Boolean(true))
        .with("fsyncInterval", number(5))
        .with("acknowledge", text("lazy"))
}

fn with_limits(settings: Settings, limits: ChannelLimits) -> Settings {
    let number = |value: u64| Value::Integer(value.try_into().unwrap());
    settings
        .with("capacity", number(limits.capacity_events))
        .with("capacity_bytes", number(limits.capacity_bytes))
        .with(
            "transactionCapacity",
            number(limits.transaction_events as u64),
        )
        .with("keep-alive", number(limits.keep_alive.as_secs()))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(5000))
}

fn open(settings: &Settings) -> Arc<FileChannel> {
    Arc::new(try_open(settings).unwrap())
}

fn try_open(settings: &Settings) -> Result<FileChannel, flumen_core::Fault> {
    FileChannel::open(
        &ComponentName::new("c1"),
        settings,
        clock(),
        Beside::Nothing,
    )
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Events whose bodies are these numbers, each with that many bytes behind it.
fn events(numbers: std::ops::Range<u64>, more: usize) -> EventBatch {
    let mut data = Vec::new();
    let mut ends = Vec::new();
    for number in numbers {
        data.extend_from_slice(format!("{number:08}").as_bytes());
        data.resize(data.len() + more, b'.');
        ends.push(data.len() as u32);
    }
    EventBatch::from_columns(data.into(), ends).unwrap()
}

async fn put(channel: &Arc<FileChannel>, events: EventBatch) {
    let part = PutPart {
        channel: Arc::clone(channel) as Arc<dyn Channel>,
        events,
    };
    put_all(&[part], None).await.unwrap();
}

/// Puts events with a record, past the contract.
async fn put_with(
    channel: &Arc<FileChannel>,
    events: EventBatch,
    record: Option<Record>,
) -> Result<(), flumen_core::Fault> {
    granted(channel, &events)
        .ok_or_else(full)?
        .commit(record)
        .await
}

/// Room for these events, when there is some.
fn granted(channel: &Arc<FileChannel>, events: &EventBatch) -> Option<Granted> {
    let need = Room::of::<Bodies>(events);
    let reserved = channel
        .owner
        .core()
        .with(|state, _| state.accounts.try_reserve(need));
    reserved.ok().map(|()| channel.granted(need, events))
}

fn full() -> flumen_core::Fault {
    flumen_core::Fault::transient(flumen_core::Side::Machine, "no room")
}

fn record(generation: u64, bytes: &[u8]) -> Record {
    Record {
        generation,
        decider: None,
        bytes: Arc::from(bytes),
    }
}

fn at_most(events: usize) -> TakeLimits {
    TakeLimits {
        events,
        bytes: u64::MAX,
    }
}

/// A wait that only a defect outlasts.
const LONG: Duration = Duration::from_secs(20);

/// Sequences and numbers of a lease.
fn seen(lease: &flumen_core::channel::Lease) -> Vec<(u64, u64)> {
    let mut seen = Vec::new();
    for segment in lease.segments() {
        for (sequence, body) in (segment.first_sequence..).zip(segment.events.bodies()) {
            let number = std::str::from_utf8(&body[..8]).unwrap().parse().unwrap();
            seen.push((sequence, number));
        }
    }
    seen
}

/// Takes and acknowledges all that is in the channel.
async fn drain(channel: &Arc<FileChannel>) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    while channel.fill().events > 0 {
        let lease = channel.take(at_most(1000), LONG).await.unwrap();
        all.extend(seen(&lease));
        lease.ack().await.unwrap();
    }
    all
}
