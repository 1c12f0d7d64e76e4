//! What any bytes handed to the decoder must lead to: an error, or a batch that keeps every promise
//! of a batch. The fuzz target and the tests of this room share this oracle and this generator.

use bytes::Bytes;

use crate::EventBatch;

/// Bytes that a mutated input grows by at most, so that a run over mutations stays small.
const GROWTH_BYTES_MAX: u64 = 64;

/// Decodes bytes that nobody vouches for and, when they are a batch, holds it to its promises:
/// every accessor agrees with every other, and the batch comes back equal from its encoding, from a
/// copy and from its own halves.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub fn check_decode(bytes: &[u8]) -> Option<EventBatch> {
    let bytes = Bytes::copy_from_slice(bytes);
    match EventBatch::decode(&bytes) {
        Ok(batch) => {
            check_bodies(&batch);
            check_headers(&batch);
            check_round_trip(&batch);
            Some(batch)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error says what is wrong");
            None
        }
    }
}

fn check_bodies(batch: &EventBatch) {
    assert_eq!(batch.bodies().count(), batch.len(), "one body per event");
    let bytes: u64 = batch.bodies().map(|body| body.len() as u64).sum();
    assert_eq!(batch.body_bytes(), bytes, "body_bytes is the sum of all");
    assert_eq!(batch.body(batch.len()), None, "no body past the last event");
    for (index, body) in batch.bodies().enumerate() {
        assert_eq!(batch.body(index), Some(body), "body and bodies agree");
    }
    if let Some((stretch, places)) = batch.contiguous() {
        for (place, body) in places.zip(batch.bodies()) {
            assert_eq!(stretch.get(place), Some(body), "a place shows its body");
        }
    }
}

fn check_headers(batch: &EventBatch) {
    for (name, view) in batch.headers() {
        assert_eq!(
            view.iter().count(),
            batch.len(),
            "one value or none per event"
        );
        let shared = view.constant();
        for (index, value) in view.iter().enumerate() {
            assert_eq!(view.get(index), value, "get and iter agree on {name}");
            assert!(
                shared.is_none() || shared == value,
                "a constant holds for all"
            );
        }
    }
    let mut names: Vec<&str> = batch.header_names().collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), batch.headers().count(), "a name occurs once");
}

fn check_round_trip(batch: &EventBatch) {
    let encoded = encoding_of(batch);
    let again = EventBatch::decode(&Bytes::from(encoded.clone()));
    assert_eq!(
        again.as_ref(),
        Ok(batch),
        "an encoding decodes to an equal batch"
    );
    let twice = again.as_ref().map(encoding_of);
    assert_eq!(
        twice,
        Ok(encoded),
        "a decoded batch encodes to the same bytes"
    );
    assert_eq!(batch.compacted().as_ref(), Ok(batch), "a copy is equal");
    let middle = batch.len() / 2;
    let halves = [batch.slice(0..middle), batch.slice(middle..batch.len())];
    assert_eq!(
        EventBatch::concat(&halves).as_ref(),
        Ok(batch),
        "halves joined are the whole"
    );
    let odd = batch.filter(|index, _| index % 2 == 1);
    let decoded = EventBatch::decode(&Bytes::from(encoding_of(&odd)));
    assert_eq!(
        decoded.as_ref(),
        Ok(&odd),
        "a list of rows encodes as a batch of its own"
    );
}

fn encoding_of(batch: &EventBatch) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(
        batch.encode(&mut out),
        Ok(()),
        "a batch that exists can be encoded"
    );
    out
}

/// Endless variations of an encoding: flipped bits, counts and ends set to values near the limits,
/// bytes removed, repeated, inserted and cut off. The same seed gives the same variations.
pub fn mutations(bytes: &[u8], seed: u64) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut random = Random(seed);
    std::iter::from_fn(move || {
        let mut mutated = bytes.to_vec();
        for _ in 0..=random.below(3) {
            mutate(&mut mutated, &mut random);
        }
        Some(mutated)
    })
}

/// Numbers that a count or an end is likely to be compared with.
const NEAR_LIMITS: [u32; 12] = [
    0,
    1,
    63,
    64,
    65,
    (1 << 20) + 1,
    1 << 28,
    (1 << 28) + 1,
    1 << 30,
    i32::MAX as u32,
    u32::MAX - 1,
    u32::MAX,
];

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() as u64 + 1) as usize;
    let some = (at + 1 + random.below(GROWTH_BYTES_MAX) as usize).min(bytes.len());
    match random.below(7) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, random.below(256) as u8),
        2 => drop(bytes.drain(at..some)),
        3 => bytes.extend_from_within(at..some),
        4 => set_u32(bytes, at, random.below(8) as u32),
        5 => {
            let near = NEAR_LIMITS.get(random.below(12) as usize);
            set_u32(bytes, at, near.map_or(0, |near| *near));
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}

fn set_u32(bytes: &mut [u8], at: usize, value: u32) {
    // Numbers of the head and of the ends stand at multiples of four.
    let at = at / 4 * 4;
    if let Some(slot) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *slot = value.to_le_bytes();
    }
}

/// SplitMix64: small, seeded, good enough to choose from.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
