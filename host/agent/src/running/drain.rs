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
    /// Channels that still held events, with how many, and that lose them with the process.
    pub left: Vec<(ComponentName, u64)>,
    /// Durable channels that hold events, which are delivered after the next start.
    pub kept: Vec<(ComponentName, u64)>,
    /// Whether everything ended by itself within the deadline.
    pub in_time: bool,
    /// Whether changes of states and positions could not be written in time.
    pub is_state_lost: bool,
}

impl StopReport {
    /// All events that are lost.
    pub fn events(&self) -> u64 {
        self.left.iter().map(|(_, events)| events).sum()
    }
}

/// Ready when none of the channels holds an event that can still be delivered.
pub(super) async fn emptied(channels: &[Arc<dyn Channel>]) {
    while channels.iter().any(|own| own.fill().moving_events() > 0) {
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
        // What a durable channel holds is delivered after the next start.
        let is_due = |channel: &&Arc<dyn Channel>| {
            let sinks = &self.plan.sinks;
            let is_fed = !self.channels.contains_key(channel.name())
                || sinks.values().any(|sink| sink.channel == *channel.name());
            is_fed && !channel.is_durable()
        };
        let to_empty: Vec<_> = channels.iter().filter(is_due).cloned().collect();
        in_time &= tokio::time::timeout(left(drain_end), emptied(&to_empty))
            .await
            .is_ok();
        let states = Arc::clone(self.guests.states());
        in_time &= self.close(left(end).max(closing)).await;
        in_time &= released(&channels, left(end).max(CLOSE_DEADLINE_LEAST)).await;
        // Last, when nobody commits any more.
        let is_written = states.close(left(end).max(CLOSE_DEADLINE_LEAST)).await;
        let held = |is_durable: bool| {
            let those = channels.iter().filter(|own| own.is_durable() == is_durable);
            let held = those.map(|own| (own.name().clone(), own.fill().events));
            held.filter(|(_, events)| *events > 0).collect()
        };
        let (left_behind, kept) = (held(false), held(true));
        StopReport {
            left: left_behind,
            kept,
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

/// Lets the channels write what they promised at leisure, and let go of their files.
pub(super) async fn released(channels: &[Arc<dyn Channel>], deadline: Duration) -> bool {
    for channel in channels {
        let events = channel.fill().set_aside_events;
        if events > 0 {
            warn!(
                channel = %channel.name(), events,
                "channel keeps events that its disk does not give; they are tried again when a channel is opened on its folder"
            );
        }
    }
    let all = async {
        for channel in channels {
            if let Err(fault) = channel.release().await {
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
