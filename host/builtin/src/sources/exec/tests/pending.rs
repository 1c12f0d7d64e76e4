//! Lines that wait for their batch, in time that a test moves by hand.

use std::time::Duration;

use flumen_core::EventBatch;
use flumen_core::batch::BatchBuilder;
use tokio::time::Instant;

use super::super::pending::Pending;

fn lines(range: std::ops::Range<u32>) -> EventBatch {
    let mut builder = BatchBuilder::new();
    for number in range {
        builder.push(number.to_string().as_bytes()).expect("fits");
    }
    builder.finish().expect("fits")
}

#[test]
fn full_batches_go_and_the_rest_waits_since_its_first_line() {
    let mut pending = Pending::new(10, Duration::from_secs(3));
    let start = Instant::now();
    assert_eq!(pending.flush_at(), None);
    assert!(pending.add(lines(0..4), start).expect("fits").is_empty());
    assert_eq!(pending.flush_at(), Some(start + Duration::from_secs(3)));

    let later = start + Duration::from_secs(1);
    assert!(pending.add(lines(4..6), later).expect("fits").is_empty());
    assert_eq!(pending.flush_at(), Some(start + Duration::from_secs(3)));

    let full = pending.add(lines(6..33), later).expect("fits");
    assert_eq!(full, [lines(0..10), lines(10..20), lines(20..30)]);
    assert_eq!(pending.flush_at(), Some(later + Duration::from_secs(3)));
    assert_eq!(pending.take().expect("fits"), lines(30..33));
    assert_eq!(pending.flush_at(), None);
}

#[test]
fn many_bytes_do_not_wait_for_a_large_batch() {
    let mut pending = Pending::new(1_000_000, Duration::from_secs(3));
    let megabyte = EventBatch::from_columns(vec![b'x'; 1 << 20].into(), vec![1 << 20]);
    let megabyte = megabyte.expect("fits");
    let mut given = 0;
    for _ in 0..8 {
        let full = pending.add(megabyte.clone(), Instant::now()).expect("fits");
        given += full.iter().map(EventBatch::len).sum::<usize>();
    }
    assert_eq!(given, 8);
}

#[test]
fn a_wait_for_ever_is_one() {
    let mut pending = Pending::new(10, Duration::from_millis(i64::MAX as u64));
    pending.add(lines(0..1), Instant::now()).expect("fits");
    assert!(
        pending
            .flush_at()
            .is_none_or(|at| at > Instant::now() + Duration::from_secs(3600))
    );
}
