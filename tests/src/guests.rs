//! The examples and fixtures of `guests/` as component files, built once in a process.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

use crate::binary;

/// The outcome of the build, kept for the life of the process: the error as text.
static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// The component file of an example, such as `drop_debug`.
///
/// # Errors
/// When cargo cannot build the guests, or there is no such example.
pub fn example(name: &str) -> Result<PathBuf> {
    component(&format!("{name}.wasm"))
}

/// The component file of a fixture, such as `hostile_sink`.
///
/// # Errors
/// When cargo cannot build the guests, or there is no such fixture.
pub fn fixture(name: &str) -> Result<PathBuf> {
    component(&format!("fixture_{name}.wasm"))
}

/// A folder for compiled components that all runs of this target folder share: to compile one takes
/// seconds in a build without optimisation.
///
/// # Errors
/// When the program was not built by cargo.
pub fn compiled_folder() -> Result<PathBuf> {
    Ok(binary::target_folder()?.join("tmp/compiled"))
}

fn component(file_name: &str) -> Result<PathBuf> {
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    let path = built
        .as_ref()
        .map_err(|text| anyhow!(text.clone()))?
        .join(file_name);
    if !path.is_file() {
        bail!("the guests have no {file_name}");
    }
    Ok(path)
}

fn build() -> Result<PathBuf> {
    let target = binary::target_folder()?.join("tmp/guests");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let status = Command::new(cargo)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests"))
        .args(["build", "--quiet", "--release", "--locked", "--workspace"])
        .args(["--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        // Flags for the host's tests are none for a guest.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("cargo cannot build the guests");
    }
    Ok(target.join("wasm32-wasip2/release"))
}
