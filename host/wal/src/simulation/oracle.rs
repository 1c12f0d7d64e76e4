//! What any bytes handed to the decoders must lead to. The fuzz target and the tests share it.

use crate::frame::{ALIGNMENT_BYTES, Damage, Frame, HEADER_BYTES};
use crate::segment::SegmentHeader;
use crate::snapshot;

/// Decodes bytes that nobody vouches for, as a frame, as the head of a segment and as a snapshot.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub fn check_decode(bytes: &[u8]) {
    check_frame(bytes);
    if let Ok(header) = SegmentHeader::decode(bytes) {
        let encoded = header.encode();
        let again = SegmentHeader::decode(&encoded);
        assert_eq!(again, Ok(header), "a head comes back from its encoding");
    }
    if let Some(snapshot) = snapshot::decode(bytes) {
        check_snapshot(&snapshot, bytes.len());
    }
}

fn check_frame(bytes: &[u8]) {
    match Frame::decode(bytes) {
        Ok(frame) => {
            let header = &frame.header;
            let length = HEADER_BYTES as u64 + header.body_length();
            assert!(length <= bytes.len() as u64, "a frame is within its bytes");
            assert!(frame.payload.len() <= bytes.len(), "a payload too");
            assert_eq!(header.frame_length() % ALIGNMENT_BYTES, 0, "it is aligned");
            assert_eq!(frame.acknowledged().count(), header.ranges as usize);
            let mut encoded = Vec::new();
            header.encode(&mut encoded);
            assert_eq!(bytes.get(..HEADER_BYTES), Some(encoded.as_slice()));
        }
        Err(Damage::Body { length } | Damage::Short { length }) => {
            assert!(length >= HEADER_BYTES as u64, "a search goes on behind it");
        }
        Err(Damage::Head | Damage::Unknown) => {}
    }
}

fn check_snapshot(found: &snapshot::Snapshot<'_>, length: usize) {
    let mut encoded = Vec::new();
    snapshot::encode(&found.acknowledged, found.lost, &found.sealed, &mut encoded);
    encoded.extend_from_slice(found.state);
    assert!(encoded.len() <= length, "joined ranges take no more room");
    let again = snapshot::decode(&encoded);
    assert_eq!(again.as_ref(), Some(found), "it comes back");
}
