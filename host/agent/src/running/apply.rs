//! The second half of a reload: put everything new in place, at batch borders, in the order that
//! loses nothing.
//!
//! 1. Channels that stay get their new settings; new channels appear.
//! 2. Sink groups that no leaving channel feeds are changed, so that new channels are emptied from
//!    their first event on.
//! 3. Sources get their new way into the channels; removed sources end; changed sources hand over.
//! 4. When no batch is on the old way any more, leaving channels are emptied by the sinks that they
//!    always had, and only then these sinks are changed or closed.
//!
//! A leaving channel that is not empty in time does not hold up the reload: it goes on being
//! emptied in the background, and the operator is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flumen_config::plan::{Component, Plan, SourcePlan};
use flumen_core::channel::Channel;
use flumen_core::source::StopReason;
use flumen_core::{ComponentName, Fault, Side};
use tracing::{error, info, warn};

use super::drain::{emptied, released};
use super::groups::{GroupSpec, groups_of};
use super::prepare::{Prepared, PreparedSource};
use super::{GroupKey, ReloadRefused, Retiring, Running, RunningSource, SourceFigures, Strictness};
use crate::build;
use crate::channel_change::reconfigure;
use crate::metrics::MetricKind;
use crate::processor::{Processor, Through};
use crate::sink::{GroupTask, SinkSlot};
use crate::source::{SourceParts, SourceTask};

/// How long a reload may take to get ready: to compile the largest component seen takes some ten
/// seconds, and a component whose `init` waits is cut off by its own limits before that.
const PREPARE_DEADLINE: Duration = Duration::from_secs(60);

/// How long a reload waits for a removed or changed source to finish what it has in hand. More than
/// the default keep-alive of a full channel (3 s).
const SOURCE_END_DEADLINE: Duration = Duration::from_secs(5);

/// How long a reload waits for a sink to finish the batch that it has in hand. A sink that takes
/// longer is cut off and its events are delivered again by its successor.
const SINK_END_DEADLINE: Duration = Duration::from_secs(10);

/// How long a reload waits for a removed channel to be emptied before that goes on in the
/// background: a reload must answer while its operator looks.
const LEAVING_DEADLINE: Duration = Duration::from_secs(3);

impl Running {
    /// Makes what runs agree with `plan`. What the two plans have in common is not touched.
    ///
    /// # Errors
    /// [`ReloadRefused`]: nothing changed.
    pub(crate) async fn apply(
        &mut self,
        plan: Plan,
        strictness: Strictness,
    ) -> Result<(), ReloadRefused> {
        let mut prepared = self.prepare_in_time(&plan, strictness).await?;
        reconfigure(std::mem::take(&mut prepared.resized)).await;
        let leaving = self.put_channels(&mut prepared);
        let old_groups = groups_of(&self.plan);
        let new_groups = groups_of(&plan);
        let mut change = GroupChange::between(&old_groups, &new_groups, self, &plan, &prepared);
        self.register_sinks(&plan, &mut prepared);

        let mut pool = std::mem::take(&mut prepared.slots);
        for name in pool.keys() {
            self.hurry(
                &build::sink_name(name),
                plan.sinks.get(name).map(|own| &own.component),
            );
        }
        self.end_groups(&change.ending_now, &mut pool).await;
        self.spawn_groups(
            &mut change.starting,
            &new_groups,
            &plan,
            &mut pool,
            &change.ending_late,
        );

        let through = self.put_sources(&plan, &mut prepared).await;
        if !leaving.is_empty() {
            self.empty_leaving(leaving, through, &change.ending_late, &mut pool)
                .await;
        }
        let nothing_late = BTreeSet::new();
        self.spawn_groups(
            &mut change.starting,
            &new_groups,
            &plan,
            &mut pool,
            &nothing_late,
        );
        for slot in pool.into_values() {
            self.background.spawn(slot.stop());
        }
        while self.background.try_join_next().is_some() {}
        self.poison.keep(|component| is_in(&plan, component));
        self.plan = plan;
        Ok(())
    }

    /// Prepares a reload in bounded time. What is cut off has changed nothing, and code that was
    /// being compiled is in the cache later.
    async fn prepare_in_time(
        &self,
        plan: &Plan,
        strictness: Strictness,
    ) -> Result<Prepared, ReloadRefused> {
        if strictness == Strictness::Start {
            return self.prepare(plan, strictness).await;
        }
        let prepared = tokio::time::timeout(PREPARE_DEADLINE, self.prepare(plan, strictness));
        prepared.await.unwrap_or_else(|_| {
            let seconds = PREPARE_DEADLINE.as_secs();
            let message = format!(
                "not ready within {seconds} s; reload again when what it waits for is there"
            );
            let fault = Fault::transient(Side::Component, message);
            Err(ReloadRefused {
                problems: vec![("the new configuration".to_owned(), fault)],
            })
        })
    }

    /// Tells a guest that is about to be replaced or removed to wait no longer.
    fn hurry(&self, guest: &ComponentName, successor: Option<&Component>) {
        match successor.is_some_and(build::is_guest) {
            true => self.guests.stop_waiting_before_last(guest),
            false => self.guests.stop_waiting(guest),
        }
    }

    /// Puts new channels in place and returns those that leave.
    fn put_channels(&mut self, prepared: &mut Prepared) -> Vec<Arc<dyn Channel>> {
        let mut leaving = Vec::new();
        for name in &prepared.leaving {
            self.registry.remove(MetricKind::Channel, name);
            leaving.extend(self.channels.remove(name));
        }
        let now_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        for (name, channel) in std::mem::take(&mut prepared.new_channels) {
            channel.counters().start_time.set(now_ms);
            self.registry.add_channel(&channel);
            self.channels.insert(name, channel);
        }
        self.directory.set(&self.channels);
        leaving
    }

    fn register_sinks(&mut self, plan: &Plan, prepared: &mut Prepared) {
        let gone: Vec<_> = self
            .sinks
            .keys()
            .filter(|name| !plan.sinks.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            self.registry.remove(MetricKind::Sink, &name);
            self.sinks.remove(&name);
        }
        for (name, sink) in std::mem::take(&mut prepared.sinks) {
            self.registry.add_sink(&name, &sink.counters, &sink.state);
            self.sinks.insert(name, sink);
        }
    }

    /// Ends these groups at a batch border and puts their sinks into the pool, where a new instance
    /// of the same name wins over the old one.
    async fn end_groups(
        &mut self,
        keys: &BTreeSet<GroupKey>,
        pool: &mut BTreeMap<ComponentName, SinkSlot>,
    ) {
        for key in keys {
            let Some(task) = self.groups.remove(key) else {
                continue;
            };
            let Some(slots) = task.end(SINK_END_DEADLINE).await else {
                warn!(group = %key, "sink did not finish its batch in time and was cut off; the batch is delivered again");
                continue;
            };
            for slot in slots {
                let name = slot.name().clone();
                if pool.contains_key(&name) || !self.sinks.contains_key(&name) {
                    self.background.spawn(slot.stop());
                } else {
                    pool.insert(name, slot);
                }
            }
        }
    }

    /// Starts the groups that are due and do not wait for a late one.
    fn spawn_groups(
        &mut self,
        starting: &mut BTreeSet<GroupKey>,
        groups: &BTreeMap<GroupKey, GroupSpec>,
        plan: &Plan,
        pool: &mut BTreeMap<ComponentName, SinkSlot>,
        late: &BTreeSet<GroupKey>,
    ) {
        let held = |sink: &ComponentName| {
            let group_of = |key: &GroupKey| match key {
                GroupKey::Sink(name) => name == sink,
                GroupKey::Group(name) => {
                    let group = self.plan.sink_groups.get(name);
                    group.is_some_and(|group| group.sinks.contains(sink))
                }
            };
            late.iter().any(group_of)
        };
        let due: Vec<GroupKey> = starting
            .iter()
            .filter(|key| !late.contains(*key))
            .filter(|key| {
                !groups
                    .get(*key)
                    .is_some_and(|spec| spec.sinks.iter().any(held))
            })
            .cloned()
            .collect();
        for key in due {
            starting.remove(&key);
            if let Some(spec) = groups.get(&key) {
                self.spawn_group(key, spec, plan, pool);
            }
        }
    }

    fn spawn_group(
        &mut self,
        key: GroupKey,
        spec: &GroupSpec,
        plan: &Plan,
        pool: &mut BTreeMap<ComponentName, SinkSlot>,
    ) {
        let mut slots = Vec::with_capacity(spec.sinks.len());
        for name in &spec.sinks {
            let channel = plan.sinks.get(name).map(|sink| &sink.channel);
            let channel = channel.and_then(|channel| self.channels.get(channel));
            let (Some(channel), Some(sink)) = (channel, self.sinks.get(name)) else {
                continue;
            };
            let slot = match pool.remove(name) {
                Some(mut slot) => {
                    slot.set_channel(Arc::clone(channel));
                    slot
                }
                // Its old instance was cut off or empties a removed channel in the background.
                None => self.slot(name, sink, channel),
            };
            slots.push(slot);
        }
        match build::sink_processor(spec.processor.as_ref(), &spec.sinks) {
            Ok(processor) => {
                self.groups.insert(key, GroupTask::spawn(slots, processor));
            }
            // Made once before in the preparation, so this does not happen.
            Err(fault) => error!(group = %key, "sink group cannot start: {fault}"),
        }
    }

    /// Gives sources their new way, ends removed ones, hands over changed ones, starts new ones.
    /// Returns what tells that the old ways are free of batches.
    async fn put_sources(&mut self, plan: &Plan, prepared: &mut Prepared) -> Vec<Through> {
        let mut through = Vec::new();
        let mut first_pipelines = BTreeMap::new();
        for (name, new) in std::mem::take(&mut prepared.pipelines) {
            match self.sources.get_mut(&name) {
                Some(running) => {
                    running.interceptors = new.interceptors;
                    through.push(running.processor.replace(new.pipeline));
                }
                None => {
                    first_pipelines.insert(name, new);
                }
            }
        }
        let gone: Vec<_> = self
            .sources
            .keys()
            .filter(|name| !plan.sources.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            self.end_source(&name).await;
        }
        for (name, source) in std::mem::take(&mut prepared.sources) {
            if self.sources.contains_key(&name) {
                self.succeed_source(&name, plan, source).await;
            } else if let Some(pipeline) = first_pipelines.remove(&name) {
                let figures = SourceFigures::new();
                let states = Arc::clone(self.guests.states());
                let flow = Arc::clone(&figures.flow);
                let processor = Processor::new(pipeline.pipeline, flow, states);
                self.registry
                    .add_source(&name, &figures.counters, &figures.flow, &figures.state);
                let parts = SourceParts {
                    name: name.clone(),
                    versions: Arc::clone(&source.versions),
                    processor: Arc::clone(&processor),
                    counters: Arc::clone(&figures.counters),
                    state: Arc::clone(&figures.state),
                    clock: Arc::clone(&self.clock),
                };
                let running = RunningSource {
                    task: SourceTask::spawn(parts, source.instance),
                    processor,
                    interceptors: pipeline.interceptors,
                    versions: source.versions,
                    counters: figures.counters,
                    state: figures.state,
                };
                self.sources.insert(name, running);
            }
        }
        through
    }

    async fn end_source(&mut self, name: &ComponentName) {
        let Some(running) = self.sources.remove(name) else {
            return;
        };
        self.hurry(&build::source_name(name), None);
        if !running
            .task
            .end(StopReason::Drain, SOURCE_END_DEADLINE)
            .await
        {
            warn!(source = %name, "source did not end in time and was cut off");
        }
        running.processor.refuse();
        self.registry.remove(MetricKind::Source, name);
    }
}

impl Running {
    /// Ends a source and runs its successor in its place, with the same counters and the same way
    /// into the channels. One of the same type takes over sockets and connections.
    async fn succeed_source(&mut self, name: &ComponentName, plan: &Plan, new: PreparedSource) {
        let Some(old) = self.sources.remove(name) else {
            return;
        };
        let row = |plan: &Plan| plan.sources.get(name).map(|source| source.component.row);
        let same_type = match (row(&self.plan), row(plan)) {
            (Some(old), Some(new)) => std::ptr::eq(old, new),
            _ => false,
        };
        let reason = match same_type {
            true => StopReason::HandOver,
            false => StopReason::Drain,
        };
        let successor = plan.sources.get(name).map(|source| &source.component);
        self.hurry(&build::source_name(name), successor);
        if !old.task.end(reason, SOURCE_END_DEADLINE).await {
            warn!(source = %name, "source did not hand over in time and was cut off");
        }
        let parts = SourceParts {
            name: name.clone(),
            versions: Arc::clone(&new.versions),
            processor: Arc::clone(&old.processor),
            counters: Arc::clone(&old.counters),
            state: Arc::clone(&old.state),
            clock: Arc::clone(&self.clock),
        };
        let running = RunningSource {
            task: SourceTask::spawn(parts, new.instance),
            versions: new.versions,
            ..old
        };
        self.sources.insert(name.clone(), running);
    }

    /// Waits until the leaving channels are empty, then ends the groups that emptied them. What
    /// takes too long goes on in the background.
    async fn empty_leaving(
        &mut self,
        leaving: Vec<Arc<dyn Channel>>,
        through: Vec<Through>,
        late: &BTreeSet<GroupKey>,
        pool: &mut BTreeMap<ComponentName, SinkSlot>,
    ) {
        let drained = async {
            for way in through {
                // An error is what is waited for: the old way is gone.
                let _ = way.await;
            }
            emptied(&leaving).await;
        };
        if tokio::time::timeout(LEAVING_DEADLINE, drained)
            .await
            .is_ok()
        {
            self.end_groups(late, pool).await;
            released(&leaving, LEAVING_DEADLINE).await;
            return;
        }
        for channel in &leaving {
            let events = channel.fill().events;
            warn!(
                channel = %channel.name(), events,
                "removed channel still holds events; they are delivered in the background by the sinks it had"
            );
        }
        let groups: Vec<GroupTask> = late
            .iter()
            .filter_map(|key| self.groups.remove(key))
            .collect();
        self.retiring.push(Retiring {
            channels: leaving.clone(),
        });
        self.background.spawn(async move {
            emptied(&leaving).await;
            for group in groups {
                if let Some(slots) = group.end(SINK_END_DEADLINE).await {
                    for slot in slots {
                        slot.stop().await;
                    }
                }
            }
            released(&leaving, LEAVING_DEADLINE).await;
            for channel in &leaving {
                info!(channel = %channel.name(), "removed channel is empty now");
            }
        });
    }
}

/// Whether a plan has the component of this qualified name.
fn is_in(plan: &Plan, component: &ComponentName) -> bool {
    let is = |name: ComponentName| name == *component;
    let source = |(name, source): (&ComponentName, &SourcePlan)| {
        let mut chain = source.interceptors.iter();
        is(build::source_name(name))
            || chain.any(|own| is(build::interceptor_name(name, &own.name)))
    };
    plan.sources.iter().any(source) || plan.sinks.keys().any(|name| is(build::sink_name(name)))
}

/// Which sink groups a reload ends and starts.
struct GroupChange {
    /// Ended before the sources change.
    ending_now: BTreeSet<GroupKey>,
    /// Ended when the leaving channels are empty.
    ending_late: BTreeSet<GroupKey>,
    /// Started when their sinks are free.
    starting: BTreeSet<GroupKey>,
}

impl GroupChange {
    fn between(
        old: &BTreeMap<GroupKey, GroupSpec>,
        new: &BTreeMap<GroupKey, GroupSpec>,
        running: &Running,
        plan: &Plan,
        prepared: &Prepared,
    ) -> Self {
        let old_channel = |sink: &ComponentName| {
            let sink = running.plan.sinks.get(sink);
            sink.map(|sink| &sink.channel)
        };
        let touched = |sink: &ComponentName| {
            prepared.slots.contains_key(sink)
                || plan.sinks.get(sink).map(|sink| &sink.channel) != old_channel(sink)
                || old_channel(sink).is_some_and(|channel| prepared.leaving.contains(channel))
        };
        let mut change = Self {
            ending_now: BTreeSet::new(),
            ending_late: BTreeSet::new(),
            starting: BTreeSet::new(),
        };
        for (key, spec) in old {
            if new.get(key) == Some(spec) && !spec.sinks.iter().any(touched) {
                continue;
            }
            let feeds = |sink: &ComponentName| {
                old_channel(sink).is_some_and(|channel| prepared.leaving.contains(channel))
            };
            match spec.sinks.iter().any(feeds) {
                true => change.ending_late.insert(key.clone()),
                false => change.ending_now.insert(key.clone()),
            };
        }
        for (key, spec) in new {
            if old.get(key) != Some(spec) || spec.sinks.iter().any(touched) {
                change.starting.insert(key.clone());
            }
        }
        change
    }
}
