//! The search for the event on which a sink fails, by smaller and smaller takes.
//!
//! A sink is given stretches of its channel, so the search is a state between two takes: it says how
//! many events the next one asks for, and learns how that went. Sequences make it safe beside other
//! takers of the same channel, which may get events of the stretch in between.
//!
//! States: off; suspected (some events failed once, and come again as they are); narrowing (they
//! failed again, or the sink said that it is the events).

use flumen_core::FaultKind;
use flumen_core::channel::Lease;

/// A stretch of a channel that was delivered or failed as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The sequence of the first event.
    pub(crate) first: u64,
    /// Behind the sequence of the last event.
    pub(crate) end: u64,
    /// How many events; fewer than the sequences tell where others hold some of them.
    pub(crate) events: usize,
}

impl Stretch {
    /// The stretch over all of these leases; `None` without any.
    pub(crate) fn over<'l>(leases: impl IntoIterator<Item = &'l Lease>) -> Option<Self> {
        let segments = leases.into_iter().flat_map(Lease::segments);
        segments.fold(None, |sum: Option<Self>, segment| {
            let events = segment.events.len();
            let first = segment.first_sequence;
            let end = first.saturating_add(events as u64);
            Some(match sum {
                None => Self { first, end, events },
                Some(sum) => Self {
                    first: sum.first.min(first),
                    end: sum.end.max(end),
                    events: sum.events + events,
                },
            })
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.first < other.end && other.first < self.end
    }
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may have been chance: the same events again.
    TryAgain,
    /// It is among these events: fewer of them next.
    Narrow,
    /// It is this one event.
    Poison,
}

/// The search of one sink.
#[derive(Debug, Default)]
pub(crate) enum Search {
    /// No event is suspected.
    #[default]
    Off,
    /// These events failed once.
    Suspected(Stretch),
    /// Poison is looked for.
    Narrowing(Narrowing),
}

/// Where a search stands.
#[derive(Debug)]
pub(crate) struct Narrowing {
    /// Behind the events that were suspected first: when they are passed the search is over.
    outer_end: u64,
    /// Behind the shortest stretch that is known to hold poison.
    inner_end: u64,
    events_max: usize,
}

impl Search {
    /// How many events the next take may have; `None` without a bound.
    pub(crate) fn events_max(&self) -> Option<usize> {
        match self {
            Search::Narrowing(narrowing) => Some(narrowing.events_max),
            Search::Off | Search::Suspected(_) => None,
        }
    }

    /// Whether poison is being looked for.
    pub(crate) fn is_narrowing(&self) -> bool {
        matches!(self, Search::Narrowing(_))
    }

    /// A delivery of these events failed, with a fault of kind broken or poison.
    pub(crate) fn failed(&mut self, stretch: Stretch, kind: FaultKind) -> Verdict {
        let suspects_end = match self {
            Search::Suspected(before) if before.overlaps(&stretch) => Some(before.end),
            Search::Narrowing(own) if stretch.first < own.outer_end => Some(own.outer_end),
            // A sink that says that it is the events needs no second try.
            _ if kind == FaultKind::Poison => Some(stretch.end),
            _ => None,
        };
        let Some(suspects_end) = suspects_end else {
            *self = Search::Suspected(stretch);
            return Verdict::TryAgain;
        };
        *self = Search::Narrowing(Narrowing {
            outer_end: suspects_end.max(stretch.end),
            inner_end: stretch.end,
            events_max: (stretch.events / 2).max(1),
        });
        match stretch.events {
            0 | 1 => Verdict::Poison,
            _ => Verdict::Narrow,
        }
    }

    /// Events up to this sequence are delivered, or disposed of as poison.
    pub(crate) fn passed(&mut self, end: u64) {
        match self {
            Search::Off => {}
            Search::Suspected(stretch) if end < stretch.end => {}
            Search::Suspected(_) => *self = Search::Off,
            Search::Narrowing(own) if end >= own.outer_end => *self = Search::Off,
            Search::Narrowing(own) if end >= own.inner_end => {
                own.events_max = own.events_max.saturating_mul(2);
            }
            // The poison is in what is left, and half of that is the best guess.
            Search::Narrowing(own) => {
                let left = usize::try_from(own.inner_end - end).unwrap_or(usize::MAX);
                own.events_max = (left / 2).max(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(first: u64, end: u64) -> Stretch {
        Stretch {
            first,
            end,
            events: usize::try_from(end - first).unwrap(),
        }
    }

    /// Runs a search over a channel of events, some of which are poison, and counts the tries.
    fn search(events: u64, poison: &[u64], demand: u64) -> (Vec<u64>, usize) {
        let (mut search, mut at, mut tries, mut found) = (Search::default(), 0, 0, Vec::new());
        while at < events {
            let most = search.events_max().map_or(demand, |most| most as u64);
            let taken = stretch(at, (at + most.min(demand)).min(events));
            tries += 1;
            assert!(tries < 10_000, "the search ends");
            if !poison
                .iter()
                .any(|own| (taken.first..taken.end).contains(own))
            {
                search.passed(taken.end);
                at = taken.end;
                continue;
            }
            if search.failed(taken, FaultKind::Broken) == Verdict::Poison {
                found.push(taken.first);
                search.passed(taken.end);
                at = taken.end;
            }
        }
        (found, tries)
    }

    #[test]
    fn one_event_among_a_thousand_is_found_in_the_fewest_tries() {
        for poison in [0, 1, 499, 500, 998, 999] {
            let (found, tries) = search(1000, &[poison], 1000);
            assert_eq!(found, [poison]);
            // Two for the batch, ten for the halves, and those that pass in between and after.
            assert!(tries <= 32, "{tries} tries for {poison}");
        }
    }

    #[test]
    fn every_event_among_many_is_found() {
        let poison: Vec<u64> = (0..100).filter(|event| event % 7 < 2).collect();
        assert_eq!(search(100, &poison, 32).0, poison);
        let all: Vec<u64> = (0..40).collect();
        assert_eq!(search(40, &all, 10).0, all);
    }

    #[test]
    fn a_failure_that_does_not_come_again_condemns_nothing() {
        let mut search = Search::default();
        assert_eq!(
            search.failed(stretch(0, 1), FaultKind::Broken),
            Verdict::TryAgain
        );
        search.passed(1);
        assert_eq!(
            search.failed(stretch(1, 2), FaultKind::Broken),
            Verdict::TryAgain
        );
        // Another taker got those: what fails now is new.
        assert_eq!(
            search.failed(stretch(5, 6), FaultKind::Broken),
            Verdict::TryAgain
        );
        assert_eq!(
            search.failed(stretch(5, 6), FaultKind::Broken),
            Verdict::Poison
        );
    }

    #[test]
    fn a_sink_that_says_it_is_the_events_is_believed_at_once() {
        let mut search = Search::default();
        assert_eq!(
            search.failed(stretch(0, 1), FaultKind::Poison),
            Verdict::Poison
        );
        assert_eq!(
            search.failed(stretch(4, 8), FaultKind::Poison),
            Verdict::Narrow
        );
        assert_eq!(search.events_max(), Some(2));
    }

    #[test]
    fn a_search_ends_behind_the_events_that_were_suspected() {
        let mut search = Search::default();
        search.failed(stretch(0, 8), FaultKind::Broken);
        search.failed(stretch(0, 8), FaultKind::Broken);
        assert_eq!(search.events_max(), Some(4));
        search.passed(4);
        assert_eq!(search.events_max(), Some(2));
        search.passed(8);
        assert_eq!(search.events_max(), None);
    }
}
