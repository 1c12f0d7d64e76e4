//! The first half of a reload: build and check everything new, beside what runs. Nothing that runs
//! is touched here, so giving up leaves no trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use flumen_config::plan::{Plan, SourcePlan};
use flumen_core::channel::Channel;
use flumen_core::metric::SinkCounters;
use flumen_core::settings::Settings;
use flumen_core::source::Source;
use flumen_core::{ComponentName, Fault};

use super::groups::groups_of;
use super::{Running, RunningInterceptor, RunningSink, Strictness};
use crate::build;
use crate::processor::{Pipeline, Through};
use crate::sink::{SinkSlot, SlotParts};
use crate::source::MakeSource;
use crate::state::StateCell;

/// Why a plan was not applied. Everything runs on as before.
#[derive(Debug)]
pub struct ReloadRefused {
    /// Each component that cannot be had, with the reason.
    pub problems: Vec<(String, Fault)>,
}

impl fmt::Display for ReloadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (component, fault)) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{component}: {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ReloadRefused {}

/// A source that is new or whose settings changed.
pub(super) struct PreparedSource {
    pub(super) make: MakeSource,
    /// Ready to run; `None` at a start, where the task prepares it.
    pub(super) instance: Option<Box<dyn Source>>,
}

/// A way into the channels that is new or changed.
pub(super) struct PreparedPipeline {
    pub(super) pipeline: (Arc<Pipeline>, Through),
    pub(super) interceptors: Vec<RunningInterceptor>,
}

/// Everything new, ready to be put in place.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) new_channels: BTreeMap<ComponentName, Arc<dyn Channel>>,
    /// Channels that stay and get these settings.
    pub(super) resized: Vec<(Arc<dyn Channel>, Settings)>,
    /// Channels that end: removed, or replaced by one of another type.
    pub(super) leaving: BTreeSet<ComponentName>,
    pub(super) pipelines: BTreeMap<ComponentName, PreparedPipeline>,
    pub(super) sources: BTreeMap<ComponentName, PreparedSource>,
    pub(super) sinks: BTreeMap<ComponentName, RunningSink>,
    pub(super) slots: BTreeMap<ComponentName, SinkSlot>,
    problems: Vec<(String, Fault)>,
}

impl Prepared {
    fn keep<T>(&mut self, what: String, result: Result<T, Fault>) -> Option<T> {
        result
            .map_err(|fault| self.problems.push((what, fault)))
            .ok()
    }
}

impl Running {
    pub(super) async fn prepare(
        &self,
        plan: &Plan,
        strictness: Strictness,
    ) -> Result<Prepared, ReloadRefused> {
        let mut prepared = Prepared::default();
        self.prepare_channels(plan, &mut prepared);
        self.prepare_pipelines(plan, &mut prepared).await;
        self.prepare_groups(plan, &mut prepared);
        self.prepare_sinks(plan, strictness, &mut prepared).await;
        self.prepare_sources(plan, strictness, &mut prepared).await;
        if prepared.problems.is_empty() {
            return Ok(prepared);
        }
        // Close again what was opened; it has seen no event.
        for slot in prepared.slots.into_values() {
            slot.stop().await;
        }
        Err(ReloadRefused {
            problems: prepared.problems,
        })
    }

    fn prepare_channels(&self, plan: &Plan, prepared: &mut Prepared) {
        for (name, component) in &plan.channels {
            let old = self.plan.channels.get(name);
            if old == Some(component) {
                continue;
            }
            // Making one checks the settings, also those of a channel that is only resized.
            let made = build::channel(name, component, &self.clock);
            let Some(made) = prepared.keep(format!("channel {name}"), made) else {
                continue;
            };
            let same_type = old.is_some_and(|old| std::ptr::eq(old.row, component.row));
            match self.channels.get(name) {
                Some(running) if same_type => {
                    let settings = component.settings.clone();
                    prepared.resized.push((Arc::clone(running), settings));
                }
                _ => {
                    prepared.new_channels.insert(name.clone(), made);
                }
            }
        }
        let ends = |name: &&ComponentName| {
            !plan.channels.contains_key(*name) || prepared.new_channels.contains_key(*name)
        };
        let leaving: BTreeSet<_> = self.channels.keys().filter(ends).cloned().collect();
        prepared.leaving = leaving;
    }

    async fn prepare_pipelines(&self, plan: &Plan, prepared: &mut Prepared) {
        for (name, source) in &plan.sources {
            let old = self.plan.sources.get(name);
            let replaced = |channel| prepared.new_channels.contains_key(channel);
            let same = old.is_some_and(|old| {
                old.channels == source.channels
                    && old.selector == source.selector
                    && old.interceptors == source.interceptors
            });
            if same && !source.channels.iter().any(replaced) {
                continue;
            }
            let pipeline = self.pipeline(name, source, &prepared.new_channels).await;
            if let Some(pipeline) = prepared.keep(format!("source {name}"), pipeline) {
                prepared.pipelines.insert(name.clone(), pipeline);
            }
        }
    }

    async fn pipeline(
        &self,
        name: &ComponentName,
        source: &SourcePlan,
        new_channels: &BTreeMap<ComponentName, Arc<dyn Channel>>,
    ) -> Result<PreparedPipeline, Fault> {
        let running = self.sources.get(name);
        let mut interceptors = Vec::with_capacity(source.interceptors.len());
        for plan in &source.interceptors {
            let kept = running.and_then(|running| {
                let mut own = running.interceptors.iter();
                own.find(|own| own.plan == *plan).cloned()
            });
            let instance = match kept {
                Some(kept) => kept.instance,
                None => {
                    let (own, component) = (&plan.name, &plan.component);
                    build::interceptor(name, own, component, &self.clock, &self.guests).await?
                }
            };
            interceptors.push(RunningInterceptor {
                plan: plan.clone(),
                instance,
            });
        }
        let selector = build::selector(&source.selector, &source.channels)?;
        let channels = source
            .channels
            .iter()
            .filter_map(|channel| {
                let new = new_channels.get(channel);
                new.or_else(|| self.channels.get(channel)).cloned()
            })
            .collect();
        let chain = interceptors
            .iter()
            .map(|own| (own.plan.name.clone(), Arc::clone(&own.instance)))
            .collect();
        Ok(PreparedPipeline {
            pipeline: Pipeline::new(chain, selector, channels),
            interceptors,
        })
    }

    /// Makes every processor once: wrong settings of one show here.
    fn prepare_groups(&self, plan: &Plan, prepared: &mut Prepared) {
        for (key, spec) in groups_of(plan) {
            let made = build::sink_processor(spec.processor.as_ref(), &spec.sinks);
            prepared.keep(key.to_string(), made);
        }
    }

    async fn prepare_sinks(&self, plan: &Plan, strictness: Strictness, prepared: &mut Prepared) {
        for (name, sink) in &plan.sinks {
            let old = self.plan.sinks.get(name);
            if old.is_some_and(|old| old.component == sink.component) {
                continue;
            }
            let make = build::sink_maker(name, &sink.component, &self.guests).await;
            let Some(make) = prepared.keep(format!("sink {name}"), make) else {
                continue;
            };
            let running = RunningSink {
                make,
                counters: Arc::new(SinkCounters::default()),
                state: Arc::new(StateCell::new()),
            };
            let new = prepared.new_channels.get(&sink.channel);
            let Some(channel) = new.or_else(|| self.channels.get(&sink.channel)) else {
                continue;
            };
            let mut slot = self.slot(name, &running, channel);
            if strictness == Strictness::Reload
                && let Err(fault) = slot.start().await
            {
                prepared.problems.push((format!("sink {name}"), fault));
                continue;
            }
            prepared.slots.insert(name.clone(), slot);
            prepared.sinks.insert(name.clone(), running);
        }
    }

    pub(super) fn slot(
        &self,
        name: &ComponentName,
        sink: &RunningSink,
        channel: &Arc<dyn Channel>,
    ) -> SinkSlot {
        SinkSlot::new(SlotParts {
            name: name.clone(),
            channel: Arc::clone(channel),
            make: Arc::clone(&sink.make),
            counters: Arc::clone(&sink.counters),
            state: Arc::clone(&sink.state),
            clock: Arc::clone(&self.clock),
        })
    }

    async fn prepare_sources(&self, plan: &Plan, strictness: Strictness, prepared: &mut Prepared) {
        for (name, source) in &plan.sources {
            let old = self.plan.sources.get(name);
            if old.is_some_and(|old| old.component == source.component) {
                continue;
            }
            let make = build::source_maker(name, &source.component, &self.guests).await;
            let Some(make) = prepared.keep(format!("source {name}"), make) else {
                continue;
            };
            let same_type =
                old.is_some_and(|old| std::ptr::eq(old.component.row, source.component.row));
            let handover = match self.sources.get(name) {
                Some(running) if same_type => running.task.handover(),
                _ => None,
            };
            let instance = match strictness {
                Strictness::Start => None,
                Strictness::Reload => {
                    let instance = ready_source(&make, handover).await;
                    let Some(instance) = prepared.keep(format!("source {name}"), instance) else {
                        continue;
                    };
                    Some(instance)
                }
            };
            let source = PreparedSource { make, instance };
            prepared.sources.insert(name.clone(), source);
        }
    }
}

async fn ready_source(
    make: &MakeSource,
    handover: Option<flumen_core::source::Handover>,
) -> Result<Box<dyn Source>, Fault> {
    let mut instance = make()?;
    instance.prepare(handover).await?;
    Ok(instance)
}
