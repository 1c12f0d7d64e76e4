//! What happens while a page is read, one step after the other.

use std::time::Duration;

use super::*;

const ONE: Room = Room { events: 1, size: 1 };

fn state(backlog: Option<Backlog>) -> State {
    let bounds = Bounds {
        capacity: Room {
            events: 100,
            size: 100,
        },
        transaction_events: 10,
        keep_alive: Duration::ZERO,
    };
    State::new(bounds, backlog, 1)
}

fn put(sequence: u64) -> Put {
    let events = EventBatch::from_columns("x".into(), vec![1]).unwrap();
    Put {
        stored: Stored::new(sequence, 1, events),
        header_bytes: 2,
    }
}

fn commit(state: &mut State, sequence: u64) {
    state.accounts.try_reserve(ONE).unwrap();
    state.committed(put(sequence), &mut Outside::default());
}

fn prepare(state: &mut State, sequence: u64) {
    state.accounts.try_reserve(ONE).unwrap();
    state.prepared((sequence, sequence));
}

fn publish(state: &mut State, sequence: u64) {
    state.published(put(sequence), &mut Outside::default());
}

fn take(state: &mut State) -> Option<u64> {
    let limits = TakeLimits {
        events: 1,
        bytes: 1,
    };
    let taken = state.take(limits).ok()?;
    Some(taken.first.first_sequence)
}

fn page(sequences: &[u64], next: u64) -> Page {
    Page {
        stored: sequences.iter().map(|own| put(*own).stored).collect(),
        next,
        ..Page::default()
    }
}

#[test]
fn what_is_older_than_memory_is_not_left_to_the_reader() {
    let mut state = state(None);
    prepare(&mut state, 0);
    commit(&mut state, 1);
    // Under lease it is in the database still, and must not be read again.
    assert_eq!(take(&mut state), Some(1));
    commit(&mut state, 2);
    publish(&mut state, 0);
    commit(&mut state, 3);
    assert_eq!(take(&mut state), Some(0));
    assert_eq!(take(&mut state), Some(2));
    let request = state.read_request().unwrap();
    assert_eq!((request.from, request.to), (3, 4));
}

#[test]
fn what_is_published_while_it_is_passed_waits_for_what_is_older() {
    let room = Room { events: 3, size: 3 };
    let (from, to) = (0, 6);
    let mut state = state(Some(Backlog { from, to, room }));
    prepare(&mut state, 4);
    let request = state.read_request().unwrap();
    assert_eq!(request.without, [(4, 4)]);
    publish(&mut state, 4);
    assert_eq!(take(&mut state), None, "what is older is on its way");
    state.page_read(page(&[0, 2], 3), &mut Outside::default());
    assert_eq!(take(&mut state), Some(0));
    assert_eq!(take(&mut state), Some(2));
    assert_eq!(take(&mut state), None);
    let request = state.read_request().unwrap();
    assert_eq!(request.without, [(4, 4)], "it is in memory already");
    let missing = state.page_read(page(&[5], 6), &mut Outside::default());
    assert_eq!(missing, Room::default());
    assert_eq!((take(&mut state), take(&mut state)), (Some(4), Some(5)));
    assert_eq!(state.fill().events, 4);
    assert!(state.read_request().is_none());
}

#[test]
fn a_failed_read_is_told_to_one_and_tried_again_by_the_next() {
    let room = Room { events: 1, size: 1 };
    let mut state = state(Some(Backlog {
        from: 0,
        to: 1,
        room,
    }));
    assert!(state.read_request().is_some());
    assert!(state.read_request().is_none(), "one read at a time");
    let fault = Fault::transient(flumen_core::Side::Machine, "the disk");
    state.read_failed(fault, &mut Outside::default());
    assert!(state.read_request().is_none(), "nobody asks");
    let limits = TakeLimits {
        events: 1,
        bytes: 1,
    };
    assert!(matches!(state.take(limits), Err(NotTaken::Failed(_))));
    assert!(state.read_request().is_some());
    state.page_read(page(&[0], 1), &mut Outside::default());
    assert_eq!(take(&mut state), Some(0));
}
