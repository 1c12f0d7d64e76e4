//! The files of the repository, without what git or cargo make.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are nobody's source.
const SKIPPED_FOLDERS: [&str; 4] = ["target", ".git", "corpus", "artifacts"];

/// A Rust source file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the root of the repository, with `/` between the parts.
    pub(crate) path: String,
    /// The contents.
    pub(crate) text: String,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust source file of the repository, in the order of their paths.
pub(crate) fn source_files() -> Vec<SourceFile> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

#[expect(
    clippy::unwrap_used,
    reason = "a tree that cannot be read fails the test"
)]
fn collect(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && has_extension(&name, "rs") {
            files.push(SourceFile {
                path,
                text: fs::read_to_string(entry.path()).unwrap(),
            });
        }
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

/// Whether a file holds nothing but tests: a file `tests.rs`, or anything under a folder `tests`
/// of a package. The package `tests` itself is a program and a library like others.
pub(crate) fn is_test_file(path: &str) -> bool {
    let inside = path.strip_prefix("tests/").unwrap_or(path);
    inside.ends_with("/tests.rs") || inside.starts_with("tests/") || inside.contains("/tests/")
}

#[test]
fn finds_the_sources_of_host_and_tests() {
    let files = source_files();
    for wanted in ["host/core/src/lib.rs", "tests/tests/house/tree.rs"] {
        assert!(files.iter().any(|file| file.path == wanted), "{wanted}");
    }
    assert!(!files.iter().any(|file| file.path.contains("target/")));
}

#[test]
fn knows_test_files_by_their_place() {
    assert!(is_test_file("tests/tests/house/tree.rs"));
    assert!(is_test_file("host/wal/src/segment/tests.rs"));
    assert!(is_test_file("host/wal/src/tests/model.rs"));
    assert!(is_test_file("host/core/tests/batch.rs"));
    assert!(!is_test_file("tests/src/agent.rs"));
    assert!(!is_test_file("host/core/src/batch.rs"));
}
