//! Random lives against a model that knows what was confirmed.

use flumen_core::channel::{Channel, Lease};
use flumen_wal::simulation::Crash;
use proptest::prelude::*;

use super::super::window::Window;
use super::rig::Rig;

#[derive(Clone, Debug)]
enum Action {
    Put(u64),
    Take(usize),
    /// Ends one of the leases that are out: all, all but every n-th, or none acknowledged.
    Ack(usize),
    AckSome(usize, u32),
    GiveBack(usize),
    Close,
    Crash(Crash),
    /// The disk does not give a block of some put any more.
    Break(u64),
    Mend,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (0_u64..60).prop_map(Action::Put),
        1 => (100_u64..200).prop_map(Action::Put),
        6 => (1_usize..50).prop_map(Action::Take),
        3 => (0_usize..8).prop_map(Action::Ack),
        2 => (0_usize..8, 2_u32..5).prop_map(|(place, nth)| Action::AckSome(place, nth)),
        2 => (0_usize..8).prop_map(Action::GiveBack),
        1 => Just(Action::Close),
        1 => prop_oneof![
            Just(Crash::Kill),
            Just(Crash::PowerCutDropsAll),
            any::<u64>().prop_map(|seed| Crash::PowerCut { seed }),
        ]
        .prop_map(Action::Crash),
        1 => any::<u64>().prop_map(Action::Break),
        1 => Just(Action::Mend),
    ]
}

fn end<T>(out: &mut Vec<T>, place: usize) -> Option<T> {
    match out.len() {
        0 => None,
        length => Some(out.swap_remove(place % length)),
    }
}

fn run(strict: bool, window: Window, actions: Vec<Action>) {
    let mut rig = Rig::new(strict, window);
    rig.open().unwrap();
    let mut leases: Vec<Lease> = Vec::new();
    for action in actions {
        match action {
            Action::Put(count) => {
                rig.put(count);
            }
            Action::Take(count) => leases.extend(rig.take(count)),
            Action::Ack(place) => {
                if let Some(lease) = end(&mut leases, place) {
                    rig.ack(lease, Vec::new());
                }
            }
            Action::AckSome(place, nth) => {
                if let Some(lease) = end(&mut leases, place) {
                    let length = lease.len() as u32;
                    let kept = (0..length).filter(|index| index % nth == 0).collect();
                    rig.ack(lease, kept);
                }
            }
            Action::Break(which) => rig.break_block(which),
            Action::Mend => rig.disk.make_readable(),
            Action::GiveBack(place) => drop(end(&mut leases, place)),
            Action::Close => {
                leases.clear();
                rig.close();
            }
            Action::Crash(crash) => {
                rig.power_off();
                leases.clear();
                rig.crash(crash);
            }
        }
    }
    leases.clear();
    rig.close();
    // Whatever was set aside is there when the disk gives it again.
    rig.disk.make_readable();
    rig.close();
    assert_eq!(rig.channel().fill().set_aside_events, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_life_holds_what_the_one_before_confirmed(
        strict: bool,
        bytes_max in prop_oneof![Just(2_000_u64), Just(20_000), Just(32 << 20)],
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let window = Window { bytes_max, read_ahead_bytes: bytes_max / 4 };
        run(strict, window, actions);
    }
}
