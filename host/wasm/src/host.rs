//! The host of all guests of a process: one engine, the compiled components, the states and the
//! figures.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use flumen_core::clock::Clock;
use flumen_core::option::ComponentKind;
use flumen_core::settings::{Settings, Value};
use flumen_core::source::{PollBackOff, SourceInstance};
use flumen_core::{ComponentName, Fault};
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::{interceptor, sink, source};
use crate::cache::CompileCache;
use crate::contract::Contract;
use crate::digest::Digest;
use crate::disposal::Disposal;
use crate::engine::{engine, machine};
use crate::figures::GuestReport;
use crate::instance::{Maker, World};
use crate::interceptor::GuestInterceptor;
use crate::limits::{COMPONENT_BYTES_MAX, Limits};
use crate::log::GuestLog;
use crate::rows;
use crate::sink::GuestSink;
use crate::source::GuestSource;
use crate::state::{MemoryState, StateStore};
use crate::store::{GuestParts, GuestState};

/// Compiled components that are kept in memory, newest last: as many as differ in one plan, so that
/// a sink that is made anew does not read the disk for its code.
const COMPILED_KEPT_MAX: usize = 16;

/// Hosts guests. One for the process.
pub struct Host {
    engine: Engine,
    linker: Linker<GuestState>,
    cache: Option<CompileCache>,
    clock: Arc<dyn Clock>,
    states: Arc<dyn StateStore>,
    disposal: Disposal,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    compiled: Vec<(Digest, Component)>,
    /// All that are loaded, oldest first. Figures go on from version to version of a component, and
    /// end with its last one.
    guests: Vec<Weak<GuestParts>>,
}

impl Host {
    /// A host whose guests keep their state for as long as the host lives. Compiled code is kept in
    /// `cache_folder`, if there is one; it is made with mode 0700 and must be the user's own.
    ///
    /// # Errors
    /// A configuration fault for the folder, or a fault of the machine.
    pub fn new(cache_folder: Option<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        Self::with_states(cache_folder, clock, Arc::new(MemoryState::new()))
    }

    /// The same with a store of its own for the states.
    ///
    /// # Errors
    /// As [`Host::new`].
    pub fn with_states(
        cache_folder: Option<PathBuf>,
        clock: Arc<dyn Clock>,
        states: Arc<dyn StateStore>,
    ) -> Result<Self, Fault> {
        let engine = engine()?;
        let linker = linker(&engine).map_err(|error| machine("cannot link wasm", error))?;
        let cache = cache_folder
            .map(|folder| CompileCache::open(folder, &engine))
            .transpose()?;
        Ok(Self {
            engine,
            linker,
            cache,
            clock,
            states,
            disposal: Disposal::new()?,
            shared: Mutex::default(),
        })
    }

    /// Checks, compiles and links a component from its bytes (see [`read_component`]). Blocks for as
    /// long as compiling takes (some 50 ms for 100 kB, seconds for an interpreter) unless its code
    /// is in the cache: not for a thread that serves tasks.
    ///
    /// # Errors
    /// A configuration fault that names the component and the remedy: not a component, of another
    /// world or version, or asking for what is not granted.
    pub fn load(
        &self,
        kind: ComponentKind,
        name: &ComponentName,
        settings: &Settings,
        bytes: &[u8],
    ) -> Result<Guest, Fault> {
        let shown = settings.text(rows::COMPONENT)?;
        let limits = Limits::from_settings(settings)?;
        let refuse = |error: Box<dyn std::error::Error + Send + Sync>| {
            Fault::configuration(format!("component {shown} cannot be used as {name}"))
                .with_cause(error)
        };
        Contract::read(bytes)
            .and_then(|contract| contract.check(kind))
            .map_err(|error| refuse(error.into()))?;
        let digest = Digest::of(bytes);
        let compiled = self
            .compiled(digest, bytes)
            .map_err(|error| refuse(error.into_boxed_dyn_error()))?;
        let linked = self
            .linker
            .instantiate_pre(&compiled)
            .map_err(|error| refuse(error.into_boxed_dyn_error()))?;
        let parts = self.parts(name, digest, limits, settings)?;
        let made = match kind {
            ComponentKind::Source => {
                source::Source::pre(linked).map(|pre| GuestMaker::Source(self.maker(&parts, pre)))
            }
            ComponentKind::Interceptor => {
                let workers = settings.number(rows::WORKERS)?;
                interceptor::Interceptor::pre(linked).map(|pre| GuestMaker::Interceptor {
                    maker: self.maker(&parts, pre),
                    workers,
                })
            }
            ComponentKind::Sink => {
                let batch_events = settings.number(rows::BATCH_SIZE)?;
                sink::Sink::pre(linked).map(|pre| GuestMaker::Sink {
                    maker: self.maker(&parts, pre),
                    batch_events,
                })
            }
            other => {
                let message = format!("a {} cannot be of type wasm", other.word());
                return Err(Fault::configuration(message));
            }
        };
        let maker = made.map_err(|error| refuse(error.into_boxed_dyn_error()))?;
        Ok(Guest { maker, parts })
    }

    /// What there is to say of all guests that are loaded, oldest first. While one version follows
    /// another both are there, with the same figures.
    pub fn reports(&self) -> Vec<GuestReport> {
        let alive: Vec<_> = {
            let shared = self.lock();
            shared.guests.iter().filter_map(Weak::upgrade).collect()
        };
        // Not under the lock: the store of the states has one of its own.
        alive.iter().map(|parts| parts.report()).collect()
    }

    /// Tells the instances of all versions of a component but the one loaded last to wait no longer,
    /// so that what replaces them does not wait for them.
    pub fn stop_waiting_before_last(&self, name: &ComponentName) {
        let mut versions = self.versions(name);
        versions.pop();
        versions.iter().for_each(|parts| parts.stop_waiting());
    }

    /// Tells the instances of all versions of a component to wait no longer.
    pub fn stop_waiting(&self, name: &ComponentName) {
        let versions = self.versions(name);
        versions.iter().for_each(|parts| parts.stop_waiting());
    }

    /// The versions of a component that are loaded, oldest first.
    fn versions(&self, name: &ComponentName) -> Vec<Arc<GuestParts>> {
        let shared = self.lock();
        let alive = shared.guests.iter().filter_map(Weak::upgrade);
        alive.filter(|parts| parts.name == *name).collect()
    }

    fn maker<W: World>(&self, parts: &Arc<GuestParts>, pre: W::Pre) -> Maker<W> {
        Maker::new(Arc::clone(parts), self.engine.clone(), pre)
    }

    fn parts(
        &self,
        name: &ComponentName,
        digest: Digest,
        limits: Limits,
        settings: &Settings,
    ) -> Result<Arc<GuestParts>, Fault> {
        let mut shared = self.lock();
        shared.guests.retain(|guest| guest.strong_count() > 0);
        let mut alive = shared.guests.iter().filter_map(Weak::upgrade);
        let known = alive.find(|guest| guest.name == *name);
        let figures = known
            .map(|guest| Arc::clone(&guest.figures))
            .unwrap_or_default();
        let log = GuestLog::new(name.clone(), limits.log_lines_per_second, &figures);
        let parts = Arc::new(GuestParts {
            name: name.clone(),
            digest,
            limits,
            settings: own_settings(settings)?,
            log: Arc::new(log),
            info: OnceLock::new(),
            figures,
            states: Arc::clone(&self.states),
            clock: Arc::clone(&self.clock),
            disposal: self.disposal.clone(),
            stopping: Mutex::default(),
        });
        shared.guests.push(Arc::downgrade(&parts));
        Ok(parts)
    }

    /// The code of a component: from memory, from the cache, or compiled now.
    fn compiled(&self, digest: Digest, bytes: &[u8]) -> wasmtime::Result<Component> {
        let known = |shared: &Shared| {
            let own = shared.compiled.iter().find(|(own, _)| *own == digest);
            own.map(|(_, component)| component.clone())
        };
        if let Some(component) = known(&self.lock()) {
            return Ok(component);
        }
        let cached = self
            .cache
            .as_ref()
            .and_then(|cache| cache.load(&self.engine, &digest));
        let component = match cached {
            Some(component) => component,
            None => {
                let component = Component::from_binary(&self.engine, bytes)?;
                if let Some(cache) = &self.cache {
                    cache.store(&digest, &component);
                }
                component
            }
        };
        let mut shared = self.lock();
        if shared.compiled.len() >= COMPILED_KEPT_MAX {
            shared.compiled.remove(0);
        }
        shared.compiled.push((digest, component.clone()));
        Ok(component)
    }

    /// A short lock: held for look-ups, never while compiling.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A component that is loaded: one version of it, from which any number of instances is made
/// without reading a file or compiling again.
pub struct Guest {
    maker: GuestMaker,
    parts: Arc<GuestParts>,
}

#[derive(Clone)]
enum GuestMaker {
    Source(Maker<source::Source>),
    Interceptor {
        maker: Maker<interceptor::Interceptor>,
        workers: usize,
    },
    Sink {
        maker: Maker<sink::Sink>,
        batch_events: usize,
    },
}

impl Guest {
    /// Which version of the component this is.
    pub fn digest(&self) -> Digest {
        self.parts.digest
    }

    /// Its figures.
    pub fn report(&self) -> GuestReport {
        self.parts.report()
    }

    /// Tells the instances of this version that they are to stop: those that wait in the host's
    /// timers wake. Calls go on to be answered.
    pub fn stop_waiting(&self) {
        self.parts.stop_waiting();
    }

    /// A source, driven by polls.
    ///
    /// # Errors
    /// A configuration fault when the component was loaded as something else.
    pub fn source(&self) -> Result<SourceInstance, Fault> {
        match &self.maker {
            GuestMaker::Source(maker) => Ok(SourceInstance::Polled {
                source: Box::new(GuestSource::new(maker.clone())),
                back_off: PollBackOff::default(),
            }),
            _ => Err(self.other_kind("source")),
        }
    }

    /// An interceptor.
    ///
    /// # Errors
    /// A configuration fault when the component was loaded as something else.
    pub fn interceptor(&self) -> Result<GuestInterceptor, Fault> {
        match &self.maker {
            GuestMaker::Interceptor { maker, workers } => {
                Ok(GuestInterceptor::new(maker.clone(), *workers))
            }
            _ => Err(self.other_kind("interceptor")),
        }
    }

    /// A sink.
    ///
    /// # Errors
    /// A configuration fault when the component was loaded as something else.
    pub fn sink(&self) -> Result<GuestSink, Fault> {
        match &self.maker {
            GuestMaker::Sink {
                maker,
                batch_events,
            } => Ok(GuestSink::new(maker.clone(), *batch_events)),
            _ => Err(self.other_kind("sink")),
        }
    }

    fn other_kind(&self, wanted: &str) -> Fault {
        let name = &self.parts.name;
        Fault::configuration(format!("component {name} was not loaded as a {wanted}"))
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // The three worlds have the same imports.
    interceptor::Interceptor::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// The bytes of a component's file, at most [`COMPONENT_BYTES_MAX`].
///
/// # Errors
/// A configuration fault that names the file.
pub fn read_component(path: &Path) -> Result<Vec<u8>, Fault> {
    let shown = path.display();
    let fail = |error: std::io::Error| {
        Fault::configuration(format!("cannot read component {shown}")).with_cause(error)
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fail)?;
    let read = file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(fail)? as u64 > COMPONENT_BYTES_MAX {
        let message = format!("component {shown} is larger than {COMPONENT_BYTES_MAX} bytes");
        return Err(Fault::configuration(message));
    }
    Ok(bytes)
}

/// The component's own settings: what stands below `config.`.
fn own_settings(settings: &Settings) -> Result<BTreeMap<String, String>, Fault> {
    let below = settings.below(rows::CONFIG_PREFIX);
    below
        .map(|(name, setting)| match &setting.value {
            Value::Text(text) => Ok((name.to_owned(), text.clone())),
            other => Err(Fault::configuration(format!(
                "option {}{name} is not a text: {other:?}",
                rows::CONFIG_PREFIX
            ))),
        })
        .collect()
}
