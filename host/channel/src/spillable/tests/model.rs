//! Random lives of a channel against a list, with restarts that lose what lay in memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flumen_core::channel::{Channel, Lease};
use proptest::prelude::*;
use proptest::sample::Index;

use super::{at_most, number, open, put, settings, shown};

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Take(u8),
    Ack(Index),
    /// Keeps the events whose bits are set.
    AckExcept(Index, u8),
    GiveBack(Index),
    Resize(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..9_u8).prop_map(Step::Put),
        6 => (1..12_u8).prop_map(Step::Take),
        4 => any::<Index>().prop_map(Step::Ack),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(index, bits)| Step::AckExcept(index, bits)),
        1 => any::<Index>().prop_map(Step::GiveBack),
        1 => (0..20_u8).prop_map(Step::Resize),
        1 => Just(Step::Reopen),
    ]
}

/// Each event is a number; a number that was seen keeps its sequence.
async fn live(folder: &Path, percent: u64, steps: Vec<Step>) {
    let settings_of = |memory| {
        settings(folder, memory)
            .with("overflowDeactivationThreshold", number(percent))
            .with("acknowledge", super::text("strict"))
    };
    let mut memory = 6;
    let mut channel: Arc<dyn Channel> = open(&settings_of(memory));
    let mut next = 0;
    let mut waiting: Vec<u64> = Vec::new();
    let mut sequences = std::collections::BTreeMap::new();
    let mut leases: Vec<(Lease, Vec<u64>)> = Vec::new();
    for step in steps {
        match step {
            Step::Put(count) => {
                let numbers = next..next + u64::from(count);
                next = numbers.end;
                waiting.extend(numbers.clone());
                put(&channel, super::numbered(numbers)).await;
            }
            Step::Take(count) => {
                let taken = channel.take(at_most(count.into()), Duration::ZERO).await;
                assert_eq!(taken.is_err(), waiting.is_empty());
                let Ok(lease) = taken else { continue };
                let expected: Vec<u64> = waiting.drain(..lease.len()).collect();
                for ((sequence, number), expected) in shown(&lease).into_iter().zip(&expected) {
                    assert_eq!(number, *expected);
                    assert_eq!(*sequences.entry(number).or_insert(sequence), sequence);
                }
                leases.push((lease, expected));
            }
            Step::Ack(index) if !leases.is_empty() => {
                let (lease, _) = leases.swap_remove(index.index(leases.len()));
                lease.ack().await.unwrap();
            }
            Step::AckExcept(index, bits) if !leases.is_empty() => {
                let (lease, events) = leases.swap_remove(index.index(leases.len()));
                let kept: Vec<u32> = (0..events.len() as u32)
                    .filter(|index| bits & (1 << (index % 8)) != 0)
                    .collect();
                waiting.extend(kept.iter().map(|index| events[*index as usize]));
                lease.ack_except(kept).await.unwrap();
            }
            Step::GiveBack(index) if !leases.is_empty() => {
                let (lease, events) = leases.swap_remove(index.index(leases.len()));
                waiting.extend(events);
                lease.give_back();
            }
            Step::Resize(events) => {
                memory = events.into();
                assert!(channel.reconfigure(&settings_of(memory)).unwrap());
            }
            Step::Reopen => {
                waiting.extend(leases.drain(..).flat_map(|(_, events)| events));
                waiting.sort_unstable();
                drop(channel);
                channel = open(&settings_of(memory));
                waiting = survivors(&channel, &waiting).await;
            }
            Step::Ack(_) | Step::AckExcept(..) | Step::GiveBack(_) => {}
        }
        waiting.sort_unstable();
        check_fill(&*channel, &waiting, &leases);
    }
    let places: Vec<u64> = sequences.values().copied().collect();
    assert!(
        places.is_sorted_by(|one, next| one < next),
        "sequences are in order and unique"
    );
}

fn check_fill(channel: &dyn Channel, waiting: &[u64], leases: &[(Lease, Vec<u64>)]) {
    let held: usize = leases.iter().map(|(lease, _)| lease.len()).sum();
    assert_eq!(channel.fill().events, (waiting.len() + held) as u64);
    let all = leases.iter().flat_map(|(_, events)| events).chain(waiting);
    let bytes: u64 = all.map(|number| number.to_string().len() as u64).sum();
    assert_eq!(channel.fill().bytes, bytes);
}

/// What is there after a restart: a part of what was, in order.
async fn survivors(channel: &Arc<dyn Channel>, before: &[u64]) -> Vec<u64> {
    let mut leases = Vec::new();
    while let Ok(lease) = channel.take(at_most(usize::MAX), Duration::ZERO).await {
        leases.push(lease);
    }
    let there: Vec<u64> = leases
        .iter()
        .flat_map(shown)
        .map(|(_, number)| number)
        .collect();
    assert!(there.is_sorted_by(|one, next| one < next));
    assert!(there.iter().all(|number| before.contains(number)));
    there
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_channel_is_a_list(percent in 0..=100_u64, steps in prop::collection::vec(step(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(live(folder.path(), percent, steps));
    }
}
