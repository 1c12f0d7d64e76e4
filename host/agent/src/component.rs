//! One component by itself, outside of an agent: where its bytes come from, what its file says, and
//! what it does with some events.
//!
//! A component runs here under the same limits as in an agent, and is refused for the same reasons.
//! Nothing here keeps state: a run begins with none, and what the component writes ends with the run.

mod lines;
mod report;
mod run;
mod settings;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use flumen_core::clock::SystemClock;
use flumen_core::option::ComponentKind;
use flumen_core::{ComponentName, Fault};
use flumen_wasm::{Contract, ContractError, Digest, Host};

use crate::component_files::{self, Examples};

pub use lines::EVENT_BYTES_MAX;
pub use report::{Failure, FailureTrap, RunReport};
pub use run::{BATCH_EVENTS_MAX, RunError, RunOptions, run};

/// What a component is in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestKind {
    /// Brings events in.
    Source,
    /// Changes or drops events on their way.
    Interceptor,
    /// Takes events out.
    Sink,
}

impl GuestKind {
    /// All kinds.
    pub const ALL: [GuestKind; 3] = [GuestKind::Source, GuestKind::Interceptor, GuestKind::Sink];

    /// The word for it, which is also the name of its world.
    pub fn word(self) -> &'static str {
        self.component_kind().word()
    }

    /// The kind that a word means.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    fn component_kind(self) -> ComponentKind {
        match self {
            GuestKind::Source => ComponentKind::Source,
            GuestKind::Interceptor => ComponentKind::Interceptor,
            GuestKind::Sink => ComponentKind::Sink,
        }
    }
}

impl fmt::Display for GuestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Something that a component asks the host for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The name, with its version.
    pub name: String,
    /// Why it is not granted; `None` when it is.
    pub refused: Option<String>,
}

/// What a component's file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its kind, when it was built for a world of flumen.
    pub kind: Option<GuestKind>,
    /// The version of the interface that it was built for.
    pub version: Option<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// What it asks for.
    pub imports: Vec<Import>,
    /// The size of its file in bytes.
    pub bytes: u64,
    /// The SHA-256 of its file, in hexadecimal digits.
    pub digest: String,
    /// Why this flumen does not run it; `None` when it does.
    pub refused: Option<String>,
}

/// The bytes of a component by its path, or by its name inside the program with
/// [`EXAMPLE_SCHEME`](crate::EXAMPLE_SCHEME).
///
/// # Errors
/// A configuration fault that names what is not there, or is too large.
pub fn read(named: &str, examples: Examples) -> Result<Cow<'static, [u8]>, Fault> {
    component_files::read(named, examples)
}

/// Reads what a component says of itself, and tries whether this flumen would run it. That compiles
/// it, unless its code is in `cache_folder`, and blocks for as long: not for a thread that serves
/// tasks. No code of the component runs.
///
/// # Errors
/// [`ContractError::NotWasm`] or [`ContractError::NotAComponent`]: then it says nothing of itself.
pub fn inspect(bytes: &[u8], cache_folder: Option<PathBuf>) -> Result<Inspection, ContractError> {
    let contract = Contract::read(bytes)?;
    let world = contract.world();
    let kind = world.and_then(|(_, name)| GuestKind::of_word(name));
    let import = |name: &String| Import {
        name: name.clone(),
        refused: Contract::refusal(name),
    };
    Ok(Inspection {
        kind,
        version: world.map(|(version, _)| version.to_owned()),
        exports: contract.exports.clone(),
        imports: contract.imports.iter().map(import).collect(),
        bytes: bytes.len() as u64,
        digest: Digest::of(bytes).to_string(),
        refused: refusal(kind, &contract, bytes, cache_folder),
    })
}

/// Why a component would not be run, as far as can be said without running it.
fn refusal(
    kind: Option<GuestKind>,
    contract: &Contract,
    bytes: &[u8],
    cache_folder: Option<PathBuf>,
) -> Option<String> {
    let Some(kind) = kind else {
        let worlds = GuestKind::ALL.map(GuestKind::word).join(", ");
        return Some(format!(
            "it was built for none of the worlds {worlds} of flumen:plugin"
        ));
    };
    // The words of the contract alone: there is no name in a plan yet.
    if let Err(error) = contract.check(kind.component_kind()) {
        return Some(error.to_string());
    }
    let loaded = Host::new(cache_folder, Arc::new(SystemClock)).and_then(|host| {
        let settings = settings::of(kind, &[])?;
        let name = ComponentName::new(kind.word());
        host.load(kind.component_kind(), &name, &settings, bytes)
    });
    loaded.err().map(|fault| fault.to_string())
}

#[cfg(test)]
mod tests;
