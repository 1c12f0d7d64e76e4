//! Sinks at work, against a memory channel and a sink that does as it is told.

mod poison;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flumen_core::channel::{Channel, PutPart, Segment, TakeLimits, put_all};
use flumen_core::clock::SystemClock;
use flumen_core::metric::SinkCounters;
use flumen_core::sink::{Outcome, Sink, SinkContext};
use flumen_core::{BoxFuture, ComponentName, Fault, FaultKind, Side};
use tokio::sync::watch;

use super::{GroupTask, MakeSink, SinkSlot, SlotParts};
use crate::build;
use crate::state::{ComponentState, StateCell};
use crate::state_folder::StateFolder;
use crate::test_rig::{memory_channel, proven};

const DEADLINE: Duration = Duration::from_secs(10);

async fn put(channel: &Arc<dyn Channel>, bodies: &[&str]) {
    let mut builder = flumen_core::batch::BatchBuilder::new();
    for body in bodies {
        builder.push(body.as_bytes()).expect("room");
    }
    let part = PutPart {
        channel: Arc::clone(channel),
        events: builder.finish().expect("a batch"),
    };
    put_all(&[part], None).await.expect("room");
}

/// What the next deliveries answer; then all are delivered.
#[derive(Debug)]
enum Answer {
    Fail(FaultKind),
    Panic,
    Keep(Vec<u32>),
    Buffer,
}

/// What happened, shared by all instances.
#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    delivered: Vec<String>,
    instances: usize,
    buffered: Vec<String>,
    stopped: usize,
}

struct Scripted {
    script: Arc<Mutex<Script>>,
    progress: watch::Sender<usize>,
}

impl Sink for Scripted {
    fn demand(&self) -> TakeLimits {
        TakeLimits {
            events: 10,
            bytes: u64::MAX,
        }
    }

    fn start(&mut self, _context: SinkContext) -> BoxFuture<'_, Result<(), Fault>> {
        self.script.lock().expect("script").instances += 1;
        flumen_core::future::ready(Ok(()))
    }

    fn deliver<'a>(&'a mut self, events: &'a [Segment]) -> BoxFuture<'a, Result<Outcome, Fault>> {
        let mut script = self.script.lock().expect("script");
        let bodies: Vec<String> = events
            .iter()
            .flat_map(|segment| segment.events.bodies())
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect();
        let answer = script.answers.pop_front();
        let result = match answer {
            Some(Answer::Fail(kind)) => Err(Fault::new(kind, Side::Peer, "told to fail")),
            Some(Answer::Panic) => {
                drop(script);
                panic!("told to panic");
            }
            Some(Answer::Keep(kept)) => {
                let sent = bodies.iter().enumerate();
                let sent = sent.filter(|(at, _)| !kept.contains(&(*at as u32)));
                let sent: Vec<String> = sent.map(|(_, body)| body.clone()).collect();
                script.delivered.extend(sent);
                Ok(Outcome::Partial {
                    retry: kept,
                    rejected: Vec::new(),
                })
            }
            Some(Answer::Buffer) => {
                script.buffered.extend(bodies);
                Ok(Outcome::Buffered)
            }
            None => {
                script.delivered.extend(bodies);
                Ok(Outcome::Delivered)
            }
        };
        self.progress.send_replace(script.delivered.len());
        flumen_core::future::ready(result)
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        let mut script = self.script.lock().expect("script");
        let buffered = std::mem::take(&mut script.buffered);
        script.delivered.extend(buffered);
        self.progress.send_replace(script.delivered.len());
        flumen_core::future::ready(Ok(()))
    }

    fn tick(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        flumen_core::future::ready(Ok(()))
    }

    fn stop(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        self.script.lock().expect("script").stopped += 1;
        flumen_core::future::ready(Ok(()))
    }
}

struct Rig {
    channel: Arc<dyn Channel>,
    script: Arc<Mutex<Script>>,
    state: Arc<StateCell>,
    counters: Arc<SinkCounters>,
    delivered: watch::Receiver<usize>,
    group: GroupTask,
}

fn rig(answers: Vec<Answer>) -> Rig {
    let channel = memory_channel(1000);
    let script = Arc::new(Mutex::new(Script {
        answers: answers.into(),
        ..Script::default()
    }));
    let (progress, delivered) = watch::channel(0);
    let make: MakeSink = {
        let script = Arc::clone(&script);
        Arc::new(move || {
            Ok(Box::new(Scripted {
                script: Arc::clone(&script),
                progress: progress.clone(),
            }))
        })
    };
    let state = Arc::new(StateCell::new());
    let counters = Arc::new(SinkCounters::default());
    let slot = SinkSlot::new(SlotParts {
        name: ComponentName::from("k1"),
        channel: Arc::clone(&channel),
        versions: proven(make),
        poison: None,
        counters: Arc::clone(&counters),
        state: Arc::clone(&state),
        clock: Arc::new(SystemClock),
        states: StateFolder::new(None),
    });
    let processor = build::sink_processor(None, &[ComponentName::from("k1")]).expect("default");
    Rig {
        channel,
        script,
        state,
        counters,
        delivered,
        group: GroupTask::spawn(vec![slot], processor),
    }
}

impl Rig {
    async fn delivers(&mut self, events: usize) {
        let enough = self.delivered.wait_for(|delivered| *delivered >= events);
        tokio::time::timeout(DEADLINE, enough)
            .await
            .expect("delivered in time")
            .expect("the sink is there");
    }

    async fn end(self) -> (Vec<String>, SinkSlot) {
        let mut slots = self.group.end(DEADLINE).await.expect("ended in time");
        let delivered = self.script.lock().expect("script").delivered.clone();
        (delivered, slots.pop().expect("the slot"))
    }
}

#[tokio::test]
async fn events_are_delivered_in_order_and_acknowledged() {
    let mut rig = rig(Vec::new());
    put(&rig.channel, &["a", "b"]).await;
    put(&rig.channel, &["c"]).await;
    rig.delivers(3).await;
    let (channel, counters) = (Arc::clone(&rig.channel), Arc::clone(&rig.counters));
    let (delivered, slot) = rig.end().await;
    assert_eq!(delivered, ["a", "b", "c"]);
    assert_eq!(channel.fill().events, 0);
    assert_eq!(counters.event_drain_success.get(), 3);
    slot.stop().await;
}

#[tokio::test]
async fn a_failed_batch_is_delivered_again_by_the_same_instance() {
    let mut rig = rig(vec![
        Answer::Fail(FaultKind::Transient),
        Answer::Fail(FaultKind::Transient),
    ]);
    put(&rig.channel, &["a", "b"]).await;
    rig.delivers(2).await;
    let (script, counters) = (Arc::clone(&rig.script), Arc::clone(&rig.counters));
    let state = Arc::clone(&rig.state);
    let (delivered, _slot) = rig.end().await;
    assert_eq!(delivered, ["a", "b"]);
    assert_eq!(script.lock().expect("script").instances, 1);
    assert_eq!(counters.event_write_fail.get(), 2);
    assert_eq!(state.get(), ComponentState::Running);
}

#[tokio::test]
async fn a_broken_or_panicking_sink_is_replaced_and_nothing_is_lost() {
    let mut rig = rig(vec![Answer::Fail(FaultKind::Broken), Answer::Panic]);
    put(&rig.channel, &["a"]).await;
    rig.delivers(1).await;
    let script = Arc::clone(&rig.script);
    let (delivered, _slot) = rig.end().await;
    assert_eq!(delivered, ["a"]);
    assert_eq!(script.lock().expect("script").instances, 3);
}

#[tokio::test]
async fn what_a_sink_keeps_back_comes_again() {
    let mut rig = rig(vec![Answer::Keep(vec![1])]);
    put(&rig.channel, &["a", "b", "c"]).await;
    rig.delivers(3).await;
    let channel = Arc::clone(&rig.channel);
    let (delivered, _slot) = rig.end().await;
    assert_eq!(delivered, ["a", "c", "b"]);
    assert_eq!(channel.fill().events, 0);
}

#[tokio::test(start_paused = true)]
async fn buffered_events_stay_in_the_channel_until_they_are_flushed() {
    let mut rig = rig(vec![Answer::Buffer]);
    put(&rig.channel, &["a", "b"]).await;
    // The flush comes with the first idle turn.
    rig.delivers(2).await;
    let channel = Arc::clone(&rig.channel);
    let (delivered, _slot) = rig.end().await;
    assert_eq!(delivered, ["a", "b"]);
    assert_eq!(channel.fill().events, 0);
}

#[tokio::test]
async fn a_configuration_fault_ends_the_tries_and_keeps_the_events() {
    let rig = rig(vec![Answer::Fail(FaultKind::Configuration)]);
    put(&rig.channel, &["a"]).await;
    let failed = async {
        while !matches!(rig.state.get(), ComponentState::Failed { .. }) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, failed)
        .await
        .expect("failed in time");
    let channel = Arc::clone(&rig.channel);
    let (delivered, _slot) = rig.end().await;
    assert!(delivered.is_empty());
    assert_eq!(channel.fill().events, 1);
    assert_eq!(channel.fill().leased_events, 0);
}

#[tokio::test]
async fn a_slot_moves_to_another_task_alive() {
    let mut rig = rig(Vec::new());
    put(&rig.channel, &["a"]).await;
    rig.delivers(1).await;
    let (script, channel) = (Arc::clone(&rig.script), Arc::clone(&rig.channel));
    let mut delivered = rig.delivered.clone();
    let (_, slot) = rig.end().await;
    let processor = build::sink_processor(None, &[ComponentName::from("k1")]).expect("default");
    let group = GroupTask::spawn(vec![slot], processor);
    put(&channel, &["b"]).await;
    let enough = delivered.wait_for(|delivered| *delivered >= 2);
    tokio::time::timeout(DEADLINE, enough)
        .await
        .expect("in time")
        .expect("there");
    for slot in group.end(DEADLINE).await.expect("ended") {
        slot.stop().await;
    }
    let script = script.lock().expect("script");
    assert_eq!((script.instances, script.stopped), (1, 1));
    assert_eq!(script.delivered, ["a", "b"]);
}
