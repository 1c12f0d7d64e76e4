//! Figures of guests: what the host counts of each component, and what the component counts itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flumen_core::ComponentName;
use flumen_core::metric::Counter;

use crate::digest::Digest;
use crate::limits::{FIGURE_NAME_BYTES_MAX, FIGURES_MAX};

/// The figures of one component, shared by its instances and by its versions that follow one
/// another under the same name.
#[derive(Default)]
pub(crate) struct Figures {
    /// Calls of an export.
    pub(crate) calls: Counter,
    /// Calls that ended the instance: traps, overruns, refused answers.
    pub(crate) strikes: Counter,
    /// Instances that were made.
    pub(crate) instances: Counter,
    /// Instances that were replaced because their memory had grown near to the limit.
    pub(crate) retired: Counter,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    counters: BTreeMap<String, Arc<AtomicU64>>,
    gauges: BTreeMap<String, Arc<AtomicU64>>,
}

/// A counter in the hands of a guest; `None` when the component has too many figures.
#[expect(unreachable_pub, reason = "the generated bindings name it with `pub`")]
pub struct CounterHandle(Option<Arc<AtomicU64>>);

/// A gauge in the hands of a guest; holds the bits of a float.
#[expect(unreachable_pub, reason = "the generated bindings name it with `pub`")]
pub struct GaugeHandle(Option<Arc<AtomicU64>>);

impl CounterHandle {
    pub(crate) fn add(&self, count: u64) {
        if let Some(value) = &self.0 {
            value.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl GaugeHandle {
    pub(crate) fn set(&self, new: f64) {
        if let Some(value) = &self.0 {
            value.store(new.to_bits(), Ordering::Relaxed);
        }
    }
}

impl Figures {
    pub(crate) fn counter(&self, name: String) -> CounterHandle {
        let mut own = self.lock();
        let room = own.counters.len() + own.gauges.len() < FIGURES_MAX;
        CounterHandle(registered(&mut own.counters, name, room))
    }

    pub(crate) fn gauge(&self, name: String) -> GaugeHandle {
        let mut own = self.lock();
        let room = own.counters.len() + own.gauges.len() < FIGURES_MAX;
        GaugeHandle(registered(&mut own.gauges, name, room))
    }

    pub(crate) fn report(&self, component: &ComponentName, digest: Digest) -> GuestReport {
        let own = self.lock();
        let read = |value: &Arc<AtomicU64>| value.load(Ordering::Relaxed);
        GuestReport {
            component: component.clone(),
            digest,
            calls: self.calls.get(),
            strikes: self.strikes.get(),
            instances: self.instances.get(),
            retired: self.retired.get(),
            log_lines_suppressed: 0,
            counters: own
                .counters
                .iter()
                .map(|(name, value)| (name.clone(), read(value)))
                .collect(),
            gauges: own
                .gauges
                .iter()
                .map(|(name, value)| (name.clone(), f64::from_bits(read(value))))
                .collect(),
        }
    }

    /// A short lock: held to look up one name, or to copy the figures.
    fn lock(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The figure of a name, made when there is room for one more.
fn registered(
    figures: &mut BTreeMap<String, Arc<AtomicU64>>,
    name: String,
    room: bool,
) -> Option<Arc<AtomicU64>> {
    if let Some(known) = figures.get(&name) {
        return Some(Arc::clone(known));
    }
    if !room || name.is_empty() || name.len() > FIGURE_NAME_BYTES_MAX {
        return None;
    }
    Some(Arc::clone(figures.entry(name).or_default()))
}

/// What there is to say of one guest.
#[derive(Clone, Debug, PartialEq)]
pub struct GuestReport {
    /// Its name in the plan.
    pub component: ComponentName,
    /// Which version of the component runs.
    pub digest: Digest,
    /// Calls of its exports.
    pub calls: u64,
    /// Calls that ended an instance: traps, overruns and answers that were refused.
    pub strikes: u64,
    /// Instances that were made.
    pub instances: u64,
    /// Instances that were replaced because their memory had grown near to the limit.
    pub retired: u64,
    /// Log lines that were left out.
    pub log_lines_suppressed: u64,
    /// Counters of its own, by name; at most [`FIGURES_MAX`] together with the gauges.
    pub counters: Vec<(String, u64)>,
    /// Gauges of its own, by name.
    pub gauges: Vec<(String, f64)>,
}
