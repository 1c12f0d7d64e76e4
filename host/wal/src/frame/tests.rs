use proptest::prelude::*;

use super::*;
use crate::simulation::check_decode;

fn encoded(mut header: Header, body: &[u8]) -> Vec<u8> {
    header.payload_length = body.len() as u32 - header.ranges * RANGE_BYTES as u32;
    header.body_checksum = crc32c::crc32c(body);
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes.extend_from_slice(body);
    bytes.resize(header.frame_length() as usize, 0);
    bytes
}

fn header() -> Header {
    Header {
        kind: Kind::Data,
        salt: 0x1111_2222_3333_4444,
        position: Position::new(5, 8192),
        durable: Position::new(4, 65536),
        count: Count {
            sequence: 7,
            item: 70,
        },
        items: 3,
        ranges: 0,
        payload_length: 0,
        body_checksum: 0,
    }
}

/// The example of the specification.
#[test]
fn the_bytes_are_those_of_the_specification() {
    let mut header = header();
    header.ranges = 1;
    let mut body = Vec::new();
    encode_ranges(std::iter::once(&(60..64)), &mut body);
    body.extend_from_slice(b"three");
    let bytes = encoded(header, &body);
    let expected = [
        "464c5746 01010000 4444333322221111",
        "0020000005000000 0000010004000000",
        "0700000000000000 4600000000000000",
        "03000000 01000000 05000000 493f4eb3 00000000 e00eaa63",
        "3c00000000000000 4000000000000000 7468726565 000000",
    ];
    let expected: String = expected.concat().split_whitespace().collect();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected);
}

#[test]
fn every_flipped_bit_of_a_frame_is_found() {
    let bytes = encoded(header(), b"some payload of a frame");
    let length = HEADER_BYTES + 23;
    for at in 0..length {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let found = Frame::decode(&damaged);
            if at < HEADER_BYTES {
                assert_eq!(found, Err(Damage::Head), "{at}");
            } else {
                assert_eq!(found, Err(Damage::Body { length: 96 }), "{at}");
            }
        }
    }
}

#[test]
fn a_whole_head_of_another_kind_is_unknown() {
    for (at, value) in [(4, 2), (5, 0), (5, 4), (6, 1), (64, 1)] {
        let mut bytes = encoded(header(), b"x");
        bytes[at] = value;
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Frame::decode(&bytes), Err(Damage::Unknown), "{at}");
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        numbers in any::<[u64; 5]>(),
        items in any::<u32>(),
        ranges in prop::collection::vec((any::<u64>(), any::<u64>()), 0..5),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        behind in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let header = Header {
            kind: Kind::Data,
            salt: numbers[0],
            position: Position::from_bits(numbers[1]),
            durable: Position::from_bits(numbers[2]),
            count: Count { sequence: numbers[3], item: numbers[4] },
            items,
            ranges: ranges.len() as u32,
            payload_length: 0,
            body_checksum: 0,
        };
        let ranges: Vec<_> = ranges.into_iter().map(|(start, end)| start..end).collect();
        let mut body = Vec::new();
        encode_ranges(&ranges, &mut body);
        body.extend_from_slice(&payload);
        let mut bytes = encoded(header, &body);
        let length = bytes.len();
        bytes.extend_from_slice(&behind);
        let frame = Frame::decode(&bytes).unwrap();
        prop_assert_eq!(frame.payload, &payload);
        prop_assert_eq!(frame.acknowledged().collect::<Vec<_>>(), ranges);
        prop_assert_eq!(frame.header.frame_length(), length as u64);
        check_decode(&bytes);
        for cut in 0..HEADER_BYTES + body.len() {
            prop_assert!(Frame::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn any_bytes_end_in_a_frame_or_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        seal in any::<bool>(),
    ) {
        if bytes.len() >= HEADER_BYTES {
            bytes[..4].copy_from_slice(&MAGIC);
            if seal {
                let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
                bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
            }
        }
        check_decode(&bytes);
    }
}

#[test]
fn the_checked_in_seeds_pass_the_oracle() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/wal_decode");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        check_decode(&bytes);
        for at in 0..bytes.len().min(256) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            check_decode(&changed);
            check_decode(&bytes[..at]);
        }
        seen += 1;
    }
    assert!(seen >= 3, "a frame, a head of a segment and a snapshot");
}
