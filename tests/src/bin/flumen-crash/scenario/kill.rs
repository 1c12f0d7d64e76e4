//! The process ends at once. What it had given to the system is there.

use std::time::Duration;

use anyhow::Result;

use super::Round;
use crate::event::Event;
use crate::oracle::{MARGIN_US, Violation};
use crate::rig::{Next, Rig};
use crate::trace::{CHANGES, kill_at};

/// Transactions of each producer in a run that is killed at a call: enough for some segments.
const TRANSACTIONS: u64 = 40;

/// Openings in a row that are killed at one kind of call; none makes so many.
const OPENINGS_MAX: u64 = 100;

/// Rounds walk over the calls in steps of a prime, so that the short form sees calls from all over
/// the run, and the long form each of them.
const CALL_STEP: u64 = 37;

/// How much older than it may be young an acknowledgement becomes before a kill, and for how long there
/// is load before: some hundred transactions.
const BEHIND_US: u64 = 300_000;

/// Kills a run at one call, and the recoveries after it at some of theirs.
pub(super) fn at_call(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    rig.orders.transactions = TRANSACTIONS;
    let (calls, number) = call(round.number);
    rig.run(&kill_at(calls, number), |_, _, _| Ok(Next::Go))?;
    for _ in 0..2 {
        let (calls, _) = call(chance.next());
        let number = 1 + chance.below(6);
        rig.run(&kill_at(calls, number), |_, _, _| Ok(Next::Go))?;
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// The kind of call and its number that belong to a round.
fn call(round: u64) -> (&'static str, u64) {
    let kinds = CHANGES.len() as u64;
    let kind = CHANGES.get((round % kinds) as usize);
    let (calls, most) = kind.copied().unwrap_or(("fsync", 1));
    (calls, 1 + (round / kinds).wrapping_mul(CALL_STEP) % most)
}

/// Kills the first opening at its first call, the second at its second, until one comes through,
/// for each kind of call.
pub(super) fn in_recovery(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    for (calls, _) in CHANGES {
        rig.run_and_kill(100 + chance.below(900))?;
        let transactions = std::mem::replace(&mut rig.orders.transactions, 0);
        kill_each_opening(&mut rig, calls)?;
        rig.orders.transactions = transactions;
    }
    rig.verify()?;
    Ok(rig.verdict())
}

fn kill_each_opening(rig: &mut Rig, calls: &str) -> Result<()> {
    for number in 1..=OPENINGS_MAX {
        let end = rig.run(&kill_at(calls, number), |_, _, _| Ok(Next::Go))?;
        if !end.is_killed() {
            rig.expect_ready();
            break;
        }
    }
    Ok(())
}

/// Kills a store under load, several times in a row.
pub(super) fn at_random(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    for _ in 0..4 {
        rig.run_and_kill(1 + chance.below(3_000))?;
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// Kills a store when it had the time to write acknowledgements that it is late with: in every other
/// round while puts go on, with which they can be written, in the others when nothing is left to do.
pub(super) fn after_window(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    let window_us = rig.orders.kind.promises().acknowledged_us.unwrap_or(0);
    let old_us = window_us + MARGIN_US + BEHIND_US;
    let (rest_us, kill_us) = match round.number.is_multiple_of(2) {
        true => (chance.below(BEHIND_US), u64::MAX),
        false => (u64::MAX, old_us + chance.below(BEHIND_US)),
    };
    let mut asked = false;
    rig.run(&[], |oracle, event, driver| {
        if oracle.now_us() >= rest_us {
            driver.order("rest");
            if oracle.waiting() == 0 && !asked {
                // Not to wait for anything: that time passes is what is tried.
                std::thread::sleep(Duration::from_micros(old_us));
                driver.order("tell");
                asked = true;
            }
        }
        Ok(match *event == Event::Here || oracle.now_us() >= kill_us {
            true => Next::Kill,
            false => Next::Go,
        })
    })?;
    rig.verify()?;
    Ok(rig.verdict())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rounds_come_to_every_call_and_soon_to_every_kind() {
        let all: u64 = CHANGES.iter().map(|(_, most)| most).sum();
        let most = CHANGES.iter().map(|(_, most)| *most).max().unwrap();
        let kinds = CHANGES.len() as u64;
        let calls: BTreeSet<_> = (0..most * kinds).map(call).collect();
        assert_eq!(calls.len() as u64, all);
        let soon: BTreeSet<_> = (0..kinds).map(|round| call(round).0).collect();
        assert_eq!(soon.len(), CHANGES.len());
    }
}
