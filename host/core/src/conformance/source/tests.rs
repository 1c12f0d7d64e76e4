use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::batch::BatchBuilder;
use crate::fault::{Fault, Side};
use crate::future::{BoxFuture, ready};
use crate::source::{ChannelProcessor, PollNext, Polled, PolledSource, StopReason, StopSignal};

/// Runs a future that wakes itself; one that would wait for ever is a failure.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    while woken.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
    }
    panic!("nobody wakes this future");
}

#[derive(Clone, Copy, PartialEq)]
enum Lie {
    None,
    TooMany,
    Repeats,
    LosesOnDrop,
    SkipsOnResume,
    AckSkips,
}

/// Numbers from 0, with one promise broken.
struct Numbers {
    next: u64,
    lie: Lie,
}

impl PolledSource for Numbers {
    fn open(&mut self, cursor: Option<&[u8]>) -> BoxFuture<'_, Result<(), Fault>> {
        self.next = match cursor {
            None => 0,
            Some(bytes) => match bytes.try_into() {
                Ok(bytes) => u64::from_le_bytes(bytes) + u64::from(self.lie == Lie::SkipsOnResume),
                Err(_) => return ready(Err(Fault::transient(Side::Data, "foreign cursor"))),
            },
        };
        ready(Ok(()))
    }

    fn poll(&mut self, events_max: usize) -> BoxFuture<'_, Result<Polled, Fault>> {
        let first = self.next;
        if self.lie == Lie::LosesOnDrop {
            self.next += events_max as u64;
        }
        Box::pin(async move {
            self.next = first;
            let more = usize::from(self.lie == Lie::TooMany);
            let mut builder = BatchBuilder::new();
            for _ in 0..events_max + more {
                builder.push(self.next.to_string().as_bytes()).unwrap();
                self.next += 1;
            }
            if self.lie == Lie::Repeats && events_max == 7 {
                self.next -= 1;
            }
            Ok(Polled {
                events: builder.finish().unwrap(),
                cursor: Some(Arc::from(self.next.to_le_bytes())),
                writes: Arc::default(),
                next: PollNext::Again,
            })
        })
    }

    fn ack(&mut self, _cursor: Option<&[u8]>) {
        if self.lie == Lie::AckSkips {
            self.next += 1;
        }
    }
}

fn run_numbers(lie: Lie) {
    block_on(run_polled(PolledCase {
        make: &|| Box::new(Numbers { next: 0, lie }),
        events: 60,
        resumes: true,
        ends: false,
    }));
}

#[test]
fn an_honest_polled_source_passes() {
    run_numbers(Lie::None);
}

#[test]
#[should_panic(expected = "a poll gives at most")]
fn too_many_events_are_noticed() {
    run_numbers(Lie::TooMany);
}

#[test]
#[should_panic(expected = "same order")]
fn repeated_events_are_noticed() {
    run_numbers(Lie::Repeats);
}

#[test]
#[should_panic(expected = "takes no event with it")]
fn events_lost_with_a_dropped_poll_are_noticed() {
    run_numbers(Lie::LosesOnDrop);
}

#[test]
#[should_panic(expected = "exactly behind the cursor")]
fn a_wrong_resume_is_noticed() {
    run_numbers(Lie::SkipsOnResume);
}

#[test]
#[should_panic(expected = "acknowledgement")]
fn an_acknowledgement_that_skips_is_noticed() {
    run_numbers(Lie::AckSkips);
}

fn batch(bodies: &[&str]) -> crate::EventBatch {
    let mut builder = BatchBuilder::new();
    for body in bodies {
        builder.push(body.as_bytes()).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn the_processor_refuses_as_often_as_told_and_records_the_rest() {
    let processor = RecordingProcessor::new();
    processor.refuse_next_after(1);
    let error = block_on(processor.process(batch(&["a", "b"]), None)).expect_err("refused");
    assert_eq!(error.accepted, 1);
    assert!(error.may_succeed_later());
    block_on(processor.process(batch(&["b"]), None)).expect("accepted");
    assert_eq!(processor.lines(), ["a", "b"]);
}

#[test]
fn a_held_call_goes_on_when_released_and_leaves_nothing_when_dropped() {
    let processor = RecordingProcessor::new();
    processor.block();
    drop({
        let mut call = processor.process(batch(&["dropped"]), None);
        assert!(poll_once(call.as_mut()).is_pending());
        block_on(processor.until_held());
        call
    });
    let mut call = processor.process(batch(&["a"]), None);
    assert!(poll_once(call.as_mut()).is_pending());
    processor.release();
    block_on(call).expect("accepted");
    assert_eq!(processor.lines(), ["a"]);
}

#[test]
fn a_stop_is_heard_before_and_after_it_is_asked_for() {
    let stop = ManualStop::new();
    let mut stopped = stop.stopped();
    assert!(poll_once(stopped.as_mut()).is_pending());
    assert_eq!(stop.reason(), None);
    stop.stop(StopReason::Drain);
    assert_eq!(block_on(stopped), StopReason::Drain);
    assert_eq!(block_on(stop.stopped()), StopReason::Drain);
}
