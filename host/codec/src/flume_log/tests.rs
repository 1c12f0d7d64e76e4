//! Bytes that the real Flume has written, and any others.

use std::fs;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;

use super::conformance::check_any_bytes;
use super::{
    CHECKPOINT_HEAD_BYTES, CheckpointHead, CheckpointMeta, FlumePointer, FormatError,
    InflightTakes, LogMeta, Operation, Record, Step, find_record, step,
};

/// A file of the folders in `host/channel/tests/flume-file-channel`, which say how they were made.
fn made_by_flume(name: &str) -> Vec<u8> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../channel/tests/flume-file-channel");
    fs::read(folder.join(name)).unwrap()
}

/// The offset and text of each record of a log without damage.
fn told(log: &[u8]) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut place = 0;
    loop {
        let rest = &log[place..];
        match step(rest, rest.len() as u64) {
            Step::Record { bytes, record } => {
                all.push((place, text(&record)));
                place += bytes as usize;
            }
            Step::End => return all,
            other => panic!("{place}: {other:?}"),
        }
    }
}

fn text(record: &Record<'_>) -> String {
    match record.operation {
        Operation::Put(put) => {
            let headers: Vec<String> = put.headers().map(|(n, v)| format!("{n}={v}")).collect();
            let body = String::from_utf8_lossy(put.body);
            format!("put [{}] {body}", headers.join(" "))
        }
        Operation::Take(pointer) => format!("take {pointer}"),
        Operation::Rollback => "rollback".to_owned(),
        Operation::CommitPuts => "commit puts".to_owned(),
        Operation::CommitTakes => "commit takes".to_owned(),
    }
}

#[test]
fn a_log_of_the_real_flume_is_read_record_by_record() {
    let log = made_by_flume("killed/data1/log-1");
    let told = told(&log);
    let expected = [
        (0, "put [n=1] event 1"),
        (118, "put [host=grüße n=3] event 3"),
        (312, "commit puts"),
        (483, "rollback"),
        (555, "take log-1 at offset 59"),
        (596, "commit takes"),
    ];
    for (place, text) in expected {
        assert!(told.contains(&(place, text.to_owned())), "{told:#?}");
    }
    assert_eq!(told.len(), 27);
}

#[test]
fn the_small_files_of_the_real_flume_are_read() {
    let meta = LogMeta::parse(&made_by_flume("checkpointed/data1/log-2.meta")).unwrap();
    assert_eq!((meta.version, meta.file, meta.encryption_key), (3, 2, None));
    let checkpoint = made_by_flume("checkpointed/checkpoint/checkpoint");
    let head = CheckpointHead::parse(&checkpoint).unwrap();
    assert!(head.is_complete && head.version == 3);
    let meta = made_by_flume("checkpointed/checkpoint/checkpoint.meta");
    let meta = CheckpointMeta::parse(&meta).unwrap();
    assert_eq!(meta.write_order, head.write_order);
    assert_eq!(meta.queue_size, 3);
    let slot = CHECKPOINT_HEAD_BYTES as usize + 8 * meta.queue_head as usize;
    let word = u64::from_be_bytes(checkpoint[slot..slot + 8].try_into().unwrap());
    assert_eq!(FlumePointer::from_word(word).file, 1);
    let takes = InflightTakes::parse(&made_by_flume("checkpointed/checkpoint/inflighttakes"));
    let counts: Vec<usize> = takes
        .unwrap()
        .iter()
        .map(|own| own.pointers.len())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 3);
    assert_eq!(InflightTakes::parse(&[]), Ok(Vec::new()));
    assert_eq!(InflightTakes::parse(&[0; 24]), Err(FormatError::Truncated));
}

#[test]
fn a_pointer_is_the_same_in_both_forms() {
    let pointer = FlumePointer {
        file: 7,
        offset: u32::MAX,
    };
    assert_eq!(FlumePointer::from_word(pointer.word()), pointer);
    assert_eq!(pointer.word(), 0x7_ffff_ffff);
}

#[test]
fn a_record_is_found_wherever_it_begins_and_not_before_its_header_is_there() {
    let log = made_by_flume("killed/data1/log-1");
    let noise = [0x7f, 0, 0, 0, 0x40, 23, 0x0d, 1, 0, 0];
    let bytes = [&noise[..], &log[..40]].concat();
    assert_eq!(find_record(&bytes), Ok(noise.len()));
    assert_eq!(find_record(&bytes[..noise.len() + 20]), Err(noise.len()));
    assert_eq!(find_record(&[0x80; 9]), Err(9));
}

#[test]
fn the_checked_in_seeds_are_read_without_harm() {
    let seeds = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/flume_log");
    let seeds: Vec<_> = fs::read_dir(seeds).unwrap().collect();
    assert!(seeds.len() >= 4);
    for seed in seeds {
        check_any_bytes(&fs::read(seed.unwrap().path()).unwrap());
    }
}

#[test]
fn every_flipped_bit_is_read_without_harm() {
    let log = made_by_flume("killed/data1/log-1");
    for place in 0..log.len() {
        for bit in 0..8 {
            let mut log = log.clone();
            log[place] ^= 1 << bit;
            check_any_bytes(&log);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..400)) {
        check_any_bytes(&bytes);
    }

    /// Numbers that matter are more frequent than chance makes them.
    #[test]
    fn likely_bytes_are_read_without_harm(
        bytes in vec(prop_oneof![Just(0_u8), Just(0x7f), Just(0x80), Just(23), Just(0x0d), any::<u8>()], 0..400),
    ) {
        check_any_bytes(&bytes);
    }

    #[test]
    fn stretches_of_a_real_log_are_read_without_harm(
        from in 0..1400_usize, to in 0..1400_usize, into in 0..1400_usize,
    ) {
        let mut log = made_by_flume("killed/data1/log-1");
        let stretch = log[from.min(to)..from.max(to)].to_vec();
        let end = (into + stretch.len()).min(log.len());
        log.splice(into..end, stretch);
        check_any_bytes(&log);
    }
}
