use super::*;

fn item(number: u64) -> Item {
    Item {
        producer: 0,
        number,
        hash: number * 31,
    }
}

/// An oracle that saw one transaction of three items and another of two, both confirmed, and the
/// acknowledgement of the first item.
fn oracle() -> Oracle {
    let mut oracle = Oracle::new(
        0,
        Promises {
            tells_state: true,
            ..Promises::default()
        },
    );
    oracle.begin_run();
    open(&mut oracle, &[], 0);
    for (transaction, numbers) in [(1, 1..=3), (2, 4..=5)] {
        let items = numbers.map(item).collect();
        oracle.see(Event::Submit { transaction, items });
        oracle.see(Event::Confirmed {
            transaction,
            place: Place {
                segment: 1,
                offset: transaction * 1_000,
                length: 100,
            },
        });
    }
    oracle.see(Event::Taken(item(1)));
    oracle.see(Event::Acknowledge {
        step: 1,
        items: vec![(0, 1)],
    });
    oracle.see(Event::Acknowledged { step: 1 });
    assert_eq!(oracle.violations(), []);
    oracle
}

/// An opening that finds these items and this state.
fn open(oracle: &mut Oracle, numbers: &[u64], cursor: u64) {
    oracle.begin_run();
    oracle.see(Event::Opened(Opened::default()));
    show(oracle, numbers, cursor);
}

fn show(oracle: &mut Oracle, numbers: &[u64], cursor: u64) {
    if cursor > 0 {
        oracle.see(Event::Cursor(0, cursor));
    }
    for number in numbers {
        oracle.see(Event::Listed(item(*number)));
    }
    oracle.see(Event::Ready);
}

/// The promises that an opening breaks which finds these items and this state.
fn broken_by(mut oracle: Oracle, numbers: &[u64], cursor: u64) -> Vec<&'static str> {
    open(&mut oracle, numbers, cursor);
    broken(&oracle)
}

fn broken(oracle: &Oracle) -> Vec<&'static str> {
    let invariants: BTreeSet<_> = oracle.violations().iter().map(|v| v.invariant).collect();
    invariants.into_iter().collect()
}

#[test]
fn what_was_promised_breaks_nothing() {
    assert_eq!(broken_by(oracle(), &[2, 3, 4, 5], 5), [""; 0]);
}

#[test]
fn a_confirmed_transaction_that_is_missing_is_told() {
    assert_eq!(broken_by(oracle(), &[4, 5], 5), ["I1"]);
}

#[test]
fn a_part_of_a_transaction_is_told() {
    assert_eq!(broken_by(oracle(), &[2, 3, 4], 5), ["I1", "I2"]);
}

#[test]
fn other_bytes_and_inventions_are_told() {
    let mut other = oracle();
    other.begin_run();
    other.see(Event::Opened(Opened::default()));
    other.see(Event::Cursor(0, 5));
    for number in 2..=5 {
        let hash = number * 31 + u64::from(number == 4);
        other.see(Event::Listed(Item {
            hash,
            ..item(number)
        }));
    }
    other.see(Event::Ready);
    assert_eq!(broken(&other), ["I3"]);
    assert_eq!(broken_by(oracle(), &[2, 3, 4, 5, 6], 5), ["I3"]);
}

#[test]
fn another_order_and_doubles_are_told() {
    assert_eq!(broken_by(oracle(), &[2, 4, 3, 5], 5), ["I4"]);
    assert_eq!(broken_by(oracle(), &[2, 3, 3, 4, 5], 5), ["I5"]);
}

#[test]
fn what_was_acknowledged_does_not_come_again() {
    assert_eq!(broken_by(oracle(), &[1, 2, 3, 4, 5], 5), ["I5"]);
    let mut taking = oracle();
    taking.see(Event::Taken(item(1)));
    assert_eq!(broken(&taking), ["I4", "I5"], "it is behind itself too");
}

#[test]
fn a_state_behind_or_ahead_is_told() {
    assert_eq!(broken_by(oracle(), &[2, 3, 4, 5], 3), ["I6"]);
    assert_eq!(broken_by(oracle(), &[2, 3, 4, 5], 6), ["I6"]);
}

#[test]
fn a_put_without_an_answer_is_there_or_not_and_stays_so() {
    for (found, cursor) in [(&[2, 3, 4, 5, 6, 7][..], 7), (&[2, 3, 4, 5][..], 5)] {
        let mut oracle = oracle();
        oracle.see(Event::Submit {
            transaction: 3,
            items: vec![item(6), item(7)],
        });
        open(&mut oracle, found, cursor);
        open(&mut oracle, found, cursor);
        assert_eq!(broken(&oracle), [""; 0]);
    }
    let mut half = oracle();
    half.see(Event::Submit {
        transaction: 3,
        items: vec![item(6), item(7)],
    });
    assert_eq!(broken_by(half, &[2, 3, 4, 5, 6], 5), ["I2"]);
}

#[test]
fn a_put_that_was_gone_does_not_come_back() {
    let mut oracle = oracle();
    oracle.see(Event::Submit {
        transaction: 3,
        items: vec![item(6)],
    });
    open(&mut oracle, &[2, 3, 4, 5], 5);
    open(&mut oracle, &[2, 3, 4, 5, 6], 6);
    assert_eq!(broken(&oracle), ["I3", "I6"]);
}

#[test]
fn a_refused_put_is_not_there() {
    let mut oracle = oracle();
    oracle.see(Event::Submit {
        transaction: 3,
        items: vec![item(6)],
    });
    oracle.see(Event::Refused {
        transaction: 3,
        reason: "full".to_owned(),
    });
    assert_eq!(broken_by(oracle, &[2, 3, 4, 5, 6], 5), ["I3"]);
}

#[test]
fn acknowledgements_without_an_answer_count_together() {
    let waiting = || {
        let mut oracle = oracle();
        oracle.see(Event::Acknowledge {
            step: 2,
            items: vec![(0, 2), (0, 3)],
        });
        oracle
    };
    assert_eq!(broken_by(waiting(), &[2, 3, 4, 5], 5), [""; 0]);
    assert_eq!(broken_by(waiting(), &[4, 5], 5), [""; 0]);
    assert_eq!(broken_by(waiting(), &[3, 4, 5], 5), ["I2"]);
}

/// The oracle of a store that is late like this, with all that [`oracle`] saw told in the first second.
fn late(promises: Promises) -> Oracle {
    let mut oracle = oracle();
    oracle.promises = Promises {
        tells_state: true,
        ..promises
    };
    oracle
}

/// The same when the driver went on for so long, and put something at the end.
fn later(mut oracle: Oracle, now_us: u64) -> Oracle {
    oracle.see_time(now_us);
    oracle.see(Event::Submit {
        transaction: 3,
        items: vec![item(6)],
    });
    oracle
}

const LAZY: Promises = Promises {
    tells_state: true,
    acknowledged_us: Some(20_000),
    at_power_cut_us: None,
};

const AT_LEISURE: Promises = Promises {
    tells_state: true,
    acknowledged_us: None,
    at_power_cut_us: Some(50_000),
};

#[test]
fn an_acknowledgement_comes_again_while_it_is_young_and_not_when_it_is_old() {
    let old_us = 20_000 + MARGIN_US + 1;
    let again = &[1, 2, 3, 4, 5];
    for (now_us, expected) in [(old_us - 1, &[][..]), (old_us, &["I5"][..])] {
        assert_eq!(broken_by(later(late(LAZY), now_us), again, 5), expected);
    }
    let mut closed = late(LAZY);
    closed.see(Event::Closed(9));
    assert_eq!(broken_by(closed, again, 5), ["I5"]);
    let mut once = late(LAZY);
    open(&mut once, &[2, 3, 4, 5], 5);
    assert_eq!(broken_by(once, again, 5), ["I5"], "it was gone before");
    let mut running = late(LAZY);
    running.see(Event::Taken(item(1)));
    assert_eq!(broken(&running), ["I4", "I5"], "no crash, no excuse");
}

#[test]
fn where_the_log_fails_only_a_put_shows_that_time_was_enough() {
    let again = &[1, 2, 3, 4, 5, 6];
    for (is_confirmed, expected) in [(false, &[][..]), (true, &["I5"][..])] {
        let mut oracle = later(late(LAZY), 20_000 + MARGIN_US + 1);
        if is_confirmed {
            oracle.see(Event::Confirmed {
                transaction: 3,
                place: Place::default(),
            });
        }
        oracle.see(Event::TakeFailed("the disk".into()));
        assert_eq!(broken_by(oracle, again, 6), expected);
    }
}

#[test]
fn a_power_cut_takes_what_is_young_from_the_end() {
    let cut = |now_us: u64| {
        let mut oracle = later(late(AT_LEISURE), now_us);
        oracle.let_power_go();
        oracle.see_power();
        oracle
    };
    assert_eq!(broken_by(cut(0), &[1, 2, 3], 3), [""; 0]);
    assert_eq!(broken_by(cut(0), &[], 0), [""; 0]);
    assert_eq!(broken_by(cut(0), &[4, 5], 5), ["I6"], "a hole");
    assert_eq!(broken_by(cut(0), &[2, 3, 4], 5), ["I2", "I6"]);
    let old_us = 50_000 + MARGIN_US + 1;
    assert_eq!(broken_by(cut(old_us), &[2, 3], 3), ["I1", "I6"]);
    let killed = later(late(AT_LEISURE), 0);
    assert_eq!(
        broken_by(killed, &[2, 3], 3),
        ["I1", "I6"],
        "a kill takes nothing"
    );
}

#[test]
fn a_loss_that_nothing_explains_is_told() {
    let mut oracle = oracle();
    oracle.begin_run();
    oracle.see(Event::Opened(Opened {
        lost_frames: 1,
        lost_items: 2,
        ..Opened::default()
    }));
    show(&mut oracle, &[2, 3, 4, 5], 5);
    assert_eq!(broken(&oracle), ["I11"]);
}

#[test]
fn damage_explains_what_it_hit_when_it_is_counted() {
    for (offset, lost_items, expected) in [
        (2_050, 2, &[][..]),
        (2_050, 1, &["I11"][..]),
        (2_050, 4, &["I11"][..]),
        (1_050, 2, &["I1"][..]),
    ] {
        let mut oracle = oracle();
        oracle.damaged(Damage {
            segment: 1,
            bytes: offset..offset + 1,
        });
        oracle.begin_run();
        oracle.see(Event::Opened(Opened {
            lost_frames: 1,
            lost_items,
            ..Opened::default()
        }));
        show(&mut oracle, &[2, 3], 5);
        assert_eq!(broken(&oracle), expected, "{offset} {lost_items}");
    }
}
