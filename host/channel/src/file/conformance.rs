//! What any bytes handed to the decoders must lead to. The fuzz target and the tests share it.

use bytes::Bytes;

use super::head::Head;
use super::payload::{Keyring, MAGIC, Payload};
use super::snapshot::{SNAPSHOT_MAGIC, decode_snapshot, encode_snapshot};

/// Decodes bytes that nobody vouches for, as the payload of a frame and as the channel's part of a
/// snapshot.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub fn check_decode(bytes: &[u8]) {
    check_payload(bytes);
    let keys = Keyring::default();
    let Ok(snapshot) = decode_snapshot(&keys, bytes) else {
        return;
    };
    let names = snapshot.keys.iter().map(|(name, item)| (&**name, *item));
    let (size, forgotten) = (snapshot.size_bytes, snapshot.forgotten);
    let again = encode_snapshot(size, forgotten, snapshot.records.iter(), names);
    assert_eq!(again, bytes, "a snapshot comes back from its encoding");
    assert!(Head::decode(&again, SNAPSHOT_MAGIC).is_ok());
}

fn check_payload(bytes: &[u8]) {
    let Ok(head) = Head::decode(bytes, MAGIC) else {
        return;
    };
    assert!(
        head.records().end == bytes.len(),
        "batch and record fill a payload"
    );
    let bytes = Bytes::copy_from_slice(bytes);
    // The number of events is the frame's, so some are tried.
    for items in 0..8 {
        let Ok(payload) = Payload::decode(&bytes, items) else {
            continue;
        };
        assert_eq!(payload.events.len(), items as usize);
        let again = payload.encode().map(|again| Payload::decode(&again, items));
        assert!(
            matches!(again, Ok(Ok(again)) if again == payload),
            "a payload comes back from its encoding"
        );
    }
}
