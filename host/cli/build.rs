//! Makes what travels inside the binary.
//!
//! * The components of `conf/default.conf`. The guests are a workspace of their own for another target,
//!   so cargo is called once more, with a target folder below this package's output folder and without
//!   what the outer build says about the host.
//! * That target, where the toolchain lacks it: `rust-toolchain.toml` names it, but rustup only heeds that
//!   when it may install by itself.
//! * The list of the SDK's files, which `component new` writes into projects. Made here from what is in
//!   the folder, so that no file is missed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt::Write, fs, io};

/// The guests inside the binary, as packages of `guests/examples`. `src/examples.rs` embeds them.
const EXAMPLES: [&str; 2] = ["drop-debug", "console"];

/// What components are built for.
const TARGET: &str = "wasm32-wasip2";

/// Variables by which the outer build would change what cargo does for the guests: flags and wrappers
/// for the host's compiler, profiles, other target folders.
const REMOVED: [&str; 5] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
];
const REMOVED_PREFIXES: [&str; 3] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"];

fn main() -> Result<(), Box<dyn Error>> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
    let output = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    watch(&guests);
    fetch_target()?;
    let built = build(&guests, &output.join("guests"))?;
    for name in EXAMPLES {
        let file = format!("{}.wasm", name.replace('-', "_"));
        fs::copy(built.join(&file), output.join(format!("{name}.wasm")))?;
    }
    let mut files = Vec::new();
    collect(&guests.join("sdk"), "", &mut files)?;
    fs::write(output.join("sdk_files.rs"), listed(files)?)?;
    Ok(())
}

/// What a file of the SDK ends with; anything else in its folder is an editor's.
const SDK_EXTENSIONS: [&str; 3] = ["rs", "wit", "md"];

/// All files of the SDK below a folder, but its manifest: paths relative to it, and absolute. Follows
/// the link to the interface.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let extension = entry.path().extension().map(std::ffi::OsStr::to_owned);
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else if SDK_EXTENSIONS
            .iter()
            .any(|own| extension.as_deref() == Some(own.as_ref()))
        {
            files.push((path, entry.path().canonicalize()?));
        }
    }
    Ok(())
}

/// The files as a slice of paths and texts.
fn listed(mut files: Vec<(String, PathBuf)>) -> Result<String, Box<dyn Error>> {
    files.sort();
    let mut code = String::from("&[\n");
    for (path, file) in files {
        writeln!(code, "    ({path:?}, include_str!({file:?})),")?;
    }
    code.push_str("]\n");
    Ok(code)
}

/// Names what the components are made of. Naming a folder watches all that is in it.
fn watch(guests: &Path) {
    println!("cargo::rerun-if-changed=build.rs");
    let own = ["sdk", "Cargo.toml", "Cargo.lock", ".cargo/config.toml"];
    let own = own.iter().map(|name| guests.join(name));
    let examples = EXAMPLES.map(|name| guests.join("examples").join(name));
    for path in own.chain(examples).chain([guests.join("../wit")]) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// Has rustup fetch the guests' target when it is not there. Where there is no rustup, or it cannot, the
/// build of the guests says what is missing.
fn fetch_target() -> Result<(), Box<dyn Error>> {
    let compiler = env::var_os("RUSTC").ok_or("cargo names no RUSTC")?;
    let asked = Command::new(compiler)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()?;
    let folder = String::from_utf8(asked.stdout)?;
    if !Path::new(folder.trim()).is_dir() {
        let _ = Command::new("rustup")
            .args(["target", "add", TARGET])
            .status();
    }
    Ok(())
}

/// Builds the guests and gives the folder with their components.
fn build(guests: &Path, target: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").ok_or("cargo does not name itself")?;
    let mut command = Command::new(cargo);
    command
        .current_dir(guests)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .arg("--target-dir")
        .arg(target);
    for name in EXAMPLES {
        command.args(["-p", name]);
    }
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let mut prefixes = REMOVED_PREFIXES.iter();
        if REMOVED.contains(&text.as_ref()) || prefixes.any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    if !command.status()?.success() {
        return Err(format!(
            "the example components cannot be built; if the target is missing, \
             `rustup target add {TARGET}` fetches it"
        )
        .into());
    }
    Ok(target.join(TARGET).join("release"))
}
