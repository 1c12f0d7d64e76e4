//! From checked components of a plan to instances: the one place that knows which room builds what.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use flumen_channel::Change;
use flumen_config::plan::{Component, Plan};
use flumen_core::channel::Channel;
use flumen_core::clock::Clock;
use flumen_core::interceptor::Interceptor;
use flumen_core::option::{Catalogue, ComponentKind};
use flumen_core::selector::ChannelSelector;
use flumen_core::settings::Settings;
use flumen_core::sink_processor::SinkProcessor;
use flumen_core::source::{Source, SourceInstance};
use flumen_core::{ComponentName, Fault, Side};
use flumen_wasm::{Guest, GuestReport, Host, StateStore};
use tokio::runtime;

use crate::background;
use crate::component_files::{self, Examples};
use crate::probation::Version;
use crate::sink::MakeSink;
use crate::source::{MakeSource, PolledDriver};
use crate::state_folder::StateFolder;

/// All component types that this agent knows, built or not.
pub fn catalogue() -> Catalogue {
    let components = flumen_builtin::rows().chain(flumen_channel::rows());
    let guests = flumen_wasm::rows();
    Catalogue::new(components.chain(flumen_config::rows()).chain(guests))
}

/// The host of the guests, made with the first of them: an agent without guests pays nothing.
pub(crate) struct Guests {
    cache_folder: Option<PathBuf>,
    examples: Examples,
    clock: Arc<dyn Clock>,
    states: Arc<StateFolder>,
    // Held while the host is made, which happens once, and for a copy after that.
    host: Mutex<Option<Arc<Host>>>,
}

impl Guests {
    pub(crate) fn new(
        cache_folder: Option<PathBuf>,
        examples: Examples,
        clock: Arc<dyn Clock>,
        states: Arc<StateFolder>,
    ) -> Arc<Self> {
        Arc::new(Self {
            cache_folder,
            examples,
            clock,
            states,
            host: Mutex::new(None),
        })
    }

    /// What guests and sources of this agent keep.
    pub(crate) fn states(&self) -> &Arc<StateFolder> {
        &self.states
    }

    fn host(&self) -> Result<Arc<Host>, Fault> {
        let mut host = self.lock();
        if let Some(host) = &*host {
            return Ok(Arc::clone(host));
        }
        self.states.open()?;
        let made = Host::with_states(
            self.cache_folder.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.states) as Arc<dyn StateStore>,
        )?;
        Ok(Arc::clone(host.insert(Arc::new(made))))
    }

    /// Fills in which version each guest of a plan is.
    pub(crate) async fn identified(&self, plan: Plan) -> Plan {
        if !plan.components().any(is_guest) {
            return plan;
        }
        let (examples, unidentified) = (self.examples, plan.clone());
        let identified = background::run(move || {
            let mut plan = plan;
            component_files::identify(&mut plan, examples);
            plan
        });
        // Without its digests a plan says less, and is no less right.
        identified.await.unwrap_or(unidentified)
    }

    /// Tells the instances of a component that are about to be replaced not to wait.
    pub(crate) fn stop_waiting_before_last(&self, name: &ComponentName) {
        if let Some(host) = &*self.lock() {
            host.stop_waiting_before_last(name);
        }
    }

    /// Tells the instances of a component that are about to end not to wait.
    pub(crate) fn stop_waiting(&self, name: &ComponentName) {
        if let Some(host) = &*self.lock() {
            host.stop_waiting(name);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Host>>> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to say of the guests that are loaded; nothing before the first one.
    pub(crate) fn reports(&self) -> Vec<GuestReport> {
        let host = self.lock().clone();
        host.map(|host| host.reports()).unwrap_or_default()
    }

    /// Loads a guest in the background, because compiling takes its time, and makes something of it
    /// there: a first instance takes its time too.
    async fn load<T: Send + 'static>(
        self: &Arc<Self>,
        kind: ComponentKind,
        name: &ComponentName,
        component: &Component,
        make: impl FnOnce(Guest, &runtime::Handle) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (guests, name, component) = (Arc::clone(self), name.clone(), component.clone());
        let runtime = runtime::Handle::current();
        let loaded = background::run(move || {
            let bytes = component_files::read_planned(&component, guests.examples)?;
            let host = guests.host()?;
            let guest = host.load(kind, &name, &component.settings, &bytes)?;
            make(guest, &runtime)
        });
        loaded.await?
    }
}

/// Whether a component of the plan is a Wasm component.
pub(crate) fn is_guest(component: &Component) -> bool {
    component.row.name == flumen_wasm::TYPE_NAME
}

/// Opens a channel on a thread of its own, because one that keeps its events in files reads them.
pub(crate) async fn channel(
    name: &ComponentName,
    component: &Component,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    let (name, component, clock) = (name.clone(), component.clone(), Arc::clone(clock));
    let opened = tokio::task::spawn_blocking(move || {
        flumen_channel::build(component.row, &name, &component.settings, clock)
    });
    opened.await.unwrap_or_else(|error| {
        let message = "a channel could not be opened";
        Err(Fault::transient(Side::Component, message).with_cause(error))
    })
}

/// How a channel that runs as `old` becomes `new`.
pub(crate) fn channel_change(
    name: &ComponentName,
    old: &Component,
    new: &Component,
) -> Result<Change, Fault> {
    if !std::ptr::eq(old.row, new.row) {
        return Ok(Change::NewChannel);
    }
    flumen_channel::change(new.row, name, &old.settings, &new.settings)
}

/// A maker of instances, which has made one already: wrong settings show here and not at the first
/// restart.
pub(crate) async fn source_maker(
    name: &ComponentName,
    component: &Component,
    guests: &Arc<Guests>,
) -> Result<Version<MakeSource>, Fault> {
    let states = Arc::clone(guests.states());
    if is_guest(component) {
        let load = guests.load(ComponentKind::Source, name, component, |guest, _| Ok(guest));
        let guest = load.await?;
        let digest = guest.digest();
        let make: MakeSource = Arc::new(move || Ok(as_source(guest.source()?, &states)));
        return Ok(Version::of_guest(make, digest));
    }
    let component = component.clone();
    let make = move || {
        let source = flumen_builtin::sources::build(component.row, &component.settings)?;
        Ok(as_source(source, &states))
    };
    make()?;
    Ok(Version::built_in(Arc::new(make)))
}

fn as_source(instance: SourceInstance, states: &Arc<StateFolder>) -> Box<dyn Source> {
    match instance {
        SourceInstance::EventDriven(source) => source,
        SourceInstance::Polled { source, back_off } => {
            Box::new(PolledDriver::new(source, back_off, Arc::clone(states)))
        }
    }
}

/// A maker of instances, which has made one already.
pub(crate) async fn sink_maker(
    name: &ComponentName,
    component: &Component,
    guests: &Arc<Guests>,
) -> Result<Version<MakeSink>, Fault> {
    if is_guest(component) {
        let load = guests.load(ComponentKind::Sink, name, component, |guest, _| Ok(guest));
        let guest = load.await?;
        let digest = guest.digest();
        let make: MakeSink = Arc::new(move || Ok(Box::new(guest.sink()?)));
        return Ok(Version::of_guest(make, digest));
    }
    let component = component.clone();
    let make = move || flumen_builtin::sinks::build(component.row, &component.settings);
    make()?;
    Ok(Version::built_in(Arc::new(make)))
}

/// An interceptor; a guest has passed its `init` once.
pub(crate) async fn interceptor(
    name: &ComponentName,
    component: &Component,
    clock: &Arc<dyn Clock>,
    guests: &Arc<Guests>,
) -> Result<Version<Arc<dyn Interceptor>>, Fault> {
    if is_guest(component) {
        let make = |guest: Guest, runtime: &runtime::Handle| {
            let made = guest.interceptor()?;
            // Its first instance is ready before it gets a batch.
            runtime.block_on(made.prepare())?;
            let interceptor: Arc<dyn Interceptor> = Arc::new(made);
            Ok(Version::of_guest(interceptor, guest.digest()))
        };
        let load = guests.load(ComponentKind::Interceptor, name, component, make);
        return load.await;
    }
    let built = flumen_builtin::interceptors::build(component.row, &component.settings, clock);
    Ok(Version::built_in(Arc::from(built?)))
}

/// The name of a source as state, figures and dead letters know it.
pub(crate) fn source_name(source: &ComponentName) -> ComponentName {
    ComponentName::new(format!("sources.{source}"))
}

/// The same of an interceptor: two sources may each have an `i1`.
pub(crate) fn interceptor_name(source: &ComponentName, own: &ComponentName) -> ComponentName {
    ComponentName::new(format!("sources.{source}.interceptors.{own}"))
}

/// The same of a sink.
pub(crate) fn sink_name(sink: &ComponentName) -> ComponentName {
    ComponentName::new(format!("sinks.{sink}"))
}

pub(crate) fn selector(
    component: &Component,
    channels: &[ComponentName],
) -> Result<Box<dyn ChannelSelector>, Fault> {
    flumen_builtin::selectors::build(component.row, &component.settings, channels)
}

pub(crate) fn sink_processor(
    component: Option<&Component>,
    sinks: &[ComponentName],
) -> Result<Box<dyn SinkProcessor>, Fault> {
    match component {
        Some(component) => {
            flumen_builtin::sink_processors::build(component.row, &component.settings, sinks)
        }
        // A sink without a group is served by the default processor.
        None => flumen_builtin::sink_processors::build(
            &flumen_builtin::sink_processors::default::ROW,
            &Settings::new(),
            sinks,
        ),
    }
}
