//! Two file channels as one store: puts go into both or into one of them, each with a record of the
//! state of its producer, and a start settles what the channels found as an agent does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, anyhow};
use flumen_core::channel::{Channel, Lease, PutError, PutPart, put_all};
use flumen_core::name::ComponentName;
use flumen_core::state::{Recovered, RecoveredRecord, StateRecord};
use tokio::runtime::Runtime;

use super::Orders;
use super::driven::{self, Driven, TAKE_WAIT};
use super::states::{self, Cursors, States};
use super::store::{Batch, PutOutcome, Seen, Store};
use crate::event::{Item, Opened};
use crate::mutation;

/// The folder of the first channel, which is its name too.
pub(crate) const FIRST: &str = "c1";

const SECOND: &str = "c2";

/// The folder of the states.
const STATES: &str = "states";

/// The channels, the states, and what drives the futures.
pub(crate) struct PairStore {
    // Before the runtime, which their last tasks need.
    channels: [Driven; 2],
    runtime: Runtime,
    states: States,
    cursors: BTreeMap<u32, u64>,
    takes: AtomicU64,
    /// Whether the first channel shows its part of a put before the put is decided.
    is_undecided: bool,
}

impl PairStore {
    pub(crate) fn open(orders: &Orders) -> Result<PairStore> {
        let runtime = driven::runtime()?;
        let open = |name: &str| Driven::open(orders, &orders.folder.join(name), name);
        let channels = [open(FIRST)?, open(SECOND)?];
        let states = States::open(&orders.folder.join(STATES))?;
        let mutation = orders.mutation.as_deref();
        settle(
            &runtime,
            &channels,
            &states,
            mutation != Some(mutation::SETTLE),
        )?;
        Ok(PairStore {
            channels,
            cursors: states.cursors(),
            states,
            runtime,
            takes: AtomicU64::new(0),
            is_undecided: mutation == Some(mutation::DECIDER),
        })
    }

    /// The parts that have something, and the cursors that the put moves.
    fn parts(&self, batch: &Batch) -> Result<(Vec<PutPart>, Cursors)> {
        let mut parts = Vec::new();
        let mut cursors = Vec::new();
        for (driven, part) in self.channels.iter().zip(&batch.parts) {
            if !part.bodies.is_empty() {
                parts.push(driven.part(&part.bodies)?);
                cursors.push((part.producer, part.cursor));
            }
        }
        Ok((parts, cursors))
    }
}

/// Decides what is undecided, and takes over the states that the channels kept.
fn settle(runtime: &Runtime, channels: &[Driven], states: &States, withdraws: bool) -> Result<()> {
    let found: BTreeMap<ComponentName, Recovered> = channels
        .iter()
        .map(|driven| {
            (
                driven.channel.name().clone(),
                Channel::recovered(&*driven.channel),
            )
        })
        .collect();
    let forgotten = found.values().map(|found| found.forgotten).max();
    let floor = states.floor().max(forgotten.unwrap_or(0));
    let mut counting = BTreeMap::new();
    for driven in channels {
        let mut withdrawn = BTreeSet::new();
        let own = found.get(driven.channel.name());
        for record in own.iter().flat_map(|own| &own.records) {
            let generation = record.record.generation;
            if does_count(record, floor, &found) {
                counting.insert(generation, states::decode(&record.record.bytes)?);
            } else {
                withdrawn.insert(generation);
            }
        }
        let withdrawn: Vec<u64> = withdrawn.into_iter().filter(|_| withdraws).collect();
        let settled = runtime.block_on(driven.channel.settle(&withdrawn));
        settled.map_err(|fault| anyhow!("{fault}"))?;
    }
    states.recover(&counting);
    Ok(())
}

/// Whether a put counts: it was through before the end, or the channel that decides has it.
fn does_count(
    found: &RecoveredRecord,
    floor: u64,
    all: &BTreeMap<ComponentName, Recovered>,
) -> bool {
    let generation = found.record.generation;
    let Some(decider) = &found.decider else {
        return true;
    };
    let has_it =
        |own: &RecoveredRecord| own.decider.is_none() && own.record.generation == generation;
    let decided = all.get(decider);
    generation <= floor || decided.is_some_and(|decided| decided.records.iter().any(has_it))
}

/// What `put_all` does, but for the word of the decider.
async fn put_undecided(parts: &[PutPart], record: &StateRecord) -> Result<(), PutError> {
    let refused = |error| PutError::Refused(error);
    let [first, second] = parts else {
        return put_all(parts, Some(record)).await;
    };
    let own = first.channel.try_reserve(&first.events).map_err(refused)?;
    let other = second
        .channel
        .try_reserve(&second.events)
        .map_err(refused)?;
    let failed = |part: &PutPart, fault| PutError::CommitFailed {
        channel: part.channel.name().clone(),
        fault,
        committed: Vec::new(),
        is_open: false,
    };
    let prepared = own.prepare(record.clone(), second.channel.name().clone());
    prepared
        .await
        .map_err(|fault| failed(first, fault))?
        .publish();
    let committed = other.commit(Some(record.clone())).await;
    committed.map_err(|fault| failed(second, fault))
}

impl Store for PairStore {
    type Held = Lease;

    const CHANNELS: u32 = 2;

    fn opened(&self) -> Opened {
        let [first, second] = self.channels.each_ref().map(|driven| driven.opened);
        Opened {
            pending_items: first.pending_items + second.pending_items,
            lost_frames: first.lost_frames + second.lost_frames,
            lost_items: first.lost_items + second.lost_items,
            damaged_snapshots: first.damaged_snapshots + second.damaged_snapshots,
            missing_segments: first.missing_segments + second.missing_segments,
            without_snapshot: first.without_snapshot + second.without_snapshot,
            scanned_bytes: first.scanned_bytes.max(second.scanned_bytes),
            elapsed_us: first.elapsed_us + second.elapsed_us,
        }
    }

    fn cursors(&self) -> Option<BTreeMap<u32, u64>> {
        Some(self.cursors.clone())
    }

    fn list(&self, seen: &mut dyn FnMut(Seen) -> Result<()>) -> Result<()> {
        let mut channels = self.channels.iter();
        channels.try_for_each(|driven| driven.list(&self.runtime, seen))
    }

    fn put(&self, batch: &Batch) -> PutOutcome {
        let (mut parts, cursors) = match self.parts(batch) {
            Ok(parts) => parts,
            Err(error) => return PutOutcome::Failed(error.to_string()),
        };
        let generation = self.states.begin();
        // The last one decides: each of both in its turn.
        if generation.is_multiple_of(3) {
            parts.reverse();
        }
        let record = StateRecord {
            generation,
            bytes: Arc::from(states::encode(&cursors)),
        };
        let put = match self.is_undecided {
            true => self.runtime.block_on(put_undecided(&parts, &record)),
            false => self.runtime.block_on(put_all(&parts, Some(&record))),
        };
        match put {
            Ok(()) => self.states.end(generation, &cursors),
            // The next start decides.
            Err(PutError::CommitFailed { is_open: true, .. }) => {}
            Err(_) => self.states.end(generation, &[]),
        }
        if let Some(floor) = self.states.write(generation) {
            for driven in &self.channels {
                Channel::forget(&*driven.channel, floor);
            }
        }
        driven::outcome(put)
    }

    fn take(&self, most: usize) -> Result<Option<(Vec<Item>, Lease)>> {
        let turn = self.takes.fetch_add(1, Ordering::Relaxed);
        let [first, second] = &self.channels;
        let driven = match turn.is_multiple_of(2) {
            true => first,
            false => second,
        };
        driven.take(&self.runtime, most, TAKE_WAIT)
    }

    fn lost(&self) -> Option<(u64, u64)> {
        let lost = self.channels.iter().filter_map(Driven::lost);
        lost.reduce(|one, other| (one.0 + other.0, one.1 + other.1))
    }

    fn acknowledge(&self, held: Lease, kept: &[u32]) -> Result<()> {
        driven::acknowledge(&self.runtime, held, kept)
    }

    fn give_back(&self, held: Lease) {
        held.give_back();
    }

    fn close(self) -> Result<()> {
        let closed = self.channels.map(|driven| driven.close(&self.runtime));
        closed.into_iter().collect()
    }
}
