//! What the one who leads does: commit groups, answer, and what is due when nothing comes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::buffers::Buffers;
use crate::error::Failure;
use crate::io::LogIo;
use crate::options::{Durability, Options};
use crate::quarantine::Quarantine;
use crate::record::Prepared;
use crate::statistics::Counters;
use crate::view::View;
use crate::writer::{Outcome, Writer};

use super::queue::{Place, Queue, Submission, Work};

mod change;

pub use change::ChangeError;

/// How long nothing has come when memory is given back that only a log in use needs, where no proof is
/// due at such a time anyway.
const REST_DELAY: Duration = Duration::from_millis(10);

/// What the users of a log and its own thread share.
pub(super) struct Shared {
    pub(super) io: Arc<dyn LogIo>,
    pub(super) view: Arc<View>,
    pub(super) counters: Arc<Counters>,
    pub(super) quarantine: Arc<Quarantine>,
    pub(super) queue: Queue,
    pub(super) buffers: Arc<Buffers>,
    group_bytes_max: u64,
    /// Held by the one who leads, from a commit to its last answer, so that answers are in the
    /// order of the log. Nothing after a panic.
    writing: Mutex<Option<Writing>>,
}

/// The writer and what it has to do in time.
struct Writing {
    writer: Writer,
    options: Options,
    buffers: Arc<Buffers>,
    /// Since when something that was confirmed is not durable.
    unsynced_since: Option<Instant>,
}

impl Shared {
    pub(super) fn new(io: Arc<dyn LogIo>, writer: Writer, options: Options) -> Shared {
        let buffers: Arc<Buffers> = Arc::default();
        Shared {
            io,
            view: Arc::clone(writer.view()),
            counters: Arc::clone(writer.counters()),
            quarantine: Arc::clone(writer.quarantine()),
            queue: Queue::default(),
            buffers: Arc::clone(&buffers),
            group_bytes_max: options.group_bytes_max(),
            writing: Mutex::new(Some(Writing {
                writer,
                options,
                buffers,
                unsynced_since: None,
            })),
        }
    }

    /// Leads until the record of the thread that waits at this place is done.
    pub(super) fn lead_until(&self, place: &Arc<Place>) {
        loop {
            let group = self.take_group();
            // Nothing is left when the log was closed by a panic meanwhile.
            let last = group.is_empty() || group.iter().any(|s| s.is_at(place));
            self.write(group, last);
            if last {
                return;
            }
        }
    }

    /// Leads for one group.
    pub(super) fn lead_once(&self) {
        self.write(self.take_group(), true);
    }

    /// The log's own thread, until the log is closed.
    pub(super) fn run(&self) -> Result<(), Arc<Failure>> {
        loop {
            match self.queue.wait() {
                Work::Lead => self.lead_while_any(),
                Work::Idle => {
                    let due = self.with_writing(Writing::idle).flatten();
                    if !self.queue.rest(due) {
                        self.lead_while_any();
                    }
                }
                Work::Close => return self.end(),
            }
        }
    }

    fn lead_while_any(&self) {
        loop {
            self.write(self.take_group(), false);
            let due = self.with_writing(|writing| writing.due()).flatten();
            if self.queue.rest(due) {
                return;
            }
        }
    }

    fn end(&self) -> Result<(), Arc<Failure>> {
        loop {
            let group = self.take_group();
            if group.is_empty() {
                break;
            }
            self.write(group, false);
        }
        match self.lock().take() {
            Some(mut writing) => writing.writer.close(),
            None => Err(Arc::new(Failure::Panicked)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Writing>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_group(&self) -> Vec<Submission> {
        self.queue.take_group(self.group_bytes_max)
    }

    /// Writes a group and answers. The `last` of a thread passes the lead on before it answers, so
    /// that the next one is awake when the answers are out.
    fn write(&self, group: Vec<Submission>, last: bool) {
        let mut group = Some(group);
        self.with_writing(|writing| {
            let group = group.take().unwrap_or_default();
            let (records, told): (Vec<_>, Vec<_>) =
                group.into_iter().map(|s| (s.prepared, s.done)).unzip();
            let begun = Instant::now();
            let outcomes = writing.commit(records);
            self.count_time(begun);
            if last {
                self.queue.pass_on(writing.due());
            }
            for (outcome, done) in outcomes.into_iter().zip(told) {
                done.tell(outcome);
            }
            writing.keep_up();
        });
        // Nobody could write it.
        refuse_closed(group.into_iter().flatten());
    }

    fn count_time(&self, begun: Instant) {
        let taken = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counters.commit_us.add(taken);
        self.counters.commit_us_max.raise(taken);
    }

    /// Runs what may panic in the user's hands. A panic closes the log, so that nobody waits for
    /// ever and nothing is written by a writer that lost its place.
    fn with_writing<T>(&self, run: impl FnOnce(&mut Writing) -> T) -> Option<T> {
        let mut writing = self.lock();
        let ran = writing
            .as_mut()
            .and_then(|writing| catch_unwind(AssertUnwindSafe(|| run(writing))).ok());
        if ran.is_none() {
            *writing = None;
            drop(writing);
            let panicked = || Arc::new(Failure::Panicked);
            self.view.lock().failure.get_or_insert_with(panicked);
            refuse_closed(self.queue.abandon());
        }
        ran
    }
}

fn refuse_closed(submissions: impl IntoIterator<Item = Submission>) {
    for submission in submissions {
        // One that panics has been told all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| submission.refuse_closed()));
    }
}

impl Writing {
    fn commit(&mut self, records: Vec<Prepared>) -> Vec<Outcome> {
        let outcomes = self.writer.commit(records);
        if let Durability::Interval(_) = self.options.durability {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        outcomes
    }

    /// Syncs in time also when groups come without a pause.
    fn keep_up(&mut self) {
        if let (Durability::Interval(interval), Some(since)) =
            (self.options.durability, self.unsynced_since)
            && since.elapsed() >= interval
        {
            self.sync();
        }
    }

    /// Does what is due, and says when something will be.
    fn idle(&mut self) -> Option<Instant> {
        match self.unsynced_since {
            Some(_) => self.keep_up(),
            None => {
                self.writer.witness();
                self.writer.shrink();
                self.buffers.rest();
            }
        }
        self.due()
    }

    fn sync(&mut self) {
        self.writer.sync();
        self.unsynced_since = None;
    }

    /// When there is something to do if nothing comes.
    fn due(&self) -> Option<Instant> {
        if let (Durability::Interval(interval), Some(since)) =
            (self.options.durability, self.unsynced_since)
        {
            return since.checked_add(interval);
        }
        let proves = self.options.durability != Durability::Os && self.writer.wants_witness();
        let witness = self.options.witness_delay.filter(|_| proves);
        let delay = witness.or_else(|| self.buffers.is_in_use().then_some(REST_DELAY))?;
        Instant::now().checked_add(delay)
    }
}
