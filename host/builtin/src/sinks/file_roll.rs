//! `file_roll`: writes events to files in one directory and begins a new file every interval.
//!
//! # Guarantees
//! * `Delivered` means that every byte of the events has gone to the system (`write` has returned):
//!   nothing is held in the agent, so the events survive the end of the agent, by `kill -9` too.
//!   They survive the end of the machine once their file has been rolled.
//! * A rolled file, one behind which a newer one exists, is never written again. It is synced, and
//!   then its directory, on a thread of its own, so that delivery goes on meanwhile; at most one
//!   file is being synced. A stop ends only when the last file is synced.
//! * When a sync fails, the next tick reports it once with the name of the file, which may then be
//!   incomplete after the machine's end. It is not tried again: a second sync would succeed without
//!   having saved anything.
//! * A file is never overwritten. A name that is taken is passed over.
//! * When a write fails half way (disk full), the file is cut back to what it was, so that the same
//!   events, delivered again, do not stand in it twice. When even that fails, the fault says so and
//!   the next delivery begins a new file.
//! * An event is never lost, and may be written twice: when the agent drops a delivery at its
//!   deadline after it went out, or ends between the write and the acknowledgement of a channel
//!   that outlives it. After a `kill -9` in the middle of a write the last file may end in a part of
//!   an event.
//!
//! # Limits
//! One thread that writes and at most one that syncs; at most `DELIVERY_BYTES_MAX` bytes of
//! bodies in one delivery; `GATHER_BYTES` of buffer while a delivery is written.

mod names;
mod roller;
mod store;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flumen_core::channel::{Segment, TakeLimits};
use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::sink::{Outcome, Sink, SinkContext};
use flumen_core::{BoxFuture, Fault};
use tokio::time::Instant;

use self::names::{FileNames, Stamp};
use self::roller::Roller;
use self::store::{Disk, FileStore};
use self::writer::{Job, Writer};
use crate::serializers;

/// Bytes of bodies in one delivery. Large enough that the cost of a delivery does not show next to
/// the copy into the page cache, small enough for what is under lease to stay in the cache.
const DELIVERY_BYTES_MAX: u64 = 8 << 20;

/// The options of `file_roll`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "file_roll",
    aliases: &["org.apache.flume.sink.RollingFileSink"],
    doc: "Writes events to files in one directory and begins a new file every interval.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "sink.directory",
            ValueKind::Text,
            Required,
            "The directory, which exists and which the agent may write to.",
        ),
        OptionRow::new(
            "sink.rollInterval",
            ValueKind::Integer {
                min: 0,
                max: i64::MAX,
            },
            Is("30"),
            "Time after which a new file is begun, also when the last one is empty; 0 for never.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "sink.batchSize",
            ValueKind::Integer {
                min: 1,
                max: i32::MAX as i64,
            },
            Is("100"),
            "Events in one take.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "sink.serializer",
            ValueKind::Component(ComponentKind::EventSerializer),
            Is("TEXT"),
            "How events become bytes.",
        ),
        OptionRow::new(
            "sink.pathManager",
            ValueKind::Component(ComponentKind::PathManager),
            Is("DEFAULT"),
            "How files are named.",
        ),
    ],
};

const PREFIX: OptionRow = OptionRow::new(
    "prefix",
    ValueKind::Text,
    Is(""),
    "What the name of a file begins with.",
);

const EXTENSION: OptionRow = OptionRow::new(
    "extension",
    ValueKind::Text,
    Absent,
    "What the name of a file ends with, behind a dot.",
);

static DEFAULT: ComponentRow = ComponentRow {
    kind: ComponentKind::PathManager,
    name: "DEFAULT",
    aliases: &["org.apache.flume.formatter.output.DefaultPathManager$Builder"],
    doc: "Names files by the time at which the sink started, in milliseconds since 1970, and a \
        number from 1: prefix, time, a hyphen, number, extension.",
    support: Support::Built,
    options: &[PREFIX, EXTENSION],
};

static ROLL_TIME: ComponentRow = ComponentRow {
    kind: ComponentKind::PathManager,
    name: "ROLLTIME",
    aliases: &["org.apache.flume.formatter.output.RollTimePathManager$Builder"],
    doc: "Names files by the local time at which they were begun (yyyyMMddHHmmss) and a number \
        from 1 within that second: prefix, time, a hyphen, number, extension.",
    support: Support::Built,
    options: &[PREFIX, EXTENSION],
};

/// The rows of the path managers, which name the files.
pub fn path_manager_rows() -> impl Iterator<Item = &'static ComponentRow> {
    [&DEFAULT, &ROLL_TIME].into_iter()
}

/// Makes a `file_roll` sink.
pub(super) fn build(settings: &Settings) -> Result<Box<dyn Sink>, Fault> {
    Ok(Box::new(from_settings(settings)?))
}

fn from_settings(settings: &Settings) -> Result<FileRoll, Fault> {
    // Made once more for every start; here so that a bad one is refused before anything runs.
    serializers::build(
        settings.text("sink.serializer")?,
        &settings.nested("sink.serializer."),
    )?;
    let names = settings.nested("sink.pathManager.");
    let stamp = match settings.text("sink.pathManager")? {
        name if DEFAULT.is_called(name) => Stamp::Start,
        name if ROLL_TIME.is_called(name) => Stamp::Roll,
        other => {
            return Err(Fault::configuration(format!(
                "no path manager {other:?} is built"
            )));
        }
    };
    Ok(FileRoll {
        directory: settings.text("sink.directory")?.into(),
        interval: Duration::from_secs(settings.number("sink.rollInterval")?),
        batch_events: settings.number("sink.batchSize")?,
        names: FileNames::new(
            stamp,
            names.text("prefix")?,
            names.optional_text("extension")?.unwrap_or_default(),
        ),
        settings: settings.clone(),
        store: Arc::new(Disk),
        running: None,
    })
}

struct FileRoll {
    directory: PathBuf,
    /// Zero for never.
    interval: Duration,
    batch_events: usize,
    names: FileNames,
    settings: Settings,
    store: Arc<dyn FileStore>,
    running: Option<Running>,
}

struct Running {
    writer: Writer,
    since: Instant,
}

impl FileRoll {
    async fn open(&mut self, context: SinkContext) -> Result<(), Fault> {
        // Started again without a stop, after a fault of a tick: the old files are closed first.
        self.close().await?;
        let serializer = serializers::build(
            self.settings.text("sink.serializer")?,
            &self.settings.nested("sink.serializer."),
        )?;
        let name = context.name.clone();
        let names = self.names.started_at(context.clock.now_ms());
        let store = Arc::clone(&self.store);
        let roller = Roller::new(self.directory.clone(), names, store, serializer, context);
        let writer = Writer::spawn(&name, roller)?;
        writer.call(Job::Open).await?;
        self.running = Some(Running {
            writer,
            since: Instant::now(),
        });
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Fault> {
        match self.running.take() {
            Some(running) => running.writer.call(Job::Close).await,
            None => Ok(()),
        }
    }

    async fn call(&self, job: impl FnOnce(u64) -> Job) -> Result<(), Fault> {
        let Some(running) = &self.running else {
            return Err(writer::not_running());
        };
        let intervals = self.intervals(running.since.elapsed());
        running.writer.call(job(intervals)).await
    }

    /// How many intervals have passed: the files that are due are counted, not timed one by one,
    /// so that no call that was dropped takes a roll with it.
    fn intervals(&self, elapsed: Duration) -> u64 {
        let passed = elapsed.as_nanos().checked_div(self.interval.as_nanos());
        u64::try_from(passed.unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

impl Sink for FileRoll {
    fn demand(&self) -> TakeLimits {
        TakeLimits {
            events: self.batch_events,
            bytes: DELIVERY_BYTES_MAX,
        }
    }

    fn start(&mut self, context: SinkContext) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.open(context))
    }

    fn deliver<'a>(&'a mut self, events: &'a [Segment]) -> BoxFuture<'a, Result<Outcome, Fault>> {
        let events = events.iter().map(|segment| segment.events.clone());
        let events = events.collect();
        Box::pin(async move {
            self.call(|intervals| Job::Write { intervals, events })
                .await?;
            Ok(Outcome::Delivered)
        })
    }

    /// Nothing is buffered.
    fn flush(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        flumen_core::future::ready(Ok(()))
    }

    fn tick(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.call(|intervals| Job::Tick { intervals }))
    }

    fn stop(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.close())
    }
}

#[cfg(test)]
mod tests;
