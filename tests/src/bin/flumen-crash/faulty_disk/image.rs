//! What is on the medium, and what the disk only holds in its cache.

use crate::body::Chance;

/// What a medium writes at once.
const SECTOR_BYTES: usize = 512;

/// A group of the log begins at a block of this size.
const BLOCK_BYTES: usize = 4096;

/// How a frame of the log begins, see `docs/spec/wal.md`.
const FRAME_MAGIC: &[u8] = b"FLWF";

/// The disk refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// A disk with a cache that is written back at flushes only.
pub(crate) struct Image {
    /// What a reader sees.
    cached: Vec<u8>,
    /// What survives.
    stable: Vec<u8>,
    /// Written and not flushed, in order.
    pending: Vec<(usize, Vec<u8>)>,
    off: bool,
    /// Flushes until the power goes, and the seed of the cut.
    cut: Option<(u64, u64)>,
    /// Writes with frames until one fails.
    failing: Option<u64>,
}

impl Image {
    pub(crate) fn new(bytes: usize) -> Image {
        Image {
            cached: vec![0; bytes],
            stable: vec![0; bytes],
            pending: Vec::new(),
            off: false,
            cut: None,
            failing: None,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.cached.len() as u64
    }

    /// The bytes there; fewer at the end.
    pub(crate) fn read(&self, offset: usize, length: usize) -> Result<&[u8], Refused> {
        if self.off {
            return Err(Refused);
        }
        let end = offset.saturating_add(length).min(self.cached.len());
        Ok(self.cached.get(offset..end).unwrap_or_default())
    }

    /// Takes bytes into the cache.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Refused> {
        let carries_frame = bytes
            .chunks(BLOCK_BYTES)
            .any(|block| block.starts_with(FRAME_MAGIC));
        let fails = carries_frame && count_down(&mut self.failing);
        if self.off || fails || !put(&mut self.cached, offset, bytes) {
            return Err(Refused);
        }
        self.pending.push((offset, bytes.to_vec()));
        Ok(())
    }

    /// Brings the cache to the medium.
    pub(crate) fn flush(&mut self) -> Result<(), Refused> {
        if self.off {
            return Err(Refused);
        }
        let last = match &mut self.cut {
            Some((left, seed)) => {
                *left = left.saturating_sub(1);
                (*left == 0).then_some(*seed)
            }
            None => None,
        };
        // Half of the cuts come before the flush, when all of a group is at stake; half behind it,
        // when its answer is on its way.
        if let Some(seed) = last.filter(|seed| seed.is_multiple_of(2)) {
            self.cut(seed);
            return Err(Refused);
        }
        for (offset, bytes) in std::mem::take(&mut self.pending) {
            put(&mut self.stable, offset, &bytes);
        }
        if let Some(seed) = last {
            self.cut(seed);
        }
        Ok(())
    }

    /// Takes the power. What was not flushed is dropped, kept, or in between.
    pub(crate) fn cut(&mut self, seed: u64) {
        let mut chance = Chance::new(seed);
        let manner = chance.below(4);
        let kept = chance.below(self.pending.len() as u64 + 1);
        for (index, (offset, bytes)) in (0..).zip(std::mem::take(&mut self.pending)) {
            match manner {
                0 => {}
                // In order up to some write, and that one torn.
                1 if index < kept => drop(put(&mut self.stable, offset, &bytes)),
                1 if index > kept => {}
                // All of them, each in any of its sectors.
                _ => self.tear(offset, &bytes, &mut chance),
            }
        }
        self.cached.clone_from(&self.stable);
        self.off = true;
        self.cut = None;
        self.failing = None;
    }

    fn tear(&mut self, offset: usize, bytes: &[u8], chance: &mut Chance) {
        // Most writes are kept or dropped as a whole, as disks do.
        let whole = chance.below(4);
        let mut at = offset;
        for sector in bytes.chunks(SECTOR_BYTES) {
            let kept = match whole {
                0 => false,
                1 => true,
                _ => chance.once_in(2),
            };
            if kept {
                put(&mut self.stable, at, sector);
            }
            at += sector.len();
        }
    }

    /// Takes the power at the n-th flush from now: before it when the seed is even, else behind it.
    pub(crate) fn cut_at_flush(&mut self, number: u64, seed: u64) {
        self.cut = Some((number, seed));
    }

    /// Lets the n-th write from now that carries frames fail.
    pub(crate) fn fail_frame(&mut self, number: u64) {
        self.failing = Some(number);
    }

    /// Gives the power back.
    pub(crate) fn restore(&mut self) {
        self.off = false;
    }
}

/// Whether the count has come to its end with this.
fn count_down(count: &mut Option<u64>) -> bool {
    match count {
        Some(0 | 1) => {
            *count = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

/// Whether all of it was in the image.
fn put(image: &mut [u8], offset: usize, bytes: &[u8]) -> bool {
    let target = image.get_mut(offset..offset.saturating_add(bytes.len()));
    target.map(|target| target.copy_from_slice(bytes)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64 * 1024;

    #[test]
    fn what_was_flushed_survives_every_cut() {
        for seed in 0..50 {
            let mut image = Image::new(SIZE);
            image.write(4096, &[1; 4096]).unwrap();
            image.flush().unwrap();
            image.write(8192, &[2; 4096]).unwrap();
            image.cut(seed);
            assert_eq!(image.read(0, 1), Err(Refused));
            assert_eq!(image.write(0, &[1]), Err(Refused));
            assert_eq!(image.flush(), Err(Refused));
            image.restore();
            assert_eq!(image.read(4096, 4096).unwrap(), [1; 4096]);
            for sector in image.read(8192, 4096).unwrap().chunks(512) {
                assert!(sector == [0; 512] || sector == [2; 512]);
            }
        }
    }

    #[test]
    fn what_was_not_flushed_is_dropped_kept_and_torn() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut image = Image::new(SIZE);
            image.write(0, &[2; 4096]).unwrap();
            image.cut(seed);
            image.restore();
            let kept = image.read(0, 4096).unwrap().iter().filter(|b| **b == 2);
            seen.insert(match kept.count() {
                0 => "dropped",
                4096 => "kept",
                _ => "torn",
            });
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
    }

    #[test]
    fn the_power_goes_behind_the_flush_that_was_named() {
        let mut image = Image::new(SIZE);
        image.cut_at_flush(2, 1);
        for number in 1..=2u8 {
            image.write(0, &[number; 512]).unwrap();
            image.flush().unwrap();
        }
        assert_eq!(image.flush(), Err(Refused));
        image.restore();
        assert_eq!(image.read(0, 512).unwrap(), [2; 512]);
    }

    #[test]
    fn or_before_it() {
        for seed in (0..40).step_by(2) {
            let mut image = Image::new(SIZE);
            image.cut_at_flush(2, seed);
            image.write(0, &[1; 512]).unwrap();
            image.flush().unwrap();
            image.write(512, &[2; 512]).unwrap();
            assert_eq!(image.flush(), Err(Refused));
            image.restore();
            assert_eq!(image.read(0, 512).unwrap(), [1; 512]);
        }
    }

    #[test]
    fn a_write_with_a_frame_fails_once_and_is_not_kept() {
        let mut image = Image::new(SIZE);
        let mut frame = vec![0; 8192];
        frame[4096..4100].copy_from_slice(FRAME_MAGIC);
        image.fail_frame(2);
        image.write(0, &frame).unwrap();
        image.write(8192, &[1; 4096]).unwrap();
        assert_eq!(image.write(16384, &frame), Err(Refused));
        image.write(16384, &frame).unwrap();
    }
}
