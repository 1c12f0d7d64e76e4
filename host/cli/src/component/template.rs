//! The files of a new project. They travel inside the binary: the template's, and the SDK, so that a
//! project needs no checkout of flumen beside it.

use flumen_agent::component::GuestKind;

/// The folder of the SDK in a project.
const SDK_FOLDER: &str = "flumen-sdk";

macro_rules! guests_file {
    ($path:literal) => {
        include_str!(concat!("../../../../guests/", $path))
    };
}

/// What a package of the guests inherits.
const WORKSPACE: &str = guests_file!("Cargo.toml");

/// The versions that flumen itself is built and tested with. Cargo takes out what a project has no use
/// for.
const LOCK: &str = guests_file!("Cargo.lock");

/// The files of the SDK as they stand in `guests/sdk`, without its manifest. The build script lists
/// them.
const SDK: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));

const SDK_MANIFEST: &str = guests_file!("sdk/Cargo.toml");

/// The files of a project: paths relative to its folder, and their text.
pub(super) fn files(kind: GuestKind, name: &str) -> Vec<(String, String)> {
    let manifest = guests_file!("template/Cargo.toml.in")
        .replace("{{name}}", name)
        .replace("{{sdk}}", SDK_FOLDER);
    let code = match kind {
        GuestKind::Source => guests_file!("template/source.rs"),
        GuestKind::Interceptor => guests_file!("template/interceptor.rs"),
        GuestKind::Sink => guests_file!("template/sink.rs"),
    };
    let own = [
        ("Cargo.toml", manifest.as_str()),
        ("Cargo.lock", LOCK),
        (
            ".cargo/config.toml",
            guests_file!("template/cargo-config.toml"),
        ),
        (".gitignore", guests_file!("template/gitignore")),
        (
            "rust-toolchain.toml",
            guests_file!("template/rust-toolchain.toml"),
        ),
        ("src/lib.rs", code),
    ];
    let mut files: Vec<(String, String)> = own
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    let below_sdk = |path: &str| format!("{SDK_FOLDER}/{path}");
    files.push((below_sdk("Cargo.toml"), standalone(SDK_MANIFEST, WORKSPACE)));
    let sdk = SDK.iter();
    files.extend(sdk.map(|(path, text)| (below_sdk(path), (*text).to_owned())));
    files
}

/// A manifest without its workspace: what it inherits stands in it, and what concerns only the work on
/// the package itself (lints, dependencies of its tests) is left out.
fn standalone(manifest: &str, workspace: &str) -> String {
    let mut text = String::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if matches!(section, "[lints]" | "[dev-dependencies]") {
            continue;
        }
        match line.strip_suffix(".workspace = true") {
            Some(name) => text.push_str(inherited(workspace, section, name).unwrap_or(line)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    let end = text.trim_end().len();
    text.truncate(end);
    text.push('\n');
    text
}

/// The line of a name in the workspace's section of the same name.
fn inherited<'w>(workspace: &'w str, section: &str, name: &str) -> Option<&'w str> {
    let wanted = format!("[workspace.{}", section.strip_prefix('[')?);
    let mut lines = workspace.lines().skip_while(|line| *line != wanted).skip(1);
    let begin = format!("{name} = ");
    lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .find(|line| line.starts_with(&begin))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn guests() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests")
    }

    #[test]
    fn the_sdk_is_there_with_the_interface() {
        let listed: Vec<&str> = SDK.iter().map(|(path, _)| *path).collect();
        for path in [
            "src/lib.rs",
            "src/testing/mod.rs",
            "wit/types.wit",
            "README.md",
        ] {
            assert!(listed.contains(&path), "{path} in {listed:?}");
        }
        assert!(
            !listed.contains(&"Cargo.toml"),
            "it is written in another form"
        );
    }

    #[test]
    fn the_manifest_of_the_sdk_stands_by_itself() {
        let text = standalone(SDK_MANIFEST, WORKSPACE);
        assert!(!text.contains("workspace"), "{text}");
        assert!(
            !text.contains("lints") && !text.contains("serde_json"),
            "{text}"
        );
        for line in [
            "edition = \"2024\"",
            "name = \"flumen-sdk\"",
            "wit-bindgen = { version",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn a_project_is_complete_and_names_the_compiler_of_flumen() {
        for kind in GuestKind::ALL {
            let files = files(kind, "my-part");
            let text = |path: &str| {
                let found = files.iter().find(|(own, _)| own == path);
                found.map(|(_, text)| text.clone()).unwrap()
            };
            let manifest = text("Cargo.toml");
            assert!(manifest.contains("name = \"my-part\""), "{manifest}");
            assert!(!manifest.contains("{{"), "{manifest}");
            assert!(text("src/lib.rs").contains(&format!("export_{kind}!")));
            assert!(text("flumen-sdk/wit/worlds.wit").contains("world sink"));
            let own = fs::read_to_string(guests().join("../rust-toolchain.toml")).unwrap();
            let channel = own.lines().find(|line| line.starts_with("channel"));
            assert!(text("rust-toolchain.toml").contains(channel.unwrap()));
        }
    }
}
