//! What a guest interceptor costs an event: 1000 events of 200 bytes a call, medians of rounds that
//! take turns, so that noise of the machine meets all rows alike. Run with `cargo bench -p flumen-wasm`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run stops"
)]

#[path = "../tests/guests/rig.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod rig;

use std::time::Instant;

use flumen_core::EventBatch;
use flumen_core::interceptor::Interceptor;
use flumen_core::option::ComponentKind;
use flumen_wasm::GuestInterceptor;

const EVENTS: usize = 1000;
const BODY_BYTES: usize = 200;
const ROUNDS: usize = 301;

/// Calls in one measurement.
const CALLS: usize = 20;

fn packed() -> EventBatch {
    rig::batch((0..EVENTS).map(|number| format!("{number:0>BODY_BYTES$}")))
}

fn delimited() -> EventBatch {
    let mut data = Vec::new();
    let mut ends = Vec::new();
    for number in 0..EVENTS {
        data.extend_from_slice(format!("{number:0>BODY_BYTES$}").as_bytes());
        ends.push(u32::try_from(data.len()).expect("a small batch"));
        data.push(b'\n');
    }
    EventBatch::from_delimited(data.into(), b'\n', ends).expect("a valid batch")
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let rig = rig::Rig::new();
    let guest = |mode: &str| {
        let options = [("config.mode", mode), ("config.keep", "5")];
        rig.interceptor("transform", &options)
    };
    let rows = [
        ("unchanged", guest("unchanged"), packed()),
        ("touch, packed", guest("touch"), packed()),
        ("touch, delimited", guest("touch"), delimited()),
        ("touch, delimited (A/A)", guest("touch"), delimited()),
        ("filter, delimited", guest("filter"), delimited()),
    ];
    let mut times: Vec<Vec<f64>> = rows.iter().map(|_| Vec::with_capacity(ROUNDS)).collect();
    for _ in 0..ROUNDS {
        for ((_, guest, events), times) in rows.iter().zip(&mut times) {
            let begun = Instant::now();
            runtime.block_on(async {
                for _ in 0..CALLS {
                    let answer = guest.intercept(events.clone()).await;
                    std::hint::black_box(answer.expect("the fixture answers"));
                }
            });
            times.push(begun.elapsed().as_nanos() as f64 / (CALLS * EVENTS) as f64);
        }
    }
    println!("{EVENTS} events of {BODY_BYTES} bytes a call, median of {ROUNDS}, ns an event");
    for ((name, ..), times) in rows.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let median = times.get(ROUNDS / 2).copied().unwrap_or(f64::NAN);
        println!("{name:24} {median:8.1}");
    }
    take_over(&runtime, &rig);
    start_up(&runtime, &rig);
}

/// What the flow waits for when a version follows another: the call that comes first to an instance
/// that was made beforehand, against a call that comes to the old one. The rest of a swap is one
/// pointer.
fn take_over(runtime: &tokio::runtime::Runtime, rig: &rig::Rig) {
    const SWAPS: usize = 1000;
    let events = delimited();
    let call = |guest: &GuestInterceptor| {
        let begun = Instant::now();
        let answer = runtime.block_on(guest.intercept(events.clone()));
        std::hint::black_box(answer.expect("the fixture answers"));
        begun.elapsed().as_nanos() as f64 / 1000.0
    };
    let (mut ordinary, mut first) = (Vec::with_capacity(SWAPS), Vec::with_capacity(SWAPS));
    let mut current = rig.interceptor("transform", &[("config.mode", "touch")]);
    for _ in 0..SWAPS {
        call(&current);
        ordinary.push(call(&current));
        let next = rig.interceptor("transform", &[("config.mode", "touch")]);
        runtime.block_on(next.prepare()).expect("it starts");
        let old = std::mem::replace(&mut current, next);
        first.push(call(&current));
        // The old instance ends in a task of its own, which another thread of an agent may take.
        runtime.block_on(async {
            drop(old);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        });
    }
    for (name, times) in [("ordinary", &mut ordinary), ("first", &mut first)] {
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times.get(part).copied().unwrap_or(f64::NAN);
        println!(
            "{name:8} call of {SWAPS} swaps: half {:.1} us, 99 % {:.1} us, longest {:.1} us",
            at(SWAPS / 2),
            at(SWAPS * 99 / 100),
            at(SWAPS - 1)
        );
    }
}

/// From a file whose code is in the cache to the first answer, and a further instance of it.
fn start_up(runtime: &tokio::runtime::Runtime, rig: &rig::Rig) {
    let settings = rig::options_of(ComponentKind::Interceptor, "transform", &[]);
    let load = |rig: &rig::Rig| {
        let guest = rig.load(ComponentKind::Interceptor, "i1", &settings);
        guest
            .expect("the fixture loads")
            .interceptor()
            .expect("an interceptor")
    };
    let measure = |run: &dyn Fn()| {
        let mut times: Vec<u128> = (0..51)
            .map(|_| {
                let begun = Instant::now();
                run();
                begun.elapsed().as_micros()
            })
            .collect();
        times.sort_unstable();
        times.get(25).copied().unwrap_or_default()
    };
    let cached = measure(&|| {
        let rig = rig::Rig::new();
        runtime.block_on(load(&rig).prepare()).expect("it starts");
    });
    let instance = measure(&|| runtime.block_on(load(rig).prepare()).expect("it starts"));
    println!(
        "host, cached component and instance {cached} us; the next instance from its file {instance} us"
    );
}
