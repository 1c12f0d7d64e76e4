//! The thread that writes: one transaction for all that came while the one before it was written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flumen_clients::sqlite::{Failure, SqliteError};
use flumen_core::state::StateRecord;
use flumen_core::{ComponentName, EventBatch, Fault, FaultKind, Side};
use tokio::sync::oneshot;
use tracing::warn;

use super::shared::{Inner, redelivered};
use super::state::{Put, Stored};
use super::store::{Change, Prepared, PreparedKey, Store, Written};
use crate::bounded::Room;

/// Jobs of one transaction. Far more than there are tasks in an agent that put or acknowledge at
/// the same time, and few enough that the first of them does not wait long for the last.
pub(super) const GROUP_JOBS_MAX: usize = 256;

/// What there is to write.
#[derive(Debug)]
pub(super) struct Job {
    work: Work,
    record: Option<StateRecord>,
    /// `None` when nobody waits.
    done: Option<oneshot::Sender<Result<Written, Fault>>>,
}

#[derive(Debug)]
enum Work {
    Put {
        events: EventBatch,
        room: Room,
    },
    /// A put that counts once this channel has committed it.
    Prepare {
        events: EventBatch,
        room: Room,
        decider: ComponentName,
    },
    Withdraw {
        key: PreparedKey,
        room: Room,
    },
    /// Prepared puts that were found: those that are withdrawn, and those that count.
    Settle {
        withdrawn: Found,
        counting: Found,
    },
    End(End),
    /// Events that the counts tell of are not there.
    Missing(Room),
    /// The end: the database is closed behind what came before.
    Release,
}

/// Prepared puts that were found.
#[derive(Debug, Default)]
pub(super) struct Found {
    keys: Vec<PreparedKey>,
    rooms: Vec<Room>,
}

impl FromIterator<Prepared> for Found {
    fn from_iter<I: IntoIterator<Item = Prepared>>(prepared: I) -> Self {
        let pairs = prepared.into_iter().map(|own| (own.key, own.room));
        let (keys, rooms) = pairs.unzip();
        Self { keys, rooms }
    }
}

/// The end of a lease.
#[derive(Debug)]
pub(super) struct End {
    pub(super) segments: Vec<Stored>,
    pub(super) room: Room,
    /// Indices of events that stay, counted over all segments.
    pub(super) kept: Vec<u32>,
}

/// The answer to a job.
pub(super) struct Answer(oneshot::Receiver<Result<Written, Fault>>);

impl Future for Answer {
    type Output = Result<Written, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|received| {
            received.unwrap_or_else(|_| {
                let message = "the thread that writes to the database has ended";
                Err(Fault::new(FaultKind::Broken, Side::Component, message))
            })
        })
    }
}

impl Job {
    pub(super) fn put(
        events: EventBatch,
        room: Room,
        record: Option<StateRecord>,
    ) -> (Self, Answer) {
        Self::answered(Work::Put { events, room }, record)
    }

    pub(super) fn prepare(
        events: EventBatch,
        room: Room,
        record: StateRecord,
        decider: ComponentName,
    ) -> (Self, Answer) {
        let work = Work::Prepare {
            events,
            room,
            decider,
        };
        Self::answered(work, Some(record))
    }

    pub(super) fn withdraw(key: PreparedKey, room: Room) -> (Self, Answer) {
        Self::answered(Work::Withdraw { key, room }, None)
    }

    pub(super) fn settle(withdrawn: Found, counting: Found) -> (Self, Answer) {
        Self::answered(
            Work::Settle {
                withdrawn,
                counting,
            },
            None,
        )
    }

    pub(super) fn end(end: End, record: Option<StateRecord>) -> (Self, Answer) {
        Self::answered(Work::End(end), record)
    }

    pub(super) fn release() -> (Self, Answer) {
        Self::answered(Work::Release, None)
    }

    pub(super) fn missing(room: Room) -> Self {
        Self {
            work: Work::Missing(room),
            record: None,
            done: None,
        }
    }

    fn answered(work: Work, record: Option<StateRecord>) -> (Self, Answer) {
        let (sender, receiver) = oneshot::channel();
        let job = Self {
            work,
            record,
            done: Some(sender),
        };
        (job, Answer(receiver))
    }

    fn is_put_of_events(&self) -> bool {
        match &self.work {
            Work::Put { events, .. } | Work::Prepare { events, .. } => !events.is_empty(),
            _ => false,
        }
    }

    fn change(&self) -> Change<'_> {
        let mut change = Change {
            record: self.record.as_ref(),
            ..Change::default()
        };
        match &self.work {
            Work::Put { events, .. } => change.put = Some(events),
            Work::Prepare {
                events, decider, ..
            } => {
                change.put = Some(events);
                change.decider = Some(decider);
            }
            Work::Withdraw { key, room } => {
                change.gone.extend(key.range());
                change.gone_room = *room;
                change.withdrawn = std::slice::from_ref(key);
            }
            Work::Settle {
                withdrawn,
                counting,
            } => {
                let ranges = withdrawn.keys.iter().filter_map(|key| key.range());
                change.gone.extend(ranges);
                change.gone_room = withdrawn
                    .rooms
                    .iter()
                    .fold(Room::default(), |sum, room| sum.plus(*room));
                change.withdrawn = &withdrawn.keys;
                change.settled = &counting.keys;
            }
            Work::End(end) => (change.gone, change.gone_room) = end.gone(),
            Work::Missing(room) => change.gone_room = *room,
            Work::Release => {}
        }
        change
    }
}

impl End {
    /// The ranges of sequences that leave, and what they take.
    fn gone(&self) -> (Vec<(u64, u64)>, Room) {
        let mut gone = Vec::new();
        let mut room = self.room;
        let mut kept = self.kept.iter().map(|index| u64::from(*index)).peekable();
        let mut before = 0;
        for stored in &self.segments {
            let count = stored.events.len() as u64;
            let base = stored.first_sequence;
            let mut first = 0;
            while let Some(index) = kept.next_if(|index| *index < before + count) {
                let index = index - before;
                if first < index {
                    gone.push((base + first, base + index - 1));
                }
                let body = usize::try_from(index).ok();
                let body = body.and_then(|index| stored.events.body(index));
                room = room.minus(Room {
                    events: 1,
                    size: body.map_or(0, |body| body.len() as u64),
                });
                first = index + 1;
            }
            if first < count {
                gone.push((base + first, base + count - 1));
            }
            before += count;
        }
        (gone, room)
    }
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) inner: Arc<Inner>,
    /// `None` after the release.
    pub(super) store: Option<Store>,
}

impl Writer {
    /// Writes these jobs and answers each.
    pub(super) fn write(&mut self, jobs: Vec<Job>) {
        let (releases, jobs): (Vec<Job>, Vec<Job>) = jobs
            .into_iter()
            .partition(|job| matches!(job.work, Work::Release));
        self.write_group(jobs);
        if !releases.is_empty() {
            self.release_database(releases);
        }
    }

    /// Writes what it was told to forget, closes the database, and answers then.
    fn release_database(&mut self, jobs: Vec<Job>) {
        let forgotten = self.inner.records.forgotten();
        let now_ms = self.inner.clock.now_ms();
        let store = self.store.take();
        let written = store.map_or(Ok(Vec::new()), |mut store| {
            store.commit(&[], now_ms, forgotten)
        });
        let error = written.err().map(Arc::new);
        for job in jobs {
            let result = match &error {
                Some(error) => Err(fault(Arc::clone(error))),
                None => Ok(Written::default()),
            };
            answer(job.done, result);
        }
    }

    fn write_group(&mut self, mut jobs: Vec<Job>) {
        if jobs.iter().any(Job::is_put_of_events)
            && let Err(shortage) = self.inner.space.check()
        {
            let puts: Vec<Job> = jobs.extract_if(.., |job| job.is_put_of_events()).collect();
            for put in puts {
                self.failed(put, shortage.fault());
            }
        }
        let Err((jobs, error)) = self.write_as_one(jobs) else {
            return;
        };
        // Another process has the lock: whoever is tried next waits for it again.
        if jobs.len() == 1 || error.failure() == Some(Failure::Busy) {
            return self.all_failed(jobs, error);
        }
        // What makes room comes first, and one that cannot be written does not fail the others.
        let (puts, others): (Vec<Job>, Vec<Job>) =
            jobs.into_iter().partition(Job::is_put_of_events);
        let parts = std::iter::once(others).chain(puts.into_iter().map(|put| vec![put]));
        for part in parts {
            if let Err((jobs, error)) = self.write_as_one(part) {
                self.all_failed(jobs, error);
            }
        }
    }

    fn write_as_one(&mut self, jobs: Vec<Job>) -> Result<(), (Vec<Job>, SqliteError)> {
        if jobs.is_empty() {
            return Ok(());
        }
        let changes: Vec<Change<'_>> = jobs.iter().map(Job::change).collect();
        let forgotten = self.inner.records.forgotten();
        let now_ms = self.inner.clock.now_ms();
        let Some(store) = &mut self.store else {
            drop(changes);
            for job in jobs {
                self.failed(job, released());
            }
            return Ok(());
        };
        let result = store.commit(&changes, now_ms, forgotten);
        drop(changes);
        match result {
            Ok(written) => {
                for (job, written) in jobs.into_iter().zip(written) {
                    self.done(job, written);
                }
                Ok(())
            }
            Err(error) => Err((jobs, error)),
        }
    }

    fn done(&self, job: Job, written: Written) {
        if let Some(record) = &job.record {
            self.inner.records.keep(record);
        }
        let counters = &self.inner.counters;
        match job.work {
            Work::Put { events, room } if events.is_empty() => self.release(room),
            Work::Put { events, room } => {
                let put = Put {
                    stored: Stored::new(written.first_sequence, room.size, events),
                    header_bytes: written.header_bytes,
                };
                counters.event_put_success.add(room.events);
                self.inner
                    .with(|state, outside| state.committed(put, outside));
            }
            Work::Prepare { room, .. } if room.events == 0 => {}
            Work::Prepare { room, .. } => {
                let first = written.first_sequence;
                let range = (first, first + room.events - 1);
                self.inner.with(|state, _| state.prepared(range));
            }
            Work::Withdraw { key, room } => {
                self.inner
                    .with(|state, outside| state.withdrawn(key.range(), room, true, outside));
            }
            Work::Settle {
                withdrawn,
                counting,
            } => self.settled(&withdrawn, &counting),
            Work::End(end) => {
                let kept = end.kept.len() as u64;
                let delivered = end.room.events.saturating_sub(kept);
                counters.event_take_success.add(delivered);
                let back = Stored::kept(end.segments, &end.kept);
                self.inner
                    .with(|state, outside| state.end_lease(end.room, back, outside));
            }
            Work::Missing(_) | Work::Release => {}
        }
        answer(job.done, Ok(written));
    }

    fn settled(&self, withdrawn: &Found, counting: &Found) {
        self.inner.records.settled();
        self.inner.with(|state, outside| {
            for range in withdrawn.keys.iter().filter_map(|key| key.range()) {
                state.withdrawn_found(range);
            }
            for (key, room) in counting.keys.iter().zip(&counting.rooms) {
                if let Some(range) = key.range() {
                    state.settled(range, *room, outside);
                }
            }
            state.decided();
        });
    }

    fn all_failed(&self, jobs: Vec<Job>, error: SqliteError) {
        let error = Arc::new(error);
        for job in jobs {
            self.failed(job, fault(Arc::clone(&error)));
        }
    }

    fn failed(&self, job: Job, fault: Fault) {
        match job.work {
            Work::Put { room, .. } | Work::Prepare { room, .. } => self.release(room),
            // Their rows stay, so they are no events for the reader; the next start asks again.
            Work::Withdraw { key, room } => self.inner.with(|state, outside| {
                state.withdrawn(key.range(), room, false, outside);
            }),
            Work::Settle { .. } | Work::Release => {}
            Work::End(end) => {
                let back = redelivered(end.segments);
                self.inner
                    .with(|state, outside| state.end_lease(end.room, back, outside));
            }
            Work::Missing(_) => {
                warn!(channel = %self.inner.name, "the counts of events could not be set right: {fault}");
            }
        }
        answer(job.done, Err(fault));
    }

    fn release(&self, room: Room) {
        self.inner
            .with(|state, outside| state.accounts.release_reserved(room, outside));
    }
}

fn answer(done: Option<oneshot::Sender<Result<Written, Fault>>>, result: Result<Written, Fault>) {
    if let Some(done) = done {
        // Who does not wait any more does not want to know.
        drop(done.send(result));
    }
}

/// The channel was used after its end.
pub(super) fn released() -> Fault {
    let message = "the channel has let go of its database";
    Fault::new(FaultKind::Broken, Side::Component, message)
}

/// What a failure of the database means for what was being done.
pub(super) fn fault(error: Arc<SqliteError>) -> Fault {
    let (kind, side, message) = match error.failure() {
        Some(Failure::TooBig) => (
            FaultKind::Poison,
            Side::Data,
            "an event is too large for the SQL channel",
        ),
        Some(Failure::Busy | Failure::ReadOnly | Failure::Malformed) => (
            FaultKind::Transient,
            Side::Operator,
            "the database does not take or give events",
        ),
        _ => (
            FaultKind::Transient,
            Side::Machine,
            "the database does not take or give events",
        ),
    };
    Fault::new(kind, side, message).with_cause(error)
}
