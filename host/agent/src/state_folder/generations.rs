//! Numbers for the commits that change state, and up to where all of them have ended.

use std::collections::BTreeSet;

/// Gives out generations in order. They end in any order; the floor follows the oldest that is open.
#[derive(Debug)]
pub(super) struct Generations {
    next: u64,
    /// As many as commits are under way.
    open: BTreeSet<u64>,
    /// Those of them that the next life shall decide.
    left: BTreeSet<u64>,
    /// The floor of an earlier life that gave out more: of those above it some may have been under
    /// way when it ended. Until their channels have decided them it is the floor of this life too.
    undecided_above: Option<u64>,
}

impl Default for Generations {
    fn default() -> Self {
        // Nought is the floor of a new store.
        Self {
            next: 1,
            open: BTreeSet::new(),
            left: BTreeSet::new(),
            undecided_above: None,
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

    /// It stays open, for the next life to decide.
    pub(super) fn leave(&mut self, generation: u64) {
        self.left.insert(generation);
    }

    /// Ends those that were left for the next life, and says how many they were.
    pub(super) fn give_up_left(&mut self) -> usize {
        let left = std::mem::take(&mut self.left);
        self.open.retain(|own| !left.contains(own));
        left.len()
    }

    /// Every generation up to this one has ended.
    pub(super) fn floor(&self) -> u64 {
        let own = self.open.first().copied().unwrap_or(self.next) - 1;
        own.min(self.undecided_above.unwrap_or(own))
    }

    /// Goes on from an earlier life with this floor, of which later generations were seen.
    pub(super) fn load(&mut self, floor: u64, seen: u64) {
        self.pass(floor.max(seen));
        self.undecided_above = Some(floor).filter(|floor| *floor < seen);
    }

    /// The channels have decided what was under way when the earlier life ended. Whether that was not
    /// known before.
    pub(super) fn decided(&mut self) -> bool {
        self.undecided_above.take().is_some()
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

    #[test]
    fn what_is_left_for_the_next_life_holds_the_floor_until_it_is_given_up() {
        let mut generations = Generations::default();
        let (left, under_way) = (generations.begin(), generations.begin());
        generations.leave(left);
        assert_eq!(generations.floor(), 0);
        assert_eq!(generations.give_up_left(), 1);
        assert_eq!(generations.floor(), 1, "the other is under way");
        generations.end(under_way);
        assert_eq!(generations.floor(), 2);
        assert_eq!(generations.give_up_left(), 0);
    }

    #[test]
    fn what_was_under_way_at_the_end_of_a_life_is_not_below_the_floor_of_the_next() {
        let mut generations = Generations::default();
        generations.load(4, 6);
        assert_eq!(generations.floor(), 4, "the fifth may have been open");
        let seventh = generations.begin();
        generations.end(seventh);
        assert_eq!((seventh, generations.floor()), (7, 4));
        assert!(generations.decided());
        assert_eq!(generations.floor(), 7);
        assert!(!generations.decided());
    }
}
