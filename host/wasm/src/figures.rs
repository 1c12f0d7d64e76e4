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
    /// Bytes of the memories of all instances that live now (a gauge).
    pub(crate) memory_bytes: Counter,
    /// Log lines that were left out.
    pub(crate) log_lines_suppressed: Counter,
    /// Registrations of own figures that were refused.
    own_refused: Counter,
    own: Mutex<BTreeMap<String, OwnFigure>>,
}

/// A figure that the component counts itself.
struct OwnFigure {
    kind: OwnKind,
    /// A count, or the bits of a float.
    value: Arc<AtomicU64>,
    /// The version that registered it last.
    version: Digest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OwnKind {
    Counter,
    Gauge,
}

/// A counter in the hands of a guest; `None` when its registration was refused.
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
    /// The counter of a name, for an instance of this version. See [`Figures::registered`].
    pub(crate) fn counter(&self, name: String, version: Digest) -> CounterHandle {
        CounterHandle(self.registered(OwnKind::Counter, name, version))
    }

    /// The gauge of a name, for an instance of this version.
    pub(crate) fn gauge(&self, name: String, version: Digest) -> GaugeHandle {
        GaugeHandle(self.registered(OwnKind::Gauge, name, version))
    }

    /// The figure of a name, made when there is room for one more.
    ///
    /// One version never has more than [`FIGURES_MAX`], however many names it tries, and a name
    /// keeps its kind for as long as the version runs. Figures of an earlier version go on under
    /// the next one, and make room only when that one has others: so an edited component is not
    /// refused for the names that it had before.
    fn registered(&self, kind: OwnKind, name: String, version: Digest) -> Option<Arc<AtomicU64>> {
        let registered = match is_name(&name) {
            true => register(&mut self.lock(), kind, name, version),
            false => None,
        };
        if registered.is_none() {
            self.own_refused.add(1);
        }
        registered
    }

    /// What these figures say; the rest of the report is unknown here.
    pub(crate) fn report(&self, component: &ComponentName, digest: Digest) -> GuestReport {
        let mut report = GuestReport {
            component: component.clone(),
            digest,
            info: None,
            calls: self.calls.get(),
            strikes: self.strikes.get(),
            instances: self.instances.get(),
            retired: self.retired.get(),
            memory_bytes: self.memory_bytes.get(),
            state_bytes: None,
            log_lines_suppressed: self.log_lines_suppressed.get(),
            own_refused: self.own_refused.get(),
            counters: Vec::new(),
            gauges: Vec::new(),
        };
        for (name, figure) in self.lock().iter() {
            let value = figure.value.load(Ordering::Relaxed);
            match figure.kind {
                OwnKind::Counter => report.counters.push((name.clone(), value)),
                OwnKind::Gauge => report.gauges.push((name.clone(), f64::from_bits(value))),
            }
        }
        report
    }

    /// A short lock: held to look up one name, or to copy the figures.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, OwnFigure>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a guest may call a figure so. Quotes and any letters are fine, they are escaped where they
/// are shown; control characters would move the cursor of a terminal that shows a page.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= FIGURE_NAME_BYTES_MAX && !name.contains(char::is_control)
}

fn register(
    own: &mut BTreeMap<String, OwnFigure>,
    kind: OwnKind,
    name: String,
    version: Digest,
) -> Option<Arc<AtomicU64>> {
    if let Some(known) = own.get_mut(&name) {
        if known.kind != kind && known.version == version {
            return None;
        }
        if known.kind != kind {
            known.kind = kind;
            known.value = Arc::default();
        }
        known.version = version;
        return Some(Arc::clone(&known.value));
    }
    if own.len() >= FIGURES_MAX {
        let mut others = own.iter().filter(|(_, figure)| figure.version != version);
        let left_behind = others.next()?.0.clone();
        own.remove(&left_behind);
    }
    let value = Arc::default();
    let figure = OwnFigure {
        kind,
        value: Arc::clone(&value),
        version,
    };
    own.insert(name, figure);
    Some(value)
}

/// What a component calls itself. Bounded by
/// [`INFO_BYTES_MAX`](crate::limits::INFO_BYTES_MAX) each, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInfo {
    /// Its name for itself.
    pub name: String,
    /// The version that it says it is of.
    pub version: String,
}

/// What there is to say of one guest.
#[derive(Clone, Debug, PartialEq)]
pub struct GuestReport {
    /// Its name in the plan.
    pub component: ComponentName,
    /// Which version of the component runs.
    pub digest: Digest,
    /// What it calls itself; `None` before its first instance is made.
    pub info: Option<GuestInfo>,
    /// Calls of its exports.
    pub calls: u64,
    /// Calls that ended an instance: traps, overruns and answers that were refused.
    pub strikes: u64,
    /// Instances that were made.
    pub instances: u64,
    /// Instances that were replaced because their memory had grown near to the limit.
    pub retired: u64,
    /// Bytes of the memories of all instances that live now, those of other versions included.
    pub memory_bytes: u64,
    /// Bytes of its state; `None` when the store of the states cannot tell.
    pub state_bytes: Option<u64>,
    /// Log lines that were left out.
    pub log_lines_suppressed: u64,
    /// Registrations of figures of its own that were refused: one figure too many, a name that is
    /// too long or has control characters, or a name of another kind.
    pub own_refused: u64,
    /// Counters of its own, by name; at most [`FIGURES_MAX`] together with the gauges.
    pub counters: Vec<(String, u64)>,
    /// Gauges of its own, by name.
    pub gauges: Vec<(String, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(figures: &Figures) -> Vec<String> {
        let report = figures.report(&"i1".into(), Digest::of(b"any"));
        let counters = report.counters.into_iter().map(|(name, _)| name);
        let gauges = report.gauges.into_iter().map(|(name, _)| name);
        counters.chain(gauges).collect()
    }

    #[test]
    fn any_number_of_names_gives_a_bounded_number_of_figures() {
        let (figures, version) = (Figures::default(), Digest::of(b"1"));
        for number in 0..20_000 {
            figures.counter(format!("counter {number}"), version).add(1);
        }
        figures.gauge("gauge".to_owned(), version).set(1.0);
        assert_eq!(names(&figures).len(), FIGURES_MAX);
        let refused = figures.report(&"i1".into(), version).own_refused;
        assert_eq!(refused, 20_001 - FIGURES_MAX as u64);
        // Those that were there first count on.
        figures.counter("counter 0".to_owned(), version).add(1);
        let counters = figures.report(&"i1".into(), version).counters;
        assert!(counters.contains(&("counter 0".to_owned(), 2)));
    }

    #[test]
    fn names_that_harm_a_page_are_refused() {
        let (figures, version) = (Figures::default(), Digest::of(b"1"));
        let longest = "x".repeat(FIGURE_NAME_BYTES_MAX);
        for bad in ["", "a\nb", "\u{1b}[2J", "a\0", &format!("{longest}x")] {
            figures.counter(bad.to_owned(), version).add(1);
        }
        assert_eq!(names(&figures), Vec::<String>::new());
        let good = ["\"\\\"", "gr\u{fc}n {x=\"1\"} 7", &longest];
        for name in good {
            figures.counter(name.to_owned(), version).add(1);
        }
        assert_eq!(names(&figures), good);
    }

    #[test]
    fn a_name_keeps_its_kind_within_a_version() {
        let figures = Figures::default();
        let (old, new) = (Digest::of(b"1"), Digest::of(b"2"));
        figures.counter("x".to_owned(), old).add(3);
        figures.gauge("x".to_owned(), old).set(0.5);
        let report = figures.report(&"i1".into(), old);
        assert_eq!((report.counters.len(), report.gauges.len()), (1, 0));
        figures.gauge("x".to_owned(), new).set(0.5);
        let report = figures.report(&"i1".into(), new);
        assert_eq!(report.counters, []);
        assert_eq!(report.gauges, [("x".to_owned(), 0.5)]);
    }

    #[test]
    fn figures_go_on_in_the_next_version_and_make_room_for_its_own() {
        let figures = Figures::default();
        let (old, new) = (Digest::of(b"1"), Digest::of(b"2"));
        for number in 0..FIGURES_MAX {
            figures.counter(format!("old {number:02}"), old).add(1);
        }
        figures.counter("old 00".to_owned(), new).add(1);
        figures.counter("new".to_owned(), new).add(1);
        let counters = figures.report(&"i1".into(), new).counters;
        assert_eq!(counters.len(), FIGURES_MAX);
        assert!(counters.contains(&("old 00".to_owned(), 2)));
        assert!(counters.contains(&("new".to_owned(), 1)));
    }
}
