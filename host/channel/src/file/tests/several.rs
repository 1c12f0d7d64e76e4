//! A put into two channels of which one loses its disk: what of it nobody can withdraw stays open, and
//! is there for the next start to decide.

use std::path::Path;
use std::sync::Arc;

use flumen_core::ComponentName;
use flumen_core::channel::{Channel, PutError, PutPart, put_all};
use flumen_core::settings::Value;
use flumen_core::state::StateRecord;
use flumen_wal::simulation::{Crash, Disk};

use super::super::options::Setup;
use super::super::window::Window;
use super::super::{FileChannel, Ground};
use super::rig::DISK_BYTES;
use super::{clock, events, settings};

/// The second channel decides.
const NAMES: [&str; 2] = ["c1", "c2"];

/// More calls than the first channel makes before the second one is full.
const CALLS_MAX: u64 = 120;

/// A disk that has no room for another segment.
const FULL_BYTES: u64 = 1;

fn open(disk: &Disk, name: &str) -> Arc<FileChannel> {
    let name = ComponentName::new(name);
    let settings = settings(Path::new("disk")).with("durability", Value::Text("sync".to_owned()));
    let mut setup = Setup::read(&name, &settings).unwrap();
    setup.changing.free_bytes_min = 0;
    let ground = Ground {
        io: disk.io(),
        keyring: Default::default(),
        window: Window::default(),
        waits: Default::default(),
    };
    let channel = FileChannel::open_on(ground, &name, setup, clock(), Path::new("disk"));
    Arc::new(channel.unwrap())
}

fn disks() -> [Disk; 2] {
    [7, 8].map(|seed| Disk::new(DISK_BYTES, seed))
}

/// Which channel failed, and whether the put is open.
async fn put(channels: &[Arc<FileChannel>; 2], generation: u64) -> Result<(), (String, bool)> {
    let record = StateRecord {
        generation,
        bytes: Arc::from(*b"state"),
    };
    let parts = channels.each_ref().map(|channel| PutPart {
        channel: Arc::<FileChannel>::clone(channel),
        events: events(0..100, 90),
    });
    match put_all(&parts, Some(&record)).await {
        Ok(()) => Ok(()),
        Err(PutError::CommitFailed {
            channel, is_open, ..
        }) => Err((channel.to_string(), is_open)),
        Err(refused) => panic!("{refused}"),
    }
}

/// The generations for which the first channel asks when it comes back.
fn undecided(disks: &[Disk; 2]) -> Vec<u64> {
    let first = open(&disks[0], NAMES[0]);
    let found = Channel::recovered(&*first).records.into_iter();
    let undecided = found.filter(|own| own.decider.is_some());
    undecided.map(|own| own.record.generation).collect()
}

#[tokio::test]
async fn while_it_is_open_whether_the_decider_has_a_put_nothing_of_it_is_withdrawn() {
    let disks = disks();
    let channels = [0, 1].map(|at| open(&disks[at], NAMES[at]));
    put(&channels, 1).await.unwrap();
    disks[1].stop_at(1);
    assert_eq!(put(&channels, 2).await, Err(("c2".to_owned(), true)));
    channels[0].release().await.unwrap();
    assert_eq!(undecided(&disks), [1, 2]);
}

#[tokio::test]
async fn a_put_that_cannot_be_withdrawn_is_open() {
    let (mut open_puts, mut withdrawn) = (0, 0);
    for calls in 1..CALLS_MAX {
        let disks = disks();
        let channels = [0, 1].map(|at| open(&disks[at], NAMES[at]));
        let mut generation = 1;
        disks[1].set_capacity(FULL_BYTES);
        disks[0].stop_at(calls);
        let (failed, is_open) = loop {
            match put(&channels, generation).await {
                Ok(()) => generation += 1,
                Err(told) => break told,
            }
        };
        drop(channels);
        disks[0].crash(Crash::PowerCutDropsAll);
        if failed == "c2" {
            match undecided(&disks).contains(&generation) {
                false => withdrawn += 1,
                true => {
                    assert!(is_open, "stopped at call {calls}");
                    open_puts += 1;
                }
            }
        }
    }
    assert!(open_puts > 0 && withdrawn > 0, "{open_puts} {withdrawn}");
}
