//! Numbers for the commits that change state, and up to where all of them have ended.

use std::collections::BTreeSet;

/// Gives out generations in order. They end in any order; the floor follows the oldest that is open.
#[derive(Debug)]
pub(super) struct Generations {
    next: u64,
    /// As many as commits are under way.
    open: BTreeSet<u64>,
}

impl Default for Generations {
    fn default() -> Self {
        // Nought is the floor of a new store.
        Self {
            next: 1,
            open: BTreeSet::new(),
        }
    }
}

impl Generations {
    pub(super) fn begin(&mut self) -> u64 {
        let own = self.next;
        self.next += 1;
        self.open.insert(own);
        own
    }

    pub(super) fn end(&mut self, generation: u64) {
        self.open.remove(&generation);
    }

    /// Every generation up to this one has ended.
    pub(super) fn floor(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.next) - 1
    }

    /// No generation up to this one is given out again.
    pub(super) fn pass(&mut self, generation: u64) {
        self.next = self.next.max(generation.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_follows_the_oldest_that_is_open() {
        let mut generations = Generations::default();
        assert_eq!(generations.floor(), 0);
        let (first, second) = (generations.begin(), generations.begin());
        assert_eq!((first, second), (1, 2));
        generations.end(second);
        assert_eq!(generations.floor(), 0, "the first is open");
        generations.end(first);
        assert_eq!(generations.floor(), 2);
        generations.pass(9);
        assert_eq!(generations.floor(), 9);
        generations.pass(3);
        assert_eq!(generations.begin(), 10, "numbers never come again");
        assert_eq!(generations.floor(), 9);
    }
}
