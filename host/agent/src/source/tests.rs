//! Sources at work: supervision and the driver of polled sources.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flumen_core::channel::{Channel, TakeLimits};
use flumen_core::clock::SystemClock;
use flumen_core::interceptor::{Intercepted, Interceptor};
use flumen_core::metric::SourceCounters;
use flumen_core::settings::Settings;
use flumen_core::source::{
    Handover, PollBackOff, PollNext, Polled, PolledSource, Source, SourceContext, StopReason,
};
use flumen_core::{BoxFuture, ComponentName, EventBatch, Fault, FaultKind, Side};

use super::{MakeSource, PolledDriver, SourceParts, SourceTask};
use crate::metrics::FlowCounters;
use crate::poison::Stage;
use crate::processor::{Pipeline, Processor};
use crate::state::{ComponentState, StateCell};
use crate::state_folder::StateFolder;
use crate::test_rig::{memory_channel, proven};

mod aborted;
mod probation;

const DEADLINE: Duration = Duration::from_secs(10);

fn processor(channel: &Arc<dyn Channel>) -> Arc<Processor> {
    processor_with(Vec::new(), channel, StateFolder::new(None))
}

fn processor_with(
    interceptors: Vec<(ComponentName, Arc<dyn Interceptor>)>,
    channel: &Arc<dyn Channel>,
    states: Arc<StateFolder>,
) -> Arc<Processor> {
    let names = [ComponentName::from("c1")];
    let row = flumen_builtin::rows()
        .find(|row| row.name == "replicating")
        .expect("the replicating selector");
    let selector =
        flumen_builtin::selectors::build(row, &Settings::new(), &names).expect("a selector");
    let stage = |(name, interceptor): (ComponentName, Arc<dyn Interceptor>)| {
        Stage::new(name, proven(interceptor), None)
    };
    let stages = interceptors.into_iter().map(stage).collect();
    let pipeline = Pipeline::new(stages, selector, vec![Arc::clone(channel)]);
    Processor::new(pipeline, Arc::new(FlowCounters::default()), states)
}

fn parts(make: MakeSource, channel: &Arc<dyn Channel>) -> SourceParts {
    SourceParts {
        name: ComponentName::from("r1"),
        versions: proven(make),
        processor: processor(channel),
        counters: Arc::new(SourceCounters::default()),
        state: Arc::new(StateCell::new()),
        clock: Arc::new(SystemClock),
    }
}

async fn reaches(state: &StateCell, wanted: fn(&ComponentState) -> bool) {
    let reached = async {
        while !wanted(&state.get()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, reached)
        .await
        .expect("reached in time");
}

async fn take_bodies(channel: &Arc<dyn Channel>) -> Vec<String> {
    try_bodies(channel, DEADLINE).await.expect("events")
}

/// The bodies of one take, acknowledged; `None` when nothing came in time.
async fn try_bodies(channel: &Arc<dyn Channel>, wait: Duration) -> Option<Vec<String>> {
    let limits = TakeLimits {
        events: 100,
        bytes: u64::MAX,
    };
    let lease = channel.take(limits, wait).await.ok()?;
    let bodies = lease
        .segments()
        .iter()
        .flat_map(|segment| segment.events.bodies())
        .map(|body| String::from_utf8_lossy(body).into_owned())
        .collect();
    lease.ack().await.expect("acknowledged");
    Some(bodies)
}

/// The bodies of all takes, until nothing more comes.
async fn drained(channel: &Arc<dyn Channel>) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(bodies) = try_bodies(channel, Duration::from_millis(200)).await {
        all.extend(bodies);
    }
    all
}

/// What the lives of a scripted source end with; then it runs until it is stopped.
enum Life {
    PrepareFails(FaultKind),
    RunFails(FaultKind),
    Panics,
    Ends,
}

struct Scripted {
    lives: Arc<Mutex<VecDeque<Life>>>,
}

impl Source for Scripted {
    fn prepare(&mut self, _predecessor: Option<Handover>) -> BoxFuture<'_, Result<(), Fault>> {
        let mut lives = self.lives.lock().expect("lives");
        let result = match lives.front() {
            Some(Life::PrepareFails(kind)) => {
                let kind = *kind;
                lives.pop_front();
                Err(Fault::new(kind, Side::Operator, "port is taken"))
            }
            _ => Ok(()),
        };
        flumen_core::future::ready(result)
    }

    fn run(&mut self, context: SourceContext) -> BoxFuture<'_, Result<(), Fault>> {
        let life = self.lives.lock().expect("lives").pop_front();
        Box::pin(async move {
            match life {
                Some(Life::RunFails(kind)) => Err(Fault::new(kind, Side::Peer, "gone")),
                Some(Life::Panics) => panic!("told to panic"),
                Some(Life::Ends) => Ok(()),
                _ => {
                    context.stop.stopped().await;
                    Ok(())
                }
            }
        })
    }
}

fn scripted(lives: Vec<Life>) -> (MakeSource, Arc<Mutex<usize>>) {
    let lives = Arc::new(Mutex::new(VecDeque::from(lives)));
    let made = Arc::new(Mutex::new(0));
    let count = Arc::clone(&made);
    let make: MakeSource = Arc::new(move || {
        *count.lock().expect("count") += 1;
        Ok(Box::new(Scripted {
            lives: Arc::clone(&lives),
        }))
    });
    (make, made)
}

#[tokio::test(start_paused = true)]
async fn a_source_is_tried_again_after_faults_and_panics() {
    let channel = memory_channel(10);
    let (make, made) = scripted(vec![
        Life::PrepareFails(FaultKind::Transient),
        Life::RunFails(FaultKind::Transient),
        Life::RunFails(FaultKind::Broken),
        Life::Panics,
    ]);
    let parts = parts(make, &channel);
    let state = Arc::clone(&parts.state);
    let task = SourceTask::spawn(parts, None);
    let running = async {
        loop {
            let made = *made.lock().expect("count");
            if made == 3 && state.get() == ComponentState::Running {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), running)
        .await
        .expect("one instance for the transient faults, one for each broken one");
    assert!(task.end(StopReason::Drain, DEADLINE).await);
    assert_eq!(state.get(), ComponentState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_taken_port_shows_in_the_state() {
    let channel = memory_channel(10);
    let (make, _) = scripted(vec![Life::PrepareFails(FaultKind::Transient)]);
    let parts = parts(make, &channel);
    let state = Arc::clone(&parts.state);
    let task = SourceTask::spawn(parts, None);
    reaches(&state, |state| {
        matches!(state, ComponentState::Retrying { reason, failures: 1 } if reason == "port is taken")
    })
    .await;
    tokio::time::advance(Duration::from_secs(1)).await;
    reaches(&state, |state| *state == ComponentState::Running).await;
    assert!(task.end(StopReason::Drain, DEADLINE).await);
}

#[tokio::test]
async fn an_ended_input_waits_to_be_stopped() {
    let channel = memory_channel(10);
    let (make, _) = scripted(vec![Life::Ends]);
    let parts = parts(make, &channel);
    let state = Arc::clone(&parts.state);
    let task = SourceTask::spawn(parts, None);
    reaches(&state, |state| *state == ComponentState::Finished).await;
    assert!(task.end(StopReason::Drain, DEADLINE).await);
}

#[tokio::test]
async fn a_configuration_fault_is_not_tried_again() {
    let channel = memory_channel(10);
    let (make, made) = scripted(vec![Life::RunFails(FaultKind::Configuration)]);
    let parts = parts(make, &channel);
    let state = Arc::clone(&parts.state);
    let task = SourceTask::spawn(parts, None);
    reaches(&state, |state| {
        matches!(state, ComponentState::Failed { .. })
    })
    .await;
    assert!(task.end(StopReason::Drain, DEADLINE).await);
    assert_eq!(*made.lock().expect("count"), 1);
}

/// Counts from where its cursor says; remembers what was acknowledged.
struct Counting {
    next: u64,
    acknowledged: Arc<Mutex<Vec<u64>>>,
    opened_at: Arc<Mutex<Vec<Option<u64>>>>,
}

fn number(cursor: &[u8]) -> u64 {
    u64::from_le_bytes(cursor.try_into().expect("eight bytes"))
}

impl PolledSource for Counting {
    fn open(&mut self, cursor: Option<&[u8]>) -> BoxFuture<'_, Result<(), Fault>> {
        let at = cursor.map(number);
        self.opened_at.lock().expect("opened").push(at);
        self.next = at.unwrap_or(0);
        flumen_core::future::ready(Ok(()))
    }

    fn poll(&mut self, events_max: usize) -> BoxFuture<'_, Result<Polled, Fault>> {
        let text = self.next.to_string();
        self.next += 1;
        assert!(events_max >= 1);
        let ends = vec![text.len() as u32];
        let polled = Polled {
            events: EventBatch::from_columns(text.into(), ends).expect("a batch"),
            cursor: Some(Arc::from(self.next.to_le_bytes())),
            next: PollNext::Again,
            ..Polled::default()
        };
        flumen_core::future::ready(Ok(polled))
    }

    fn ack(&mut self, cursor: Option<&[u8]>) {
        let cursor = cursor.map(number).expect("a cursor");
        self.acknowledged.lock().expect("acks").push(cursor);
    }
}

#[tokio::test]
async fn a_polled_source_waits_for_room_and_loses_nothing() {
    let channel = memory_channel(2);
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let opened_at = Arc::new(Mutex::new(Vec::new()));
    let make: MakeSource = {
        let (acknowledged, opened_at) = (Arc::clone(&acknowledged), Arc::clone(&opened_at));
        Arc::new(move || {
            let source = Counting {
                next: 0,
                acknowledged: Arc::clone(&acknowledged),
                opened_at: Arc::clone(&opened_at),
            };
            let source = Box::new(source);
            let states = StateFolder::new(None);
            Ok(Box::new(PolledDriver::new(
                source,
                PollBackOff::default(),
                states,
            )))
        })
    };
    let first = parts(make, &channel);
    let second = first.clone();
    let task = SourceTask::spawn(first, None);
    let mut bodies = Vec::new();
    while bodies.len() < 20 {
        bodies.extend(take_bodies(&channel).await);
    }
    // A stop does not cut a put short: the source ends as soon as there is room.
    task.tell(StopReason::Drain);
    let (ended, rest) = tokio::join!(task.end(StopReason::Drain, DEADLINE), drained(&channel));
    assert!(ended);
    bodies.extend(rest);
    let wanted: Vec<String> = (0..bodies.len()).map(|number| number.to_string()).collect();
    assert_eq!(bodies, wanted);
    let acks: Vec<u64> = (1..=bodies.len() as u64).collect();
    assert_eq!(*acknowledged.lock().expect("acks"), acks);

    // A restart within the agent goes on behind the last commit.
    let task = SourceTask::spawn(second, None);
    assert_eq!(
        take_bodies(&channel).await.first(),
        Some(&wanted.len().to_string())
    );
    assert_eq!(
        opened_at.lock().expect("opened").last(),
        Some(&Some(wanted.len() as u64))
    );
    task.tell(StopReason::Drain);
    let (ended, _) = tokio::join!(task.end(StopReason::Drain, DEADLINE), drained(&channel));
    assert!(ended);
}

/// Lets nothing through.
struct DropAll;

impl Interceptor for DropAll {
    fn intercept(&self, _batch: EventBatch) -> BoxFuture<'_, Result<Intercepted, Fault>> {
        flumen_core::future::ready(Ok(EventBatch::default().into()))
    }
}

/// Gives these polls, then ends.
struct Given {
    polls: VecDeque<Polled>,
    acknowledged: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
    states: Arc<StateFolder>,
}

impl PolledSource for Given {
    fn open(&mut self, _cursor: Option<&[u8]>) -> BoxFuture<'_, Result<(), Fault>> {
        flumen_core::future::ready(Ok(()))
    }

    fn poll(&mut self, _events_max: usize) -> BoxFuture<'_, Result<Polled, Fault>> {
        let end = Polled {
            next: PollNext::End,
            ..Polled::default()
        };
        flumen_core::future::ready(Ok(self.polls.pop_front().unwrap_or(end)))
    }

    fn ack(&mut self, cursor: Option<&[u8]>) {
        // What a source keeps with the position is written with the position.
        assert_eq!(self.states.is_held(), cursor.is_some());
        let cursor = cursor.map(<[u8]>::to_vec);
        self.acknowledged.lock().expect("acks").push(cursor);
    }
}

fn polled(body: &'static str, cursor: Option<&[u8]>) -> Polled {
    let ends = match body.len() {
        0 => Vec::new(),
        len => vec![len as u32],
    };
    Polled {
        events: EventBatch::from_columns(body.into(), ends).expect("a batch"),
        cursor: cursor.map(Arc::from),
        next: PollNext::Again,
        ..Polled::default()
    }
}

/// Where a source stands after these polls, and what it heard.
async fn after(
    polls: Vec<Polled>,
    interceptors: Vec<(ComponentName, Arc<dyn Interceptor>)>,
) -> (Option<Vec<u8>>, Vec<Option<Vec<u8>>>) {
    let channel = memory_channel(10);
    let states = StateFolder::new(None);
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let source = Given {
        polls: polls.into(),
        acknowledged: Arc::clone(&acknowledged),
        states: Arc::clone(&states),
    };
    let driver = PolledDriver::new(
        Box::new(source),
        PollBackOff::default(),
        Arc::clone(&states),
    );
    let make: MakeSource = Arc::new(|| Err(Fault::configuration("one is enough")));
    let mut parts = parts(make, &channel);
    parts.processor = processor_with(interceptors, &channel, Arc::clone(&states));
    let state = Arc::clone(&parts.state);
    let task = SourceTask::spawn(parts, Some(Box::new(driver)));
    reaches(&state, |state| *state == ComponentState::Finished).await;
    assert!(task.end(StopReason::Drain, DEADLINE).await);
    assert!(!states.is_held());
    let kept = states.cursor(&ComponentName::from("r1"));
    let heard = acknowledged.lock().expect("acks").clone();
    (kept.map(|state| state.bytes.to_vec()), heard)
}

#[tokio::test]
async fn a_poll_without_events_moves_the_position() {
    let polls = vec![polled("event", Some(b"1")), polled("", Some(b"2"))];
    let (kept, heard) = after(polls, Vec::new()).await;
    assert_eq!(kept, Some(b"2".to_vec()));
    let both = [Some(b"1".to_vec()), Some(b"2".to_vec())];
    assert_eq!(heard.first_chunk(), Some(&both));
}

#[tokio::test]
async fn events_that_are_all_dropped_move_the_position() {
    let drop_all: Arc<dyn Interceptor> = Arc::new(DropAll);
    let interceptors = vec![(ComponentName::from("i1"), drop_all)];
    let (kept, _) = after(vec![polled("event", Some(b"1"))], interceptors).await;
    assert_eq!(kept, Some(b"1".to_vec()));
}

#[tokio::test]
async fn a_source_without_positions_keeps_none() {
    let (kept, heard) = after(vec![polled("event", None)], Vec::new()).await;
    assert_eq!(kept, None);
    assert_eq!(heard.first(), Some(&None));
}
