//! A put over all the channels of an event: room everywhere first, then all or nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::{Channel, Permit, PreparedPut, ReserveError};
use crate::batch::EventBatch;
use crate::fault::Fault;
use crate::name::ComponentName;
use crate::state::StateRecord;

/// What [`put_all`] could not put.
#[derive(Debug)]
pub enum PutError {
    /// A channel refused; nothing was put anywhere.
    Refused(ReserveError),
    /// A channel failed at the commit. The channels named were committed before it and keep the
    /// events; a retry doubles the events there.
    CommitFailed {
        /// The channel that failed.
        channel: ComponentName,
        /// How.
        fault: Fault,
        /// The channels that already have the events.
        committed: Vec<ComponentName>,
        /// Whether durable channels may have a part of the put that nobody can withdraw now. The next
        /// start decides it, by the rule for puts that were under way: until then the generation of
        /// the record has not ended.
        is_open: bool,
    },
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Refused(error) => error.fmt(f),
            PutError::CommitFailed { channel, fault, .. } => {
                write!(f, "commit to channel {channel} failed: {fault}")
            }
        }
    }
}

impl std::error::Error for PutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PutError::Refused(error) => Some(error),
            PutError::CommitFailed { fault, .. } => Some(fault),
        }
    }
}

/// One part of a put: these events into this channel.
#[derive(Clone)]
pub struct PutPart {
    /// The channel.
    pub channel: Arc<dyn Channel>,
    /// The events.
    pub events: EventBatch,
}

/// Puts each part into its channel, all or none: reserves everywhere, then commits everywhere. With
/// a record a put of several durable parts is all or none over a crash as well; without one, a crash
/// between two commits leaves it in the first.
///
/// Waits for room at most the longest `keep-alive` of the channels. While it waits in line at one
/// channel it holds no room in the others, so two puts over the same channels in different order
/// cannot block each other.
///
/// # Errors
/// [`PutError`]; see there what was put.
pub async fn put_all(parts: &[PutPart], record: Option<&StateRecord>) -> Result<(), PutError> {
    let permits = reserve_all(parts).await.map_err(PutError::Refused)?;
    let is_durable = |part: &&PutPart| part.channel.is_durable();
    let is_decided = parts.iter().filter(is_durable).nth(1).is_some();
    match record {
        Some(record) if is_decided => commit_decided(permits, parts, record).await,
        _ => commit_each(permits, parts, record).await,
    }
}

async fn commit_each(
    permits: Vec<Box<dyn Permit>>,
    parts: &[PutPart],
    record: Option<&StateRecord>,
) -> Result<(), PutError> {
    let mut committed = Vec::new();
    for (permit, part) in permits.into_iter().zip(parts) {
        let record = record.filter(|_| part.channel.is_durable());
        if let Err(fault) = permit.commit(record.cloned()).await {
            return Err(PutError::CommitFailed {
                channel: part.channel.name().clone(),
                fault,
                committed,
                is_open: false,
            });
        }
        // Names are collected for the error only; the usual put has one part and pays nothing.
        if parts.len() > 1 {
            committed.push(part.channel.name().clone());
        }
    }
    Ok(())
}

/// Prepares in all durable channels but the last, commits in the last, which decides, and then in
/// those that are not durable, which cannot fail.
async fn commit_decided(
    permits: Vec<Box<dyn Permit>>,
    parts: &[PutPart],
    record: &StateRecord,
) -> Result<(), PutError> {
    let failed = |part: &PutPart, fault, is_open| PutError::CommitFailed {
        channel: part.channel.name().clone(),
        fault,
        committed: Vec::new(),
        is_open,
    };
    let pairs = permits.into_iter().zip(parts);
    let (mut durable, passing): (Vec<_>, Vec<_>) =
        pairs.partition(|(_, part)| part.channel.is_durable());
    let Some((deciding, decider)) = durable.pop() else {
        return Ok(());
    };
    let mut prepared: Vec<Box<dyn PreparedPut>> = Vec::with_capacity(durable.len());
    for (permit, part) in durable {
        let decider = decider.channel.name().clone();
        match permit.prepare(record.clone(), decider).await {
            Ok(put) => prepared.push(put),
            Err(fault) => {
                let is_open = !withdraw(prepared).await || fault.is_uncertain();
                return Err(failed(part, fault, is_open));
            }
        }
    }
    if let Err(fault) = deciding.commit(Some(record.clone())).await {
        if fault.is_uncertain() {
            // It may count. What is prepared stays as it is, and is not dropped, which would withdraw
            // it: a channel that answers so takes nothing more, so this does not add up.
            prepared.into_iter().for_each(std::mem::forget);
            return Err(failed(decider, fault, true));
        }
        let is_open = !withdraw(prepared).await;
        return Err(failed(decider, fault, is_open));
    }
    prepared.into_iter().for_each(|put| put.publish());
    for (permit, part) in passing {
        permit
            .commit(None)
            .await
            .map_err(|fault| failed(part, fault, false))?;
    }
    Ok(())
}

/// Whether all is withdrawn. What cannot be withdrawn now is decided at the next start.
async fn withdraw(prepared: Vec<Box<dyn PreparedPut>>) -> bool {
    let mut is_done = true;
    for put in prepared {
        is_done &= put.withdraw().await.is_ok();
    }
    is_done
}

/// How often a put starts its reservations anew after it has waited in line. Each time another
/// channel may be the full one; but several parts for one channel that has room for each of them
/// and not for all would go round for ever.
const RESERVE_ROUNDS_MAX: u32 = 64;

async fn reserve_all(parts: &[PutPart]) -> Result<Vec<Box<dyn Permit>>, ReserveError> {
    let keep_alive = parts
        .iter()
        .map(|part| part.channel.limits().keep_alive)
        .max();
    let keep_alive = keep_alive.unwrap_or_default();
    let mut started = None;
    let mut rounds = 0;
    // The part whose room was waited for is reserved first in the next round.
    let mut waited_for: Option<(usize, Box<dyn Permit>)> = None;
    loop {
        let mut permits = Vec::with_capacity(parts.len());
        let mut refused = None;
        let mut granted = waited_for.take();
        for (index, part) in parts.iter().enumerate() {
            if let Some((_, permit)) = granted.take_if(|(own, _)| *own == index) {
                permits.push(permit);
                continue;
            }
            match part.channel.try_reserve(&part.events) {
                Ok(permit) => permits.push(permit),
                Err(ReserveError::Full { .. }) => {
                    refused = Some((index, part));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let Some((index, part)) = refused else {
            return Ok(permits);
        };
        // Hold nothing while waiting in line.
        drop(permits);
        drop(granted);
        let since = *started.get_or_insert_with(Instant::now);
        rounds += 1;
        if rounds > RESERVE_ROUNDS_MAX {
            return Err(ReserveError::Full {
                channel: part.channel.name().clone(),
                waited: since.elapsed(),
            });
        }
        let left = keep_alive.saturating_sub(since.elapsed());
        let permit = part.channel.reserve(&part.events, left).await?;
        waited_for = Some((index, permit));
    }
}
