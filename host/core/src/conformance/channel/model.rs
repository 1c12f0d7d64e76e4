//! Random actions against a naive model: a list of events, and what the contract says of it.
//!
//! A seed gives the same actions every time. A difference names its seed and step, so that the
//! failure can be replayed.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::drive::{self, Waiting};
use super::{
    ChannelMaker, Seen, batch, is_closed, is_full, is_too_large, limits, promised, seen, try_take,
    waiting_reserve,
};
use crate::batch::EventBatch;
use crate::channel::{Channel, ChannelLimits, Lease, Permit, ReserveError, TakeError, TakeLimits};

/// Enough for every pair of actions to meet in every small state, in well under a second.
pub(super) const SEEDS: Range<u64> = 1..60;

/// Actions of one seed.
pub(super) const STEPS: usize = 400;

/// Permits, leases and waiters that are out at a time, so that the channel is full and empty often.
const OUT_MAX: usize = 4;

pub(super) fn run(maker: &dyn ChannelMaker, seeds: Range<u64>, steps: usize) {
    for seed in seeds {
        let mut trial = Trial::new(maker, seed);
        for step in 0..steps {
            trial.at = format!("seed {seed}, step {step}");
            trial.act();
            trial.check();
        }
        trial.at = format!("seed {seed}, at the end");
        trial.wind_up();
    }
}

/// A small generator of random numbers (xorshift64*): the suite needs variety, not quality.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(mixed).unwrap_or(0) % bound.max(1)
    }
}

/// An event of the model.
#[derive(Clone, Copy)]
struct Event {
    seen: Seen,
    body_bytes: u64,
    counted_bytes: u64,
}

/// Events that are out of the model's queue, with what the channel gave for them.
struct Out<T> {
    given: T,
    events: Vec<Event>,
}

type Granted = Result<Box<dyn Permit>, ReserveError>;

struct Trial<'a> {
    maker: &'a dyn ChannelMaker,
    channel: Arc<dyn Channel>,
    random: Random,
    at: String,
    bounds: ChannelLimits,
    next_number: u64,
    next_sequence: u64,
    /// The first sequence of the channel, once it is known.
    base: Option<u64>,
    queue: Vec<Event>,
    permits: Vec<Out<Box<dyn Permit>>>,
    leases: Vec<Out<Lease>>,
    line: VecDeque<Out<Waiting<Granted>>>,
    is_closed: bool,
}

impl<'a> Trial<'a> {
    fn new(maker: &'a dyn ChannelMaker, seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let bounds = some_bounds(maker, &mut random);
        Self {
            maker,
            channel: maker.make("c1", bounds),
            random,
            at: String::new(),
            bounds,
            next_number: 0,
            next_sequence: 0,
            base: None,
            queue: Vec::new(),
            permits: Vec::new(),
            leases: Vec::new(),
            line: VecDeque::new(),
            is_closed: false,
        }
    }

    fn act(&mut self) {
        match self.random.below(100) {
            0..25 => self.try_reserve(),
            25..35 => self.reserve(),
            35..50 => self.end_permit(),
            50..70 => self.take(),
            70..90 => self.end_lease(),
            90..94 => self.leave_line(),
            94..99 => self.resize(),
            _ if self.random.below(8) == 0 => self.close(),
            _ => {}
        }
        self.serve_line();
    }

    /// A batch of the next numbers.
    fn events(&mut self) -> (EventBatch, Vec<Event>) {
        let count = self.random.below(self.bounds.transaction_events + 2);
        let mut events = Vec::new();
        let mut bodies = Vec::new();
        for _ in 0..count {
            let more = self.random.below(3) * self.random.below(150);
            let body = (self.next_number, more);
            let alone = batch([body]);
            bodies.push(body);
            events.push(Event {
                seen: Seen {
                    sequence: 0,
                    number: self.next_number,
                    redeliveries: 0,
                },
                body_bytes: alone.body_bytes(),
                counted_bytes: self.maker.counted_bytes(&alone),
            });
            self.next_number += 1;
        }
        (batch(bodies), events)
    }

    fn never_fits(&self, events: &[Event]) -> bool {
        events.len() > self.bounds.transaction_events
            || counted_bytes(events) > self.bounds.capacity_bytes
    }

    fn has_room(&self, events: &[Event]) -> bool {
        let permits = self.permits.iter().flat_map(|out| &out.events);
        let leases = self.leases.iter().flat_map(|out| &out.events);
        let held: Vec<Event> = permits.chain(leases).chain(&self.queue).copied().collect();
        (held.len() + events.len()) as u64 <= self.bounds.capacity_events
            && counted_bytes(&held) + counted_bytes(events) <= self.bounds.capacity_bytes
    }

    fn try_reserve(&mut self) {
        let (batch, events) = self.events();
        let result = self.channel.try_reserve(&batch);
        let at = &self.at;
        if self.is_closed {
            assert!(is_closed(&result) || is_too_large(&result), "{at}: closed");
        } else if self.never_fits(&events) {
            assert!(is_too_large(&result), "{at}: too large");
        } else if !self.line.is_empty() || !self.has_room(&events) {
            assert!(is_full(&result), "{at}: full");
        } else {
            let given = promised(result, at);
            self.permits.push(Out { given, events });
        }
    }

    /// Waits in line, when there is reason to.
    fn reserve(&mut self) {
        let (batch, events) = self.events();
        let waits = !self.line.is_empty() || !self.has_room(&events);
        if self.is_closed || self.never_fits(&events) || !waits || self.line.len() >= OUT_MAX {
            return;
        }
        let given = waiting_reserve(&self.channel, batch);
        self.line.push_back(Out { given, events });
    }

    /// Those in line whose room is there have it; the others wait.
    fn serve_line(&mut self) {
        while let Some(first) = self.line.front() {
            if !self.has_room(&first.events) {
                break;
            }
            let Some(Out { given, events }) = self.line.pop_front() else {
                break;
            };
            let given = promised(given.finish(), &self.at);
            self.permits.push(Out { given, events });
        }
        for out in &mut self.line {
            out.given.assert_waits(&self.at);
        }
    }

    fn leave_line(&mut self) {
        let place = self.random.below(self.line.len());
        drop(self.line.remove(place));
    }

    fn end_permit(&mut self) {
        if self.permits.is_empty() {
            return;
        }
        let place = self.random.below(self.permits.len());
        let Out { given, mut events } = self.permits.swap_remove(place);
        if self.random.below(4) == 0 {
            drop(given);
            return;
        }
        promised(drive::finish(given.commit(None)), &self.at);
        for event in &mut events {
            event.seen.sequence = self.next_sequence;
            self.next_sequence += 1;
        }
        self.queue.extend(events);
    }

    fn take(&mut self) {
        let limits = TakeLimits {
            events: self.random.below(12),
            bytes: (self.random.below(4) * self.random.below(400)) as u64,
        };
        let result = try_take(&self.channel, limits);
        let at = &self.at;
        if self.queue.is_empty() {
            let over = self.is_closed
                && self.leases.is_empty()
                && self.permits.iter().all(|out| out.events.is_empty());
            match result {
                Err(TakeError::Closed) => assert!(over, "{at}: closed too early"),
                Err(TakeError::Empty) => assert!(!over, "{at}: the end was not said"),
                other => assert!(other.is_err(), "{at}: events out of nothing"),
            }
            return;
        }
        let given = promised(result, at);
        let taken = seen(&given);
        let most = limits.events.min(self.bounds.transaction_events).max(1);
        assert!((1..=most).contains(&taken.len()), "{at}: number of events");
        let events: Vec<Event> = self.queue.drain(..taken.len()).collect();
        let bytes: u64 = events.iter().map(|event| event.body_bytes).sum();
        assert!(taken.len() == 1 || bytes <= limits.bytes, "{at}: bytes");
        let base = taken.iter().zip(&events).next();
        let base = base.map(|(own, event)| own.sequence.wrapping_sub(event.seen.sequence));
        let base = *self.base.get_or_insert(base.unwrap_or_default());
        let expected: Vec<Seen> = events
            .iter()
            .map(|event| Seen {
                sequence: event.seen.sequence.wrapping_add(base),
                ..event.seen
            })
            .collect();
        assert_eq!(
            taken, expected,
            "{at}: events, order, identity, redeliveries"
        );
        self.leases.push(Out { given, events });
        if self.leases.len() > OUT_MAX {
            self.end_lease();
        }
    }

    fn end_lease(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let place = self.random.below(self.leases.len());
        let Out { given, events } = self.leases.swap_remove(place);
        match self.random.below(4) {
            0 => {
                given.give_back();
                self.come_back(events);
            }
            1 => {
                let kept: Vec<u32> = (0_u32..)
                    .zip(&events)
                    .map(|(index, _)| index)
                    .filter(|_| self.random.below(2) == 0)
                    .collect();
                promised(drive::finish(given.ack_except(kept.clone())), &self.at);
                let back = (0_u32..)
                    .zip(events)
                    .filter(|(index, _)| kept.contains(index));
                let back = back.map(|(_, event)| event).collect();
                self.come_back(back);
            }
            _ => promised(drive::finish(given.ack()), &self.at),
        }
    }

    fn come_back(&mut self, events: Vec<Event>) {
        self.queue.extend(events.into_iter().map(|mut event| {
            event.seen.redeliveries += 1;
            event
        }));
        self.queue.sort_by_key(|event| event.seen.sequence);
    }

    fn resize(&mut self) {
        let bounds = some_bounds(self.maker, &mut self.random);
        let settings = self.maker.settings(bounds);
        if !promised(self.channel.reconfigure(&settings), &self.at) {
            return;
        }
        self.bounds = bounds;
        for out in std::mem::take(&mut self.line) {
            if !self.never_fits(&out.events) {
                self.line.push_back(out);
                continue;
            }
            assert!(is_too_large(&out.given.finish()), "{}: too large", self.at);
        }
    }

    fn close(&mut self) {
        self.channel.close();
        self.is_closed = true;
        for out in std::mem::take(&mut self.line) {
            assert!(is_closed(&out.given.finish()), "{}: closed", self.at);
        }
    }

    fn check(&self) {
        let at = &self.at;
        let leased: Vec<Event> = self
            .leases
            .iter()
            .flat_map(|out| out.events.iter().copied())
            .collect();
        let fill = self.channel.fill();
        assert_eq!(fill.leased_events, leased.len() as u64, "{at}: leased");
        let held = leased.len() + self.queue.len();
        assert_eq!(fill.events, held as u64, "{at}: events held");
        let bytes = counted_bytes(&leased) + counted_bytes(&self.queue);
        assert_eq!(fill.bytes, bytes, "{at}: bytes held");
        assert_eq!(self.channel.limits(), self.bounds, "{at}: limits");
    }

    /// Everything that is out comes back or goes, and what is left comes out in order.
    fn wind_up(mut self) {
        self.line.clear();
        for out in std::mem::take(&mut self.leases) {
            drop(out.given);
            self.come_back(out.events);
        }
        self.permits.clear();
        let left: Vec<u64> = self.queue.iter().map(|event| event.seen.number).collect();
        assert_eq!(
            super::drain(&self.channel),
            left,
            "{}: what is left",
            self.at
        );
        let fill = self.channel.fill();
        assert_eq!((fill.events, fill.bytes), (0, 0), "{}: empty", self.at);
    }
}

fn counted_bytes(events: &[Event]) -> u64 {
    events.iter().map(|event| event.counted_bytes).sum()
}

fn some_bounds(maker: &dyn ChannelMaker, random: &mut Random) -> ChannelLimits {
    let capacity = 1 + random.below(20);
    let transaction_events = 1 + random.below(capacity);
    let mut bounds = limits(maker, capacity as u64, transaction_events);
    // From bytes that bound the channel first to events that do.
    bounds.capacity_bytes /= 1 << random.below(4);
    bounds
}
