//! Acknowledging events together with what the sink remembers of them.

use flumen_core::channel::Lease;
use flumen_core::state::{PendingState, StateRecord};
use flumen_core::{ComponentName, Fault};
use tracing::error;

use super::SinkSlot;
use crate::state_folder::Generation;
use crate::state_folder::record::{self, Change};

impl SinkSlot {
    /// Acknowledges the events but for those at `kept`, with what the sink has written of events that
    /// were delivered. A durable channel keeps both or neither.
    pub(super) async fn acknowledge(&mut self, lease: Lease, kept: Vec<u32>) -> Result<(), Fault> {
        let pending = self.sink.as_mut().and_then(|sink| sink.pending_state());
        let Some(pending) = pending else {
            return lease.ack_except(kept).await;
        };
        // Ends when the acknowledgement is through, or not to be.
        let generation = self.parts.states.begin();
        let record = match &generation {
            Some(generation) if self.parts.channel.is_durable() => {
                Some(record_of(&*pending, generation, self.parts.channel.name())?)
            }
            _ => None,
        };
        lease.ack_except_with(kept, record).await?;
        let _whole = self.parts.states.hold();
        if let Some(generation) = &generation {
            generation.applied(pending.component());
        }
        if let Err(fault) = pending.commit() {
            error!(sink = %self.parts.name, "the state of a sink is lost, its events are not: {fault}");
        }
        Ok(())
    }
}

fn record_of(
    pending: &dyn PendingState,
    generation: &Generation<'_>,
    channel: &ComponentName,
) -> Result<StateRecord, Fault> {
    let component = pending.component();
    let writes = pending.writes().into_iter().map(|write| Change::Write {
        component: component.clone(),
        write,
    });
    record::bounded(&writes.collect::<Vec<_>>(), channel).map(|bytes| StateRecord {
        generation: generation.number(),
        bytes,
    })
}
