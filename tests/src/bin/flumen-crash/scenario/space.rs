//! No room. Puts wait; takes, acknowledgements and openings do not.

use std::fs;

use anyhow::{Context, Result};

use super::{Round, power};
use crate::event::Event;
use crate::oracle::{FULL, Violation};
use crate::rig::{Next, Rig};
use crate::volume::Volume;

/// Small, so that it is full soon.
const VOLUME_MEBIBYTES: u64 = 12;

/// So many segments that the volume is full before their bound is reached.
const SEGMENTS_MAX: u64 = 146;

/// A full ext4.
pub(super) fn on_ext4(round: &Round) -> Result<Vec<Violation>> {
    let volume = Volume::ext4(VOLUME_MEBIBYTES)?;
    full(round, &volume)
}

/// A full tmpfs.
pub(super) fn on_tmpfs(round: &Round) -> Result<Vec<Violation>> {
    let volume = Volume::tmpfs(VOLUME_MEBIBYTES / 2)?;
    full(round, &volume)
}

fn full(round: &Round, volume: &Volume) -> Result<Vec<Violation>> {
    let mut rig = power::on(round, volume);
    let mut chance = round.chance();
    rig.orders.segments_max = SEGMENTS_MAX;
    rig.orders.backlog_max = u64::MAX;
    rig.orders.take = false;
    // The folder exists and the log has what it keeps back before the volume is full.
    rig.run_and_kill(20 + chance.below(200))?;
    rig.run(&[], |oracle, event, _| {
        Ok(match oracle.refused().0 >= 3 {
            true => Next::Kill,
            false => power::until_it_fails(oracle, event),
        })
    })?;
    if rig.oracle.refused().1 != FULL {
        let what = format!(
            "on a volume without room a put was told {:?}",
            rig.oracle.refused()
        );
        rig.oracle.violate("I10", what);
    }
    let filler = volume.fill()?;
    // A restart on a full volume, killed a few times on the way.
    for _ in 0..3 {
        rig.run_and_kill(1 + chance.below(40))?;
    }
    rig.verify()?;
    volume.fill()?;
    drain_and_resume(&mut rig, &filler)?;
    rig.verify()?;
    Ok(rig.verdict())
}

/// Takes and acknowledges everything on the full volume, makes room, and sees puts go on.
fn drain_and_resume(rig: &mut Rig, filler: &std::path::Path) -> Result<()> {
    rig.orders.take = true;
    // Puts would take the room that is being made, again and again.
    rig.orders.backlog_max = 0;
    let before = rig.oracle.waiting();
    let mut lowest = before;
    let mut freed = false;
    let mut after = 0;
    rig.run(&[], |oracle, event, _| {
        lowest = lowest.min(oracle.waiting());
        if !freed && lowest * 10 <= before {
            fs::remove_file(filler).context("make room")?;
            freed = true;
        }
        after += u64::from(freed && matches!(event, Event::Confirmed { .. }));
        let stuck = matches!(
            event,
            Event::AcknowledgeFailed { .. } | Event::TakeFailed(_)
        );
        Ok(match (stuck, after) {
            (true, _) => Next::Kill,
            (_, 50) => Next::Stop,
            _ => Next::Go,
        })
    })?;
    if !freed || after == 0 {
        let what = format!(
            "of {before} items {lowest} were left when a full volume was emptied, and {after} puts came behind"
        );
        rig.oracle.violate("I10", what);
    }
    Ok(())
}
