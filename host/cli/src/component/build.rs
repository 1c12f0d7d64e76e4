//! `flumen component build`: calls cargo for a component's project, and says what came out.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use flumen_agent::component::{self, Inspection};
use serde_json::Value;

use super::inspect::identity;
use super::shown;
use crate::agent::users_cache_folder;
use crate::output::{complain, print};

/// What components are built for.
const TARGET: &str = "wasm32-wasip2";

/// Flags for programs of this machine, which are none for a component: they would also take the place
/// of those in the project's `.cargo/config.toml`.
const REMOVED: [&str; 4] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
];

const GET_RUST: &str = "Rust is fetched as https://rustup.rs shows";

/// Builds the project in a folder.
pub(super) fn run(folder: &Path) -> Result<ExitCode, String> {
    if !folder.join("Cargo.toml").is_file() {
        return Err(format!(
            "there is no Cargo.toml in {}; `flumen component new` writes a project",
            shown(folder)
        ));
    }
    check_target(folder)?;
    let files = build(folder)?;
    if files.is_empty() {
        return Err(format!(
            "{} builds no component; its Cargo.toml needs `crate-type = [\"cdylib\"]` below [lib]",
            shown(folder)
        ));
    }
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let inspection = inspected(&file)?;
        let text = format!("{}\n{}", said_path(&file), identity(&inspection));
        print(&text).map_err(|error| format!("cannot write to standard output: {error}"))?;
        if let Some(refused) = inspection.refused {
            complain(&format!("flumen does not run it: {refused}"));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn inspected(file: &Path) -> Result<Inspection, String> {
    let bytes = component::read(&file.to_string_lossy(), &[]).map_err(|fault| fault.to_string())?;
    component::inspect(&bytes, users_cache_folder())
        .map_err(|error| format!("{} is no component: {error}", file.display()))
}

/// A path relative to the current folder where it lies below it.
fn said_path(file: &Path) -> String {
    let here = std::env::current_dir().and_then(|folder| folder.canonicalize());
    let below = here.ok().and_then(|folder| {
        let relative = file.strip_prefix(folder).ok()?;
        Some(relative.display().to_string())
    });
    below.unwrap_or_else(|| file.display().to_string())
}

/// A tool of Rust in a folder, without the flags of the host's programs.
fn tool(name: &str, folder: &Path) -> Command {
    // Cargo and the shells of its users set `CARGO` and `RUSTC` for another one.
    let own = std::env::var_os(name.to_ascii_uppercase());
    let mut command = Command::new(own.as_deref().unwrap_or(OsStr::new(name)));
    command.current_dir(folder);
    for variable in REMOVED {
        command.env_remove(variable);
    }
    command
}

fn not_started(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{name} is not found; {GET_RUST}"),
        _ => format!("{name} cannot be started: {error}"),
    }
}

/// Whether the compiler of the project can build components. Rustup fetches what the project's
/// `rust-toolchain.toml` asks for when the compiler is asked.
fn check_target(folder: &Path) -> Result<(), String> {
    let asked = tool("rustc", folder)
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::inherit())
        .output();
    let asked = asked.map_err(|error| not_started("rustc", &error))?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
    if asked.status.success() && libraries.is_dir() {
        return Ok(());
    }
    Err(format!(
        "the Rust compiler has no libraries for {TARGET}; `rustup target add {TARGET}` fetches them"
    ))
}

/// Runs cargo and gives the components that it names, which are canonical paths. What it says to
/// people goes to standard error as it comes.
fn build(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut child = tool("cargo", folder)
        .args(["build", "--release", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_started("cargo", &error))?;
    let mut files = Vec::new();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line.map_err(|error| format!("cargo cannot be understood: {error}"))?;
            files.extend(components_in(&line));
        }
    }
    let status = child
        .wait()
        .map_err(|error| format!("cargo cannot be waited for: {error}"))?;
    match status.success() {
        true => Ok(files),
        false => Err(format!("cargo could not build {}", shown(folder))),
    }
}

/// The components in a message of cargo.
fn components_in(line: &str) -> Vec<PathBuf> {
    let Ok(message) = serde_json::from_str::<Value>(line) else {
        return Vec::new();
    };
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    if text("reason") != Some("compiler-artifact") {
        return Vec::new();
    }
    let names = message.get("filenames").and_then(Value::as_array);
    let paths = names.into_iter().flatten().filter_map(Value::as_str);
    paths
        .map(PathBuf::from)
        .filter(|path| path.extension() == Some(OsStr::new("wasm")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_found_in_cargos_messages() {
        let artifact = r#"{"reason":"compiler-artifact","filenames":["/t/a.wasm","/t/a.d"]}"#;
        assert_eq!(components_in(artifact), [PathBuf::from("/t/a.wasm")]);
        for other in [
            r#"{"reason":"compiler-artifact","filenames":["/t/liba.rlib"]}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "warning: not a message",
        ] {
            assert!(components_in(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_folder_without_a_project_is_refused() {
        let error = run(Path::new("./no-such-folder")).unwrap_err();
        assert!(error.contains("no Cargo.toml in no-such-folder"), "{error}");
    }
}
