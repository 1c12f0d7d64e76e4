//! The decoder against damaged and hostile bytes, and the bytes of version 1 for ever.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::model::{Event, Model, event, name};
use crate::batch::{BatchError, DecodeError, EventBatch, Existing};
use crate::conformance::batch::{check_decode, mutations};
use crate::limits::{
    BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_HEADERS_MAX, HEADER_NAME_BYTES_MAX,
    HEADER_VALUE_BYTES_MAX,
};

/// Mutations of each seed: all seeds together stay below two seconds in an unoptimised build.
const MUTATIONS_PER_SEED: usize = 2_000;

const GOLDEN: &[u8] = include_bytes!("../../../tests/fixtures/batch-v1.bin");

fn encoded(batch: &EventBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch.encode(&mut bytes).expect("within the limits");
    bytes
}

fn decode(bytes: &[u8]) -> Result<EventBatch, DecodeError> {
    EventBatch::decode(&Bytes::copy_from_slice(bytes))
}

/// An encoding put together by hand.
#[derive(Clone)]
struct Raw(Vec<u8>);

impl Raw {
    fn head(flags: u8, delimiter: u8, rows: usize, columns: usize, data: usize) -> Self {
        let mut raw = Raw(b"FLBA\x01".to_vec());
        raw.0.extend([flags, delimiter, 0]);
        raw.u32s(&[rows as u32, columns as u32, data as u32])
    }

    fn u32s(mut self, values: &[u32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.0.extend(bytes);
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Three empty bodies and one column, whose kind and rest follow.
    fn column(kind: u8) -> Self {
        let raw = Raw::head(0, 0, 3, 1, 0).u32s(&[0, 0, 0, 1]);
        raw.bytes(b"h").bytes(&[kind])
    }

    fn decoded(&self) -> Result<EventBatch, DecodeError> {
        decode(&self.0)
    }

    fn refused(&self) -> DecodeError {
        assert!(check_decode(&self.0).is_none());
        self.decoded().expect_err("bytes that are not a batch")
    }
}

fn golden_events() -> Vec<Event> {
    (0..70)
        .map(|row| {
            let mut event = event(&"line ".repeat(row % 3), &[("host", "flume-1")]);
            event.1.extend(row.to_string().into_bytes());
            let (headers, _) = &mut event;
            headers.insert("offset".to_owned(), (row * 100).to_string());
            if row % 7 == 3 {
                headers.insert("größe".to_owned(), "ü".repeat(row / 7));
            }
            event
        })
        .collect()
}

/// The golden events in the columns that the fixture was written from.
fn golden_batch() -> EventBatch {
    let events = golden_events();
    let mut data = Vec::new();
    let mut ends = Vec::new();
    for (_, body) in &events {
        data.extend_from_slice(body);
        ends.push(data.len() as u32);
        data.push(b'\n');
    }
    let value = |key| {
        let values = events.iter().map(move |(headers, _)| headers.get(key));
        values.map(|value| value.map(String::as_str))
    };
    EventBatch::from_delimited(data.into(), b'\n', ends)
        .and_then(|batch| {
            batch.with_constant_header(&name("host"), &"flume-1".into(), Existing::Keep)
        })
        .and_then(|batch| batch.with_header(&name("offset"), value("offset"), Existing::Keep))
        .and_then(|batch| batch.with_header(&name("größe"), value("größe"), Existing::Keep))
        .expect("within the limits")
}

#[test]
fn version_1_decodes_to_the_same_events_for_ever() {
    let batch = decode(GOLDEN).expect("the fixture is a batch");
    let model = Model {
        events: golden_events(),
    };
    model.assert_shown_by(&batch);
    assert_eq!(encoded(&golden_batch()), GOLDEN, "written as it is read");
}

#[test]
fn rows_that_are_a_list_are_encoded_with_their_delimiters() {
    let batch = golden_batch().filter(|index, _| index % 5 < 3);
    let decoded = decode(&encoded(&batch)).expect("a batch");
    assert_eq!(decoded, batch);
    assert_eq!(decoded.text_runs(b'\n').count(), 1);
}

#[test]
fn head_is_checked() {
    let good = Raw::head(0, 0, 0, 0, 0);
    assert_eq!(good.decoded(), Ok(EventBatch::empty()));
    for at in 0..good.0.len() {
        assert_eq!(Raw(good.0[..at].to_vec()).refused(), DecodeError::Truncated);
    }
    let with = |at: usize, value: u8| {
        let mut raw = good.clone();
        raw.0[at] = value;
        raw.refused()
    };
    for at in 0..4 {
        assert_eq!(with(at, b'X'), DecodeError::Magic);
    }
    for version in [0, 2, 255] {
        assert_eq!(with(4, version), DecodeError::Version(version));
    }
    for flags in [2, 128, 3] {
        assert_eq!(with(5, flags), DecodeError::Unknown { offset: 5 });
    }
    let offset = 6;
    assert_eq!(with(6, b'\n'), DecodeError::Unknown { offset }, "no flag");
    assert_eq!(with(7, 1), DecodeError::Unknown { offset: 7 });
    assert_eq!(good.bytes(b"x").refused(), DecodeError::Trailing);
}

#[test]
fn counts_are_bounded_before_anything_is_made_of_them() {
    let head = |rows, columns, data| Raw::head(0, 0, rows, columns, data).refused();
    let batch = DecodeError::Batch;
    assert_eq!(
        head(BATCH_EVENTS_MAX + 1, 0, 0),
        batch(BatchError::TooManyEvents)
    );
    assert_eq!(
        head(0, BATCH_HEADERS_MAX + 1, 0),
        batch(BatchError::TooManyHeaders)
    );
    assert_eq!(
        head(0, 0, BATCH_BODY_BYTES_MAX + 1),
        batch(BatchError::TooManyBodyBytes)
    );
    assert_eq!(head(BATCH_EVENTS_MAX, 0, 0), DecodeError::Truncated);
    assert_eq!(head(0, BATCH_HEADERS_MAX, 0), DecodeError::Truncated);
    assert_eq!(head(0, 0, BATCH_BODY_BYTES_MAX), DecodeError::Truncated);

    let too_long = HEADER_VALUE_BYTES_MAX as u32 + 1;
    let constant = Raw::column(0).u32s(&[too_long]).refused();
    assert_eq!(constant, batch(BatchError::TooManyHeaderBytes));
    let full = Raw::column(1).u32s(&[0, 0, too_long]).refused();
    assert_eq!(full, batch(BatchError::TooManyHeaderBytes));
    let full = Raw::column(1).u32s(&[0, 0, too_long - 1]).refused();
    assert_eq!(full, DecodeError::Truncated);
}

#[test]
fn bodies_are_checked() {
    let packed = |ends: &[u32]| Raw::head(0, 0, ends.len(), 0, 3).u32s(ends).bytes(b"abc");
    assert!(packed(&[1, 1, 3]).decoded().is_ok());
    let ends = |row| DecodeError::Batch(BatchError::Ends { row });
    assert_eq!(packed(&[2, 1, 3]).refused(), ends(1));
    assert_eq!(packed(&[1, 2]).refused(), ends(1));
    assert_eq!(packed(&[]).refused(), ends(0));

    let lines = |ends: &[u32]| {
        Raw::head(1, b'\n', ends.len(), 0, 4)
            .u32s(ends)
            .bytes(b"a\nb\n")
    };
    assert!(lines(&[1, 3]).decoded().is_ok());
    assert_eq!(
        lines(&[1]).refused(),
        ends(0),
        "bytes behind the last delimiter"
    );
    assert_eq!(lines(&[u32::MAX]).refused(), ends(0));
    assert_eq!(lines(&[]).refused(), ends(0));
    let delimiter = |row| DecodeError::Batch(BatchError::Delimiter { row });
    assert_eq!(lines(&[0, 3]).refused(), delimiter(0));
    assert_eq!(lines(&[u32::MAX, 3]).refused(), delimiter(0));
    assert_eq!(lines(&[3, 3]).refused(), ends(1));
    assert_eq!(
        Raw::head(1, b'\n', 0, 0, 0).decoded(),
        Ok(EventBatch::empty())
    );
}

#[test]
fn header_names_are_checked() {
    let one = |len: usize, name: &[u8]| {
        let raw = Raw::head(0, 0, 0, 1, 0).u32s(&[len as u32]).bytes(name);
        raw.bytes(&[0]).u32s(&[0]).refused()
    };
    let refused = DecodeError::Batch(BatchError::HeaderName);
    assert_eq!(one(0, b""), refused);
    let long = vec![b'n'; HEADER_NAME_BYTES_MAX + 1];
    assert_eq!(one(long.len(), &long), refused);
    assert_eq!(one(2, b"\xc3\x28"), refused);
    assert_eq!(one(9, b"h"), DecodeError::Truncated);

    let column = |raw: Raw| raw.u32s(&[1]).bytes(b"h\0").u32s(&[0]);
    let twice = column(column(Raw::head(0, 0, 0, 2, 0)));
    let refused = DecodeError::Batch(BatchError::DuplicateHeader);
    assert_eq!(twice.refused(), refused);
}

#[test]
fn header_values_are_checked() {
    let constant = Raw::column(0).u32s(&[2]);
    assert!(constant.clone().bytes("ü".as_bytes()).decoded().is_ok());
    let utf8 = |row| DecodeError::Batch(BatchError::HeaderUtf8 { row });
    assert_eq!(constant.bytes(b"\xff\xff").refused(), utf8(0));

    let full = |ends: &[u32], data: &[u8]| Raw::column(1).u32s(ends).bytes(data);
    assert!(full(&[2, 2, 3], "üx".as_bytes()).decoded().is_ok());
    assert_eq!(full(&[1, 2, 3], b"ab\xff").refused(), utf8(2));
    assert_eq!(full(&[1, 1, 3], b"a\xffb").refused(), utf8(2));
    assert_eq!(
        full(&[1, 2, 3], "üx".as_bytes()).refused(),
        utf8(0),
        "cut in two"
    );
    let ends = |row| DecodeError::Batch(BatchError::Ends { row });
    assert_eq!(full(&[2, 1, 3], b"abc").refused(), ends(1));
    assert_eq!(full(&[u32::MAX, 1, 3], b"abc").refused(), ends(1));
    assert_eq!(full(&[1, 2, 3], b"ab").refused(), DecodeError::Truncated);
    let kind = Raw::column(3).refused();
    assert_eq!(kind, DecodeError::Unknown { offset: 37 });
}

#[test]
fn presence_bits_are_checked() {
    let sparse = |word: u64, ends: &[u32]| {
        let raw = Raw::column(2).bytes(&word.to_le_bytes());
        raw.u32s(ends).bytes(b"ab")
    };
    let values = sparse(0b101, &[1, 1, 2]).decoded().expect("a batch");
    let values: Vec<_> = values.header("h").expect("a column").iter().collect();
    assert_eq!(values, [Some("a"), None, Some("b")]);
    let empty_is_a_value = sparse(0b111, &[1, 1, 2]).decoded().expect("a batch");
    assert_eq!(empty_is_a_value.headers_of(1).count(), 1);

    let presence = |row| DecodeError::Batch(BatchError::Presence { row });
    assert_eq!(
        sparse(0b1101, &[1, 1, 2]).refused(),
        presence(3),
        "no fourth row"
    );
    assert_eq!(sparse(1 << 63, &[1, 1, 2]).refused(), presence(3));
    assert_eq!(
        sparse(0b101, &[1, 2, 2]).refused(),
        presence(1),
        "hidden bytes"
    );
    assert_eq!(sparse(0, &[0, 0, 2]).refused(), presence(2));

    let exact = Raw::head(0, 0, 64, 1, 0)
        .u32s(&[0; 64])
        .u32s(&[1])
        .bytes(b"h\x02");
    let exact = exact.bytes(&u64::MAX.to_le_bytes()).u32s(&[0; 64]);
    let exact = exact.decoded().expect("no bit is past row 63");
    assert!(
        exact
            .header("h")
            .is_some_and(|h| h.iter().all(|value| value == Some("")))
    );
}

#[test]
fn errors_say_what_is_wrong_and_keep_their_cause() {
    let errors = [
        DecodeError::Magic,
        DecodeError::Version(9),
        DecodeError::Unknown { offset: 5 },
        DecodeError::Truncated,
        DecodeError::Trailing,
        DecodeError::Batch(BatchError::RowOrder),
    ];
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(
        texts[1].contains('9') && texts[1].contains("version 1"),
        "{}",
        texts[1]
    );
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), errors.len());
    let cause = errors[5].source().map(ToString::to_string);
    assert_eq!(cause, Some(BatchError::RowOrder.to_string()));
    assert!(errors[0].source().is_none());
}

#[test]
fn every_prefix_of_a_batch_is_refused() {
    let bytes = encoded(&golden_batch().slice(0..9));
    for len in 0..bytes.len() {
        assert_eq!(decode(&bytes[..len]), Err(DecodeError::Truncated), "{len}");
    }
}

#[test]
fn decoder_survives_corpus_and_mutations() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/batch_decode");
    let seeds = std::fs::read_dir(seeds).expect("the seeds of the fuzz target");
    let mut valid = 0;
    for seed in seeds {
        let bytes = std::fs::read(seed.expect("a seed").path()).expect("a readable seed");
        valid += usize::from(check_decode(&bytes).is_some());
        for mutated in mutations(&bytes, bytes.len() as u64).take(MUTATIONS_PER_SEED) {
            check_decode(&mutated);
        }
    }
    assert!(valid >= 5, "seeds that are batches: {valid}");
}

#[test]
fn mutations_reach_both_answers() {
    let small = golden_batch().slice(0..4);
    let bytes = encoded(&small);
    let answers: Vec<bool> = mutations(&bytes, 1)
        .take(500)
        .map(|mutated| check_decode(&mutated).is_some())
        .collect();
    assert!(answers.contains(&true) && answers.contains(&false));
    assert!(
        mutations(&bytes, 1)
            .take(9)
            .eq(mutations(&bytes, 1).take(9))
    );
    assert!(
        mutations(&bytes, 1)
            .take(9)
            .ne(mutations(&bytes, 2).take(9))
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..200), headed in any::<bool>()) {
        if headed {
            check_decode(&Raw(b"FLBA\x01\0\0\0".to_vec()).bytes(&bytes).0);
        } else {
            check_decode(&bytes);
        }
    }

    #[test]
    fn slices_of_columns_encode_as_batches_of_their_own(from in 0usize..70, to in 0usize..72) {
        let value: Arc<str> = Arc::from("c");
        let part = golden_batch().slice(from..to);
        let part = part.with_constant_header(&name("c"), &value, Existing::Keep).expect("a header");
        let decoded = check_decode(&encoded(&part)).expect("a batch");
        assert_eq!(decoded, part);
    }
}

#[test]
fn a_batch_is_encoded_into_room_that_suffices_and_no_other() {
    let batch = golden_batch();
    let mut grown = Vec::new();
    batch.encode(&mut grown).expect("within the limits");
    let most = usize::try_from(batch.encoded_bytes_max()).expect("a small batch");
    let mut memory = vec![0xee; most];
    let mut room = memory.as_mut_slice();
    batch.encode(&mut room).expect("room");
    let left = room.len();
    memory.truncate(most - left);
    assert_eq!(memory, grown);
    let mut memory = vec![0xee; most - 1];
    let error = batch.encode(&mut memory.as_mut_slice());
    assert_eq!(error, Err(BatchError::NoRoom));
    assert!(memory.iter().all(|byte| *byte == 0xee));
}
