//! The disk answers with errors.

use anyhow::Result;

use super::{Round, power};
use crate::event::Event;
use crate::oracle::{FULL, Violation};
use crate::rig::Next;
use crate::trace::{SYNCS, WRITES, inject};
use crate::volume::Volume;

/// Room for the journal, all segments and their spares.
const VOLUME_MEBIBYTES: u64 = 24;

/// Calls before the one that fails at most.
const CALLS_MAX: u64 = 120;

/// Writes with frames before the one that is dropped at most. The kernel may join several.
const FRAMES_MAX: u64 = 40;

/// Confirmed transactions behind a failure before the power goes.
const AFTER_FAILURE_MAX: u64 = 12;

/// Reads of a thread that load the program; the store's come behind them.
const LOADER_READS: u64 = 6;

/// Takes that a store with a dead disk must still give.
const TAKES_AFTER_FAILURE: u64 = 3;

/// A write or a sync fails once, by strace, and soon after it the power goes: what was confirmed
/// after the failure is there too.
pub(super) fn once(round: &Round) -> Result<Vec<Violation>> {
    let mut volume = Volume::ext4(VOLUME_MEBIBYTES)?;
    let mut rig = power::on(round, &volume);
    let mut chance = round.chance();
    rig.run_and_kill(1 + chance.below(500))?;
    let calls = [WRITES, SYNCS, "fsync"];
    let calls = calls
        .get(round.number as usize % 3)
        .copied()
        .unwrap_or(SYNCS);
    let errors = ["EIO", "ENOSPC", "EDQUOT", "EINTR"];
    let error = errors
        .get(chance.below(4) as usize)
        .copied()
        .unwrap_or("EIO");
    let call = 1 + chance.below(CALLS_MAX);
    let most = call + chance.below(AFTER_FAILURE_MAX);
    let wrapper = inject(calls, &format!("error={error}:when={call}"));
    rig.run(&wrapper, |oracle, event, _| {
        let next = power::until_it_fails(oracle, event);
        if next == Next::Kill || oracle.confirmed() + oracle.acknowledged() < most {
            return Ok(next);
        }
        oracle.see_power();
        volume.shut_down()?;
        Ok(Next::Kill)
    })?;
    volume.remount()?;
    rig.verify()?;
    Ok(rig.verdict())
}

/// The disk refuses a write with frames and drops it. The kernel tells the next sync, and the one
/// after it nothing: the page is clean by then. Soon after it the power goes.
pub(super) fn dropped(round: &Round) -> Result<Vec<Violation>> {
    let mut volume = Volume::faulty(VOLUME_MEBIBYTES)?;
    let mut rig = power::on(round, &volume);
    let mut chance = round.chance();
    rig.run_and_kill(1 + chance.below(500))?;
    let frame = 1 + chance.below(FRAMES_MAX);
    let most = frame + chance.below(AFTER_FAILURE_MAX);
    let seed = chance.next();
    volume.disk(&format!("fail-frame {frame}"))?;
    rig.run(&[], |oracle, event, _| {
        let next = power::until_it_fails(oracle, event);
        if next == Next::Kill || oracle.confirmed() + oracle.acknowledged() < most {
            return Ok(next);
        }
        volume.disk(&format!("cut {seed}"))?;
        Ok(Next::Kill)
    })?;
    volume.disk(&format!("cut {seed}"))?;
    volume.remount()?;
    rig.verify()?;
    Ok(rig.verdict())
}

/// From some call on nothing is written any more: puts are refused, and what is there can be read.
pub(super) fn for_ever(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    rig.orders.take = false;
    rig.orders.backlog_max = 100_000;
    rig.run_and_kill(50 + chance.below(200))?;
    let call = 5 + chance.below(40);
    let calls = [WRITES, SYNCS];
    let calls = calls
        .get(round.number as usize % 2)
        .copied()
        .unwrap_or(SYNCS);
    let wrapper = inject(calls, &format!("error=EIO:when={call}+"));
    let mut failed = false;
    let mut takes = 0;
    rig.run(&wrapper, |_, event, driver| {
        if fails(event) && !failed {
            failed = true;
            driver.order("take");
        }
        takes += u64::from(matches!(event, Event::Taken(_)) && failed);
        Ok(match takes >= TAKES_AFTER_FAILURE {
            true => Next::Kill,
            false => Next::Go,
        })
    })?;
    if takes == 0 && rig.oracle.waiting() > 0 {
        let what = "nothing could be taken from a store that cannot write".to_owned();
        rig.oracle.violate("I10", what);
    }
    rig.verify()?;
    Ok(rig.verdict())
}

fn fails(event: &Event) -> bool {
    match event {
        Event::Unknown { .. } => true,
        Event::Refused { reason, .. } => reason != FULL,
        _ => false,
    }
}

/// Reads fail now and then. What could not be read is told, and is there again when the disk gives
/// it.
pub(super) fn reads(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    rig.orders.take = false;
    rig.orders.backlog_max = 100_000;
    rig.run_and_kill(300 + chance.below(600))?;
    rig.orders.transactions = 0;
    rig.oracle.forgive_reads(true);
    let call = LOADER_READS + chance.below(20);
    // More than one, because a stretch that fails is read again block by block.
    let last = call + 2 + chance.below(20);
    let wrapper = inject(
        "pread64,preadv,preadv2",
        &format!("error=EIO:when={call}..{last}"),
    );
    rig.run(&wrapper, |_, _, _| Ok(Next::Go))?;
    rig.oracle.forgive_reads(false);
    rig.verify()?;
    Ok(rig.verdict())
}
