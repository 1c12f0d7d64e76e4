//! A channel to measure, and its puts and takes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_channel::file::{Beside, FileChannel};
use flumen_core::batch::{BatchBuilder, HeaderName};
use flumen_core::channel::{Channel, TakeLimits};
use flumen_core::clock::SystemClock;
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, EventBatch};

/// Bytes of a body, as the line of a log has them.
pub(crate) const BODY_BYTES: usize = 512;

pub(crate) const TAKE_LIMITS: TakeLimits = TakeLimits {
    events: 100,
    bytes: u64::MAX,
};

/// A wait that only a defect outlasts.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) strict: bool,
    pub(crate) segment_bytes: i64,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            strict: false,
            segment_bytes: 64 << 20,
        }
    }
}

pub(crate) fn channel(folder: &Path, setting: Setting) -> Arc<FileChannel> {
    std::fs::create_dir_all(folder).expect("a folder for the channel");
    let number = Value::Integer;
    let text = |text: &str| Value::Text(text.to_owned());
    let acknowledge = if setting.strict { "strict" } else { "lazy" };
    let settings = Settings::new()
        .with("dataDirs", text(folder.to_str().expect("a plain path")))
        .with("capacity", number(1 << 40))
        .with("capacity_bytes", number(1 << 50))
        .with("transactionCapacity", number(10_000))
        .with("keep-alive", number(60))
        .with("maxFileSize", number(setting.segment_bytes))
        .with("minimumRequiredSpace", number(1 << 20))
        .with("durability", text("sync"))
        .with("fsyncPerTransaction", Value::Boolean(true))
        .with("fsyncInterval", number(5))
        .with("acknowledge", text(acknowledge));
    let name = ComponentName::new("c1");
    let opened = FileChannel::open(&name, &settings, Arc::new(SystemClock), Beside::Nothing);
    Arc::new(opened.expect("a channel that opens"))
}

/// Events with the headers that most have.
pub(crate) fn batch(events: usize) -> EventBatch {
    sized(events, BODY_BYTES)
}

pub(crate) fn sized(events: usize, body_bytes: usize) -> EventBatch {
    let body = vec![0x5a; body_bytes];
    let [timestamp, host] =
        ["timestamp", "host"].map(|name| HeaderName::new(name).expect("a name"));
    let mut builder = BatchBuilder::new();
    for number in 0..events {
        let time = format!("17637360{:05}", number % 100_000);
        builder.push(&body).expect("a batch in bounds");
        builder.set_header(&timestamp, &time).expect("a header");
        builder
            .set_header(&host, "web-17.example.org")
            .expect("a header");
    }
    builder.finish().expect("a batch in bounds")
}

pub(crate) async fn put(channel: &FileChannel, batch: &EventBatch) {
    let permit = match channel.try_reserve(batch) {
        Ok(permit) => permit,
        Err(_) => channel.reserve(batch, LONG).await.expect("room"),
    };
    permit.commit(None).await.expect("a confirmed put");
}

pub(crate) async fn fill(channel: &FileChannel, events: u64, batch_events: usize) {
    let batch = batch(batch_events);
    for _ in 0..events / batch_events as u64 {
        put(channel, &batch).await;
    }
}

/// Takes so many events, 100 at a time.
pub(crate) async fn take(channel: &FileChannel, events: u64) -> (u64, Vec<Duration>) {
    let mut taken = 0;
    let mut latencies = Vec::new();
    while taken < events {
        let before = Instant::now();
        let lease = channel.take(TAKE_LIMITS, LONG).await.expect("events");
        taken += lease.len() as u64;
        lease.ack().await.expect("an acknowledgement");
        latencies.push(before.elapsed());
    }
    (taken, latencies)
}

/// Takes what comes until this time.
pub(crate) async fn take_until(channel: Arc<FileChannel>, end: Instant) {
    while Instant::now() < end {
        if let Ok(lease) = channel.take(TAKE_LIMITS, Duration::from_millis(1)).await {
            lease.ack().await.expect("an acknowledgement");
        }
    }
}

/// Empties the channel.
pub(crate) async fn drain(channel: &FileChannel) {
    let all = TakeLimits {
        events: usize::MAX,
        bytes: u64::MAX,
    };
    while channel.fill().events > 0 {
        let lease = channel.take(all, LONG).await.expect("events");
        lease.ack().await.expect("an acknowledgement");
    }
}

/// Takes once and gives back: until then what waits has not been read.
pub(crate) async fn take_and_give_back(channel: &FileChannel) {
    channel
        .take(TAKE_LIMITS, LONG)
        .await
        .expect("events")
        .give_back();
}
