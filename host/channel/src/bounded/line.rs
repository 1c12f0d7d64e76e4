//! The two lines of waiters: putters that wait for room and takers that wait for events.
//!
//! A line is as long as there are tasks that wait, each in a future that it owns; a future that is
//! dropped leaves its line. Both lines are plain values under the channel's lock.

use std::collections::BTreeMap;
use std::task::Waker;

use super::room::Room;

/// A place in a line. Tickets grow, so the order of the tickets is the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// What to do with wakers once the lock is released: waking may run code of an executor, and
/// dropping a waker may drop a task that holds a permit or a lease of this very channel.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    wake: Vec<Waker>,
    discard: Vec<Waker>,
}

impl Outside {
    /// Called without the lock.
    pub(crate) fn run(self) {
        for waker in self.wake {
            waker.wake();
        }
        drop(self.discard);
    }

    /// Wakes these once the lock is released.
    pub(crate) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wake.extend(wakers);
    }

    /// Keeps the newest waker of a future that was polled again.
    fn renew(&mut self, slot: &mut Option<Waker>, waker: &Waker) {
        if slot.as_ref().is_some_and(|own| own.will_wake(waker)) {
            return;
        }
        self.discard.extend(slot.replace(waker.clone()));
    }
}

/// Why a wait for room ended without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no room, or others are first.
    Full,
    /// More events than one transaction may have.
    TooManyEvents { bound: usize },
    /// A larger size than the channel may ever hold, in its unit.
    TooLarge { bound: u64 },
    /// The channel is closed.
    Closed,
    /// The store behind the channel has failed.
    Failed,
}

/// Where a waiting putter stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// Still in line.
    Waiting,
    /// Its room is reserved and now its own to release.
    Granted,
    /// It will not get room.
    Refused(Refusal),
}

#[derive(Debug)]
struct Putter {
    need: Room,
    waker: Option<Waker>,
}

/// Putters in order of arrival. Who is served gets the room under the lock, so that nobody who
/// comes later can take it away.
#[derive(Debug, Default)]
pub(crate) struct PutLine {
    next: u64,
    waiting: BTreeMap<Ticket, Putter>,
    /// Served or refused, but not yet polled again.
    settled: BTreeMap<Ticket, (Room, Result<(), Refusal>)>,
}

impl PutLine {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn join(&mut self, need: Room, waker: &Waker) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        let waker = Some(waker.clone());
        self.waiting.insert(ticket, Putter { need, waker });
        ticket
    }

    /// What the first in line needs.
    pub(crate) fn first_need(&self) -> Option<Room> {
        self.waiting
            .first_key_value()
            .map(|(_, putter)| putter.need)
    }

    /// Serves the first in line.
    pub(crate) fn grant_first(&mut self, outside: &mut Outside) {
        if let Some((ticket, putter)) = self.waiting.pop_first() {
            outside.wake.extend(putter.waker);
            self.settled.insert(ticket, (putter.need, Ok(())));
        }
    }

    /// Refuses everybody in line for whom `why` gives a reason.
    pub(crate) fn refuse(&mut self, outside: &mut Outside, why: impl Fn(Room) -> Option<Refusal>) {
        let refused = self
            .waiting
            .extract_if(.., |_, putter| why(putter.need).is_some());
        for (ticket, putter) in refused {
            let Some(refusal) = why(putter.need) else {
                continue;
            };
            outside.wake.extend(putter.waker);
            self.settled.insert(ticket, (putter.need, Err(refusal)));
        }
    }

    /// Where the holder of this ticket stands. A ticket is used up by any answer but `Waiting`.
    pub(crate) fn standing(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
        outside: &mut Outside,
    ) -> Standing {
        if let Some(putter) = self.waiting.get_mut(&ticket) {
            outside.renew(&mut putter.waker, waker);
            return Standing::Waiting;
        }
        match self.settled.remove(&ticket) {
            Some((_, Ok(()))) => Standing::Granted,
            Some((_, Err(refusal))) => Standing::Refused(refusal),
            // Polled again after its end, which no caller does.
            None => Standing::Refused(Refusal::Full),
        }
    }

    /// Takes the holder of this ticket out of the line, with what was settled for it meanwhile.
    pub(crate) fn leave(
        &mut self,
        ticket: Ticket,
        outside: &mut Outside,
    ) -> Option<(Room, Result<(), Refusal>)> {
        if let Some(putter) = self.waiting.remove(&ticket) {
            outside.discard.extend(putter.waker);
            return None;
        }
        self.settled.remove(&ticket)
    }
}

#[derive(Debug)]
struct Taker {
    want_events: u64,
    /// `None` once it was woken and has not been polled since.
    waker: Option<Waker>,
}

/// Takers in order of arrival. Who is woken takes what it finds; it keeps its place in line until
/// it has something.
#[derive(Debug, Default)]
pub(crate) struct TakeLine {
    next: u64,
    waiting: BTreeMap<Ticket, Taker>,
}

impl TakeLine {
    pub(crate) fn join(&mut self, want_events: u64, waker: &Waker) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        let waker = Some(waker.clone());
        self.waiting.insert(ticket, Taker { want_events, waker });
        ticket
    }

    pub(crate) fn stay(&mut self, ticket: Ticket, waker: &Waker, outside: &mut Outside) {
        if let Some(taker) = self.waiting.get_mut(&ticket) {
            outside.renew(&mut taker.waker, waker);
        }
    }

    pub(crate) fn leave(&mut self, ticket: Ticket, outside: &mut Outside) {
        if let Some(taker) = self.waiting.remove(&ticket) {
            outside.discard.extend(taker.waker);
        }
    }

    /// Wakes from the front until those who are awake want all of `events`.
    pub(crate) fn wake(&mut self, events: u64, outside: &mut Outside) {
        let mut left = events;
        for taker in self.waiting.values_mut() {
            if left == 0 {
                return;
            }
            outside.wake.extend(taker.waker.take());
            left = left.saturating_sub(taker.want_events);
        }
    }

    pub(crate) fn wake_all(&mut self, outside: &mut Outside) {
        for taker in self.waiting.values_mut() {
            outside.wake.extend(taker.waker.take());
        }
    }
}
