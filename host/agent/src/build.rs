//! From checked components of a plan to instances: the one place that knows which room builds what.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use flumen_config::plan::Component;
use flumen_core::channel::Channel;
use flumen_core::clock::Clock;
use flumen_core::interceptor::Interceptor;
use flumen_core::option::{Catalogue, ComponentKind};
use flumen_core::selector::ChannelSelector;
use flumen_core::settings::Settings;
use flumen_core::sink_processor::SinkProcessor;
use flumen_core::source::{Source, SourceInstance};
use flumen_core::{ComponentName, Fault, Side};
use flumen_wasm::{Guest, Host};

use crate::component::{self, Examples};
use crate::sink::MakeSink;
use crate::source::{MakeSource, PolledDriver};

/// All component types that this agent knows, built or not.
pub fn catalogue() -> Catalogue {
    let components = flumen_builtin::rows().chain(flumen_channel::rows());
    let guests = flumen_wasm::rows();
    Catalogue::new(components.chain(flumen_config::rows()).chain(guests))
}

/// The host of the guests, made with the first of them: an agent without guests pays nothing.
pub(crate) struct Guests {
    cache_folder: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    examples: Examples,
    // Held while the host is made, which happens once, and for a copy after that.
    host: Mutex<Option<Arc<Host>>>,
}

impl Guests {
    pub(crate) fn new(
        cache_folder: Option<PathBuf>,
        clock: Arc<dyn Clock>,
        examples: Examples,
    ) -> Arc<Self> {
        Arc::new(Self {
            cache_folder,
            clock,
            examples,
            host: Mutex::new(None),
        })
    }

    fn host(&self) -> Result<Arc<Host>, Fault> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = &*host {
            return Ok(Arc::clone(host));
        }
        let made = Host::new(self.cache_folder.clone(), Arc::clone(&self.clock))?;
        Ok(Arc::clone(host.insert(Arc::new(made))))
    }

    /// Loads a guest on a thread of its own, because compiling takes its time.
    async fn load(
        self: &Arc<Self>,
        kind: ComponentKind,
        name: &ComponentName,
        settings: &Settings,
    ) -> Result<Guest, Fault> {
        let (guests, name, settings) = (Arc::clone(self), name.clone(), settings.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            let bytes = component::read(settings.text("component")?, guests.examples)?;
            guests.host()?.load_bytes(kind, &name, &settings, &bytes)
        });
        loaded.await.unwrap_or_else(|error| {
            let message = "a component could not be loaded";
            Err(Fault::transient(Side::Component, message).with_cause(error))
        })
    }
}

fn is_guest(component: &Component) -> bool {
    component.row.name == flumen_wasm::TYPE_NAME
}

pub(crate) fn channel(
    name: &ComponentName,
    component: &Component,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    flumen_channel::build(component.row, name, &component.settings, Arc::clone(clock))
}

/// A maker of instances, which has made one already: wrong settings show here and not at the first
/// restart.
pub(crate) async fn source_maker(
    name: &ComponentName,
    component: &Component,
    guests: &Arc<Guests>,
) -> Result<MakeSource, Fault> {
    if is_guest(component) {
        let name = ComponentName::new(format!("sources.{name}"));
        let guest = guests
            .load(ComponentKind::Source, &name, &component.settings)
            .await?;
        return Ok(Arc::new(move || Ok(as_source(guest.source()?))));
    }
    let component = component.clone();
    let make = move || {
        let source = flumen_builtin::sources::build(component.row, &component.settings)?;
        Ok(as_source(source))
    };
    make()?;
    Ok(Arc::new(make))
}

fn as_source(instance: SourceInstance) -> Box<dyn Source> {
    match instance {
        SourceInstance::EventDriven(source) => source,
        SourceInstance::Polled { source, back_off } => {
            Box::new(PolledDriver::new(source, back_off))
        }
    }
}

/// A maker of instances, which has made one already.
pub(crate) async fn sink_maker(
    name: &ComponentName,
    component: &Component,
    guests: &Arc<Guests>,
) -> Result<MakeSink, Fault> {
    if is_guest(component) {
        let name = ComponentName::new(format!("sinks.{name}"));
        let guest = guests
            .load(ComponentKind::Sink, &name, &component.settings)
            .await?;
        return Ok(Arc::new(move || Ok(Box::new(guest.sink()?))));
    }
    let component = component.clone();
    let make = move || flumen_builtin::sinks::build(component.row, &component.settings);
    make()?;
    Ok(Arc::new(make))
}

/// An interceptor; a guest has passed its `init` once.
pub(crate) async fn interceptor(
    source: &ComponentName,
    name: &ComponentName,
    component: &Component,
    clock: &Arc<dyn Clock>,
    guests: &Arc<Guests>,
) -> Result<Arc<dyn Interceptor>, Fault> {
    if is_guest(component) {
        // State and figures go by name, and two sources may each have an `i1`.
        let name = ComponentName::new(format!("sources.{source}.interceptors.{name}"));
        let guest = guests
            .load(ComponentKind::Interceptor, &name, &component.settings)
            .await?;
        guest.trial().await?;
        return Ok(Arc::new(guest.interceptor()?));
    }
    flumen_builtin::interceptors::build(component.row, &component.settings, clock).map(Arc::from)
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
