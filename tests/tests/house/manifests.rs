//! Every package obeys the workspace's lints, bears its licence, and takes its dependencies from
//! the one table.

use std::fs;
use std::path::Path;

use super::rooms::{metadata, packages, text};
use super::{Violation, assert_none};

/// The licence of everything here.
const LICENCE: &str = "Apache-2.0";

fn manifest(path: &str, manifest: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut section = "";
    let mut obeys_lints = false;
    for (line, number) in manifest.lines().map(str::trim).zip(1..) {
        if line.starts_with('[') {
            section = line;
        }
        obeys_lints |= section == "[lints]" && line.replace(' ', "") == "workspace=true";
        let is_entry = line.contains('=') && !line.starts_with('#');
        if section.ends_with("dependencies]") && is_entry && !takes_from_the_table(line) {
            let what = "a dependency with its own version; write it in the workspace's table, and `workspace = true` here";
            violations.push(Violation::at(path, number, what));
        }
    }
    if !obeys_lints {
        let what = "obeys no lints; add `[lints]` with `workspace = true`";
        violations.push(Violation::at(path, 1, what));
    }
    violations
}

fn takes_from_the_table(line: &str) -> bool {
    let line = line.replace(' ', "");
    line.ends_with(".workspace=true")
        || line.contains("workspace=true,")
        || line.contains("workspace=true}")
}

fn licence(path: &str, licence: &str) -> Vec<Violation> {
    if licence == LICENCE {
        return Vec::new();
    }
    let what = format!("the licence is {licence:?}; write `license.workspace = true`");
    vec![Violation::at(path, 1, what)]
}

/// Packages with a table of lints of their own, each with the reason.
const OWN_LINTS: [(&str, &str); 1] = [(
    "host/wasm/Cargo.toml",
    "compiled code is loaded in one place, which is unsafe; it is denied everywhere else in the room",
)];

#[test]
fn every_package_obeys_the_workspace() {
    let metadata = metadata();
    let root = text(&metadata, "workspace_root");
    let mut violations = Vec::new();
    for package in packages(&metadata) {
        let full = text(package, "manifest_path");
        let path = Path::new(full)
            .strip_prefix(root)
            .unwrap()
            .display()
            .to_string();
        let own_lints = OWN_LINTS.iter().any(|(own, _)| *own == path);
        let found = manifest(&path, &fs::read_to_string(full).unwrap());
        violations.extend(
            found
                .into_iter()
                .filter(|one| !(own_lints && one.what.contains("[lints]"))),
        );
        violations.extend(licence(&path, text(package, "license")));
    }
    assert_none(violations);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[dependencies]\na.workspace = true\n# b = \"1\"\n\
        c = { workspace = true, features = [\"d\"] }\n[lints]\nworkspace = true\n";

    #[test]
    fn a_good_manifest_passes() {
        assert_eq!(manifest("x/Cargo.toml", GOOD), []);
    }

    #[test]
    fn a_version_of_its_own_is_told() {
        let bad = GOOD.replace("a.workspace = true", "a = \"1\"");
        let told = manifest("x/Cargo.toml", &bad);
        assert_eq!(told.first().unwrap().place, "x/Cargo.toml:2");
        let bad = format!("{GOOD}[dev-dependencies]\ne = {{ path = \"../e\" }}\n");
        assert_eq!(manifest("x/Cargo.toml", &bad).len(), 1);
    }

    #[test]
    fn missing_lints_and_licences_are_told() {
        let bad = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(manifest("x/Cargo.toml", &bad).len(), 1);
        assert_eq!(licence("x/Cargo.toml", "").len(), 1);
        assert_eq!(licence("x/Cargo.toml", "MIT").len(), 1);
        assert_eq!(licence("x/Cargo.toml", LICENCE), []);
    }
}
