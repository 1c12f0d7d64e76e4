//! Foreign crates: where they come from, under which licence, and which of them come twice.
//!
//! Sources and duplicates are read from `Cargo.lock`, which covers every platform. Licences are
//! read from the packages of this platform, the only ones that a build without network has at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use super::rooms::{ask_cargo, packages, text};
use super::{Violation, assert_none, tree};

/// The one place that crates may come from. A member of the workspace has no source.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that may be part of a binary under Apache-2.0: permissive, or public domain. Sorted.
const LICENCES: [&str; 9] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What wasmtime and its WASI crates bring beside what others bring; small, and theirs to move.
const WASMTIME: &str = "wasmtime's own dependencies stand on different versions";

/// Declarations for another system.
const WINDOWS: &str = "raw declarations, and no part of any build on Linux";

/// Crates that may be there in several versions, each with the reason.
const TWICE: [(&str, &str); 16] = [
    (
        "syn",
        "the derive crates of the dependencies move from 2 to 3 one by one; only a build needs it",
    ),
    ("windows-link", WINDOWS),
    ("cpufeatures", WASMTIME),
    ("embedded-io", WASMTIME),
    ("hashbrown", WASMTIME),
    ("io-lifetimes", WASMTIME),
    ("windows-sys", WINDOWS),
    ("windows-targets", WINDOWS),
    ("windows_aarch64_gnullvm", WINDOWS),
    ("windows_aarch64_msvc", WINDOWS),
    ("windows_i686_gnu", WINDOWS),
    ("windows_i686_gnullvm", WINDOWS),
    ("windows_i686_msvc", WINDOWS),
    ("windows_x86_64_gnu", WINDOWS),
    ("windows_x86_64_gnullvm", WINDOWS),
    ("windows_x86_64_msvc", WINDOWS),
];

/// A package of `Cargo.lock`.
#[derive(Debug, PartialEq, Eq)]
struct Locked {
    name: String,
    version: String,
    source: String,
}

/// The packages of a lock file, which cargo writes one field a line.
fn locked(lock_file: &str) -> Vec<Locked> {
    let field = |package: &str, name: &str| {
        let begin = format!("{name} = \"");
        let line = package.lines().find_map(|line| line.strip_prefix(&begin));
        line.unwrap_or_default().trim_end_matches('"').to_owned()
    };
    let packages = lock_file.split("[[package]]").skip(1);
    packages
        .map(|package| Locked {
            name: field(package, "name"),
            version: field(package, "version"),
            source: field(package, "source"),
        })
        .collect()
}

fn sources(packages: &[Locked]) -> Vec<Violation> {
    let foreign = packages
        .iter()
        .filter(|package| !package.source.is_empty() && package.source != REGISTRY);
    foreign
        .map(|package| Violation {
            place: format!("{} {}", package.name, package.version),
            what: format!("comes from {}; only crates.io is allowed", package.source),
        })
        .collect()
}

fn duplicates(packages: &[Locked], allowed: &[&str]) -> Vec<Violation> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions
            .entry(&package.name)
            .or_default()
            .insert(&package.version);
    }
    let mut violations = Vec::new();
    for (name, versions) in &versions {
        if versions.len() > 1 && !allowed.contains(name) {
            let what = format!(
                "is there in the versions {versions:?}; agree on one, or name it with the reason in tests/tests/house/foreign.rs"
            );
            violations.push(Violation {
                place: (*name).to_owned(),
                what,
            });
        }
    }
    for name in allowed {
        if versions.get(name).is_none_or(|versions| versions.len() < 2) {
            violations.push(Violation {
                place: (*name).to_owned(),
                what: "is allowed to come twice and does not; take it off the list".to_owned(),
            });
        }
    }
    violations
}

fn licences(metadata: &Value) -> Vec<Violation> {
    let nodes = metadata
        .pointer("/resolve/nodes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let built: BTreeSet<&str> = nodes.map(|node| text(node, "id")).collect();
    let mut violations = Vec::new();
    for package in packages(metadata).filter(|package| built.contains(text(package, "id"))) {
        let expression = text(package, "license");
        if !permits(expression) {
            violations.push(Violation {
                place: format!("{} {}", text(package, "name"), text(package, "version")),
                what: format!(
                    "has the licence {expression:?}; use another crate, or judge the licence and add it in tests/tests/house/foreign.rs"
                ),
            });
        }
    }
    violations
}

/// Whether an SPDX expression can be met with the allowed licences alone. An exception (`WITH`)
/// only permits more, and is passed over. A slash is the old spelling of `OR`.
fn permits(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_ascii_whitespace().rev().collect();
    matches!(any_of(&mut words), Some(true)) && words.is_empty()
}

/// `all OR all …`, from the end of the list of words. Nothing when the words make no sense.
fn any_of(words: &mut Vec<&str>) -> Option<bool> {
    let mut met = all_of(words)?;
    while words.last() == Some(&"OR") {
        words.pop();
        met |= all_of(words)?;
    }
    Some(met)
}

fn all_of(words: &mut Vec<&str>) -> Option<bool> {
    let mut met = one(words)?;
    while words.last() == Some(&"AND") {
        words.pop();
        met &= one(words)?;
    }
    Some(met)
}

fn one(words: &mut Vec<&str>) -> Option<bool> {
    let word = words.pop()?;
    if word == "(" {
        let met = any_of(words)?;
        return (words.pop() == Some(")")).then_some(met);
    }
    if words.last() == Some(&"WITH") {
        words.pop();
        words.pop()?;
    }
    Some(LICENCES.contains(&word))
}

#[test]
fn every_crate_comes_from_the_registry_and_once() {
    let lock_file = fs::read_to_string(tree::root().join("Cargo.lock")).unwrap();
    let packages = locked(&lock_file);
    assert!(packages.iter().any(|package| package.name == "tokio"));
    let allowed: Vec<&str> = TWICE.iter().map(|(name, _)| *name).collect();
    let mut violations = sources(&packages);
    violations.extend(duplicates(&packages, &allowed));
    assert_none(violations);
}

#[test]
fn every_licence_is_allowed() {
    // The packages that this platform builds. They need no network once they are fetched, which
    // the build of this test has done.
    let metadata = ask_cargo(&["--locked", "--filter-platform", "host-tuple"]);
    let tokio = packages(&metadata).any(|package| text(package, "name") == "tokio");
    assert!(tokio, "cargo told of no foreign crate");
    assert_none(licences(&metadata));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        for good in [
            "MIT",
            "Unlicense/MIT",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "GPL-2.0 AND MIT OR ISC",
        ] {
            assert!(permits(good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(GPL-3.0 OR AGPL-3.0) AND MIT",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT MIT",
            "MIT WITH",
        ] {
            assert!(!permits(bad), "{bad}");
        }
    }

    #[test]
    fn a_licence_that_is_not_allowed_is_told_for_what_is_built() {
        let metadata = serde_json::json!({
            "packages": [
                {"id": "a", "name": "a", "version": "1", "license": "GPL-3.0"},
                {"id": "b", "name": "b", "version": "1"},
                {"id": "c", "name": "c", "version": "1", "license": "GPL-3.0"},
                {"id": "d", "name": "d", "version": "1", "license": "MIT"},
            ],
            "resolve": {"nodes": [{"id": "a"}, {"id": "b"}, {"id": "d"}]},
        });
        let told = licences(&metadata);
        let places: Vec<&str> = told.iter().map(|told| told.place.as_str()).collect();
        assert_eq!(places, ["a 1", "b 1"]);
    }

    #[test]
    fn other_sources_and_second_versions_are_told() {
        let lock_file = format!(
            "version = 4\n\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\n\
             [[package]]\nname = \"one\"\nversion = \"1.0.0\"\nsource = \"{REGISTRY}\"\n\n\
             [[package]]\nname = \"one\"\nversion = \"2.0.0\"\nsource = \"git+https://example.org/one\"\n"
        );
        let packages = locked(&lock_file);
        assert_eq!(packages.len(), 3);
        assert_eq!(
            sources(&packages)
                .iter()
                .map(|told| told.place.as_str())
                .collect::<Vec<_>>(),
            ["one 2.0.0"]
        );
        assert_eq!(duplicates(&packages, &[]).len(), 1);
        assert_eq!(duplicates(&packages, &["one"]), []);
        assert_eq!(duplicates(&packages, &["one", "own"]).len(), 1);
    }
}
