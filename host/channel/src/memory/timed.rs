//! The waits of the channel with their time limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use flumen_core::EventBatch;
use flumen_core::channel::{Lease, Permit, ReserveError, TakeError, TakeLimits};

use super::MemoryChannel;
use super::room::{SLOT_BYTES, Slots, bytes};
use super::shared::{EventWait, Held, LeasedEvents, Shared};
use super::state::Stored;
use crate::bounded::{Nothing, Refusal, Room, RoomWait, TimeLimit};

/// See [`flumen_core::channel::Channel::reserve`].
pub(super) struct Reserve<'a> {
    channel: &'a MemoryChannel,
    batch: &'a EventBatch,
    need: Room,
    room: RoomWait<'a, Shared>,
    time: TimeLimit,
    is_counted: bool,
}

impl<'a> Reserve<'a> {
    pub(super) fn new(channel: &'a MemoryChannel, batch: &'a EventBatch, wait: Duration) -> Self {
        let need = Room::of::<Slots>(batch);
        Self {
            channel,
            batch,
            need,
            room: RoomWait::new(&*channel.shared, need),
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
    let segments = events.segments().map(Stored::shown);
    let segments = segments.collect();
    super::lease(segments, events)
}

impl MemoryChannel {
    /// A refusal in the words of the contract.
    pub(super) fn refused(&self, refusal: Refusal, need: Room, waited: Duration) -> ReserveError {
        refusal.told(&self.name, need, waited, |bound| {
            format!(
                "{} bytes (in slots of {SLOT_BYTES}) are more than the {} that byteCapacity leaves; \
                 raise it or lower the batch size of the source",
                bytes(need.size),
                bytes(bound),
            )
        })
    }
}
