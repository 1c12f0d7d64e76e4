//! `flumen component new`: a project that builds, tests and runs as it is written.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::{shown, template};
use crate::arguments::NewArguments;
use crate::output::print;

/// Bytes of a name: it becomes the name of files and a part of log lines.
const NAME_BYTES_MAX: usize = 64;

/// Names that cargo or the compiler does not take for a package with a library, or that the project
/// needs itself.
const RESERVED: [&str; 51] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "flumen-sdk",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "unsafe",
    "use",
    "while",
];

/// Writes the project and says what to do with it.
pub(super) fn run(program: &str, arguments: &NewArguments) -> Result<ExitCode, String> {
    check_name(&arguments.name)?;
    check_folder(&arguments.folder)?;
    for (path, text) in template::files(arguments.kind, &arguments.name) {
        write(&arguments.folder.join(&path), &text)?;
    }
    let folder = shown(&arguments.folder);
    let next = format!(
        "{kind} {name} is written to {folder}\n\n  \
         cd {folder}\n  \
         cargo test                  # its test, without an agent\n  \
         {program} component build      # makes the component\n",
        kind = arguments.kind,
        name = arguments.name,
    );
    print(&next).map_err(|error| format!("cannot write to standard output: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// A name that cargo takes, so that its refusal is not the first thing that a person reads.
fn check_name(name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    let begins = characters.next().is_some_and(|c| c.is_ascii_lowercase());
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if !begins || !characters.all(goes_on) {
        return Err(format!(
            "{name:?} is no name for a component: write small letters a to z, digits, - and _, \
             a letter first"
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!(
            "the name {name:?} is longer than {NAME_BYTES_MAX} characters"
        ));
    }
    if RESERVED.contains(&name) {
        return Err(format!(
            "the name {name:?} means something else to Rust; write another, such as my-{name}"
        ));
    }
    Ok(())
}

/// The folder is not there, or empty: nothing of anybody's is written over.
fn check_folder(folder: &Path) -> Result<(), String> {
    let path = shown(folder);
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(format!(
                "the folder {path} is not empty; name another with --folder"
            )),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("the folder {path} cannot be used: {error}")),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let fail = |error: io::Error| format!("{} cannot be written: {error}", shown(path));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    fs::write(path, text).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_cargo_takes() {
        for name in ["a", "drop-debug", "a1_b"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in [
            "", "A", "1a", "-a", "a b", "a/b", "..", "ä", "fn", "test", &long,
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        assert_eq!(check_folder(Path::new("no-such-folder")), Ok(()));
        let used = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(check_folder(used).unwrap_err().contains("is not empty"));
        let file = used.join("Cargo.toml");
        assert!(check_folder(&file).unwrap_err().contains("cannot be used"));
    }
}
