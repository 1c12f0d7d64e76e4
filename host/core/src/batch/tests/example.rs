//! The example in the specification, byte for byte.

use bytes::Bytes;

use super::model::{Model, event};
use crate::batch::{ENCODING_VERSION, EventBatch, MAGIC};

const SPECIFICATION: &str = include_str!("../../../../../docs/spec/batch.md");

/// The bytes of the first `hex` block: each line an offset, bytes, and a remark behind a semicolon.
fn example_bytes() -> Vec<u8> {
    let (_, block) = SPECIFICATION.split_once("```hex\n").expect("a hex block");
    let (block, _) = block.split_once("```").expect("the end of the block");
    let mut bytes = Vec::new();
    for line in block.lines() {
        let (line, _remark) = line.split_once(';').expect("a remark");
        let mut words = line.split_whitespace();
        let offset = words.next().map(|word| usize::from_str_radix(word, 16));
        assert_eq!(offset, Some(Ok(bytes.len())), "offset of the line {line}");
        bytes.extend(words.map(|word| u8::from_str_radix(word, 16).expect("a byte in hex")));
    }
    bytes
}

#[test]
fn the_example_of_the_specification_is_what_is_written_and_read() {
    let model = Model {
        events: vec![
            event("Hello", &[("host", "web1"), ("n", "7")]),
            event("", &[("host", "web1")]),
            event("ok", &[("host", "web1"), ("n", "é")]),
        ],
    };
    let bytes = example_bytes();
    let read = EventBatch::decode(&Bytes::from(bytes.clone())).expect("a batch");
    model.assert_shown_by(&read);
    let mut written = Vec::new();
    read.encode(&mut written).expect("an encoding");
    assert_eq!(written, bytes);
}

#[test]
fn the_specification_names_the_version_and_the_first_bytes() {
    let magic = std::str::from_utf8(&MAGIC).expect("letters");
    assert!(SPECIFICATION.contains(&format!("`{magic}`")));
    assert!(SPECIFICATION.contains(&format!("version {ENCODING_VERSION}")));
    for limit in [
        crate::limits::BATCH_EVENTS_MAX,
        crate::limits::BATCH_BODY_BYTES_MAX,
        crate::limits::BATCH_HEADERS_MAX,
        crate::limits::HEADER_NAME_BYTES_MAX,
        crate::limits::HEADER_VALUE_BYTES_MAX,
    ] {
        assert!(SPECIFICATION.contains(&format!("| {limit} |")), "{limit}");
    }
}
