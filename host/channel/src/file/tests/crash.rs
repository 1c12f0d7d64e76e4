//! The power goes or the process dies, at every call that changes something on the disk.

use flumen_wal::simulation::{Call, Crash};

use super::super::window::Window;
use super::rig::Rig;

/// A window for one or two puts of the workload, so that most is read from the disk.
const SMALL: Window = Window {
    bytes_max: 3_000,
    read_ahead_bytes: 1_000,
};

/// Puts and takes over several segments. Ends early when the disk is gone.
fn workload(rig: &mut Rig) {
    for round in 0..6 {
        for count in [1, 40, 0, 120] {
            rig.put(count);
        }
        if let Some(lease) = rig.take(30) {
            rig.ack(lease, Vec::new());
        }
        if let Some(lease) = rig.take(25) {
            let length = lease.len() as u32;
            let kept = [0, 3, 4, 24].into_iter().filter(|own| *own < length);
            rig.ack(lease, kept.collect());
        }
        if round % 2 == 0
            && let Some(lease) = rig.take(9)
        {
            lease.give_back();
        }
        if rig.disk.is_stopped() {
            return;
        }
    }
}

fn calls(strict: bool) -> u64 {
    let mut rig = Rig::new(strict, SMALL);
    rig.open().unwrap();
    workload(&mut rig);
    rig.channel = None;
    rig.disk.calls()
}

#[test]
fn what_was_confirmed_is_there_after_a_crash_at_any_call() {
    for strict in [false, true] {
        let last = calls(strict) + 2;
        for stop in (1..=last).step_by(if strict { 2 } else { 3 }) {
            let crash = match stop % 4 {
                0 => Crash::Kill,
                1 => Crash::PowerCutDropsAll,
                2 => Crash::PowerCutKeepsAll,
                _ => Crash::PowerCut { seed: stop },
            };
            let mut rig = Rig::new(strict, SMALL);
            rig.disk.stop_at(stop);
            if rig.open().is_ok() {
                workload(&mut rig);
            }
            rig.crash(crash);
            // A second life, which ends without warning too.
            rig.put(3);
            if let Some(lease) = rig.take(20) {
                rig.ack(lease, vec![0]);
            }
            rig.crash(Crash::PowerCutDropsAll);
        }
    }
}

#[test]
fn a_disk_that_refuses_a_write_once_costs_nothing() {
    for call in [Call::Write, Call::Sync, Call::SyncFolder, Call::Rename] {
        for passing in 0..8 {
            let mut rig = Rig::new(true, SMALL);
            rig.open().unwrap();
            assert!(rig.put(10));
            rig.disk.fail(call, passing, std::io::ErrorKind::Other);
            workload(&mut rig);
            rig.crash(Crash::PowerCutDropsAll);
        }
    }
}

#[test]
fn a_log_that_failed_gives_what_it_has_and_takes_no_more() {
    let mut rig = Rig::new(false, SMALL);
    rig.open().unwrap();
    for _ in 0..5 {
        assert!(rig.put(40));
    }
    // Both attempts of a group, and whatever comes behind them.
    for passing in 0..40 {
        rig.disk
            .fail(Call::Sync, passing, std::io::ErrorKind::Other);
    }
    assert!(!rig.put(5));
    let channel = rig.channel();
    let batch = super::events(0..1, 0);
    let refused = flumen_core::channel::Channel::try_reserve(&*channel, &batch);
    assert!(matches!(
        refused,
        Err(flumen_core::channel::ReserveError::Failed { .. })
    ));
    drop(refused);
    drop(channel);
    for _ in 0..5 {
        let lease = rig.take(40).unwrap();
        assert_eq!(lease.len(), 40);
        rig.ack(lease, Vec::new());
    }
    rig.crash(Crash::Kill);
}

#[test]
fn a_full_disk_is_emptied_and_takes_events_again() {
    let mut rig = Rig::new(true, SMALL);
    rig.disk.set_capacity(1024 * 1024);
    rig.open().unwrap();
    let mut puts = 0;
    while rig.put(150) {
        puts += 1;
        assert!(puts < 100, "a disk of 1 MiB takes no more than that");
    }
    assert!(puts > 10, "{puts}");
    // What was refused for want of room is not in the log.
    rig.crash(Crash::PowerCutDropsAll);
    while let Some(lease) = rig.take(150) {
        rig.ack(lease, Vec::new());
    }
    assert_eq!(
        flumen_core::channel::Channel::fill(&*rig.channel()).events,
        0
    );
    // Room is there again once the acknowledgements have freed segments.
    assert!(rig.put(150));
    rig.crash(Crash::PowerCutDropsAll);
}
