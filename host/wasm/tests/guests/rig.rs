//! Builds the fixtures once and makes hosts, settings and batches for them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Once, OnceLock};

use flumen_core::batch::BatchBuilder;
use flumen_core::clock::ManualClock;
use flumen_core::conformance::settings::settings;
use flumen_core::future::BoxFuture;
use flumen_core::interceptor::Interceptor;
use flumen_core::option::ComponentKind;
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, EventBatch, Fault};
use flumen_wasm::{
    Guest, GuestInterceptor, GuestTrap, Host, MemoryState, StateStore, read_component,
};

/// The file of a fixture, or of an example if there is no such fixture, built when the first test
/// asks for one.
pub(crate) fn fixture(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(build);
    let fixture = folder.join(format!("fixture_{name}.wasm"));
    if fixture.is_file() {
        return fixture;
    }
    folder.join(format!("{name}.wasm"))
}

fn build() -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(guests)
        .args(["build", "--quiet", "--release", "--locked", "--workspace"])
        .args(["--target", "wasm32-wasip2"])
        .arg("--target-dir")
        .arg(&target)
        // Flags for the host's tests are none for a guest.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let built = cargo.status().expect("cargo runs");
    assert!(built.success(), "the guests build");
    target.join("wasm32-wasip2/release")
}

/// Lines of guests pass the whole way to a log, which is one for all tests: what a thread without a
/// log of its own asks first would hold for all of them.
fn log_to_nowhere() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(std::io::sink)
            .init();
    });
}

/// A host and the states of its guests.
pub(crate) struct Rig {
    pub(crate) host: Host,
    pub(crate) states: Arc<MemoryState>,
}

impl Rig {
    /// Hosts share their compiled code: compiling takes seconds in a build without optimisation.
    pub(crate) fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        Self::with_cache(Some(folder))
    }

    pub(crate) fn with_cache(folder: Option<PathBuf>) -> Self {
        log_to_nowhere();
        let states = Arc::new(MemoryState::new());
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let host = Host::with_states(folder, clock, Arc::clone(&states) as Arc<dyn StateStore>);
        Self {
            host: host.unwrap(),
            states,
        }
    }

    /// An interceptor named `i1`.
    pub(crate) fn interceptor(&self, fixture: &str, options: &[(&str, &str)]) -> GuestInterceptor {
        self.named("i1", fixture, options)
    }

    pub(crate) fn named(
        &self,
        name: &str,
        fixture: &str,
        options: &[(&str, &str)],
    ) -> GuestInterceptor {
        let settings = options_of(ComponentKind::Interceptor, fixture, options);
        let guest = self.load(ComponentKind::Interceptor, name, &settings);
        guest.unwrap().interceptor().unwrap()
    }

    /// Reads and loads the component that the settings name.
    pub(crate) fn load(
        &self,
        kind: ComponentKind,
        name: &str,
        settings: &Settings,
    ) -> Result<Guest, Fault> {
        let bytes = read_component(Path::new(settings.text("component").unwrap()))?;
        self.host.load(kind, &name.into(), settings, &bytes)
    }

    pub(crate) fn state(&self, component: &str, key: &str) -> Option<Vec<u8>> {
        self.states
            .get(&ComponentName::from(component), key)
            .unwrap()
    }
}

/// Calls an interceptor as the way into the channels does.
pub(crate) trait Through {
    /// The events that come out, with all that is remembered of them committed.
    fn through(&self, batch: EventBatch) -> BoxFuture<'_, Result<EventBatch, Fault>>;
}

impl<I: Interceptor> Through for I {
    fn through(&self, batch: EventBatch) -> BoxFuture<'_, Result<EventBatch, Fault>> {
        Box::pin(async move {
            let answer = self.intercept(batch).await?;
            if let Some(pending) = answer.pending {
                pending.commit()?;
            }
            Ok(answer.events)
        })
    }
}

/// Checked settings for a fixture, with the defaults of the rows.
pub(crate) fn options_of(
    kind: ComponentKind,
    fixture_name: &str,
    options: &[(&str, &str)],
) -> Settings {
    let path = fixture(fixture_name);
    let mut all = vec![("component", path.to_str().unwrap())];
    all.extend_from_slice(options);
    let row = flumen_wasm::rows().find(|row| row.kind == kind).unwrap();
    settings(row, &all)
}

pub(crate) fn batch<B: AsRef<[u8]>>(bodies: impl IntoIterator<Item = B>) -> EventBatch {
    let mut builder = BatchBuilder::new();
    for body in bodies {
        builder.push(body.as_ref()).unwrap();
    }
    builder.finish().unwrap()
}

pub(crate) fn bodies(batch: &EventBatch) -> Vec<String> {
    let text = |body| String::from_utf8_lossy(body).into_owned();
    batch.bodies().map(text).collect()
}

/// The end of an instance that a fault reports.
pub(crate) fn trap(fault: &Fault) -> &GuestTrap {
    GuestTrap::of(fault).unwrap_or_else(|| panic!("no trap: {fault}"))
}
