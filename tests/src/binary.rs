//! Finds the binary under test.
//!
//! `FLUMEN_BINARY` names it when it is set. Otherwise cargo is asked to build the package `flumen`
//! in the profile and target folder of the running program. Cargo is asked even when the file is
//! there, once in a process: a fresh build costs it a fraction of a second, and a test that runs
//! yesterday's binary costs an afternoon.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

/// The environment variable that names a binary, which is then run as it is.
pub const BINARY_VARIABLE: &str = "FLUMEN_BINARY";

/// The outcome of the first look, kept for the life of the process: the error as text.
static LOCATED: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// The path of the flumen binary, built if need be.
///
/// # Errors
/// When `FLUMEN_BINARY` names no file, or cargo cannot build the package.
pub fn locate() -> Result<PathBuf> {
    let located = LOCATED.get_or_init(|| look().map_err(|error| format!("{error:#}")));
    located.clone().map_err(|text| anyhow!(text))
}

fn look() -> Result<PathBuf> {
    if let Some(path) = env::var_os(BINARY_VARIABLE) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "{BINARY_VARIABLE} names {}, which is no file",
                path.display()
            );
        }
        return Ok(path);
    }
    let running = env::current_exe().context("find the running program")?;
    let profile = profile_folder(&running)?;
    build(profile)?;
    let binary = profile.join("flumen");
    if !binary.is_file() {
        bail!(
            "cargo built the package flumen, but there is no {}",
            binary.display()
        );
    }
    Ok(binary)
}

/// Cargo's target folder, in which the running program lies.
///
/// # Errors
/// When the program was not built by cargo.
pub fn target_folder() -> Result<PathBuf> {
    let running = env::current_exe().context("find the running program")?;
    let target = profile_folder(&running)?.parent();
    Ok(target
        .context("the profile folder has no parent")?
        .to_owned())
}

/// The folder such as `target/debug`. Programs lie in it, tests in its folder `deps`.
fn profile_folder(running: &Path) -> Result<&Path> {
    let folder = running
        .parent()
        .context("the running program has no folder")?;
    if folder.ends_with("deps") {
        return folder.parent().context("the folder deps has no parent");
    }
    Ok(folder)
}

fn build(profile: &Path) -> Result<()> {
    let profile_name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => bail!("the folder {} names no profile", profile.display()),
    };
    let target = profile
        .parent()
        .context("the profile folder has no parent")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "flumen",
            "--profile",
            profile_name,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("cargo cannot build the package flumen; or name a binary in {BINARY_VARIABLE}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_and_a_program_lie_in_the_same_profile() {
        let of_test = profile_folder(Path::new("/t/debug/deps/agent-1f")).unwrap();
        let of_program = profile_folder(Path::new("/t/debug/flumen-bench")).unwrap();
        assert_eq!(of_test, Path::new("/t/debug"));
        assert_eq!(of_program, of_test);
    }
}
