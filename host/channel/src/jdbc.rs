//! The SQL channel, Flume's `jdbc`: events in a table of an embedded SQLite database, for people who
//! want to look into their queue with a SQL tool.
//!
//! Guarantees
//! * The contract of [`flumen_core::channel::Channel`], each promise of which the conformance suite
//!   checks.
//! * What a put or an acknowledgement confirmed is on the disk. Puts and acknowledgements that come
//!   while the disk is busy are written together, in one transaction with one sync.
//! * Events, the states of components that come with them, and the counts are in one transaction.
//! * After a restart exactly the events that were not acknowledged are there, in order, with their
//!   sequences. Opening reads a handful of rows, whatever waits.
//! * Other tools may read at any time and hold nobody up. One that writes makes puts and
//!   acknowledgements wait, up to [`BUSY_WAIT`]; takes go on.
//! * Memory: 16 MiB of events and twice SQLite's cache of 8 MiB, whatever waits in the database, and
//!   what is under lease.
//!
//! Not guaranteed
//! * How often an event was delivered before a restart is forgotten with it.
//! * Damage within a body goes unnoticed, as SQLite keeps no checksums. Rows that cannot be read
//!   stay in the database, are told in the log, and are in nobody's way.
//! * The file does not shrink: pages of acknowledged events are used again.
//!
//! Limits: an event of 10^9 bytes; 2^63 events ever.
//!
//! ```text
//! jdbc       the channel as the contract wants it
//! shared     the lock, the threads, and guards for room, waits and leases
//! ends       permits and leases as the contract wants them
//! state      what is in memory and what is not, a plain value
//! writer     the thread that writes, in groups
//! reader     the thread that reads the backlog
//! store      what one transaction writes
//! page       what one read finds
//! prepared   puts that another channel decides
//! records    what is kept for the agent
//! headers    headers as JSON
//! schema     the tables
//! options    Flume's options, and where the database is
//! ```

mod ends;
mod headers;
mod options;
mod page;
mod prepared;
mod reader;
mod records;
mod schema;
mod shared;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use flumen_clients::sqlite::{DatabaseFile, Failure, SqliteError, Worker};
use flumen_core::channel::{
    Channel, ChannelFill, ChannelLimits, Lease, Permit, ReserveError, TakeError, TakeLimits,
};
use flumen_core::clock::Clock;
use flumen_core::metric::ChannelCounters;
use flumen_core::settings::Settings;
use flumen_core::state::Recovered;
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, Side};

pub use options::ROW;

use crate::bounded::{Nothing, Refusal, Room, RoomWait, TimeLimit};
use crate::change::Change;
use ends::{Done, lease, permit};
use options::Options;
use reader::{ReadJob, Reader};
use records::Records;
use shared::{EventWait, Held, Inner, Shared, Space};
use state::{Backlog, BodyBytes, MEMORY_BYTES_MAX, NotTaken, State};
use store::{FoundRecord, Prepared, Store};
use writer::{GROUP_JOBS_MAX, Job, Writer};

/// The longest wait of a transaction for another process that writes to the database. Longer than a
/// statement that somebody types and runs; a transaction that stays open is told to the operator.
pub const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Bytes of the bodies and headers of one event that SQLite surely takes: its bound is 10^9 for a
/// row, and a header of control characters is six times as long in JSON.
const EVENT_BYTES_MAX: u64 = 150_000_000;

/// Opens the SQL channel, and makes its database when there is none. Blocks on the disk.
///
/// # Errors
/// A configuration fault when the settings point to a foreign database, or when the file is in use,
/// foreign, newer or out of reach; a transient one when the disk fails or is full.
pub fn build(
    name: &ComponentName,
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    let options = Options::read(name, settings)?;
    let opened = open(name, options, clock, Scale::default())?;
    Ok(Arc::new(opened))
}

/// How a channel of the first settings gets the second. Touches no file.
///
/// # Errors
/// A configuration fault when settings point to a foreign database.
pub fn change(name: &ComponentName, old: &Settings, new: &Settings) -> Result<Change, Fault> {
    let same = Options::read(name, old)?.path == Options::read(name, new)?.path;
    Ok(match same {
        true => Change::InPlace,
        false => Change::NewChannel,
    })
}

/// Bounds that tests make small.
#[derive(Clone, Copy, Debug)]
struct Scale {
    memory_bytes_max: u64,
    busy_wait: Duration,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            memory_bytes_max: MEMORY_BYTES_MAX,
            busy_wait: BUSY_WAIT,
        }
    }
}

fn open(
    name: &ComponentName,
    options: Options,
    clock: Arc<dyn Clock>,
    scale: Scale,
) -> Result<SqlChannel, Fault> {
    options.refuse_to_pass_over_derby(name)?;
    let path = options.path.clone();
    let file = DatabaseFile::take(&path, schema::SCHEMA, options.create, scale.busy_wait)
        .map_err(|error| opening_fault(name, error))?;
    let folder = file
        .path()
        .parent()
        .map_or_else(PathBuf::new, PathBuf::from);
    // The file belongs to the two connections from here on.
    let open = move || -> Result<_, SqliteError> {
        let (store, first) = Store::open(file.connect()?)?;
        let database = file.connect()?;
        let acknowledged = store::acknowledged(&database)?;
        let found = store.records()?;
        Ok((store, first, database, acknowledged, found))
    };
    let (store, first, database, acknowledged, found) =
        open().map_err(|error| opening_fault(name, error))?;
    let counts = store.counts();
    let backlog = first.map(|from| Backlog {
        from,
        to: counts.next_sequence,
        room: counts.room,
    });
    let mut state = State::new(options.bounds, backlog, scale.memory_bytes_max);
    for prepared in found.iter().filter_map(FoundRecord::prepared_events) {
        state.prepared_found(prepared.0, prepared.1);
    }
    let inner = Arc::new(Inner::new(
        name.clone(),
        state,
        clock,
        Space::new(folder, options.free_bytes_min),
        Records::found(counts.forgotten, found),
    ));
    inner.counters.start_time.set(now_ms(&*inner.clock));
    let writer = Writer {
        inner: Arc::clone(&inner),
        store: Some(store),
    };
    let reader = Reader {
        inner,
        database: Some(database),
        acknowledged,
        unreadable: 0,
    };
    let shared = start(writer, reader).map_err(|error| {
        let message = format!("channel {name}: no thread could be started");
        Fault::transient(Side::Machine, message).with_cause(error)
    })?;
    Ok(SqlChannel {
        shared: Arc::new(shared),
        path,
    })
}

fn start(mut writer: Writer, mut reader: Reader) -> io::Result<Shared> {
    let inner = Arc::clone(&writer.inner);
    // The kernel keeps 15 bytes of a thread's name.
    let name = |what: &str| format!("{what}-{}", inner.name);
    Ok(Shared {
        _writer: Worker::start(
            &name("sqlw"),
            inner.writes.clone(),
            GROUP_JOBS_MAX,
            move |jobs| writer.write(jobs),
        )?,
        _reader: Worker::start(&name("sqlr"), inner.reads.clone(), 1, move |jobs| {
            reader.work(jobs);
        })?,
        inner,
    })
}

fn opening_fault(name: &ComponentName, error: SqliteError) -> Fault {
    let message = format!("channel {name} cannot open its database");
    match error.failure() {
        Some(Failure::Full | Failure::InputOutput | Failure::Busy) => {
            Fault::transient(Side::Machine, message).with_cause(error)
        }
        _ => Fault::configuration(message).with_cause(error),
    }
}

fn now_ms(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now_ms()).unwrap_or(0)
}

struct SqlChannel {
    shared: Arc<Shared>,
    path: PathBuf,
}

impl SqlChannel {
    fn count_put_attempt(&self, need: Room) {
        self.shared
            .inner
            .counters
            .event_put_attempt
            .add(need.events);
    }

    /// A refusal in the words of the contract. A store that fails says so at the commit.
    fn refused(&self, refusal: Refusal, need: Room, waited: Duration) -> ReserveError {
        let name = &self.shared.inner.name;
        refusal.told(name, need, waited, |bound| {
            format!(
                "{} bytes are more than capacity_bytes {bound}; raise it or lower the batch size of \
                 the source",
                need.size
            )
        })
    }

    /// What can be refused before there is a question of room.
    fn check_reservation(&self, batch: &EventBatch) -> Result<(), ReserveError> {
        let inner = &self.shared.inner;
        let channel = || inner.name.clone();
        if batch.is_empty() {
            return Ok(());
        }
        if let Some(bytes) = too_large(batch) {
            return Err(ReserveError::TooLarge {
                channel: channel(),
                reason: format!(
                    "an event of {bytes} bytes is more than the {EVENT_BYTES_MAX} that the SQL \
                     channel keeps; use the file channel for events of this size"
                ),
            });
        }
        inner
            .space
            .check_again()
            .map_err(|shortage| ReserveError::Failed {
                channel: channel(),
                fault: shortage.fault(),
            })
    }
}

/// The bytes of an event that SQLite may not take. Looks at single events only in a batch that is
/// as large as one of them.
fn too_large(batch: &EventBatch) -> Option<u64> {
    let header_bytes = |index| -> u64 {
        batch
            .headers_of(index)
            .map(|(name, value)| (name.len() + value.len()) as u64)
            .sum()
    };
    let of_headers: u64 = batch
        .headers()
        .map(|(_, view)| view.iter().flatten().map(str::len).max().unwrap_or(0) as u64)
        .sum();
    if batch.body_bytes() + of_headers <= EVENT_BYTES_MAX / 2 {
        return None;
    }
    batch
        .bodies()
        .enumerate()
        .map(|(index, body)| body.len() as u64 + header_bytes(index))
        .find(|bytes| *bytes > EVENT_BYTES_MAX)
}

impl Channel for SqlChannel {
    fn name(&self) -> &ComponentName {
        &self.shared.inner.name
    }

    fn limits(&self) -> ChannelLimits {
        let bounds = self.shared.inner.with(|state, _| state.accounts.bounds());
        ChannelLimits {
            capacity_events: bounds.capacity.events,
            capacity_bytes: bounds.capacity.size,
            transaction_events: bounds.transaction_events,
            keep_alive: bounds.keep_alive,
        }
    }

    fn fill(&self) -> ChannelFill {
        self.shared.inner.with(|state, _| state.fill())
    }

    fn counters(&self) -> &Arc<ChannelCounters> {
        &self.shared.inner.counters
    }

    fn try_reserve(&self, batch: &EventBatch) -> Result<Box<dyn Permit>, ReserveError> {
        self.check_reservation(batch)?;
        let need = Room::of::<BodyBytes>(batch);
        let answer = self
            .shared
            .inner
            .with(|state, _| state.accounts.try_reserve(need));
        // A put that finds no room goes on to wait for it, and is counted there.
        if answer != Err(Refusal::Full) {
            self.count_put_attempt(need);
        }
        match answer {
            Ok(()) => Ok(permit(Held::granted(&self.shared, need, batch.clone()))),
            Err(refusal) => Err(self.refused(refusal, need, Duration::ZERO)),
        }
    }

    fn reserve<'a>(
        &'a self,
        batch: &'a EventBatch,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Permit>, ReserveError>> {
        Box::pin(async move {
            let need = Room::of::<BodyBytes>(batch);
            self.count_put_attempt(need);
            self.check_reservation(batch)?;
            let mut room = RoomWait::new(&*self.shared, need);
            let mut time = TimeLimit::new(wait);
            let answer = poll_fn(|context| match room.poll(context) {
                Poll::Pending => time.poll(context).map(|()| room.expire()),
                ready => ready,
            });
            match answer.await {
                Ok(()) => Ok(permit(Held::granted(&self.shared, need, batch.clone()))),
                Err(refusal) => Err(self.refused(refusal, need, time.waited())),
            }
        })
    }

    fn take(&self, limits: TakeLimits, wait: Duration) -> BoxFuture<'_, Result<Lease, TakeError>> {
        Box::pin(async move {
            let counters = &self.shared.inner.counters;
            counters.event_take_attempt.add(1);
            let mut events = EventWait::new(&self.shared, limits);
            let mut time = TimeLimit::new(wait);
            // Events that are in the database only are there: beyond the limit they are waited for.
            let answer = poll_fn(|context| match events.poll(context) {
                Poll::Pending => match time.poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => events.expire(),
                },
                ready => ready,
            });
            answer.await.map(lease).map_err(|none| match none {
                NotTaken::Nothing(Nothing::Empty) => TakeError::Empty,
                NotTaken::Nothing(Nothing::Closed) => TakeError::Closed,
                NotTaken::Failed(fault) => TakeError::Failed(fault),
            })
        })
    }

    fn close(&self) {
        let inner = &self.shared.inner;
        inner.with(|state, outside| state.accounts.close(outside));
        inner.counters.stop_time.set(now_ms(&*inner.clock));
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn recovered(&self) -> Recovered {
        self.shared.inner.records.recovered()
    }

    fn settle<'a>(&'a self, withdrawn: &'a [u64]) -> BoxFuture<'a, Result<(), Fault>> {
        let inner = &self.shared.inner;
        let undecided = inner.records.undecided();
        if undecided.is_empty() {
            return Box::pin(Done(None));
        }
        let is_withdrawn = |own: &Prepared| withdrawn.contains(&own.key.generation);
        let (withdrawn, counting): (Vec<_>, Vec<_>) = undecided.into_iter().partition(is_withdrawn);
        let (job, answer) = Job::settle(
            withdrawn.into_iter().collect(),
            counting.into_iter().collect(),
        );
        inner.writes.submit(job);
        Box::pin(Done(Some(answer)))
    }

    fn forget(&self, generation: u64) {
        self.shared.inner.records.forget(generation);
    }

    fn kept_record_bytes(&self) -> u64 {
        self.shared.inner.records.bytes()
    }

    fn release(&self) -> BoxFuture<'_, Result<(), Fault>> {
        // First the reader closes its connection, then the writer its own, and the lock is free.
        let (job, answer) = Job::release();
        self.shared.inner.reads.submit(ReadJob::Release(job));
        Box::pin(Done(Some(answer)))
    }

    fn reconfigure(&self, settings: &Settings) -> Result<bool, Fault> {
        let inner = &self.shared.inner;
        let options = Options::read(&inner.name, settings)?;
        if options.path != self.path {
            return Ok(false);
        }
        let free_bytes_min = &inner.space.free_bytes_min;
        free_bytes_min.store(options.free_bytes_min, Ordering::Relaxed);
        inner.with(|state, outside| state.accounts.set_bounds(options.bounds, outside));
        Ok(true)
    }
}
