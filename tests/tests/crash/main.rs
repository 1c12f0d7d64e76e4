//! The short form of the crash rig, on the log alone and on the file channel, alone and in pairs: a
//! few rounds of each scenario of `flumen-crash`, which `docs/crash-tests.md` describes.
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
        const TESTED: &[(&str, &[&str])] = &[$(($word, $stores)),*];
        $(
            #[test]
            fn $name() {
                $stores.iter().for_each(|store| play($word, store));
            }
        )*
    };
}

const BOTH: &[&str] = &["log", "channel"];
const CHANNELS: &[&str] = &["log", "channel", "lazy", "pair"];
const AGREEING: &[&str] = &["log", "channel", "pair"];

scenarios! {
    kill_at_a_call = "kill-at-call" on &["log", "channel", "lazy", "interval", "os", "pair"];
    kill_in_recovery = "kill-in-recovery" on CHANNELS;
    kill_at_random = "kill-at-random" on &["log", "channel", "lazy", "interval", "os", "pair"];
    kill_after_the_window = "kill-after-window" on &["lazy"];
    power_cut = "power-cut" on &["log", "channel", "lazy", "interval", "pair"];
    power_cut_with_torn_writes = "power-cut-torn" on CHANNELS;
    a_power_cut_after_a_kill = "power-cut-after-kill" on CHANNELS;
    an_error_once = "error-once" on CHANNELS;
    an_error_with_a_dropped_write = "error-dropped" on CHANNELS;
    errors_for_ever = "error-for-ever" on CHANNELS;
    reads_that_fail_for_a_moment = "error-reading" on AGREEING;
    a_full_ext4 = "full-ext4" on CHANNELS;
    a_full_tmpfs = "full-tmpfs" on BOTH;
    a_turned_bit = "damage-bit" on BOTH;
    damaged_blocks = "damage-blocks" on BOTH;
    missing_files = "damage-files" on BOTH;
    a_foreign_segment = "damage-foreign" on BOTH;
    two_processes = "two-processes" on AGREEING;
    a_pause = "pause" on CHANNELS;
    clocks_that_jump = "clocks" on AGREEING;
    few_descriptors = "descriptors" on AGREEING;
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
        .filter_map(|line| line.split_once(' '))
        .map(|(name, stores)| (name, stores.trim_start().to_owned()))
        .collect();
    let tested = TESTED
        .iter()
        .map(|(name, stores)| (*name, stores.join(",")));
    assert_eq!(listed, tested.collect());
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

#[test]
fn a_scenario_that_is_nothing_for_a_store_is_told() {
    let output = flumen_crash(&["run", "damage-bit", "--store", "pair"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("damage-bit is not played on the store \"pair\""),
        "{told}"
    );
}
