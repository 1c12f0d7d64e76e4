//! The state behind its lock, the overflow, and what is held against the channel.

use std::sync::{Arc, Mutex, PoisonError};

use flumen_core::channel::Channel;
use flumen_core::metric::ChannelCounters;
use flumen_core::{ComponentName, EventBatch};

use super::state::State;
use crate::bounded::{Accounted, Accounts, Outside, Room};

/// What the channel and everything that it gave out share.
pub(super) struct Shared {
    pub(super) name: ComponentName,
    /// A plain mutex suffices: it is held for a few pointer moves per batch, never over an await
    /// and never while the overflow or other foreign code runs.
    state: Mutex<State>,
    /// Held from the moment when events get their sequence until the overflow has them in its line,
    /// so that both orders agree. The overflow does not wait in there.
    pub(super) spilling: Mutex<()>,
    /// `None` when nothing may be spilled and nothing was.
    pub(super) overflow: Option<Arc<dyn Channel>>,
    pub(super) counters: Arc<ChannelCounters>,
}

impl Shared {
    pub(super) fn new(
        name: ComponentName,
        state: State,
        overflow: Option<Arc<dyn Channel>>,
    ) -> Self {
        Self {
            name,
            state: Mutex::new(state),
            spilling: Mutex::new(()),
            overflow,
            counters: Arc::default(),
        }
    }

    /// Acts on the state, then wakes whom the act served.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, &mut Outside) -> T) -> T {
        let mut outside = Outside::default();
        let value = {
            // Nothing under the lock panics, and every step leaves the state whole; should it
            // happen after all, the events are worth more than the suspicion.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            act(&mut state, &mut outside)
        };
        outside.run();
        value
    }
}

impl Accounted for Shared {
    fn with_accounts<T>(&self, act: impl FnOnce(&mut Accounts, &mut Outside) -> T) -> T {
        self.with(|state, outside| act(&mut state.total, outside))
    }
}

/// The part in memory, where a put may wait for room as well.
pub(super) struct Memory<'a>(pub(super) &'a Shared);

impl Accounted for Memory<'_> {
    fn with_accounts<T>(&self, act: impl FnOnce(&mut Accounts, &mut Outside) -> T) -> T {
        self.0
            .with(|state, outside| act(&mut state.memory, outside))
    }
}

/// Room in the whole that was granted for events. Dropping it releases the room.
pub(super) struct Held {
    pub(super) shared: Arc<Shared>,
    pub(super) room: Room,
    events: Option<EventBatch>,
}

impl Held {
    pub(super) fn granted(shared: &Arc<Shared>, room: Room, events: &EventBatch) -> Self {
        Self {
            shared: Arc::clone(shared),
            room,
            events: Some(events.clone()),
        }
    }

    /// The events; their room is the caller's from now on.
    pub(super) fn take(mut self) -> EventBatch {
        self.events.take().unwrap_or_default()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.events.take().is_some() {
            let room = self.room;
            self.shared
                .with(|state, outside| state.total.release_reserved(room, outside));
        }
    }
}
