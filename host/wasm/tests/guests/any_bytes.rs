//! Answers and component files that nobody vouches for: the oracles of the fuzz targets, run on
//! their seeds and on what a generator makes of them.

use std::fs;
use std::path::{Path, PathBuf};

use flumen_core::conformance::batch::mutations;
use flumen_wasm::conformance::{check_answer, check_component};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::rig::fixture;

/// Changes of each component file.
const MUTATIONS: usize = 100;

fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let entries = fs::read_dir(folder.join(target)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has seeds");
    paths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_answer_is_refused_or_means_what_the_model_says(bytes in vec(any::<u8>(), 0..200)) {
        check_answer(&bytes);
    }

    #[test]
    fn any_bytes_behind_the_head_of_a_component_are_read_or_refused(
        bytes in vec(any::<u8>(), 0..100)
    ) {
        check_component(&bytes);
        check_component(&[b"\0asm\x0d\0\x01\0", bytes.as_slice()].concat());
    }
}

/// A generator that only made bad answers, or only good ones, would prove little.
#[test]
fn the_generator_makes_answers_of_both_kinds() {
    let mut state = 7_u64;
    for kind in 0..3 {
        let mut accepted = 0;
        for _ in 0..5000 {
            let mut bytes = vec![kind];
            bytes.extend((0..100).map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            }));
            accepted += u32::from(check_answer(&bytes));
        }
        assert!((500..4750).contains(&accepted), "{accepted} of 5000");
    }
}

#[test]
fn the_seeds_of_the_fuzz_targets_hold() {
    for path in seeds("guest_answer") {
        check_answer(&fs::read(&path).unwrap());
    }
    let mut read = 0;
    for path in seeds("component_read") {
        let bytes = fs::read(&path).unwrap();
        read += usize::from(check_component(&bytes).is_some());
        for changed in mutations(&bytes, 1).take(MUTATIONS) {
            check_component(&changed);
        }
    }
    assert!(read > 0, "some seeds are components");
}

#[test]
fn a_component_file_that_is_damaged_is_read_or_refused() {
    for name in ["count", "record", "transform"] {
        let bytes = fs::read(fixture(name)).unwrap();
        assert!(check_component(&bytes).is_some(), "{name} is sound");
        for changed in mutations(&bytes, 2).take(MUTATIONS) {
            check_component(&changed);
        }
    }
}
