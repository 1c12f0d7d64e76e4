//! The short form of the crash rig, on the log alone and on the file channel: a few rounds of each
//! scenario of `flumen-crash`, which `docs/crash-tests.md` describes.
//!
//! Needed are Linux, root, loop devices, FUSE, and the programs unshare, mount, mkfs.ext4, strace
//! and perl. Where they are missing a test fails and says so; it is never passed over, because a
//! crash that was not tried proves nothing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::process::{Command, Output};

/// Each a test, because tests run beside each other.
macro_rules! scenarios {
    ($($name:ident = $word:literal on $stores:expr;)*) => {
        const TESTED: &[&str] = &[$($word),*];
        $(
            #[test]
            fn $name() {
                $stores.iter().for_each(|store| play($word, store));
            }
        )*
    };
}

const BOTH: &[&str] = &["log", "channel"];

scenarios! {
    kill_at_a_call = "kill-at-call" on BOTH;
    kill_in_recovery = "kill-in-recovery" on BOTH;
    kill_at_random = "kill-at-random" on BOTH;
    power_cut = "power-cut" on BOTH;
    power_cut_with_torn_writes = "power-cut-torn" on BOTH;
    a_power_cut_after_a_kill = "power-cut-after-kill" on BOTH;
    an_error_once = "error-once" on BOTH;
    an_error_with_a_dropped_write = "error-dropped" on BOTH;
    errors_for_ever = "error-for-ever" on BOTH;
    reads_that_fail_for_a_moment = "error-reading" on BOTH;
    a_full_ext4 = "full-ext4" on BOTH;
    a_full_tmpfs = "full-tmpfs" on BOTH;
    a_turned_bit = "damage-bit" on BOTH;
    damaged_blocks = "damage-blocks" on BOTH;
    missing_files = "damage-files" on BOTH;
    a_foreign_segment = "damage-foreign" on BOTH;
    a_foreign_newest_segment = "damage-foreign-newest" on BOTH;
    two_processes = "two-processes" on BOTH;
    a_pause = "pause" on BOTH;
    clocks_that_jump = "clocks" on BOTH;
    few_descriptors = "descriptors" on BOTH;
}

fn flumen_crash(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flumen-crash"));
    command.args(words).output().unwrap()
}

fn play(scenario: &str, store: &str) {
    let output = flumen_crash(&["run", scenario, "--store", store]);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_scenario_of_the_short_form_is_tested() {
    let output = flumen_crash(&["list", "--short"]);
    let listed = String::from_utf8(output.stdout).unwrap();
    let listed: BTreeSet<_> = listed
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .collect();
    assert_eq!(listed, TESTED.iter().copied().collect());
}

#[test]
fn a_scenario_that_does_not_exist_is_told() {
    let output = flumen_crash(&["run", "earthquake"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("no scenario \"earthquake\"; see list"),
        "{told}"
    );
}
