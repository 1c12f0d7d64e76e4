//! Puts that are written and count once another channel has committed them.

use std::sync::Arc;

use flumen_core::channel::PreparedPut;
use flumen_core::{BoxFuture, EventBatch, Fault};

use super::Done;
use super::shared::Shared;
use super::state::{Put, Stored};
use super::store::{PreparedKey, Written};
use super::writer::{Answer, Job};
use crate::bounded::Room;

/// A put that is being written. When it is dropped before that is known, nobody publishes it: the
/// next start asks who decides.
pub(super) struct Preparing {
    pub(super) shared: Arc<Shared>,
    pub(super) events: EventBatch,
    pub(super) room: Room,
    pub(super) generation: u64,
    pub(super) answer: Answer,
}

impl Preparing {
    pub(super) async fn written(self) -> Result<Box<dyn PreparedPut>, Fault> {
        let written = self.answer.await?;
        Ok(Box::new(SqlPrepared {
            shared: self.shared,
            generation: self.generation,
            room: self.room,
            written,
            events: Some(self.events),
        }))
    }
}

/// See [`PreparedPut`].
struct SqlPrepared {
    shared: Arc<Shared>,
    generation: u64,
    room: Room,
    written: Written,
    /// `None` once it is decided.
    events: Option<EventBatch>,
}

impl SqlPrepared {
    fn key(&self) -> PreparedKey {
        let first = self.written.first_sequence;
        PreparedKey {
            generation: self.generation,
            first,
            end: first + self.room.events,
        }
    }

    fn take_back(&mut self) -> Option<Answer> {
        self.events.take()?;
        let (job, answer) = Job::withdraw(self.key(), self.room);
        self.shared.inner.writes.submit(job);
        Some(answer)
    }
}

impl PreparedPut for SqlPrepared {
    fn publish(mut self: Box<Self>) {
        let Some(events) = self.events.take() else {
            return;
        };
        let inner = &self.shared.inner;
        if events.is_empty() {
            let room = self.room;
            return inner.with(|state, outside| state.accounts.release_reserved(room, outside));
        }
        let put = Put {
            stored: Stored::new(self.written.first_sequence, self.room.size, events),
            header_bytes: self.written.header_bytes,
        };
        inner.counters.event_put_success.add(self.room.events);
        inner.with(|state, outside| state.published(put, outside));
    }

    fn withdraw(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(Done(self.take_back()))
    }
}

impl Drop for SqlPrepared {
    fn drop(&mut self) {
        drop(self.take_back());
    }
}
