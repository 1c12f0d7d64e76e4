use super::*;
use crate::simulation::check_decode;

fn header() -> SegmentHeader {
    SegmentHeader {
        log: LogId(*b"0123456789abcdef"),
        number: 5,
        salt: 0x1111_2222_3333_4444,
        count: Count {
            sequence: 7,
            item: 70,
        },
        previous_end: Position::new(4, 65536),
    }
}

/// The example of the specification.
#[test]
fn the_bytes_are_those_of_the_specification() {
    let bytes = header().encode();
    let expected = [
        "464c554d454e574c 01000000 00000000",
        "30313233343536373839616263646566",
        "0500000000000000 4444333322221111",
        "0700000000000000 4600000000000000",
        "0000010004000000",
    ];
    let expected: String = expected.concat().split_whitespace().collect();
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    assert_eq!(hex(&bytes[..72]), expected);
    assert_eq!(&bytes[72..124], &[0; 52]);
    assert_eq!(bytes.len(), 8192);
    assert_eq!(bytes[..4096], bytes[4096..], "two copies");
    check_decode(&bytes);
}

#[test]
fn either_copy_is_enough_and_none_is_not() {
    let bytes = header().encode();
    for at in 0..128 {
        for copies in [[true, false], [false, true], [true, true]] {
            let mut damaged = bytes.clone();
            for (copy, hit) in copies.into_iter().enumerate() {
                damaged[copy * 4096 + at] ^= u8::from(hit);
            }
            let expected = if copies == [true, true] {
                Err(HeaderDamage::Damaged)
            } else {
                Ok(header())
            };
            assert_eq!(SegmentHeader::decode(&damaged), expected);
        }
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for name in [
        FileName::Segment(1),
        FileName::Spare(u64::MAX),
        FileName::Making(255),
    ] {
        assert_eq!(FileName::parse(&name.to_string()), Some(name));
    }
    for other in [
        "segment-1",
        "segment-000000000000000G",
        "lock",
        "segment-00000000000000FF",
        "segment-+00000000000000f",
    ] {
        assert_eq!(FileName::parse(other), None, "{other}");
    }
}
