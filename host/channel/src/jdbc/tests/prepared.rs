//! Puts that another channel decides, while there is a backlog and without one.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use flumen_core::ComponentName;
use flumen_core::channel::{Channel, Lease, PreparedPut};
use flumen_core::state::StateRecord;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{at_most, defaults, drain, numbered, open_with, put, shown, with_memory};

async fn prepare(channel: &Arc<dyn Channel>, numbers: Range<u64>) -> Box<dyn PreparedPut> {
    let record = StateRecord {
        generation: 1 + numbers.start,
        bytes: Arc::default(),
    };
    let permit = channel.try_reserve(&numbered(numbers)).unwrap();
    permit
        .prepare(record, ComponentName::new("other"))
        .await
        .unwrap()
}

fn numbers(shown: &[(u64, String)]) -> Vec<u64> {
    shown
        .iter()
        .map(|(_, number)| number.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_published_behind_or_before_the_reader_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = defaults(&folder.path().join("a"));
    // Memory for hardly more than an event: nearly all is read from the database.
    let channel: Arc<dyn Channel> = Arc::new(open_with(&settings, with_memory(1)).unwrap());
    put(&channel, numbered(0..2)).await;
    let early = prepare(&channel, 2..4).await;
    put(&channel, numbered(4..6)).await;
    let late = prepare(&channel, 6..8).await;
    put(&channel, numbered(8..10)).await;
    let mut got = Vec::new();
    while got.len() < 4 {
        let lease = channel
            .take(at_most(2), Duration::from_secs(60))
            .await
            .unwrap();
        got.extend(shown(&lease));
        lease.ack().await.unwrap();
    }
    assert_eq!(numbers(&got), [0, 1, 4, 5]);
    early.publish();
    late.publish();
    let rest = drain(&channel).await;
    assert_eq!(numbers(&rest), [2, 3, 6, 7, 8, 9]);
    assert_eq!(channel.fill(), Default::default());
}

#[tokio::test]
async fn what_was_settled_is_asked_for_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let settings = defaults(&folder.path().join("a"));
    let channel: Arc<dyn Channel> = Arc::new(open_with(&settings, with_memory(1)).unwrap());
    std::mem::forget(prepare(&channel, 0..2).await);
    let channel = copied(&folder, channel, 1);
    assert_eq!(channel.fill().events, 0);
    channel.settle(&[]).await.unwrap();
    assert_eq!(channel.fill().events, 2);
    let channel = copied(&folder, channel, 1);
    let records = channel.recovered().records;
    assert!(matches!(records.as_slice(), [found] if found.decider.is_none()));
    assert_eq!(numbers(&drain(&channel).await), [0, 1]);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Prepare(u8),
    Publish(Index),
    Withdraw(Index),
    Take(u8),
    Ack(Index),
    GiveBack(Index),
    /// A crash: each open put counts or not.
    Reopen(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..6_u8).prop_map(Step::Put),
        4 => (0..6_u8).prop_map(Step::Prepare),
        4 => any::<Index>().prop_map(Step::Publish),
        1 => any::<Index>().prop_map(Step::Withdraw),
        5 => (1..9_u8).prop_map(Step::Take),
        4 => any::<Index>().prop_map(Step::Ack),
        1 => any::<Index>().prop_map(Step::GiveBack),
        1 => any::<u64>().prop_map(Step::Reopen),
    ]
}

/// What the model holds.
#[derive(Default)]
struct Life {
    next: u64,
    waiting: Vec<u64>,
    prepared: Vec<(Box<dyn PreparedPut>, Range<u64>)>,
    leases: Vec<(Lease, Vec<u64>)>,
}

impl Life {
    fn numbers(&mut self, count: u8) -> Range<u64> {
        let numbers = self.next..self.next + u64::from(count);
        // Prepared puts without events have generations of their own.
        self.next = numbers.end.max(self.next + 1);
        numbers
    }

    async fn act(&mut self, channel: &Arc<dyn Channel>, step: Step) {
        match step {
            Step::Put(count) => {
                let numbers = self.numbers(count);
                self.waiting.extend(numbers.clone());
                put(channel, numbered(numbers)).await;
            }
            Step::Prepare(count) => {
                let numbers = self.numbers(count);
                self.prepared
                    .push((prepare(channel, numbers.clone()).await, numbers));
            }
            Step::Publish(index) if !self.prepared.is_empty() => {
                let (put, numbers) = self.prepared.swap_remove(index.index(self.prepared.len()));
                put.publish();
                self.waiting.extend(numbers);
            }
            Step::Withdraw(index) if !self.prepared.is_empty() => {
                let (put, _) = self.prepared.swap_remove(index.index(self.prepared.len()));
                put.withdraw().await.unwrap();
            }
            Step::Take(count) => {
                let taken = channel.take(at_most(count.into()), Duration::ZERO).await;
                assert_eq!(taken.is_err(), self.waiting.is_empty());
                let Ok(lease) = taken else { return };
                let expected: Vec<u64> = self.waiting.drain(..lease.len()).collect();
                assert_eq!(numbers(&shown(&lease)), expected);
                self.leases.push((lease, expected));
            }
            Step::Ack(index) if !self.leases.is_empty() => {
                let (lease, _) = self.leases.swap_remove(index.index(self.leases.len()));
                lease.ack().await.unwrap();
            }
            Step::GiveBack(index) if !self.leases.is_empty() => {
                let (lease, events) = self.leases.swap_remove(index.index(self.leases.len()));
                self.waiting.extend(events);
                lease.give_back();
            }
            _ => {}
        }
        self.waiting.sort_unstable();
        let held: usize = self.leases.iter().map(|(lease, _)| lease.len()).sum();
        assert_eq!(channel.fill().events, (self.waiting.len() + held) as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_channel_is_a_list_with_puts_that_wait(
        memory_bytes_max in prop_oneof![Just(1), Just(1 << 20), 200..2000_u64],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let settings = defaults(&folder.path().join("a"));
            let open = || -> Arc<dyn Channel> {
                Arc::new(open_with(&settings, with_memory(memory_bytes_max)).unwrap())
            };
            let mut channel = open();
            let mut life = Life::default();
            for step in steps {
                let Step::Reopen(decided) = step else {
                    life.act(&channel, step).await;
                    continue;
                };
                let leased = life.leases.drain(..).flat_map(|(_, events)| events);
                life.waiting.extend(leased);
                let mut withdrawn = Vec::new();
                for (place, (put, numbers)) in life.prepared.drain(..).enumerate() {
                    // As after a crash, nobody withdraws it any more.
                    std::mem::forget(put);
                    match decided >> (place % 64) & 1 {
                        0 => withdrawn.push(1 + numbers.start),
                        _ => life.waiting.extend(numbers),
                    }
                }
                // What was forgotten holds the file, as a crash would not: the next life has a copy.
                channel = copied(&folder, channel, memory_bytes_max);
                channel.settle(&withdrawn).await.unwrap();
                life.act(&channel, Step::Put(1)).await;
            }
        });
    }
}

/// A channel on a copy of the files.
fn copied(
    folder: &tempfile::TempDir,
    channel: Arc<dyn Channel>,
    memory_bytes_max: u64,
) -> Arc<dyn Channel> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let databases = entries.map(|entry| entry.unwrap().path());
    let last = databases
        .filter(|path| path.extension().is_none() && !path.to_str().unwrap().contains('-'))
        .max_by_key(|path| path.as_os_str().len())
        .unwrap();
    let mut next = last.clone().into_os_string();
    next.push("a");
    for ending in ["", "-wal"] {
        let of = |path: &std::ffi::OsStr| format!("{}{ending}", path.to_str().unwrap());
        std::fs::copy(of(last.as_os_str()), of(&next)).unwrap();
    }
    drop(channel);
    let settings = defaults(next.as_ref());
    Arc::new(open_with(&settings, with_memory(memory_bytes_max)).unwrap())
}
