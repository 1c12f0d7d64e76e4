//! What happens around a process: a second one, a pause, another time, a bound on descriptors.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use rustix::process::Signal;

use super::Round;
use crate::event::Event;
use crate::oracle::Violation;
use crate::rig::{Next, Rig};

/// Length of a pause. Long against everything that a store waits for by itself.
const PAUSE: Duration = Duration::from_secs(1);

/// So many a store needs at most to be opened.
const DESCRIPTORS_MAX: u64 = 8;

/// Far from now, for the times of files.
const DECADES: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How far the monotonic clock is ahead in every other run, in seconds: a year.
const CLOCK_JUMP_SECONDS: u64 = 365 * 24 * 3600;

/// A second process on the folder of one that runs is refused, and changes nothing.
pub(super) fn two_processes(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    rig.run_and_kill(1 + chance.below(500))?;
    let mut second = Rig::new(round.orders("store"));
    second.orders.transactions = 0;
    second.oracle.forgive_reads(true);
    let after = 1 + chance.below(500);
    let mut events = 0;
    rig.run(&[], |_, _, _| {
        events += 1;
        if events == after {
            second.run(&[], |_, _, _| Ok(Next::Go))?;
        }
        Ok(match events == 2 * after {
            true => Next::Kill,
            false => Next::Go,
        })
    })?;
    match second.oracle.not_opened() {
        Some(reason) if reason.contains("in use") => {}
        reason => {
            let what = format!("a second process on the folder was told {reason:?}");
            rig.oracle.violate("two processes", what);
        }
    }
    // The lock is free at once.
    rig.verify()?;
    Ok(rig.verdict())
}

/// A process is stopped for a while and goes on.
pub(super) fn pause(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    let after = 50 + chance.below(500);
    let mut events = 0;
    let mut confirmed = 0;
    rig.run(&[], |oracle, event, driver| {
        events += 1;
        if events == after {
            driver.signal(Signal::STOP)?;
            // Not to wait for anything: this is the pause.
            std::thread::sleep(PAUSE);
            driver.signal(Signal::CONT)?;
            confirmed = oracle.confirmed();
        }
        let failed = matches!(
            event,
            Event::Unknown { .. } | Event::AcknowledgeFailed { .. }
        );
        let goes_on = events > after && oracle.confirmed() > confirmed + 50;
        Ok(match goes_on || failed {
            true => Next::Kill,
            false => Next::Go,
        })
    })?;
    if rig.oracle.confirmed() <= confirmed {
        let what = "nothing was confirmed after a pause".to_owned();
        rig.oracle.violate("pause", what);
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// Clocks and the times of files jump between two runs, forth and back.
pub(super) fn clocks(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    let now = SystemTime::UNIX_EPOCH + 2 * DECADES;
    for seconds in [CLOCK_JUMP_SECONDS, 0, CLOCK_JUMP_SECONDS] {
        let seconds = seconds.to_string();
        let words = [
            "unshare",
            "--time",
            "--fork",
            "--monotonic",
            &seconds,
            "--boottime",
            &seconds,
            "--",
        ];
        let after = 1 + chance.below(1_000);
        let mut events = 0;
        rig.run(&words.map(str::to_owned), |_, _, _| {
            events += 1;
            Ok(match events == after {
                true => Next::Kill,
                false => Next::Go,
            })
        })?;
        for entry in fs::read_dir(rig.orders.log_folder())? {
            let time = match chance.once_in(2) {
                true => now - DECADES,
                false => now + DECADES,
            };
            let times = FileTimes::new().set_modified(time).set_accessed(time);
            File::options()
                .write(true)
                .open(entry?.path())?
                .set_times(times)?;
        }
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// Too few descriptors: the store opens or says why not, and nothing is lost.
pub(super) fn descriptors(round: &Round) -> Result<Vec<Violation>> {
    let mut rig = round.rig();
    let mut chance = round.chance();
    rig.run_and_kill(1 + chance.below(1_000))?;
    for descriptors in 0..DESCRIPTORS_MAX {
        rig.orders.descriptors = Some(descriptors);
        let mut events = 0;
        rig.run(&[], |_, event, _| {
            events += 1;
            let failed = matches!(
                event,
                Event::Ready | Event::TakeFailed(_) | Event::NotOpened(_)
            );
            Ok(match failed || events > 2_000 {
                true => Next::Kill,
                false => Next::Go,
            })
        })?;
    }
    rig.orders.descriptors = None;
    rig.verify()?;
    Ok(rig.verdict())
}
