//! What shall not stay in the tree, and names that have one home.

use super::scanner::{code_only, line_at, test_modules, words};
use super::tree::is_test_file;
use super::{Violation, assert_none, tree};

/// Words in comments or code. Written in halves, so that this file does not contain them.
const LEFT_BEHIND: [(&str, &str); 3] = [("TO", "DO"), ("FIX", "ME"), ("X", "XX")];

/// A name that may stand in code only at the paths that begin with one of its homes.
struct Home {
    names: &'static [&'static str],
    homes: &'static [&'static str],
    /// Whether tests may use it anywhere.
    free_in_tests: bool,
    remedy: &'static str,
}

const HOMES: [Home; 5] = [
    Home {
        names: &["dbg!"],
        homes: &[],
        free_in_tests: false,
        remedy: "a probe for debugging; remove it, or make it a tracing event",
    },
    Home {
        names: &["#[ignore"],
        homes: &[],
        free_in_tests: false,
        remedy: "a test that nobody runs proves nothing; mend it or remove it",
    },
    Home {
        names: &["sync_all", "sync_data", "fsync", "fdatasync"],
        homes: &[
            "host/wal/",
            "host/builtin/src/sinks/file_roll",
            "host/agent/src/state_folder/",
            "host/clients/src/sqlite/",
        ],
        free_in_tests: false,
        remedy: "files are synced in host/wal, by file_roll, in the state folder and where SQLite's file is made only, where a failure is dealt with",
    },
    Home {
        names: &["process::exit", "process::abort"],
        homes: &[],
        free_in_tests: false,
        remedy: "only main ends the process, by returning; return an error instead",
    },
    Home {
        names: &["SystemTime::now", "Timestamp::now", "Zoned::now"],
        homes: &["host/core/src/clock.rs", "tests/"],
        free_in_tests: true,
        remedy: "take the clock of flumen-core as a parameter, so that a test can own the time",
    },
];

fn left_behind(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (head, tail) in LEFT_BEHIND {
        let word = format!("{head}{tail}");
        for place in words(text, &word) {
            let what = format!("{word}: do it, or write it where work is planned, not in the tree");
            violations.push(Violation::at(path, line_at(text, place), what));
        }
    }
    violations
}

fn away_from_home(path: &str, text: &str) -> Vec<Violation> {
    let code = code_only(text);
    let test_modules = test_modules(&code);
    let mut violations = Vec::new();
    for rule in &HOMES {
        let at_home = rule.homes.iter().any(|home| path.starts_with(home));
        if at_home || (rule.free_in_tests && is_test_file(path)) {
            continue;
        }
        for name in rule.names {
            for line in lines_with(&code, name) {
                let in_test = test_modules
                    .iter()
                    .any(|(first, last)| (first..=last).contains(&&line));
                if !(in_test && rule.free_in_tests) {
                    violations.push(Violation::at(
                        path,
                        line,
                        format!("{name}: {}", rule.remedy),
                    ));
                }
            }
        }
    }
    violations
}

/// The lines on which a name stands; one that ends or begins with a sign is not a word.
fn lines_with(code: &str, name: &str) -> Vec<usize> {
    let is_words = name
        .chars()
        .all(|c| c.is_alphanumeric() || "_:".contains(c));
    let places = if is_words {
        words(code, name)
    } else {
        code.match_indices(name).map(|(place, _)| place).collect()
    };
    places
        .into_iter()
        .map(|place| line_at(code, place))
        .collect()
}

#[test]
fn nothing_is_left_behind() {
    assert_none(
        tree::source_files()
            .iter()
            .flat_map(|f| left_behind(&f.path, &f.text))
            .collect(),
    );
}

#[test]
fn names_with_one_home_stay_there() {
    let files = tree::source_files();
    assert_none(
        files
            .iter()
            .flat_map(|f| away_from_home(&f.path, &f.text))
            .collect(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(violations: &[Violation]) -> Vec<&str> {
        violations
            .iter()
            .map(|v| v.place.split_once(':').unwrap().1)
            .collect()
    }

    #[test]
    fn marks_of_unfinished_work_are_told_in_comments_too() {
        let sample = format!(
            "// {}{}: later\nlet x = \"{}{}\";\n",
            "TO", "DO", "FIX", "ME"
        );
        assert_eq!(lines(&left_behind("a.rs", &sample)), ["1", "2"]);
        assert!(left_behind("a.rs", &format!("{}{}S", "TO", "DO")).is_empty());
    }

    #[test]
    fn names_in_comments_and_strings_are_no_use_of_them() {
        let sample = "// fsync, dbg!(x)\nlet x = \"process::exit\";\n";
        assert!(away_from_home("host/core/src/a.rs", sample).is_empty());
    }

    #[test]
    fn files_are_synced_at_home_only() {
        let sample = "fn a(file: &File) {\n file.sync_all();\n rustix::fs::fsync(file);\n}\n";
        assert_eq!(
            lines(&away_from_home("host/channel/src/a.rs", sample)),
            ["2", "3"]
        );
        assert!(away_from_home("host/wal/src/a.rs", sample).is_empty());
        assert!(away_from_home("host/builtin/src/sinks/file_roll/a.rs", sample).is_empty());
    }

    #[test]
    fn nobody_ends_the_process_or_leaves_a_probe() {
        let sample =
            "std::process::exit(1);\ndbg!(x);\n#[ignore = \"slow\"]\nmy_process::exit();\n";
        assert_eq!(
            lines(&away_from_home("host/cli/src/main.rs", sample)),
            ["2", "3", "1"]
        );
    }

    #[test]
    fn the_wall_clock_is_read_in_one_place_but_for_tests() {
        let use_it = "SystemTime::now();";
        let sample = format!("{use_it}\n#[cfg(test)]\nmod tests {{\n {use_it}\n}}\n{use_it}\n");
        assert_eq!(
            lines(&away_from_home("host/agent/src/a.rs", &sample)),
            ["1", "6"]
        );
        assert!(away_from_home("host/core/src/clock.rs", &sample).is_empty());
        assert!(away_from_home("host/agent/src/a/tests.rs", &sample).is_empty());
    }
}
