//! What happens at the same time, one step after the other.

use std::time::Duration;

use super::*;

const ONE: Room = Room { events: 1, size: 1 };

fn state(earlier: Room) -> State {
    let bounds = Bounds {
        capacity: Room {
            events: 10,
            size: 10,
        },
        transaction_events: 10,
        keep_alive: Duration::ZERO,
    };
    let policy = Policy {
        may_spill: true,
        waits: false,
        free_percent: 5,
    };
    State::new(bounds, bounds, policy, 100, earlier)
}

fn event() -> EventBatch {
    EventBatch::from_columns("x".into(), vec![1]).unwrap()
}

fn stored(sequence: u64) -> Stored {
    Stored::new(sequence, 1, event())
}

fn into_memory(state: &mut State) {
    state.total.try_reserve(ONE).unwrap();
    state.memory.try_reserve(ONE).unwrap();
    state.commit(event(), ONE, &mut Outside::default());
}

fn begin(state: &mut State) -> u64 {
    state.total.try_reserve(ONE).unwrap();
    state.begin_spill(1)
}

fn end(state: &mut State, first: u64, is_there: bool) {
    state.end_spill(first, ONE, is_there, &mut Outside::default());
}

fn step(state: &mut State) -> Option<Step> {
    state.step(TakeLimits {
        events: 10,
        bytes: u64::MAX,
    })
}

fn taken(step: Option<Step>) -> u64 {
    match step {
        Some(Step::Memory(taken)) => taken.first.first_sequence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn younger_events_wait_for_a_put_that_is_being_written() {
    let mut state = state(Room::default());
    into_memory(&mut state);
    let first = begin(&mut state);
    into_memory(&mut state);
    let second = begin(&mut state);
    end(&mut state, second, true);
    assert_eq!(taken(step(&mut state)), 100);
    assert!(step(&mut state).is_none(), "102 is there, and 101 may come");
    end(&mut state, first, true);
    assert!(matches!(step(&mut state), Some(Step::Overflow(1))));
    state.overflow_taken(&[stored(first)]);
    state.end_taking(&mut Outside::default());
    assert_eq!(taken(step(&mut state)), 102);
    assert!(matches!(step(&mut state), Some(Step::Overflow(1))));
}

#[test]
fn a_put_that_failed_holds_up_nobody_and_takes_no_room() {
    let mut state = state(Room::default());
    let first = begin(&mut state);
    into_memory(&mut state);
    assert!(step(&mut state).is_none());
    end(&mut state, first, false);
    assert_eq!(state.fill().events, 1);
    assert_eq!(taken(step(&mut state)), 101);
}

#[test]
fn one_taker_at_a_time_is_at_the_overflow() {
    let mut state = state(Room::default());
    let first = begin(&mut state);
    end(&mut state, first, true);
    assert!(matches!(step(&mut state), Some(Step::Overflow(1))));
    assert!(
        step(&mut state).is_none(),
        "another would get what is not known yet"
    );
    state.end_taking(&mut Outside::default());
    assert!(matches!(step(&mut state), Some(Step::Overflow(1))));
}

#[test]
fn what_is_missing_in_the_overflow_takes_no_room_any_more() {
    let mut state = state(Room { events: 3, size: 3 });
    let first = begin(&mut state);
    end(&mut state, first, true);
    into_memory(&mut state);
    assert!(matches!(step(&mut state), Some(Step::Overflow(4))));
    assert_eq!(state.overflow_is_empty(), 4);
    state.end_taking(&mut Outside::default());
    assert_eq!(state.fill().events, 1);
    assert_eq!(taken(step(&mut state)), 101);
    assert!(matches!(
        step(&mut state),
        Some(Step::Nothing(Nothing::Empty))
    ));
}

#[test]
fn events_that_nobody_knew_of_are_counted() {
    let mut state = state(ONE);
    assert!(matches!(step(&mut state), Some(Step::Overflow(1))));
    let room = state.overflow_taken(&[stored(7), stored(50)]);
    assert_eq!(room, Room { events: 2, size: 2 });
    state.end_taking(&mut Outside::default());
    assert_eq!((state.fill().events, state.fill().leased_events), (2, 2));
    state.end_overflow_lease(room, [(50..51, ONE)], &mut Outside::default());
    assert_eq!((state.fill().events, state.fill().leased_events), (1, 0));
    assert!(matches!(step(&mut state), Some(Step::Overflow(1))));
}

#[test]
fn what_is_there_waits_for_an_older_put_that_is_being_written() {
    let mut state = state(Room::default());
    let (first, second) = (begin(&mut state), begin(&mut state));
    end(&mut state, second, true);
    assert!(step(&mut state).is_none());
    end(&mut state, first, false);
    assert!(matches!(step(&mut state), Some(Step::Overflow(1))));
}
