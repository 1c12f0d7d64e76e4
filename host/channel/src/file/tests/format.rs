//! The bytes of the specification, `docs/spec/file-channel.md`.

use flumen_core::EventBatch;

use super::super::conformance::check_decode;
use super::super::payload::{Payload, PayloadError};
use super::record;

/// The example of the specification.
const EXAMPLE: &str = "
46 4c 46 43  01 00 00 00  03 00 00 00 00 00 00 00
09 00 00 00 00 00 00 00   03 00 00 00 00 00 00 00
1f 00 00 00  12 00 00 00
46 4c 42 41  01 00 00 00  02 00 00 00  00 00 00 00
03 00 00 00  01 00 00 00  03 00 00 00
61 62 63
07 00 00 00 00 00 00 00   00 00 00 00  02 00 00 00
68 69
";

fn example() -> Vec<u8> {
    let bytes = EXAMPLE.split_whitespace();
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

#[test]
fn the_example_of_the_specification_is_what_is_written_and_read() {
    let payload = Payload {
        events: EventBatch::from_columns("abc".into(), vec![1, 3]).unwrap(),
        record: Some(record(7, b"hi")),
        released_bytes: 9,
        forgotten: 3,
    };
    assert_eq!(payload.encode().unwrap(), example());
    assert_eq!(Payload::decode(&example().into(), 2).unwrap(), payload);
    let text = include_str!("../../../../../docs/spec/file-channel.md");
    for line in EXAMPLE.trim().lines() {
        assert!(text.contains(line), "the specification shows {line}");
    }
}

#[test]
fn what_no_version_wrote_is_told_apart() {
    let with = |place: usize, byte: u8| {
        let mut bytes = example();
        bytes[place] = byte;
        Payload::decode(&bytes.into(), 2).unwrap_err()
    };
    assert!(matches!(with(0, b'X'), PayloadError::Magic));
    assert!(matches!(with(4, 2), PayloadError::Version(2)));
    assert!(matches!(with(5, 2), PayloadError::Form(2)));
    assert!(matches!(with(6, 1), PayloadError::Form(0)));
    assert!(matches!(with(8, 4), PayloadError::Contradiction(_)));
    assert!(matches!(with(32, 0x20), PayloadError::Length));
    assert!(matches!(with(40, b'X'), PayloadError::Batch(_)));
    let told = Payload::decode(&example().into(), 3).unwrap_err();
    assert!(matches!(told, PayloadError::Contradiction(_)));
    assert!(
        with(4, 2)
            .to_string()
            .contains("use the release that wrote it")
    );
}

/// The seeds of the fuzz target, and mutations of them.
#[test]
fn what_the_fuzzer_begins_with_breaks_no_promise() {
    let seeds =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/payload_decode");
    let mut count = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        check_decode(&seed);
        for place in 0..seed.len() {
            check_decode(&seed[..place]);
            let mut changed = seed.clone();
            for bit in [0, 3, 7] {
                changed[place] = seed[place] ^ (1 << bit);
                check_decode(&changed);
            }
        }
        count += 1;
    }
    assert!(count >= 4, "{count} seeds");
}

proptest::proptest! {
    #[test]
    fn any_bytes_behind_a_magic_break_no_promise(
        is_snapshot: bool,
        rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        let mut bytes = if is_snapshot { b"FLFS".to_vec() } else { b"FLFC".to_vec() };
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(rest);
        check_decode(&bytes);
    }
}
