//! One test for each way to misbehave: the limit holds, the report names it, the same guest serves
//! the next batch, and the neighbour goes on all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flumen_core::{Fault, FaultKind, Side};
use flumen_wasm::{GuestInterceptor, TrapCause};

use crate::rig::{Rig, Through, batch, trap};

/// Sends the batch that makes the guest misbehave, and gives its fault. A neighbour in the same
/// host handles batches meanwhile, and the guest itself must serve the next batch.
async fn misbehave(rig: &Rig, options: &[(&str, &str)], body: &str) -> (Fault, GuestInterceptor) {
    let neighbour = Arc::new(rig.named("neighbour", "transform", &[("config.mode", "touch")]));
    neighbour.prepare().await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let at_work = tokio::spawn({
        let (neighbour, over) = (Arc::clone(&neighbour), Arc::clone(&over));
        async move {
            let mut batches = 0;
            while !over.load(Ordering::Relaxed) || batches == 0 {
                neighbour.through(batch(["a", "b"])).await.unwrap();
                batches += 1;
                tokio::task::yield_now().await;
            }
            batches
        }
    });
    let guest = rig.interceptor("hostile", options);
    let fine = batch(["fine", "fine"]);
    assert_eq!(guest.through(fine.clone()).await.unwrap(), fine);
    let fault = guest.through(batch([body, "second"])).await.unwrap_err();
    over.store(true, Ordering::Relaxed);
    assert!(at_work.await.unwrap() > 0, "the neighbour goes on");
    assert_eq!(
        guest.through(fine.clone()).await.unwrap(),
        fine,
        "a new instance serves"
    );
    (fault, guest)
}

async fn ends(options: &[(&str, &str)], body: &str) -> (Fault, TrapCause) {
    let rig = Rig::new();
    let (fault, _guest) = misbehave(&rig, options, body).await;
    assert_eq!(
        (fault.kind(), fault.side()),
        (FaultKind::Broken, Side::Component),
        "{fault}"
    );
    let trap = trap(&fault);
    assert_eq!(trap.component.as_str(), "i1");
    assert_eq!(trap.call, "intercept");
    let cause = trap.cause.clone();
    let reports = rig.host.reports();
    let report = reports
        .iter()
        .find(|report| report.component.as_str() == "i1")
        .unwrap();
    assert_eq!((report.strikes, report.instances), (1, 2));
    (fault, cause)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_is_stopped() {
    let begun = Instant::now();
    let (fault, cause) = ends(&[("limits.cpu_ms", "100")], "endless loop").await;
    assert_eq!(
        cause,
        TrapCause::CpuTime {
            limit: Duration::from_millis(100)
        }
    );
    // Some 110 ms on a machine that has time; the bound leaves room for one that has none.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(90), "{took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(
        trap(&fault)
            .backtrace
            .iter()
            .any(|frame| frame.contains("endless_loop")),
        "{fault}"
    );
}

#[tokio::test]
async fn an_endless_loop_does_not_keep_its_thread() {
    // One thread for all: the neighbour only gets on because the guest gives the thread back.
    let (_, cause) = ends(&[("limits.cpu_ms", "50")], "endless loop").await;
    assert_eq!(cause.code(), "cpu-limit");
}

#[tokio::test]
async fn an_endless_loop_at_the_start_is_stopped() {
    let rig = Rig::new();
    let guest = rig.interceptor(
        "hostile",
        &[("limits.cpu_ms", "20"), ("config.init", "loop")],
    );
    for _ in 0..3 {
        let fault = guest.through(batch(["fine"])).await.unwrap_err();
        assert_eq!(trap(&fault).call, "init");
    }
}

#[tokio::test]
async fn a_memory_bomb_meets_its_limit() {
    let limit_bytes = 16 << 20;
    let limit = limit_bytes.to_string();
    let (fault, cause) = ends(&[("limits.memory_bytes", &limit)], "memory bomb").await;
    assert_eq!(cause, TrapCause::Memory { limit_bytes });
    assert!(fault.to_string().contains("limits.memory_bytes"), "{fault}");
}

#[tokio::test]
async fn a_stack_overflow_is_a_trap() {
    let (_, cause) = ends(&[], "stack overflow").await;
    assert_eq!(cause, TrapCause::Stack);
    // The stack that compilers keep in the memory ends at its lower bound.
    let (_, cause) = ends(&[], "memory stack overflow").await;
    assert_eq!(cause.code(), "trap");
}

#[tokio::test]
async fn a_panic_says_what_and_where() {
    let (fault, cause) = ends(&[], "panic").await;
    assert_eq!(cause.code(), "unreachable");
    let trap = trap(&fault);
    assert!(
        trap.last_words.contains("the guest panics on purpose"),
        "{fault}"
    );
    assert!(
        trap.backtrace.iter().any(|frame| frame.contains("panic")),
        "{fault}"
    );
}

#[tokio::test]
async fn waits_end_with_the_wall_limit() {
    for body in ["sleep for ever", "sleep in std"] {
        let (_, cause) = ends(&[("limits.wall_ms", "50")], body).await;
        assert_eq!(
            cause,
            TrapCause::WallTime {
                limit: Duration::from_millis(50)
            }
        );
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_copied() {
    let (_, cause) = ends(&[("limits.answer_bytes", "1048576")], "huge answer").await;
    assert_eq!(
        cause,
        TrapCause::AnswerBytes {
            limit_bytes: 1 << 20
        }
    );
}

#[tokio::test]
async fn an_answer_of_1_gib_in_little_memory_is_not_copied() {
    let rig = Rig::new();
    let (fault, guest) = misbehave(&rig, &[], "answer of 1 GiB").await;
    let limit_bytes = 64 << 20;
    assert_eq!(trap(&fault).cause, TrapCause::AnswerBytes { limit_bytes });
    // The memory that the guest had was a part of that, and went with its instance.
    let idle = guest.idle_memory_bytes();
    assert!(idle < 16 << 20, "{idle} bytes");
}

#[tokio::test]
async fn a_slow_leak_meets_its_limit_and_begins_anew() {
    let rig = Rig::new();
    let options = [
        ("limits.memory_bytes", "16777216"),
        ("config.leak_bytes", "1048576"),
    ];
    let guest = rig.interceptor("hostile", &options);
    let (mut served, mut faults) = (0, 0);
    for _ in 0..100 {
        match guest.through(batch(["fine"])).await {
            Ok(_) => served += 1,
            Err(fault) => {
                assert_eq!(trap(&fault).cause.code(), "memory-limit", "{fault}");
                faults += 1;
            }
        }
        assert!(guest.idle_memory_bytes() <= 16 << 20);
    }
    assert_eq!(served + faults, 100);
    assert!((6..=10).contains(&faults), "{faults} faults in 100 MiB");
}

#[tokio::test]
async fn one_event_that_traps_is_named_wherever_it_stands() {
    let rig = Rig::new();
    let guest = rig.interceptor("hostile", &[("config.trap_word", "poison")]);
    for row in [0, 1, 999] {
        let mut bodies = vec!["fine"; 1000];
        guest.through(batch(&bodies)).await.unwrap();
        bodies[row] = "some poison here";
        let fault = guest.through(batch(&bodies)).await.unwrap_err();
        let trap = trap(&fault);
        assert_eq!(trap.cause.code(), "unreachable");
        let words = format!("event {row} has the word poison");
        assert!(trap.last_words.contains(&words), "{fault}");
    }
}

#[tokio::test]
async fn handles_run_out() {
    let (fault, _) = ends(&[], "handles").await;
    assert!(
        trap(&fault)
            .backtrace
            .iter()
            .any(|frame| frame.contains("hostile")),
        "{fault}"
    );
}

#[tokio::test]
async fn false_answers_are_refused_as_a_whole() {
    let expected = [
        ("dropped out of range", "past the last row"),
        ("dropped twice", "do not increase"),
        ("header rows out of range", "past the last row"),
        ("header rows decrease", "do not increase"),
        ("header ends decrease", "an end that does not fit"),
        ("header end past data", "an end that does not fit"),
        ("header data left over", "an end that does not fit"),
        ("header count", "not one value per event"),
        ("header invalid UTF-8", "not UTF-8 in row 0"),
        ("header half a character", "not UTF-8 in row 0"),
        ("header name empty", "header name"),
        ("header name long", "header name"),
        ("header set twice", "same header name twice"),
        ("too many headers", "more than 1024 header names"),
        ("bodies out of range", "past the last row"),
        ("bodies count", "not one value per event"),
        ("bodies ends decrease", "an end that does not fit"),
        ("replaced ends decrease", "an end that does not fit"),
        ("replaced data left over", "an end that does not fit"),
        ("replaced header count", "not one value per event"),
        ("replaced header twice", "same header name twice"),
    ];
    for (body, reason) in expected {
        let (fault, cause) = ends(&[], body).await;
        assert_eq!(cause.code(), "answer-refused", "{body}: {fault}");
        assert!(fault.to_string().contains(reason), "{body}: {fault}");
    }
}

#[tokio::test]
async fn what_is_not_granted_is_not_there() {
    let rig = Rig::new();
    let guest = rig.interceptor("hostile", &[]);
    let fault = guest.through(batch(["files"])).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Poison, "{fault}");
    assert!(!fault.to_string().contains("root:"), "{fault}");
    let fault = guest.through(batch(["environment"])).await.unwrap_err();
    assert!(fault.to_string().contains("0 are seen"), "{fault}");
}

#[tokio::test]
async fn state_stays_within_its_limit() {
    let rig = Rig::new();
    let guest = rig.interceptor("hostile", &[]);
    for body in ["large state", "many states"] {
        let fault = guest.through(batch([body])).await.unwrap_err();
        assert!(
            fault.to_string().contains("limits.state_bytes = 1048576"),
            "{fault}"
        );
        assert_eq!(
            rig.state("i1", "key 0"),
            None,
            "nothing of a failed call counts"
        );
    }
}

#[tokio::test]
async fn figures_stay_within_their_number() {
    let rig = Rig::new();
    let guest = rig.interceptor("hostile", &[]);
    guest.through(batch(["figures"])).await.unwrap();
    let counters = rig.host.reports()[0].counters.len();
    assert_eq!(counters, flumen_wasm::limits::FIGURES_MAX);
}

#[tokio::test]
async fn a_log_flood_is_cut() {
    let rig = Rig::new();
    let guest = rig.interceptor("hostile", &[("limits.log_lines_per_second", "5")]);
    guest.through(batch(["log flood"])).await.unwrap();
    guest.through(batch(["long log line"])).await.unwrap();
    // 20 001 lines, and in a slow run a few seconds in which five of them pass.
    let suppressed = rig.host.reports()[0].log_lines_suppressed;
    assert!(suppressed > 19_000, "{suppressed} lines were left out");
}
