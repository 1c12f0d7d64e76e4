use std::thread;

use super::*;
use crate::simulation::Disk;

const MIB: u64 = 1024 * 1024;

fn pool(disk: &Disk, free_bytes_min: u64, rest: Duration) -> Pool {
    let options = Options {
        segment_bytes: MIB,
        segments_max: 64,
        free_bytes_min,
        ..Options::default()
    };
    let pool = Pool::open(disk.io(), &options, &[], 0, Arc::default(), Box::new(()));
    Pool { rest, ..pool }
}

/// Gives back so many segments that are of no use any more.
fn give_back(pool: &Pool, count: u64) {
    for number in 1..=count {
        let name = FileName::Segment(number);
        let file = pool.io.create(&name.to_string()).unwrap();
        file.fill_with_zeros(MIB).unwrap();
        pool.give_back(name).unwrap();
    }
}

#[test]
fn a_log_in_use_keeps_what_a_burst_had_filled() {
    let disk = Disk::new(64 * MIB, 1);
    let pool = pool(&disk, 0, REST);
    let most = RESERVED_SEGMENTS + SPARES_BEYOND_IN_USE;
    give_back(&pool, most + 3);
    assert_eq!(pool.len(), most);
    assert_eq!(disk.names().len() as u64, most);
}

#[test]
fn a_volume_that_is_short_of_space_gets_it_back() {
    let disk = Disk::new(64 * MIB, 1);
    let pool = pool(&disk, 57 * MIB, REST);
    give_back(&pool, 20);
    // With one segment on its way back, 57 of 64 MiB are free beside six others.
    assert_eq!(pool.len(), 7);
    assert_eq!(disk.names().len(), 7);
}

#[test]
fn a_log_at_rest_removes_what_it_has_no_use_for() {
    let disk = Disk::new(64 * MIB, 1);
    let pool = pool(&disk, 0, Duration::from_millis(1));
    give_back(&pool, 12);
    thread::scope(|scope| {
        scope.spawn(|| pool.make_ahead());
        let rest = RESERVED_SEGMENTS + SPARES_BEYOND;
        while disk.names().len() as u64 > rest {
            thread::yield_now();
        }
        assert_eq!(pool.len(), rest);
        // Again, for a thread that sleeps.
        give_back(&pool, 2);
        while disk.names().len() as u64 > rest {
            thread::yield_now();
        }
        pool.close();
    });
}
