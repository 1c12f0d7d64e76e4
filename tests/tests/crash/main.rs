//! The short form of the crash rig, on the log alone and on the file channel, alone and in pairs: a
//! few rounds of each scenario of `flumen-crash`, which `docs/crash-tests.md` describes.
//!
//! Needed are Linux, root, loop devices, FUSE, and the programs unshare, mount, mkfs.ext4, strace
//! and perl. Where they are missing a test fails and says so; it is never passed over, because a
//! crash that was not tried proves nothing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::process::{Command, Output};

use flumen_tests::binary;

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
    a_foreign_newest_segment = "damage-foreign-newest" on BOTH;
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

/// A program of a few lines that keeps lines and answers them, with or without a sync before. It
/// writes what it kept into a file of the output when it is to drain.
const KEEPER: &str = r#"
    use strict; use IO::Socket::INET; use IO::Handle; use File::Copy;
    my ($port, $folder, $output, $stage, $synced) = @ARGV;
    copy("$folder/lines", "$output/lines") if $stage eq "drain";
    open(my $file, ">>", "$folder/lines") or die "open: $!";
    $file->autoflush(1);
    my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1:$port") or die $@;
    while (my $client = $listener->accept) {
        while (my $line = <$client>) {
            print $file $line or last;
            if ($synced) { $file->sync or last; }
            print $client "OK\n";
        }
    }
"#;

/// Tries the keeper; `synced` is 1 or 0.
fn try_keeper(synced: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("keeper.pl");
    std::fs::write(&script, KEEPER).unwrap();
    let script = script.display();
    let command = format!("perl {script} {{port}} {{folder}} {{output}} {{stage}} {synced}");
    flumen_crash(&["foreign", "keeper", &command, "--answers", "--lines", "500"])
}

#[test]
fn a_foreign_program_that_does_not_sync_loses_what_it_answered() {
    let output = try_keeper("0");
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(told.contains("| keeper | under load | "), "{told}");
}

#[test]
fn a_foreign_program_that_syncs_keeps_what_it_answered() {
    let output = try_keeper("1");
    assert!(output.status.success(), "{output:?}");
}

/// The whole agent, as a client sees it.
#[test]
fn an_agent_with_a_file_channel_keeps_what_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("agent.sh");
    let flumen = binary::locate().unwrap();
    let text = AGENT.replace("FLUMEN", &flumen.display().to_string());
    std::fs::write(&script, text).unwrap();
    let script = script.display();
    let command = format!("sh {script} {{port}} {{folder}} {{output}} {{stage}} 2>&1");
    let output = flumen_crash(&[
        "foreign",
        "flumen",
        &command,
        "--answers",
        "--lines",
        "5000",
    ]);
    assert!(output.status.success(), "{output:?}");
}

/// Starts an agent without a sink, or with one that writes files.
const AGENT: &str = r#"
    {
        cat <<END
a.sources = r
a.channels = c
a.sources.r.type = netcat
a.sources.r.bind = 127.0.0.1
a.sources.r.port = $1
a.sources.r.channels = c
a.channels.c.type = file
a.channels.c.dataDirs = $2/data
a.channels.c.capacity = 100000
END
        test $4 = fill || cat <<END
a.sinks = k
a.sinks.k.channel = c
a.sinks.k.type = file_roll
a.sinks.k.sink.directory = $3
END
    } > "$2.properties"
    exec FLUMEN agent -n a -f "$2.properties" --no-reload-conf
"#;
