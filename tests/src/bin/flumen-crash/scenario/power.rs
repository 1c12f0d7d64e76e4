//! The power goes. What was synced is there, and of the rest any part.

use anyhow::Result;

use super::Round;
use crate::event::Event;
use crate::oracle::{FULL, Oracle, Violation};
use crate::rig::{End, Next, Rig};
use crate::volume::Volume;

/// Room for the journal, all segments and their spares.
const VOLUME_MEBIBYTES: u64 = 24;

/// Cuts of one store.
const CUTS: u64 = 3;

/// Flushes before a cut at most: some rolls from one segment to the next.
const FLUSHES_MAX: u64 = 160;

/// Events of a run after which the power is cut in any case. A new log without its disk says that it
/// is full, and would do so for ever.
const EVENTS_MAX: u64 = 8_000;

/// The file system is cut off from its disk by the ioctl that ext4 has for this.
pub(super) fn by_shutdown(round: &Round) -> Result<Vec<Violation>> {
    let mut volume = Volume::ext4(VOLUME_MEBIBYTES)?;
    let mut rig = on(round, &volume);
    let mut chance = round.chance();
    for _ in 0..CUTS {
        let after = 1 + chance.below(3_000);
        let mut events = 0;
        rig.run(&[], |oracle, event, _| {
            events += 1;
            if events == after {
                oracle.see_power();
                volume.shut_down()?;
            }
            Ok(match events >= EVENTS_MAX {
                true => Next::Kill,
                false => until_it_fails(oracle, event),
            })
        })?;
        volume.remount()?;
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// The disk below the file system loses its power at some flush, with a part of what was not
/// flushed on the medium, torn sector by sector.
pub(super) fn by_faulty_disk(round: &Round) -> Result<Vec<Violation>> {
    let mut volume = Volume::faulty(VOLUME_MEBIBYTES)?;
    let mut rig = on(round, &volume);
    let mut chance = round.chance();
    for _ in 0..CUTS {
        let (flushes, seed) = (1 + chance.below(FLUSHES_MAX), chance.next());
        cut_at_flush(&mut rig, &mut volume, flushes, seed)?;
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// The process is killed, the next one opens the store and shows what it found, and then the power
/// goes: what was shown may have been delivered, so it stays.
pub(super) fn after_kill(round: &Round) -> Result<Vec<Violation>> {
    let mut volume = Volume::faulty(VOLUME_MEBIBYTES)?;
    let mut rig = on(round, &volume);
    let mut chance = round.chance();
    for _ in 0..CUTS {
        rig.run_and_kill(1 + chance.below(1_000))?;
        let seed = chance.next();
        rig.run(&[], |_, event, _| {
            Ok(match event {
                Event::Ready => {
                    volume.disk(&format!("cut {seed}"))?;
                    Next::Kill
                }
                _ => Next::Go,
            })
        })?;
        rig.expect_ready();
        volume.remount()?;
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// Runs a driver until the power goes at this flush, and brings the machine back.
pub(super) fn cut_at_flush(
    rig: &mut Rig,
    volume: &mut Volume,
    flushes: u64,
    seed: u64,
) -> Result<End> {
    volume.disk(&format!("cut-at-flush {flushes} {seed}"))?;
    let mut events = 0;
    let end = rig.run(&[], |oracle, event, _| {
        events += 1;
        Ok(match events >= EVENTS_MAX {
            true => Next::Kill,
            false => until_it_fails(oracle, event),
        })
    })?;
    // Also when the run ended before so many flushes.
    volume.disk(&format!("cut {seed}"))?;
    volume.remount()?;
    Ok(end)
}

/// A rig on a store on this volume.
pub(super) fn on(round: &Round, volume: &Volume) -> Rig {
    let mut orders = round.orders("store");
    orders.folder = volume.folder.join("store");
    let mut rig = Rig::new(orders);
    rig.oracle.let_power_go();
    rig
}

/// A store without its disk says so, sooner or later; then the machine may as well be off.
pub(super) fn until_it_fails(_: &Oracle, event: &Event) -> Next {
    match event {
        Event::Unknown { .. }
        | Event::AcknowledgeFailed { .. }
        | Event::TakeFailed(_)
        | Event::Lost(..)
        | Event::NotOpened(_) => Next::Kill,
        Event::Refused { reason, .. } if reason != FULL => Next::Kill,
        _ => Next::Go,
    }
}
