//! Every protection of the log, switched off: some suite has to go red.

use std::panic::catch_unwind;
use std::time::Instant;

use super::model::WITHOUT;
use super::{crash, damage, faults, foreign, space, unreadable};
use crate::simulation::Mutation;

/// The suites, those that find most for their time first.
const SUITES: [(&str, fn()); 21] = [
    (
        "failed sync",
        faults::what_is_confirmed_after_a_failed_sync_survives_a_power_cut_at_once,
    ),
    (
        "failed write",
        faults::what_is_confirmed_after_a_failed_write_survives_a_power_cut_at_once,
    ),
    (
        "failed log",
        faults::what_a_failed_log_left_and_an_opening_found_is_durable_then,
    ),
    ("in use", damage::a_log_in_use_is_not_opened),
    (
        "foreign newest",
        foreign::a_stranger_under_the_name_of_the_newest_is_refused_and_nothing_is_changed,
    ),
    (
        "full",
        space::a_full_log_takes_acknowledgements_and_then_items_again,
    ),
    (
        "taken back",
        faults::acknowledgements_that_a_power_cut_takes_back_have_freed_nothing,
    ),
    (
        "drained",
        space::a_full_log_is_opened_and_drained_one_item_at_a_time,
    ),
    (
        "earlier life",
        crash::frames_of_an_earlier_life_of_a_segment_never_count,
    ),
    (
        "cut",
        unreadable::what_was_cut_stays_cut_when_it_can_be_read_again,
    ),
    (
        "torn group",
        damage::frames_behind_a_torn_one_of_the_last_group_are_cut,
    ),
    (
        "flipped bit",
        damage::one_flipped_bit_loses_one_frame_and_is_counted_exactly,
    ),
    (
        "zeroed block",
        damage::a_zeroed_or_unreadable_block_loses_the_frames_on_it,
    ),
    (
        "refused at first",
        faults::a_segment_that_the_disk_refused_at_its_first_group_is_nothing_to_fall_back_on,
    ),
    (
        "damaged head",
        damage::a_damaged_head_of_a_segment_loses_nothing,
    ),
    (
        "no snapshot",
        damage::without_any_snapshot_every_frame_is_still_found,
    ),
    (
        "any damage",
        damage::whatever_happens_to_the_files_nothing_panics_and_nothing_is_invented,
    ),
    ("one fault", faults::every_call_may_fail_once),
    (
        "by chance",
        crash::crashes_by_chance_of_workloads_by_chance_keep_what_was_confirmed,
    ),
    (
        "crash point",
        crash::every_crash_point_of_a_small_workload_keeps_what_was_confirmed,
    ),
    (
        "recovery",
        crash::a_crash_at_every_point_of_a_recovery_changes_nothing,
    ),
];

/// The first suite that finds out that the protection is missing.
fn found_by(mutation: Mutation) -> Option<&'static str> {
    WITHOUT.set(Some(mutation));
    let found = SUITES
        .iter()
        .find(|(_, suite)| catch_unwind(suite).is_err());
    WITHOUT.set(None);
    found.map(|(name, _)| *name)
}

#[test]
fn no_protection_can_go_without_a_suite_that_goes_red() {
    let mut survivors = Vec::new();
    for mutation in Mutation::ALL {
        let begun = Instant::now();
        let found = found_by(mutation);
        println!(
            "{mutation:16} {:20} {:?}",
            found.unwrap_or("-"),
            begun.elapsed()
        );
        if found.is_none() {
            survivors.push(mutation);
        }
    }
    assert_eq!(survivors, [], "these are missed by nobody");
}
