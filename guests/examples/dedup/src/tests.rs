use super::*;
use flumen_sdk::testing::{self, InterceptorHarness, TestBatch};

fn numbered(range: std::ops::Range<u32>) -> TestBatch {
    TestBatch::of(range.map(|number| number.to_string()))
}

#[test]
fn a_body_passes_once_within_the_window() {
    let mut dedup = InterceptorHarness::<Dedup>::new([("window", "2")]).unwrap();
    let answer = dedup.intercept(&TestBatch::of(["a", "b", "a", "c", "a"]));
    assert_eq!(answer, Ok(TestBatch::of(["a", "b", "c", "a"])));
}

#[test]
fn the_window_outlives_the_instance() {
    let mut dedup = InterceptorHarness::<Dedup>::new([("window", "3000")]).unwrap();
    // More than the window, batches that end within a page, at its end and behind it.
    for range in [0..1000, 1000..1024, 1024..1025, 1025..5000] {
        assert_eq!(
            dedup.intercept(&numbered(range.clone())),
            Ok(numbered(range))
        );
        dedup.restart().unwrap();
        assert_eq!(
            dedup.instance().recent.len() as u64,
            dedup.instance().count.min(3000)
        );
    }
    assert_eq!(
        dedup.intercept(&numbered(2000..5000)),
        Ok(TestBatch::default())
    );
    assert_eq!(dedup.intercept(&numbered(0..10)), Ok(numbered(0..10)));
}

#[test]
fn a_batch_that_was_refused_and_comes_again_is_not_taken_for_a_duplicate() {
    let mut dedup = InterceptorHarness::<Dedup>::new([]).unwrap();
    dedup.intercept(&TestBatch::of(["a"])).unwrap();
    assert_eq!(
        dedup.intercept(&TestBatch::of(["b"])),
        Ok(TestBatch::of(["b"]))
    );
    dedup.refuse_last();
    assert_eq!(
        dedup.intercept(&TestBatch::of(["a", "b"])),
        Ok(TestBatch::of(["b"]))
    );
}

#[test]
fn pages_that_left_the_window_are_removed() {
    let mut dedup = InterceptorHarness::<Dedup>::new([("window", "100")]).unwrap();
    dedup.intercept(&numbered(0..3000)).unwrap();
    assert_eq!(testing::state("page-0"), None);
    assert!(testing::state("page-2").is_some());
    dedup.intercept(&numbered(3000..5000)).unwrap();
    assert_eq!(testing::state("page-2"), None);
}

#[test]
fn another_window_after_a_change_of_the_settings_is_read_from_the_same_pages() {
    let mut small = Dedup::init(&[("window", "10")].into_iter().collect()).unwrap();
    let mut large = InterceptorHarness::<Dedup>::new([("window", "5000")]).unwrap();
    large.intercept(&numbered(0..2000)).unwrap();
    small.load().unwrap();
    assert_eq!(small.recent.len(), 10);
    assert_eq!(small.recent.back(), Some(&hash(b"1999")));
}

#[test]
fn a_window_that_does_not_fit_is_refused() {
    for window in ["0", "100001", "many"] {
        let refused = Dedup::init(&[("window", window)].into_iter().collect());
        assert!(matches!(refused, Err(Error::Configuration(_))));
    }
}
