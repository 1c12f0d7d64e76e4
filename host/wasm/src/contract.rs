//! What a component says of itself, read from its file before anything of it is compiled: which
//! world it was built for, and what it asks the host for.

use std::fmt;

use flumen_core::option::ComponentKind;
use wasmtime::wasmparser::{Encoding, Parser, Payload};

/// What every wasm file begins with.
const MAGIC: &[u8] = b"\0asm";

/// The package whose worlds a component is built for.
const PACKAGE: &str = "flumen:plugin";

/// The version of the package that this host speaks, without the part that only adds.
const VERSION: &str = "0.1";

/// The interfaces of the package that every component may import.
const INTERFACES: [&str; 6] = ["types", "logging", "metrics", "settings", "state", "timers"];

/// The packages of WASI 0.2 that standard libraries import. They are linked with nothing behind
/// them: no environment, no arguments, no folders, no input; output goes to the log.
const WASI_PACKAGES: [&str; 5] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:io",
    "wasi:random",
];

/// The version of WASI that is linked.
const WASI_VERSION: &str = "0.2";

/// Why a file is not the component that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContractError {
    /// Not WebAssembly, or damaged.
    NotWasm {
        /// What the parser said.
        reason: String,
    },
    /// A core module.
    NotAComponent,
    /// Built for a world of another version of the package.
    Version {
        /// What it was built for.
        found: String,
    },
    /// Built for another world, or for none of ours.
    World {
        /// The wanted world.
        wanted: &'static str,
        /// The world it was built for, when it is one of ours.
        found: Option<&'static str>,
    },
    /// It asks for what is not granted.
    Imports {
        /// The names, each with its reason.
        refused: Vec<String>,
    },
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContractError::NotWasm { reason } => {
                write!(f, "it is not a readable wasm file ({reason})")
            }
            ContractError::NotAComponent => f.write_str(
                "it is a core module and not a component; build it for the target wasm32-wasip2",
            ),
            ContractError::Version { found } => write!(
                f,
                "it was built for {found}, but this flumen speaks {PACKAGE}@{VERSION}; build it \
                 against that version"
            ),
            ContractError::World { wanted, found } => {
                match found {
                    Some(found) => write!(f, "it was built for the world {found}")?,
                    None => write!(f, "it exports no world of {PACKAGE}")?,
                }
                write!(f, ", but the world {wanted} is needed here")
            }
            ContractError::Imports { refused } => write!(
                f,
                "it asks for what is not granted: {}; build it without",
                refused.join(", ")
            ),
        }
    }
}

impl std::error::Error for ContractError {}

/// The names that a component imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// Imported names.
    pub imports: Vec<String>,
    /// Exported names.
    pub exports: Vec<String>,
}

impl Contract {
    /// Reads the names of a component.
    ///
    /// # Errors
    /// [`ContractError::NotWasm`] or [`ContractError::NotAComponent`].
    pub fn read(bytes: &[u8]) -> Result<Self, ContractError> {
        if !bytes.starts_with(MAGIC) {
            return Err(not_wasm("it does not begin like one"));
        }
        let mut contract = Self::default();
        // Sections of nested modules and components lie between their header and their end.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(not_wasm)? {
                Payload::Version {
                    encoding: Encoding::Module,
                    ..
                } if depth == 0 => return Err(ContractError::NotAComponent),
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        contract
                            .imports
                            .push(import.map_err(not_wasm)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        contract
                            .exports
                            .push(export.map_err(not_wasm)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(contract)
    }

    /// The version of the package it was built for, and its world, when it is one of ours.
    pub fn world(&self) -> Option<(&str, &'static str)> {
        self.exports.iter().find_map(|name| {
            let name = Name::parse(name);
            let world = WORLDS
                .iter()
                .find(|world| world.interface == name.interface)?;
            (name.package == PACKAGE).then_some((name.version, world.name))
        })
    }

    /// Why an import is not granted; `None` when it is.
    pub fn refusal(import: &str) -> Option<String> {
        refusal(import)
    }

    /// Checks that the component is of the wanted kind, of our version, and asks for nothing that
    /// is not granted.
    ///
    /// # Errors
    /// [`ContractError`]; every import that is refused is named.
    pub fn check(&self, kind: ComponentKind) -> Result<(), ContractError> {
        let wanted = WORLDS
            .iter()
            .find(|world| world.kind == kind)
            .map_or("", |world| world.name);
        match self.world() {
            Some((version, _)) if !is_version(version, VERSION) => {
                return Err(ContractError::Version {
                    found: format!("{PACKAGE}@{version}"),
                });
            }
            Some((_, found)) if found == wanted => {}
            found => {
                return Err(ContractError::World {
                    wanted,
                    found: found.map(|(_, name)| name),
                });
            }
        }
        let refused: Vec<String> = self
            .imports
            .iter()
            .filter_map(|name| Some(format!("{name} ({})", refusal(name)?)))
            .collect();
        match refused.is_empty() {
            true => Ok(()),
            false => Err(ContractError::Imports { refused }),
        }
    }
}

fn not_wasm(error: impl fmt::Display) -> ContractError {
    ContractError::NotWasm {
        reason: error.to_string(),
    }
}

struct World {
    kind: ComponentKind,
    name: &'static str,
    interface: &'static str,
}

const WORLDS: [World; 3] = [
    World {
        kind: ComponentKind::Source,
        name: "source",
        interface: "source-api",
    },
    World {
        kind: ComponentKind::Interceptor,
        name: "interceptor",
        interface: "interceptor-api",
    },
    World {
        kind: ComponentKind::Sink,
        name: "sink",
        interface: "sink-api",
    },
];

/// `package/interface@version`; what a name does not have is empty.
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Self {
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = path.split_once('/').unwrap_or((path, ""));
        Self {
            package,
            interface,
            version,
        }
    }
}

/// Whether a full version is one of `major.minor`.
fn is_version(full: &str, wanted: &str) -> bool {
    full.strip_prefix(wanted)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// Why an import is refused; `None` when it is granted.
fn refusal(import: &str) -> Option<String> {
    let name = Name::parse(import);
    let (known, version) = if name.package == PACKAGE {
        (INTERFACES.contains(&name.interface), VERSION)
    } else if WASI_PACKAGES.contains(&name.package) {
        (true, WASI_VERSION)
    } else if name.package.starts_with("wasi:") {
        return Some("this capability is not built yet".to_owned());
    } else {
        (false, VERSION)
    };
    match (known, is_version(name.version, version)) {
        (true, true) => None,
        (true, false) => Some(format!("only {version} is spoken here")),
        (false, _) => Some("unknown here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(imports: &[&str], exports: &[&str]) -> Contract {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Contract {
            imports: owned(imports),
            exports: owned(exports),
        }
    }

    #[test]
    fn what_is_granted_passes() {
        let contract = contract(
            &[
                "flumen:plugin/types@0.1.0",
                "flumen:plugin/state@0.1.7",
                "wasi:cli/environment@0.2.6",
                "wasi:io/streams@0.2.0",
            ],
            &[
                "flumen:plugin/lifecycle@0.1.0",
                "flumen:plugin/sink-api@0.1.0",
            ],
        );
        assert_eq!(contract.check(ComponentKind::Sink), Ok(()));
        assert_eq!(
            contract.check(ComponentKind::Source),
            Err(ContractError::World {
                wanted: "source",
                found: Some("sink")
            })
        );
    }

    #[test]
    fn every_import_that_is_refused_is_named() {
        let contract = contract(
            &[
                "wasi:sockets/tcp@0.2.6",
                "flumen:plugin/types@0.1.0",
                "wasi:http/outgoing-handler@0.2.6",
                "acme:things/secret",
                "wasi:io/streams@0.3.0",
                "flumen:plugin/surprise@0.1.0",
            ],
            &["flumen:plugin/interceptor-api@0.1.0"],
        );
        let error = contract.check(ComponentKind::Interceptor).unwrap_err();
        let text = error.to_string();
        for name in [
            "wasi:sockets/tcp@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
            "acme:things/secret",
            "wasi:io/streams@0.3.0",
            "flumen:plugin/surprise@0.1.0",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
        assert!(!text.contains("types"), "{text}");
    }

    #[test]
    fn another_version_is_named() {
        let newer = contract(&[], &["flumen:plugin/interceptor-api@0.2.0"]);
        let error = newer.check(ComponentKind::Interceptor).unwrap_err();
        assert_eq!(
            error,
            ContractError::Version {
                found: "flumen:plugin@0.2.0".into()
            }
        );
        let foreign = contract(&[], &["wasi:cli/run@0.2.0"]);
        let error = foreign.check(ComponentKind::Interceptor).unwrap_err();
        assert!(
            error.to_string().contains("no world of flumen:plugin"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_component_is_told_apart() {
        assert_eq!(
            Contract::read(b"\0asm\x01\0\0\0"),
            Err(ContractError::NotAComponent)
        );
        for bytes in [&b""[..], b"hello", b"\x7fELF and so on", b"\0asm"] {
            let error = Contract::read(bytes).unwrap_err();
            assert!(matches!(error, ContractError::NotWasm { .. }), "{error}");
        }
    }
}
