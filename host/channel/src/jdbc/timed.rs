//! The waits of the channel with their time limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use flumen_core::EventBatch;
use flumen_core::channel::{Lease, Permit, ReserveError, TakeError, TakeLimits};

use super::SqlChannel;
use super::shared::{EventWait, Held, Shared};
use super::state::{BodyBytes, NotTaken};
use crate::bounded::{Nothing, Refusal, Room, RoomWait, TimeLimit};

/// See [`flumen_core::channel::Channel::reserve`].
pub(super) struct Reserve<'a> {
    channel: &'a SqlChannel,
    batch: &'a EventBatch,
    need: Room,
    room: RoomWait<'a, Shared>,
    time: TimeLimit,
    is_begun: bool,
}

impl<'a> Reserve<'a> {
    pub(super) fn new(channel: &'a SqlChannel, batch: &'a EventBatch, wait: Duration) -> Self {
        let need = Room::of::<BodyBytes>(batch);
        Self {
            channel,
            batch,
            need,
            room: RoomWait::new(&*channel.shared, need),
            time: TimeLimit::new(wait),
            is_begun: false,
        }
    }
}

impl Future for Reserve<'_> {
    type Output = Result<Box<dyn Permit>, ReserveError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.is_begun, true) {
            this.channel.count_put_attempt(this.need);
            if let Err(error) = this.channel.check_reservation(this.batch) {
                return Poll::Ready(Err(error));
            }
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
                let held = Held::granted(shared, this.need, this.batch.clone());
                Ok(super::permit(held))
            }
            Err(refusal) => Err(this.channel.refused(refusal, this.need, this.time.waited())),
        })
    }
}

/// See [`flumen_core::channel::Channel::take`].
pub(super) struct Take<'a> {
    channel: &'a SqlChannel,
    events: EventWait<'a>,
    time: TimeLimit,
    is_counted: bool,
}

impl<'a> Take<'a> {
    pub(super) fn new(channel: &'a SqlChannel, limits: TakeLimits, wait: Duration) -> Self {
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
            let counters = this.channel.shared.inner.counters.as_ref();
            counters.event_take_attempt.add(1);
        }
        let answer = match this.events.poll(context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => match this.time.poll(context) {
                Poll::Pending => return Poll::Pending,
                // Events that are in the database only are there: they are waited for.
                Poll::Ready(()) => match this.events.expire() {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(answer) => answer,
                },
            },
        };
        Poll::Ready(answer.map(super::lease).map_err(|error| match error {
            NotTaken::Nothing(Nothing::Empty) => TakeError::Empty,
            NotTaken::Nothing(Nothing::Closed) => TakeError::Closed,
            NotTaken::Failed(fault) => TakeError::Failed(fault),
        }))
    }
}

impl SqlChannel {
    /// A refusal in the words of the contract.
    pub(super) fn refused(&self, refusal: Refusal, need: Room, waited: Duration) -> ReserveError {
        let channel = self.shared.inner.name.clone();
        match refusal {
            Refusal::Closed => ReserveError::Closed { channel },
            Refusal::TooManyEvents { bound } => ReserveError::TooLarge {
                channel,
                reason: format!(
                    "{} events are more than transactionCapacity {bound}; raise it or lower the \
                     batch size of the source",
                    need.events
                ),
            },
            Refusal::TooLarge { bound } => ReserveError::TooLarge {
                channel,
                reason: format!(
                    "{} bytes are more than capacity_bytes {bound}; raise it or lower the batch \
                     size of the source",
                    need.size
                ),
            },
            // This channel refuses for want of room only; a store that fails says so at the commit.
            Refusal::Full | Refusal::Failed => ReserveError::Full { channel, waited },
        }
    }
}
