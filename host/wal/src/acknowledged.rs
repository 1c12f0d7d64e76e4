//! Which items need not be kept any more: all below a frontier, and ranges above it.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of item numbers that grows. It holds as many ranges as there are holes between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acknowledged {
    frontier: u64,
    /// Start to end, above the frontier, apart from each other.
    ranges: BTreeMap<u64, u64>,
}

impl Acknowledged {
    /// All items below `frontier`, and no other.
    pub fn below(frontier: u64) -> Acknowledged {
        Acknowledged {
            frontier,
            ranges: BTreeMap::new(),
        }
    }

    /// The first item that is not in the set.
    pub fn frontier(&self) -> u64 {
        self.frontier
    }

    /// The ranges above the frontier, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(start, end)| *start..*end)
    }

    /// Adds a range; parts of it may be in the set already. An empty one changes nothing.
    pub fn add(&mut self, range: Range<u64>) {
        let mut start = range.start.max(self.frontier);
        let mut end = range.end;
        if start >= end {
            return;
        }
        let before = self.ranges.range(..=start).next_back();
        if let Some((&earlier, &until)) = before
            && until >= start
        {
            start = earlier;
            end = end.max(until);
            self.ranges.remove(&earlier);
        }
        while let Some((&later, &until)) = self.ranges.range(start..=end).next() {
            end = end.max(until);
            self.ranges.remove(&later);
        }
        if start == self.frontier {
            self.frontier = end;
        } else {
            self.ranges.insert(start, end);
        }
    }

    /// Whether each item of the range is in the set.
    pub fn covers(&self, range: Range<u64>) -> bool {
        let start = range.start.max(self.frontier);
        if start >= range.end {
            return true;
        }
        let before = self.ranges.range(..=start).next_back();
        before.is_some_and(|(_, &until)| until >= range.end)
    }

    /// How many items of the range are not in the set.
    pub fn missing(&self, range: Range<u64>) -> u64 {
        let mut next = range.start.max(self.frontier);
        let mut missing = 0;
        let before = self.ranges.range(..=next).next_back();
        if let Some((_, &until)) = before {
            next = next.max(until);
        }
        for (&start, &end) in self.ranges.range(next..) {
            if start >= range.end {
                break;
            }
            missing += start.saturating_sub(next);
            next = end;
        }
        missing + range.end.saturating_sub(next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(added in prop::collection::vec((0_u64..60, 0_u64..12), 0..30), asked in (0_u64..70, 0_u64..20)) {
            let mut set = Acknowledged::default();
            let mut model = std::collections::BTreeSet::new();
            for (start, length) in added {
                set.add(start..start + length);
                model.extend(start..start + length);
            }
            let frontier = (0..).find(|item| !model.contains(item)).unwrap();
            prop_assert_eq!(set.frontier(), frontier);
            let asked = asked.0..asked.0 + asked.1;
            let missing = asked.clone().filter(|item| !model.contains(item)).count() as u64;
            prop_assert_eq!(set.missing(asked.clone()), missing);
            prop_assert_eq!(set.covers(asked), missing == 0);
            let mut before = set.frontier();
            for range in set.ranges() {
                prop_assert!(range.start > before && range.end > range.start);
                before = range.end;
            }
        }
    }
}
