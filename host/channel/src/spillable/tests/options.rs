//! Flume's options, and what they come to.

use std::time::Duration;

use flumen_core::option::Support;
use flumen_core::{ComponentName, FaultKind};

use super::super::options::Setup;
use super::super::{ROW, change};
use super::{defaults, number, open, settings, text};
use crate::change::Change;
use crate::file;

fn setup(settings: &flumen_core::settings::Settings) -> Result<Setup, flumen_core::Fault> {
    Setup::read(&ComponentName::new("c1"), settings)
}

#[test]
fn defaults_are_those_of_flume() {
    let setup = setup(&defaults()).unwrap();
    assert_eq!(setup.memory.capacity.events, 10_000);
    assert_eq!(setup.total.capacity.events, 100_010_000);
    assert_eq!(setup.memory.capacity.size, 214_748_364);
    assert_eq!(setup.total.transaction_events, 10_000);
    assert_eq!(setup.overflow_timeout, Duration::from_secs(3));
    assert_eq!(setup.policy.free_percent, 5);
    assert!(ROW.is_called("org.apache.flume.channel.SpillableMemoryChannel"));
}

#[test]
fn all_options_of_the_file_channel_are_here_but_for_its_capacity() {
    assert!(ROW.option("capacity").is_none());
    for option in file::ROW.options {
        if matches!(option.name, "capacity" | "keep-alive") {
            continue;
        }
        let own = ROW.options.iter().filter(|own| own.name == option.name);
        assert_eq!(own.count(), 1, "{}", option.name);
    }
    for own in [
        "memoryCapacity",
        "overflowCapacity",
        "overflowTimeout",
        "overflowDeactivationThreshold",
        "byteCapacity",
        "byteCapacityBufferPercentage",
        "avgEventSize",
    ] {
        assert_ne!(ROW.option(own).unwrap().support, Support::NotBuilt, "{own}");
    }
}

#[test]
fn capacities_of_nothing_are_refused_or_switch_a_part_off() {
    let nothing = defaults()
        .with("memoryCapacity", number(0))
        .with("overflowCapacity", number(0));
    let fault = setup(&nothing).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    assert!(fault.to_string().contains("are both 0"), "{fault}");
    let small = defaults()
        .with("byteCapacity", number(1))
        .with("byteCapacityBufferPercentage", number(50));
    assert!(
        setup(&small)
            .unwrap_err()
            .to_string()
            .contains("leaves no room")
    );
    let files = setup(&defaults().with("memoryCapacity", number(0))).unwrap();
    assert_eq!(
        (files.memory.capacity.events, files.memory.capacity.size),
        (0, 0)
    );
    let memory = setup(&defaults().with("overflowCapacity", number(0))).unwrap();
    assert!(!memory.policy.may_spill);
    assert_eq!(memory.total.capacity, memory.memory.capacity);
}

#[test]
fn settings_change_in_place_where_the_folder_stays() {
    let folder = tempfile::tempdir().unwrap();
    let old = settings(folder.path(), 5);
    let name = ComponentName::new("c1");
    let in_place = |new| change(&name, &old, new).unwrap() == Change::InPlace;
    let larger = old
        .clone()
        .with("memoryCapacity", number(50))
        .with("overflowTimeout", number(9));
    assert!(in_place(&larger));
    let channel = open(&old);
    assert!(channel.reconfigure(&larger).unwrap());
    assert_eq!(channel.limits().capacity_events, 1_000_050);
    let elsewhere = old.clone().with("dataDirs", text("/elsewhere"));
    assert!(!in_place(&elsewhere));
    assert!(!channel.reconfigure(&elsewhere).unwrap());
    let without = old.clone().with("overflowCapacity", number(0));
    assert_eq!(
        change(&name, &without, &old).unwrap(),
        Change::NewChannel,
        "files have to be opened"
    );
}
