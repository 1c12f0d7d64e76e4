//! Bodies that say what they are, and chance that can be repeated.

use crate::event::Item;

/// Bytes of a body before its filler: producer, number and transaction.
const HEAD_BYTES: usize = 20;

/// A small generator of pseudo-random numbers (splitmix64): the same seed gives the same numbers on
/// every machine, which is all that is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// One that begins with this seed.
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A body of at least [`HEAD_BYTES`]. The transaction is in it, so that a body which was withdrawn
/// and submitted again is another one: a store that brings the first back has invented something.
pub(crate) fn make(producer: u32, number: u64, transaction: u64, filler_bytes: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(HEAD_BYTES + filler_bytes);
    body.extend_from_slice(&producer.to_le_bytes());
    body.extend_from_slice(&number.to_le_bytes());
    body.extend_from_slice(&transaction.to_le_bytes());
    let mut chance = Chance::new(number ^ transaction.rotate_left(32));
    while body.len() < HEAD_BYTES + filler_bytes {
        body.extend_from_slice(&chance.next().to_le_bytes());
    }
    body.truncate(HEAD_BYTES + filler_bytes);
    body
}

/// What a body says it is, with the hash of all of it. A body that is too short is nobody's.
pub(crate) fn read(body: &[u8]) -> Item {
    let producer = body.first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
    let number = body.get(4..12).and_then(|b| b.first_chunk());
    Item {
        producer,
        number: number.map_or(0, |b| u64::from_le_bytes(*b)),
        hash: hash(body),
    }
}

/// FNV-1a, 64 bits: finds what chance does to bytes, which is all that is asked of it.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_what_it_is() {
        let body = make(3, 9, 12, 100);
        assert_eq!(body.len(), 120);
        let item = read(&body);
        assert_eq!((item.producer, item.number), (3, 9));
        assert_eq!(item.hash, hash(&body));
    }

    #[test]
    fn every_byte_counts_and_the_attempt_too() {
        let body = make(3, 9, 12, 100);
        for index in 0..body.len() {
            let mut other = body.clone();
            other[index] ^= 1;
            assert_ne!(hash(&other), hash(&body));
        }
        assert_ne!(hash(&make(3, 9, 13, 100)), hash(&body));
    }
}
