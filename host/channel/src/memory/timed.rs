//! The waits of the channel with their time limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use flumen_core::EventBatch;
use flumen_core::channel::{Lease, Permit, ReserveError, TakeError, TakeLimits};
use tokio::time::{Instant, Sleep};

use super::MemoryChannel;
use super::line::Refusal;
use super::room::Room;
use super::shared::{EventWait, Held, LeasedEvents, RoomWait};
use super::state::Nothing;

/// A limit on a wait. The timer is made when the wait begins, so that what is served at once costs
/// none.
struct TimeLimit {
    wait: Duration,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl TimeLimit {
    fn new(wait: Duration) -> Self {
        Self { wait, timer: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_zero() {
            return Poll::Ready(());
        }
        let (_, sleep) = self.timer.get_or_insert_with(|| {
            let sleep = tokio::time::sleep(self.wait);
            (Instant::now(), Box::pin(sleep))
        });
        sleep.as_mut().poll(context)
    }

    fn waited(&self) -> Duration {
        self.timer
            .as_ref()
            .map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }
}

/// See [`flumen_core::channel::Channel::reserve`].
pub(super) struct Reserve<'a> {
    channel: &'a MemoryChannel,
    batch: &'a EventBatch,
    need: Room,
    room: RoomWait<'a>,
    time: TimeLimit,
    is_counted: bool,
}

impl<'a> Reserve<'a> {
    pub(super) fn new(channel: &'a MemoryChannel, batch: &'a EventBatch, wait: Duration) -> Self {
        let need = Room::of(batch);
        Self {
            channel,
            batch,
            need,
            room: RoomWait::new(&channel.shared, need),
            time: TimeLimit::new(wait),
            is_counted: false,
        }
    }
}

impl Future for Reserve<'_> {
    type Output = Result<Box<dyn Permit>, ReserveError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.is_counted, true) {
            this.channel.count_put_attempt(this.need);
        }
        let answer = match this.room.poll(context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => match this.time.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => this.room.expire(),
            },
        };
        Poll::Ready(match answer {
            Ok(()) => {
                let shared = &this.channel.shared;
                Ok(super::permit(Held::granted(
                    shared,
                    this.need,
                    this.batch.clone(),
                )))
            }
            Err(refusal) => Err(this.channel.refused(refusal, this.need, this.time.waited())),
        })
    }
}

/// See [`flumen_core::channel::Channel::take`].
pub(super) struct Take<'a> {
    channel: &'a MemoryChannel,
    events: EventWait<'a>,
    time: TimeLimit,
    is_counted: bool,
}

impl<'a> Take<'a> {
    pub(super) fn new(channel: &'a MemoryChannel, limits: TakeLimits, wait: Duration) -> Self {
        Self {
            channel,
            events: EventWait::new(&channel.shared, limits),
            time: TimeLimit::new(wait),
            is_counted: false,
        }
    }
}

impl Future for Take<'_> {
    type Output = Result<Lease, TakeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.is_counted, true) {
            this.channel.shared.counters.event_take_attempt.add(1);
        }
        let answer = match this.events.poll(context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => match this.time.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => this.events.expire(),
            },
        };
        Poll::Ready(answer.map(lease).map_err(|nothing| match nothing {
            Nothing::Empty => TakeError::Empty,
            Nothing::Closed => TakeError::Closed,
        }))
    }
}

fn lease(events: LeasedEvents) -> Lease {
    let segments = events.segments().map(super::segment::Stored::shown);
    let segments = segments.collect();
    super::lease(segments, events)
}

impl MemoryChannel {
    /// A refusal in the words of the contract.
    pub(super) fn refused(&self, refusal: Refusal, need: Room, waited: Duration) -> ReserveError {
        let channel = self.name.clone();
        match refusal {
            Refusal::Full => ReserveError::Full { channel, waited },
            Refusal::Closed => ReserveError::Closed { channel },
            Refusal::TooManyEvents { bound } => ReserveError::TooLarge {
                channel,
                reason: format!(
                    "{} events are more than transactionCapacity {bound}; raise it or lower the \
                     batch size of the source",
                    need.events
                ),
            },
            Refusal::TooManySlots { bound } => ReserveError::TooLarge {
                channel,
                reason: format!(
                    "{} bytes (in slots of {slot}) are more than the {} that byteCapacity leaves; \
                     raise it or lower the batch size of the source",
                    need.bytes(),
                    Room {
                        events: 0,
                        slots: bound
                    }
                    .bytes(),
                    slot = super::room::SLOT_BYTES,
                ),
            },
        }
    }
}
