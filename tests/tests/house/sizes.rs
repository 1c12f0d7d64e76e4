//! A source file has at most 500 lines without its tests; a function has at most 70.

use super::scanner::{code_only, functions, test_modules};
use super::tree::is_test_file;
use super::{Violation, assert_none, tree};

/// The most lines of a file, its test modules not counted.
const FILE_LINES_MAX: usize = 500;
/// The most lines of a function, from its name to its brace: what fits a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// The beginnings of the paths of files that may be longer: tables of declarations, in which nobody
/// has to follow a thought.
const TABLES: [&str; 1] = ["host/builtin/src/not_built"];

fn file_size(path: &str, text: &str) -> Vec<Violation> {
    if is_test_file(path) || TABLES.iter().any(|table| path.starts_with(table)) {
        return Vec::new();
    }
    let modules = test_modules(&code_only(text));
    let in_tests: usize = modules.iter().map(|(first, last)| last - first + 1).sum();
    let lines = text.lines().count().saturating_sub(in_tests);
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    let what = format!(
        "{lines} lines without tests, {FILE_LINES_MAX} are allowed; part it by what its halves are about"
    );
    vec![Violation::at(path, FILE_LINES_MAX, what)]
}

fn function_sizes(path: &str, text: &str) -> Vec<Violation> {
    let long = functions(&code_only(text)).into_iter();
    long.filter(|function| function.lines > FUNCTION_LINES_MAX)
        .map(|function| {
            let what = format!(
                "fn {} has {} lines, {FUNCTION_LINES_MAX} are allowed; let it decide, and give what it computes to others",
                function.name, function.lines
            );
            Violation::at(path, function.line, what)
        })
        .collect()
}

#[test]
fn no_file_is_too_long() {
    assert_none(
        tree::source_files()
            .iter()
            .flat_map(|f| file_size(&f.path, &f.text))
            .collect(),
    );
}

#[test]
fn no_function_is_too_long() {
    let files = tree::source_files();
    assert_none(
        files
            .iter()
            .flat_map(|f| function_sizes(&f.path, &f.text))
            .collect(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_told_and_its_tests_do_not_count() {
        let body = "// line\n".repeat(500);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{body}}}\n");
        assert!(file_size("host/a/src/b.rs", &body).is_empty());
        assert!(file_size("host/a/src/b.rs", &format!("{body}{tests}")).is_empty());
        let told = file_size("host/a/src/b.rs", &format!("{body}fn x() {{}}\n{tests}"));
        assert_eq!(told.first().unwrap().place, "host/a/src/b.rs:500");
        assert!(told.first().unwrap().what.starts_with("501 lines"));
        let long = "// line\n".repeat(501);
        assert!(file_size("host/a/src/b/tests.rs", &long).is_empty());
        assert!(file_size("host/builtin/src/not_built/sinks.rs", &long).is_empty());
        assert_eq!(file_size("tests/src/agent.rs", &long).len(), 1);
    }

    #[test]
    fn a_long_function_is_told_with_its_place() {
        let fits = format!("\nfn fits() {{\n{}}}\n", "x();\n".repeat(68));
        let long = format!("\nfn long() {{\n{}}}\n", "x();\n".repeat(69));
        assert!(function_sizes("a.rs", &fits).is_empty());
        let told = function_sizes("a.rs", &long);
        assert_eq!(told.len(), 1);
        assert!(
            told.first()
                .unwrap()
                .to_string()
                .starts_with("a.rs:2: fn long has 71 lines")
        );
    }
}
