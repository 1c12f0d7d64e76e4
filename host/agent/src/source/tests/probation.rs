//! New versions of a source, on probation.

use super::*;
use crate::probation::{PROBATION_BATCHES, Version, Versions};

/// What instances of [`Counting`] and [`BreaksLate`] share with the test.
type Seen<T> = Arc<Mutex<Vec<T>>>;

/// Counts as [`Counting`] does, and breaks at this number.
struct BreaksLate {
    counting: Counting,
    breaks_at: u64,
}

impl PolledSource for BreaksLate {
    fn open(&mut self, cursor: Option<&[u8]>) -> BoxFuture<'_, Result<(), Fault>> {
        self.counting.open(cursor)
    }

    fn poll(&mut self, events_max: usize) -> BoxFuture<'_, Result<Polled, Fault>> {
        match self.counting.next < self.breaks_at {
            true => self.counting.poll(events_max),
            false => {
                let fault = Fault::new(FaultKind::Broken, Side::Component, "told to break");
                flumen_core::future::ready(Err(fault))
            }
        }
    }

    fn ack(&mut self, cursor: Option<&[u8]>) {
        self.counting.ack(cursor);
    }
}

fn breaking_at(breaks_at: u64, opened_at: &Seen<Option<u64>>) -> MakeSource {
    let opened_at = Arc::clone(opened_at);
    Arc::new(move || {
        let counting = Counting {
            next: 0,
            acknowledged: Arc::default(),
            opened_at: Arc::clone(&opened_at),
        };
        let source = BreaksLate {
            counting,
            breaks_at,
        };
        let back_off = PollBackOff::default();
        let states = StateFolder::new(None);
        Ok(Box::new(PolledDriver::new(
            Box::new(source),
            back_off,
            states,
        )))
    })
}

/// A source whose new version breaks at a number, while the old one never does.
fn successor(breaks_at: u64, opened_at: &Seen<Option<u64>>, to: &Arc<dyn Channel>) -> SourceParts {
    let old = Arc::new(Version::built_in(breaking_at(u64::MAX, opened_at)));
    let make = breaking_at(breaks_at, opened_at);
    let name = ComponentName::from("sources.r1");
    let new = Version::built_in(Arc::clone(&make));
    SourceParts {
        versions: Versions::after(old, name, new, Arc::default()),
        ..parts(make, to)
    }
}

#[tokio::test]
async fn a_new_source_that_breaks_at_once_is_taken_back_to_the_last_commit() {
    let channel = memory_channel(2);
    let opened_at = Seen::default();
    let parts = successor(3, &opened_at, &channel);
    let state = Arc::clone(&parts.state);
    let task = SourceTask::spawn(parts, None);
    let mut bodies = Vec::new();
    while bodies.len() < 40 {
        bodies.extend(take_bodies(&channel).await);
    }
    let wanted: Vec<String> = (0..bodies.len()).map(|number| number.to_string()).collect();
    assert_eq!(bodies, wanted);
    assert_eq!(*opened_at.lock().expect("opened"), [None, Some(3)]);
    let reason = "told to break".to_owned();
    assert_eq!(state.get(), ComponentState::RolledBack { reason });
    task.end(StopReason::Drain, Duration::from_millis(1)).await;
}

#[tokio::test]
async fn a_source_that_has_passed_its_probation_is_made_again() {
    let channel = memory_channel(2);
    let late = u64::from(PROBATION_BATCHES) + 4;
    let parts = successor(late, &Seen::default(), &channel);
    let state = Arc::clone(&parts.state);
    let task = SourceTask::spawn(parts, None);
    let mut bodies = Vec::new();
    while (bodies.len() as u64) < late {
        bodies.extend(take_bodies(&channel).await);
    }
    reaches(&state, |state| {
        matches!(state, ComponentState::Retrying { .. })
    })
    .await;
    assert!(task.end(StopReason::Drain, DEADLINE).await);
    assert_eq!(bodies.len() as u64, late);
}
