//! What durable channels bring from an earlier life of the agent: states that the folder may not
//! have, and puts of which it is open whether they count.
//!
//! A put over several durable channels counts when the channel that decides has it, or when its
//! generation is at or below the floor: then it was through before the end. What a channel asks of
//! another that is not in the plan any more counts: events twice are better than none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flumen_core::channel::Channel;
use flumen_core::state::{Recovered, RecoveredRecord};
use flumen_core::{ComponentName, Fault, FaultKind, Side};
use tracing::{info, warn};

use super::Running;
use crate::poison::ChannelDirectory;
use crate::state_folder::StateFolder;
use crate::state_folder::record::{self, Change};

/// Durable channels by their names.
type Durable<'c> = BTreeMap<&'c ComponentName, &'c Arc<dyn Channel>>;

impl Running {
    /// Settles what the new channels have found, and takes over the states that they kept. Nothing is
    /// put or taken before.
    ///
    /// # Errors
    /// A channel that could not be settled, a state folder that cannot be opened, or a record that
    /// cannot be read. The channels keep what they found.
    pub(super) async fn recover(
        &self,
        new: &BTreeMap<ComponentName, Arc<dyn Channel>>,
    ) -> Result<(), Fault> {
        let opened = durable(new);
        if opened.is_empty() {
            return Ok(());
        }
        let mut all = durable(&self.channels);
        all.extend(&opened);
        let found: BTreeMap<_, _> = all
            .iter()
            .map(|(name, channel)| (*name, channel.recovered()))
            .collect();
        let states = self.guests.states();
        // With one channel and nothing kept there is nothing to agree on.
        let is_needed = all.len() > 1 || found.values().any(|found| !found.records.is_empty());
        states.ready(!is_needed).await?;
        let forgotten = found.values().map(|found| found.forgotten).max();
        let floor = states.floor().max(forgotten.unwrap_or(0));
        let mut commits: BTreeMap<u64, Vec<Change>> = BTreeMap::new();
        for (name, channel) in &opened {
            let Some(own) = found.get(name) else { continue };
            let counts = |record: &&RecoveredRecord| does_count(record, floor, &found);
            let mut withdrawn = BTreeSet::new();
            for record in &own.records {
                if counts(&record) {
                    let changes = record::decode(&record.record.bytes).map_err(|error| {
                        let message = format!("channel {name} has a state that cannot be read");
                        Fault::new(FaultKind::Configuration, Side::Component, message)
                            .with_cause(error)
                    })?;
                    commits.insert(record.record.generation, changes);
                } else {
                    withdrawn.insert(record.record.generation);
                }
            }
            if !withdrawn.is_empty() {
                info!(channel = %name, puts = withdrawn.len(), "puts that were cut off before all channels had them are withdrawn; their sources give them again");
            }
            let withdrawn: Vec<_> = withdrawn.into_iter().collect();
            channel.settle(&withdrawn).await?;
        }
        states.recover(commits);
        Ok(())
    }
}

fn durable(channels: &BTreeMap<ComponentName, Arc<dyn Channel>>) -> Durable<'_> {
    channels
        .iter()
        .filter(|(_, channel)| channel.is_durable())
        .collect()
}

fn does_count(
    found: &RecoveredRecord,
    floor: u64,
    all: &BTreeMap<&ComponentName, Recovered>,
) -> bool {
    let generation = found.record.generation;
    let Some(decider) = &found.decider else {
        return true;
    };
    if generation <= floor {
        return true;
    }
    let Some(decided) = all.get(decider) else {
        warn!(channel = %decider, "a put waits for the word of a channel that is gone; it counts, and its events may come twice");
        return true;
    };
    let has_it =
        |own: &RecoveredRecord| own.decider.is_none() && own.record.generation == generation;
    decided.records.iter().any(has_it)
}

/// Tells the durable channels which records they need no more, for as long as states are written.
pub(crate) async fn forget_written(states: Arc<StateFolder>, channels: Arc<ChannelDirectory>) {
    let mut told = 0;
    while let Some(floor) = states.written_beyond(told).await {
        told = floor;
        for channel in channels.all() {
            channel.forget(floor);
        }
    }
}
