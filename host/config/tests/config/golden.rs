//! Golden files: the examples of `conf/` in both dialects, and bad ones with the answers that they
//! get from the small catalogue of these tests. The answers of the real catalogue stand beside the
//! files, and are tested with the binary. `UPDATE_GOLDEN=1 cargo test -p flumen-config` writes them
//! anew.

use std::fs;
use std::path::{Path, PathBuf};

use flumen_config::{check_all, to_toml};

use crate::document;
use crate::rows::catalogue;

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf")
}

/// The answers that the files of `conf/bad` get here.
fn answers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares with a golden file, or writes it.
fn golden(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, found).expect("a golden file is written");
    }
    assert_eq!(read(path), found, "{} differs", path.display());
}

fn files(folder: &Path, endings: &[&str]) -> Vec<(String, PathBuf)> {
    let mut files: Vec<(String, PathBuf)> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|file| file.expect("a file").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|own| endings.iter().any(|ending| own == *ending))
        })
        .map(|path| {
            (
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                path,
            )
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no examples", folder.display());
    files
}

#[test]
fn bad_files_get_their_answers() {
    for (name, path) in files(&conf().join("bad"), &["conf", "toml"]) {
        let checked = check_all(
            &document(&format!("conf/bad/{name}"), &read(&path)),
            &catalogue(),
        );
        let answer: String = checked
            .problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect();
        assert!(!answer.is_empty(), "{name} has nothing wrong");
        golden(&answers().join(format!("{name}.expected")), &answer);
    }
}

#[test]
fn examples_are_good_and_become_their_toml() {
    for (name, path) in files(&conf(), &["conf"]) {
        let properties = document(&name, &read(&path));
        let checked = check_all(&properties, &catalogue());
        assert_eq!(checked.problems, [], "{name}");
        assert!(!checked.plans.is_empty(), "{name}");

        let native = path.with_extension("toml");
        golden(&native, &to_toml(&properties, &catalogue()));
        let read_back = document("back.toml", &read(&native));
        let checked_back = check_all(&read_back, &catalogue());
        assert_eq!(checked_back.problems, [], "{name}");
        assert_eq!(checked.plans, checked_back.plans, "{name}");
        assert_eq!(
            to_toml(&read_back, &catalogue()),
            read(&native),
            "{name} converts to itself"
        );
    }
}

#[test]
fn what_has_no_effect_is_left_out_and_the_plan_stays() {
    let text = read(&conf().join("bad/without-effect.conf"));
    let properties = document("without-effect.conf", &text);
    let checked = check_all(&properties, &catalogue());
    assert!(!checked.plans.is_empty() && !checked.problems.is_empty());
    let native = to_toml(&properties, &catalogue());
    golden(&answers().join("without-effect.conf.converted"), &native);
    let back = check_all(&document("back.toml", &native), &catalogue());
    assert_eq!(checked.plans, back.plans, "{native}\n{:?}", back.problems);
}
