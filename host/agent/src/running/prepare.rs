//! The first half of a reload: build and check everything new, beside what runs. Nothing that runs
//! is touched here, so giving up leaves no trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use flumen_channel::Change;
use flumen_config::plan::{Component, InterceptorPlan, Plan, SourcePlan};
use flumen_core::channel::Channel;
use flumen_core::metric::SinkCounters;
use flumen_core::settings::Settings;
use flumen_core::source::Source;
use flumen_core::{ComponentName, Fault};

use super::groups::groups_of;
use super::{Running, RunningInterceptor, RunningSink, Strictness};
use crate::build;
use crate::channel_change::{restart_fault, restart_problems};
use crate::poison::{Policy, Stage};
use crate::probation::{Version, Versions};
use crate::processor::{Pipeline, Through};
use crate::sink::{SinkSlot, SlotParts};
use crate::source::MakeSource;
use crate::state::{ComponentState, StateCell};

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
    pub(super) versions: Arc<Versions<MakeSource>>,
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
    /// Channels that end: removed, or replaced by one of another type or in another folder.
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

    fn refuse_restart(
        &mut self,
        plan: &Plan,
        name: &ComponentName,
        component: &Component,
        options: &[String],
    ) {
        let problems = restart_problems(&plan.agent, name, component, options);
        let faults = problems.iter().map(restart_fault);
        self.problems
            .extend(faults.map(|fault| (format!("channel {name}"), fault)));
    }
}

impl Running {
    pub(super) async fn prepare(
        &self,
        plan: &Plan,
        strictness: Strictness,
    ) -> Result<Prepared, ReloadRefused> {
        let mut prepared = Prepared::default();
        self.prepare_channels(plan, &mut prepared).await;
        let recovered = self.recover(&prepared.new_channels).await;
        prepared.keep("durable channels".to_owned(), recovered);
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

    async fn prepare_channels(&self, plan: &Plan, prepared: &mut Prepared) {
        for (name, component) in &plan.channels {
            let old = self.plan.channels.get(name);
            if old == Some(component) {
                continue;
            }
            // A channel that stays is not opened again: its folder is its own.
            if let (Some(old), Some(running)) = (old, self.channels.get(name)) {
                let change = build::channel_change(name, old, component);
                match prepared.keep(format!("channel {name}"), change) {
                    None => continue,
                    Some(Change::Restart(options)) => {
                        prepared.refuse_restart(plan, name, component, &options);
                        continue;
                    }
                    Some(Change::InPlace) => {
                        let settings = component.settings.clone();
                        prepared.resized.push((Arc::clone(running), settings));
                        continue;
                    }
                    Some(Change::NewChannel) => {}
                }
            }
            let made = build::channel(name, component, &self.clock).await;
            if let Some(made) = prepared.keep(format!("channel {name}"), made) {
                prepared.new_channels.insert(name.clone(), made);
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
            let own = running.map_or(&[][..], |running| &running.interceptors);
            let old = own.iter().find(|own| own.plan.name == plan.name);
            let stage = match old.filter(|old| old.plan == *plan) {
                Some(kept) => Arc::clone(&kept.stage),
                None => self.stage(name, plan, old).await?,
            };
            interceptors.push(RunningInterceptor {
                plan: plan.clone(),
                stage,
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
        let chain = interceptors.iter().map(|own| Arc::clone(&own.stage));
        let chain = chain.collect();
        Ok(PreparedPipeline {
            pipeline: Pipeline::new(chain, selector, channels),
            interceptors,
        })
    }

    /// A new interceptor at its place in the chain; one that follows another is on probation.
    async fn stage(
        &self,
        source: &ComponentName,
        plan: &InterceptorPlan,
        old: Option<&RunningInterceptor>,
    ) -> Result<Arc<Stage>, Fault> {
        let name = build::interceptor_name(source, &plan.name);
        let policy = Policy::of(&plan.component)?;
        let version = build::interceptor(&name, &plan.component, &self.clock, &self.guests).await?;
        let old = old.map(|old| old.stage.versions().proven());
        let versions = self.versions(&name, version, old);
        let handler = policy.map(|policy| self.poison_handler(&name, policy));
        Ok(Stage::new(plan.name.clone(), versions, handler))
    }

    fn versions<T: Send + Sync + 'static>(
        &self,
        component: &ComponentName,
        version: Version<T>,
        old: Option<Arc<Version<T>>>,
    ) -> Arc<Versions<T>> {
        let counters = self.poison.of(component);
        match old {
            Some(old) => Versions::after(old, component.clone(), version, counters),
            None => Versions::first(component.clone(), version, counters),
        }
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
            let qualified = build::sink_name(name);
            let made = build::sink_maker(&qualified, &sink.component, &self.guests).await;
            let made = made.and_then(|made| Ok((made, Policy::of(&sink.component)?)));
            let Some((version, policy)) = prepared.keep(format!("sink {name}"), made) else {
                continue;
            };
            let old = self.sinks.get(name).filter(|old| runs(&old.state));
            let old = old.map(|old| old.versions.proven());
            let running = RunningSink {
                versions: self.versions(&qualified, version, old),
                poison: policy,
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
            versions: Arc::clone(&sink.versions),
            poison: sink
                .poison
                .clone()
                .map(|policy| self.poison_handler(&build::sink_name(name), policy)),
            counters: Arc::clone(&sink.counters),
            state: Arc::clone(&sink.state),
            clock: Arc::clone(&self.clock),
            states: Arc::clone(self.guests.states()),
        })
    }

    async fn prepare_sources(&self, plan: &Plan, strictness: Strictness, prepared: &mut Prepared) {
        for (name, source) in &plan.sources {
            let old = self.plan.sources.get(name);
            if old.is_some_and(|old| old.component == source.component) {
                continue;
            }
            let qualified = build::source_name(name);
            let version = build::source_maker(&qualified, &source.component, &self.guests).await;
            let Some(version) = prepared.keep(format!("source {name}"), version) else {
                continue;
            };
            let running = self.sources.get(name).filter(|old| runs(&old.state));
            let proven = running.map(|old| old.versions.proven());
            let versions = self.versions(&qualified, version, proven);
            let same_type =
                old.is_some_and(|old| std::ptr::eq(old.component.row, source.component.row));
            let handover = match self.sources.get(name) {
                Some(running) if same_type => running.task.handover(),
                _ => None,
            };
            let instance = match strictness {
                Strictness::Start => None,
                Strictness::Reload => {
                    let make = &versions.current().made;
                    let instance = ready_source(make, handover).await;
                    let Some(instance) = prepared.keep(format!("source {name}"), instance) else {
                        continue;
                    };
                    Some(instance)
                }
            };
            let source = PreparedSource { versions, instance };
            prepared.sources.insert(name.clone(), source);
        }
    }
}

/// Whether there is something to go back to: a component that a configuration fault has ended is
/// none.
fn runs(state: &StateCell) -> bool {
    !matches!(state.get(), ComponentState::Failed { .. })
}

async fn ready_source(
    make: &MakeSource,
    handover: Option<flumen_core::source::Handover>,
) -> Result<Box<dyn Source>, Fault> {
    let mut instance = make()?;
    instance.prepare(handover).await?;
    Ok(instance)
}
