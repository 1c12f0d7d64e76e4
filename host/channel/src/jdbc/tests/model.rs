//! Random lives of a channel against a list: puts, takes, ends of leases, and openings anew.

use std::path::Path;
use std::time::Duration;

use flumen_core::channel::Lease;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{at_most, defaults, open_with, put, shown, with_memory};

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Take(u8),
    Ack(Index),
    /// Keeps the events whose bits are set.
    AckExcept(Index, u8),
    GiveBack(Index),
    /// Opens it again, with or without a close.
    Reopen(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..9_u8).prop_map(Step::Put),
        5 => (1..9_u8).prop_map(Step::Take),
        3 => any::<Index>().prop_map(Step::Ack),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(index, bits)| Step::AckExcept(index, bits)),
        1 => any::<Index>().prop_map(Step::GiveBack),
        1 => any::<bool>().prop_map(Step::Reopen),
    ]
}

/// Each event is its sequence.
async fn live(path: &Path, memory_bytes_max: u64, steps: Vec<Step>) {
    let open = || -> std::sync::Arc<dyn flumen_core::channel::Channel> {
        std::sync::Arc::new(open_with(&defaults(path), with_memory(memory_bytes_max)).unwrap())
    };
    let mut channel = open();
    let mut next = 0;
    let mut waiting: Vec<u64> = Vec::new();
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
                let texts = expected.iter().map(|number| (*number, number.to_string()));
                assert_eq!(shown(&lease), texts.collect::<Vec<_>>());
                leases.push((lease, expected));
            }
            Step::Ack(index) if !leases.is_empty() => {
                let (lease, _) = leases.swap_remove(index.index(leases.len()));
                lease.ack().await.unwrap();
            }
            Step::AckExcept(index, bits) if !leases.is_empty() => {
                let (lease, events) = leases.swap_remove(index.index(leases.len()));
                let kept: Vec<u32> = (0..events.len() as u32)
                    .filter(|index| bits & (1 << index) != 0)
                    .collect();
                waiting.extend(kept.iter().map(|index| events[*index as usize]));
                lease.ack_except(kept).await.unwrap();
            }
            Step::GiveBack(index) if !leases.is_empty() => {
                let (lease, events) = leases.swap_remove(index.index(leases.len()));
                waiting.extend(events);
                lease.give_back();
            }
            Step::Reopen(closes) => {
                if closes {
                    channel.close();
                }
                waiting.extend(leases.drain(..).flat_map(|(_, events)| events));
                drop(channel);
                channel = open();
            }
            Step::Ack(_) | Step::AckExcept(..) | Step::GiveBack(_) => {}
        }
        waiting.sort_unstable();
        let held: usize = leases.iter().map(|(lease, _)| lease.len()).sum();
        let fill = channel.fill();
        assert_eq!(fill.events, (waiting.len() + held) as u64);
        let all = leases.iter().flat_map(|(_, events)| events).chain(&waiting);
        let bytes: u64 = all.map(|number| number.to_string().len() as u64).sum();
        assert_eq!(fill.bytes, bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_channel_is_a_list(
        memory_bytes_max in prop_oneof![Just(1), Just(1 << 20), 200..2000_u64],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(live(&folder.path().join("a"), memory_bytes_max, steps));
    }
}
