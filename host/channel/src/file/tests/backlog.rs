//! More in the channel than its memory holds.

use std::sync::Arc;

use flumen_core::ComponentName;
use flumen_core::channel::Channel;
use flumen_wal::Folder;

use super::super::options::Setup;
use super::super::window::Window;
use super::super::{FileChannel, Ground, folder as folders};
use super::{Beside, LONG, at_most, clock, drain, events, folder, put, seen, settings};

/// A window for some frames of the tests.
const SMALL: Window = Window {
    bytes_max: 12_000,
    read_ahead_bytes: 4_000,
};

fn open(settings: &flumen_core::settings::Settings, window: Window) -> Arc<FileChannel> {
    let name = ComponentName::new("c1");
    let setup = Setup::read(&name, settings).unwrap();
    let place = folders::prepare(&name, &setup.fixed.data_folders, Beside::Nothing).unwrap();
    let ground = Ground {
        io: Arc::new(Folder::new(&place)),
        keyring: Default::default(),
        window,
        waits: Default::default(),
    };
    let channel = FileChannel::open_on(ground, &name, setup, clock(), &place);
    Arc::new(channel.unwrap())
}

#[tokio::test]
async fn a_backlog_larger_than_the_window_comes_out_in_order() {
    let folder = folder();
    let channel = open(&settings(folder.path()), SMALL);
    let mut put_until = 0;
    let mut taken = Vec::new();
    // Puts outrun takes, then takes outrun puts, so that gaps begin, grow and are read up.
    for (puts, takes) in [(100, 10), (5, 60), (0, 400), (80, 20), (1, 300)] {
        for _ in 0..puts {
            put(&channel, events(put_until..put_until + 7, 200)).await;
            put_until += 7;
            assert!(channel.owner.core().with(|state, _| state.window_bytes()) <= 12_000 + 4_000);
        }
        for _ in 0..takes {
            if channel.fill().events == 0 {
                break;
            }
            let lease = channel.take(at_most(5), LONG).await.unwrap();
            taken.extend(seen(&lease));
            lease.ack().await.unwrap();
        }
    }
    taken.extend(drain(&channel).await);
    let expected: Vec<(u64, u64)> = (0..put_until).map(|number| (number, number)).collect();
    assert_eq!(taken, expected);
    assert_eq!((channel.fill().events, channel.fill().bytes), (0, 0));
}

#[tokio::test]
async fn what_comes_back_stands_before_what_is_in_the_log_only() {
    let folder = folder();
    let channel = open(&settings(folder.path()), SMALL);
    for start in 0..100 {
        put(&channel, events(start * 4..start * 4 + 4, 200)).await;
    }
    let first = channel.take(at_most(6), LONG).await.unwrap();
    let second = channel.take(at_most(6), LONG).await.unwrap();
    let third = channel.take(at_most(6), LONG).await.unwrap();
    second.give_back();
    third.ack_except(vec![1, 2]).await.unwrap();
    first.give_back();
    let again = channel.take(at_most(14), LONG).await.unwrap();
    let expected: Vec<(u64, u64)> = (0..12).chain([13, 14]).map(|n| (n, n)).collect();
    assert_eq!(seen(&again), expected);
    assert!(
        again
            .segments()
            .iter()
            .all(|segment| segment.redeliveries == 1)
    );
    again.ack().await.unwrap();
    let rest: Vec<(u64, u64)> = (18..400).map(|n| (n, n)).collect();
    assert_eq!(drain(&channel).await, rest);
}

#[tokio::test]
async fn a_backlog_with_holes_is_read_after_a_restart() {
    let folder = folder();
    let settings = settings(folder.path());
    let channel = open(&settings, Window::default());
    for start in 0..60 {
        put(&channel, events(start * 10..start * 10 + 10, 300)).await;
    }
    // All leases are out before the first ends, so that none gets what another gave back.
    let mut leases = Vec::new();
    for _ in 0..60 {
        leases.push(channel.take(at_most(10), LONG).await.unwrap());
    }
    let mut expected = Vec::new();
    for (start, lease) in (0..).zip(leases) {
        // Holes of a whole frame, of single events, at both ends, and none.
        let kept: Vec<u32> = match start % 4 {
            0 => Vec::new(),
            1 => vec![0, 4, 9],
            2 => (1..9).collect(),
            _ => (0..10).collect(),
        };
        expected.extend(kept.iter().map(|index| {
            let number = start * 10 + u64::from(*index);
            (number, number)
        }));
        lease.ack_except(kept).await.unwrap();
    }
    drop(channel);
    let channel = open(&settings, SMALL);
    assert_eq!(channel.fill().events, expected.len() as u64);
    assert_eq!(channel.fill().bytes, expected.len() as u64 * 308);
    assert_eq!(drain(&channel).await, expected);
    assert_eq!((channel.fill().events, channel.fill().bytes), (0, 0));
}
