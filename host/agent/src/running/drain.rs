//! Stopping: take nothing more in, deliver what is held, close, and say what is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_core::ComponentName;
use flumen_core::channel::Channel;
use flumen_core::source::StopReason;
use tracing::warn;

use super::Running;
use crate::state_folder::CLOSE_DEADLINE_LEAST;

/// How often a channel that is being emptied is looked at. A channel tells takers that events have
/// come, not bystanders that all have gone, and this is no hot path.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// The part of a drain deadline that is kept for closing sinks (a file is synced to its disk).
const CLOSE_SHARE: u32 = 4;

/// What a stop left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Channels that still held events, with how many. Events of a memory channel are lost with the
    /// process.
    pub left: Vec<(ComponentName, u64)>,
    /// Whether everything ended by itself within the deadline.
    pub in_time: bool,
    /// Whether changes of states and positions could not be written in time.
    pub is_state_lost: bool,
}

impl StopReport {
    /// All events that were left.
    pub fn events(&self) -> u64 {
        self.left.iter().map(|(_, events)| events).sum()
    }
}

/// Ready when none of the channels holds an event.
pub(super) async fn emptied(channels: &[Arc<dyn Channel>]) {
    while channels.iter().any(|channel| channel.fill().events > 0) {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

impl Running {
    /// Stops everything within `deadline`: sources first, then the channels are emptied, then the
    /// sinks are closed.
    pub(crate) async fn stop(mut self, deadline: Duration) -> StopReport {
        let end = Instant::now() + deadline;
        let closing = deadline / CLOSE_SHARE;
        let drain_end = end - closing;
        let mut in_time = true;
        for source in self.sources.values() {
            source.task.tell(StopReason::Drain);
        }
        for (name, source) in std::mem::take(&mut self.sources) {
            if !source.task.end(StopReason::Drain, left(drain_end)).await {
                warn!(source = %name, "source did not end within the drain deadline and was cut off");
                in_time = false;
            }
            source.processor.refuse();
        }
        let mut channels: Vec<Arc<dyn Channel>> = self.channels.values().cloned().collect();
        for retiring in &self.retiring {
            channels.extend(retiring.channels.iter().cloned());
        }
        let fed = |channel: &&Arc<dyn Channel>| {
            let sinks = &self.plan.sinks;
            !self.channels.contains_key(channel.name())
                || sinks.values().any(|sink| sink.channel == *channel.name())
        };
        let with_sink: Vec<_> = channels.iter().filter(fed).cloned().collect();
        in_time &= tokio::time::timeout(left(drain_end), emptied(&with_sink))
            .await
            .is_ok();
        let states = Arc::clone(self.guests.states());
        in_time &= self.close(left(end).max(closing)).await;
        in_time &= settled(&channels, left(end).max(CLOSE_DEADLINE_LEAST)).await;
        // Last, when nobody commits any more.
        let is_written = states.close(left(end).max(CLOSE_DEADLINE_LEAST)).await;
        let report = |channel: &Arc<dyn Channel>| {
            let events = channel.fill().events;
            (events > 0).then(|| (channel.name().clone(), events))
        };
        StopReport {
            left: channels.iter().filter_map(report).collect(),
            in_time: in_time && is_written,
            is_state_lost: !is_written,
        }
    }

    /// Ends the groups and closes their sinks, all at once.
    async fn close(mut self, deadline: Duration) -> bool {
        for (_, group) in std::mem::take(&mut self.groups) {
            self.background.spawn(async move {
                if let Some(slots) = group.end(deadline).await {
                    for slot in slots {
                        slot.stop().await;
                    }
                }
            });
        }
        let closed = async { while self.background.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(deadline, closed).await.is_ok();
        if !in_time {
            warn!("sinks did not close within the drain deadline and were cut off");
        }
        in_time
    }
}

/// Lets the channels write what they promised at leisure.
async fn settled(channels: &[Arc<dyn Channel>], deadline: Duration) -> bool {
    let all = async {
        for channel in channels {
            if let Err(fault) = channel.settle().await {
                warn!(channel = %channel.name(), "what was delivered last is delivered again after the next start: {fault}");
            }
        }
    };
    let in_time = tokio::time::timeout(deadline, all).await.is_ok();
    if !in_time {
        warn!(
            "channels did not write their last acknowledgements in time; their events are delivered again after the next start"
        );
    }
    in_time
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}
