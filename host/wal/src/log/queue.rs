//! What waits to be written, and whose turn it is to write it.
//!
//! One leads at a time: takes a group out, commits it, and answers. A thread that waits for its own
//! record leads when nobody else does, because waking another thread and being woken by it costs a
//! good part of what the disk takes, and many times that where processors are busy. When its own
//! record is done it passes the lead on, to another thread that waits or to the log's own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{AppendError, Refusal};
use crate::log::Completion;
use crate::options::{GROUP_RECORDS_MAX, Options};
use crate::record::Prepared;
use crate::writer::Outcome;

/// Up to so many records that wait, one of their threads leads. When more do, the log's own thread
/// does, because it stays awake from group to group while theirs would have to be woken for each.
const FEW_RECORDS: usize = 2;

/// From so many bytes that wait, one of their threads leads in any case: writing them takes longer
/// than waking it, and the log's own thread would be short of time beside those that fill records.
const LARGE_BYTES: u64 = 256 * 1024;

/// Records that wait, shared between those who hand them in and the one who leads.
#[derive(Default)]
pub(super) struct Queue {
    /// A plain mutex suffices: it is held for one push or for taking a group out.
    inner: Mutex<Inner>,
    /// For the log's own thread: it is to lead, something is due earlier, or the log is to close.
    work: Condvar,
    /// For those without room: something that waited was taken.
    room: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Submission>,
    bytes: u64,
    closing: bool,
    /// Somebody leads, or was told to.
    led: bool,
    /// It is the log's own thread that was told to.
    thread_leads: bool,
    /// When something is to be done if nothing comes.
    due: Option<Instant>,
    thread_sleeps: Sleep,
    /// Threads that wait for room.
    without_room: usize,
}

/// How long the log's own thread waits when no word comes.
#[derive(Debug, Clone, Copy, Default)]
enum Sleep {
    #[default]
    Awake,
    Until(Instant),
    ForWord,
}

impl Sleep {
    /// Whether it would be too late for what is due then.
    fn misses(self, due: Option<Instant>) -> bool {
        match (self, due) {
            (Sleep::ForWord, Some(_)) => true,
            (Sleep::Until(end), Some(due)) => due < end,
            _ => false,
        }
    }
}

/// A record on its way.
pub(super) struct Submission {
    pub(super) prepared: Prepared,
    pub(super) done: Done,
}

/// Who is told what became of a record.
pub(super) enum Done {
    Call(Completion),
    /// A thread that waits.
    Wake(Waiter),
}

/// A record that cannot wait to be written.
pub(super) struct Unsent {
    pub(super) submission: Submission,
    pub(super) refusal: Refusal,
}

impl Unsent {
    pub(super) fn into_error(self) -> AppendError {
        AppendError {
            record: self.submission.prepared.record,
            refusal: self.refusal,
        }
    }
}

/// Who leads after a record was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The thread that handed it in.
    Own,
    Others,
}

/// What the log's own thread does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Leads until nothing waits.
    Lead,
    /// Nothing came for so long. It leads meanwhile.
    Idle,
    /// Nothing waits and nothing will come. It leads for good.
    Close,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a record in. The thread that does so is only asked to lead when it `may`.
    pub(super) fn submit(
        &self,
        submission: Submission,
        options: &Options,
        may_lead: bool,
    ) -> Result<Turn, Box<Unsent>> {
        let bytes = submission.prepared.frame_length();
        let mut inner = self.lock();
        let refusal = if inner.closing {
            Refusal::Closed
        } else if inner.has_room(bytes, options) {
            inner.bytes += bytes;
            inner.waiting.push_back(submission);
            return Ok(self.turn(inner, may_lead));
        } else {
            Refusal::Busy
        };
        Err(Box::new(Unsent {
            submission,
            refusal,
        }))
    }

    fn turn(&self, mut inner: MutexGuard<'_, Inner>, may_lead: bool) -> Turn {
        if inner.led {
            return Turn::Others;
        }
        inner.led = true;
        if may_lead {
            return Turn::Own;
        }
        inner.thread_leads = true;
        inner.thread_sleeps = Sleep::Awake;
        drop(inner);
        self.work.notify_one();
        Turn::Others
    }

    /// Waits until a record of this length may have room.
    pub(super) fn wait_for_room(&self, bytes: u64, options: &Options) {
        let mut inner = self.lock();
        inner.without_room += 1;
        let full = |inner: &mut Inner| !inner.closing && !inner.has_room(bytes, options);
        let waited = self.room.wait_while(inner, full);
        waited.unwrap_or_else(PoisonError::into_inner).without_room -= 1;
    }

    /// The next group, for the one who leads. Empty when nothing waits.
    pub(super) fn take_group(&self, group_bytes_max: u64) -> Vec<Submission> {
        let mut inner = self.lock();
        let group = inner.take_group(group_bytes_max);
        let waits = inner.without_room > 0;
        drop(inner);
        if waits {
            self.room.notify_all();
        }
        group
    }

    /// Passes the lead on. `due` is when something is to be done if nothing comes.
    pub(super) fn pass_on(&self, due: Option<Instant>) {
        let mut inner = self.lock();
        inner.due = due;
        if let Some(waiter) = inner.next_leader() {
            waiter.lead();
            return;
        }
        inner.thread_leads = !inner.waiting.is_empty();
        inner.led = inner.thread_leads;
        let is_news = inner.thread_leads || inner.closing || inner.thread_sleeps.misses(due);
        if is_news {
            inner.thread_sleeps = Sleep::Awake;
            drop(inner);
            self.work.notify_one();
        }
    }

    /// Ends the lead of the log's own thread when nothing waits or another is better at it, and
    /// says so.
    pub(super) fn rest(&self, due: Option<Instant>) -> bool {
        let mut inner = self.lock();
        inner.due = due;
        inner.led = !inner.waiting.is_empty();
        if inner.bytes < LARGE_BYTES {
            return !inner.led;
        }
        match inner.next_leader() {
            Some(waiter) => waiter.lead(),
            None => return !inner.led,
        }
        true
    }

    /// For the log's own thread: waits for something to do.
    pub(super) fn wait(&self) -> Work {
        let mut inner = self.lock();
        loop {
            if inner.thread_leads {
                inner.thread_leads = false;
                return Work::Lead;
            }
            let now = Instant::now();
            if !inner.led {
                let is_due = inner.due.is_some_and(|due| due <= now);
                if inner.closing || is_due {
                    inner.led = true;
                    return match inner.closing {
                        true => Work::Close,
                        false => Work::Idle,
                    };
                }
            }
            // One who leads sets another time when he is done, and gives word of it only when that
            // is earlier: else each append would cost a call.
            inner = match inner.due {
                Some(due) if due > now => {
                    inner.thread_sleeps = Sleep::Until(due);
                    self.wait_until(inner, due - now)
                }
                _ => {
                    inner.thread_sleeps = Sleep::ForWord;
                    let waited = self.work.wait(inner);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    fn wait_until<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        time: Duration,
    ) -> MutexGuard<'a, Inner> {
        let waited = self.work.wait_timeout(inner, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether the log's own thread waits for so long if no word comes.
    #[cfg(test)]
    pub(super) fn is_asleep_for(&self, time: Duration) -> bool {
        let sleep = self.lock().thread_sleeps;
        matches!(sleep, Sleep::Until(end) if end > Instant::now() + time)
    }

    /// Takes nothing any more.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_one();
        self.room.notify_all();
    }

    /// Takes nothing any more and gives all that waits back, when nobody can write it.
    pub(super) fn abandon(&self) -> VecDeque<Submission> {
        let mut inner = self.lock();
        inner.closing = true;
        // Whoever was told to lead finds nothing to write, or is told before he begins.
        inner.led = false;
        inner.thread_leads = false;
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        self.work.notify_one();
        self.room.notify_all();
        waiting
    }
}

impl Inner {
    /// The thread to lead next, unless the log's own should.
    fn next_leader(&self) -> Option<&Waiter> {
        if self.waiting.len() > FEW_RECORDS && self.bytes < LARGE_BYTES {
            return None;
        }
        self.waiting.iter().find_map(Submission::waiter)
    }

    /// One record always fits an empty queue.
    fn has_room(&self, bytes: u64, options: &Options) -> bool {
        self.waiting.is_empty()
            || (self.bytes + bytes <= options.queue_bytes_max
                && self.waiting.len() < options.queue_records_max)
    }

    fn take_group(&mut self, group_bytes_max: u64) -> Vec<Submission> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            let length = next.prepared.frame_length();
            let full = bytes + length > group_bytes_max || group.len() >= GROUP_RECORDS_MAX;
            if full && !group.is_empty() {
                break;
            }
            bytes += length;
            group.extend(self.waiting.pop_front());
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        group
    }
}

impl Submission {
    fn waiter(&self) -> Option<&Waiter> {
        match &self.done {
            Done::Wake(waiter) => Some(waiter),
            Done::Call(_) => None,
        }
    }

    /// Whether it is that of the thread that waits there.
    pub(super) fn is_at(&self, place: &Arc<Place>) -> bool {
        self.waiter().is_some_and(|waiter| waiter.is_at(place))
    }

    /// Refuses it, because nobody is left to write it.
    pub(super) fn refuse_closed(self) {
        let record = self.prepared.record;
        let refusal = Refusal::Closed;
        self.done.tell(Err(AppendError { record, refusal }));
    }
}

impl Done {
    pub(super) fn tell(self, outcome: Outcome) {
        match self {
            Done::Call(call) => call(outcome),
            Done::Wake(waiter) => waiter.tell(outcome),
        }
    }
}

/// What a waiting thread is told.
pub(super) enum Word {
    /// It is its turn to lead.
    Lead,
    /// What became of its record.
    Outcome(Outcome),
    /// Nobody will ever tell.
    Gone,
}

/// Where a waiting thread is told something.
#[derive(Default)]
pub(super) struct Place {
    word: Mutex<Option<Word>>,
    told: Condvar,
}

impl Place {
    pub(super) fn wait(&self) -> Word {
        let mut word = self.word.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(word) = word.take() {
                return word;
            }
            let waited = self.told.wait(word);
            word = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn set(&self, word: Word) {
        let mut place = self.word.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(word);
        drop(place);
        self.told.notify_one();
    }
}

/// The other end of a place. A thread whose waiter is dropped waits for nothing any more.
pub(super) struct Waiter(Option<Arc<Place>>);

impl Waiter {
    pub(super) fn new(place: &Arc<Place>) -> Waiter {
        Waiter(Some(Arc::clone(place)))
    }

    fn is_at(&self, place: &Arc<Place>) -> bool {
        self.0.as_ref().is_some_and(|own| Arc::ptr_eq(own, place))
    }

    fn lead(&self) {
        if let Some(place) = &self.0 {
            place.set(Word::Lead);
        }
    }

    fn tell(mut self, outcome: Outcome) {
        if let Some(place) = self.0.take() {
            place.set(Word::Outcome(outcome));
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.set(Word::Gone);
        }
    }
}
