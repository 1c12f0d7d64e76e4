//! A set of sequences, as ranges.

use std::collections::BTreeMap;
use std::ops::Range;

/// Sequences, kept as the fewest ranges. As many as there are gaps: one for each change between
/// memory and overflow that still waits, and one for each lease that is out.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// First sequence to the one behind the last, without overlap and without touching.
    ranges: BTreeMap<u64, u64>,
}

impl Ranges {
    pub(super) fn first(&self) -> Option<u64> {
        self.ranges.first_key_value().map(|(start, _)| *start)
    }

    /// How many there are below `bound`; counting ends at `enough`.
    pub(super) fn count_below(&self, bound: u64, enough: u64) -> u64 {
        let mut count = 0_u64;
        for (start, end) in &self.ranges {
            if *start >= bound || count >= enough {
                break;
            }
            count += (*end).min(bound) - start;
        }
        count.min(enough)
    }

    /// Adds sequences, of which some may be there.
    pub(super) fn insert(&mut self, added: Range<u64>) {
        if added.is_empty() {
            return;
        }
        let (mut start, mut end) = (added.start, added.end);
        // From the last that begins within or at the end of it, down to the first that touches it.
        while let Some((own_start, own_end)) = self
            .ranges
            .range(..=end)
            .next_back()
            .map(|(own_start, own_end)| (*own_start, *own_end))
        {
            if own_end < start {
                break;
            }
            self.ranges.remove(&own_start);
            start = start.min(own_start);
            end = end.max(own_end);
        }
        self.ranges.insert(start, end);
    }

    /// Takes sequences out, and tells how many of them were there.
    pub(super) fn remove(&mut self, removed: Range<u64>) -> u64 {
        let mut count = 0;
        while let Some((start, end)) = self
            .ranges
            .range(..removed.end)
            .next_back()
            .map(|(start, end)| (*start, *end))
        {
            if end <= removed.start || removed.is_empty() {
                break;
            }
            self.ranges.remove(&start);
            if end > removed.end {
                self.ranges.insert(removed.end, end);
            }
            if start < removed.start {
                self.ranges.insert(start, removed.start);
            }
            count += end.min(removed.end) - start.max(removed.start);
        }
        count
    }

    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn ranges_are_a_set(steps in prop::collection::vec((any::<bool>(), 0..40_u64, 0..12_u64), 1..40)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for (adds, start, len) in steps {
                let range = start..start + len;
                if adds {
                    ranges.insert(range.clone());
                    set.extend(range);
                } else {
                    let before = set.len();
                    set.retain(|own| !range.contains(own));
                    prop_assert_eq!(ranges.remove(range), (before - set.len()) as u64);
                }
                prop_assert_eq!(ranges.first(), set.first().copied());
                for bound in [0, 7, 25, 60] {
                    let below = set.range(..bound).count() as u64;
                    prop_assert_eq!(ranges.count_below(bound, u64::MAX), below);
                    prop_assert_eq!(ranges.count_below(bound, 5), below.min(5));
                }
                let mut last = None;
                for (start, end) in &ranges.ranges {
                    prop_assert!(start < end && last.is_none_or(|last| last < *start));
                    last = Some(*end);
                }
            }
        }
    }
}
