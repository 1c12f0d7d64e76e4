//! The thread that writes: one transaction for all that came while the one before it was written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flumen_clients::sqlite::{Failure, SqliteError};
use flumen_core::state::StateRecord;
use flumen_core::{EventBatch, Fault, FaultKind, Side};
use tokio::sync::oneshot;
use tracing::warn;

use super::shared::{Inner, redelivered};
use super::state::{Put, Stored};
use super::store::{Change, Store, Written};
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
    done: Option<oneshot::Sender<Result<(), Fault>>>,
}

#[derive(Debug)]
enum Work {
    Put {
        events: EventBatch,
        room: Room,
    },
    End(End),
    /// Events that the counts tell of are not there.
    Missing(Room),
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
pub(super) struct Answer(oneshot::Receiver<Result<(), Fault>>);

impl Future for Answer {
    type Output = Result<(), Fault>;

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

    pub(super) fn end(end: End, record: Option<StateRecord>) -> (Self, Answer) {
        Self::answered(Work::End(end), record)
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
        matches!(&self.work, Work::Put { events, .. } if !events.is_empty())
    }

    fn change(&self) -> Change<'_> {
        let mut change = Change {
            record: self.record.as_ref(),
            ..Change::default()
        };
        match &self.work {
            Work::Put { events, .. } => change.put = Some(events),
            Work::End(end) => (change.gone, change.gone_room) = end.gone(),
            Work::Missing(room) => change.gone_room = *room,
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
    pub(super) store: Store,
}

impl Writer {
    /// Writes these jobs and answers each.
    pub(super) fn write(&mut self, mut jobs: Vec<Job>) {
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
        let result = {
            let forget = self.inner.records.lock().forget;
            self.store
                .commit(&changes, forget, self.inner.clock.now_ms())
        };
        drop(changes);
        match result {
            Ok(written) => {
                let mut kept = self.inner.records.lock();
                kept.records
                    .extend(jobs.iter().filter_map(|job| job.record.clone()));
                kept.written(self.store.forgotten());
                drop(kept);
                for (job, written) in jobs.into_iter().zip(written) {
                    self.done(job, written);
                }
                Ok(())
            }
            Err(error) => Err((jobs, error)),
        }
    }

    fn done(&self, job: Job, written: Written) {
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
            Work::End(end) => {
                let kept = end.kept.len() as u64;
                let delivered = end.room.events.saturating_sub(kept);
                counters.event_take_success.add(delivered);
                let back = Stored::kept(end.segments, &end.kept);
                self.inner
                    .with(|state, outside| state.end_lease(end.room, back, outside));
            }
            Work::Missing(_) => {}
        }
        answer(job.done, Ok(()));
    }

    fn all_failed(&self, jobs: Vec<Job>, error: SqliteError) {
        let error = Arc::new(error);
        for job in jobs {
            self.failed(job, fault(Arc::clone(&error)));
        }
    }

    fn failed(&self, job: Job, fault: Fault) {
        match job.work {
            Work::Put { room, .. } => self.release(room),
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

fn answer(done: Option<oneshot::Sender<Result<(), Fault>>>, result: Result<(), Fault>) {
    if let Some(done) = done {
        // Who does not wait any more does not want to know.
        drop(done.send(result));
    }
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
