//! `flumen component inspect`: what a component's file says of itself, and whether it runs here.

use std::fmt::Write;
use std::process::ExitCode;

use flumen_agent::component::{self, Inspection};

use crate::agent::users_cache_folder;
use crate::examples::EXAMPLES;
use crate::output::print;

/// Where the values begin.
const LABEL_COLUMNS: usize = 9;

/// Prints it. The exit code is 1 when this flumen does not run the component.
pub(super) fn run(named: &str) -> Result<ExitCode, String> {
    let bytes = component::read(named, EXAMPLES).map_err(|fault| fault.to_string())?;
    let inspection = component::inspect(&bytes, users_cache_folder())
        .map_err(|error| format!("{named} is no component: {error}"))?;
    let printed = print(&text(&inspection));
    printed.map_err(|error| format!("cannot write to standard output: {error}"))?;
    Ok(match inspection.refused {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}

/// The identity of a component: world, size and digest.
pub(super) fn identity(inspection: &Inspection) -> String {
    let mut text = String::new();
    let world = match (inspection.kind, &inspection.version) {
        (Some(kind), Some(version)) => format!("{kind} of flumen:plugin@{version}"),
        _ => "none of flumen".to_owned(),
    };
    line(&mut text, "world", &world);
    line(&mut text, "size", &format!("{} bytes", inspection.bytes));
    line(
        &mut text,
        "digest",
        &format!("sha256:{}", inspection.digest),
    );
    text
}

fn text(inspection: &Inspection) -> String {
    let mut text = identity(inspection);
    for (index, export) in inspection.exports.iter().enumerate() {
        line(&mut text, label(index, "exports"), export);
    }
    let names = inspection.imports.iter().map(|import| import.name.len());
    let columns = names.max().unwrap_or(0);
    for (index, import) in inspection.imports.iter().enumerate() {
        let granted = match &import.refused {
            None => "granted".to_owned(),
            Some(why) => format!("refused: {why}"),
        };
        let value = format!("{:columns$}  {granted}", import.name);
        line(&mut text, label(index, "imports"), &value);
    }
    let runs = match &inspection.refused {
        None => "yes".to_owned(),
        Some(why) => format!("no: {why}"),
    };
    line(&mut text, "runs", &runs);
    text
}

fn label(index: usize, label: &str) -> &str {
    if index == 0 { label } else { "" }
}

fn line(text: &mut String, label: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{label:LABEL_COLUMNS$}{value}");
}

#[cfg(test)]
mod tests {
    use flumen_agent::component::Import;

    use super::*;

    #[test]
    fn every_import_is_named_with_what_becomes_of_it() {
        let import = |name: &str, refused: Option<&str>| Import {
            name: name.to_owned(),
            refused: refused.map(str::to_owned),
        };
        let inspection = Inspection {
            kind: None,
            version: None,
            exports: vec!["a".to_owned(), "b".to_owned()],
            imports: vec![import("x/long@1", None), import("y", Some("unknown here"))],
            bytes: 8,
            digest: "00".to_owned(),
            refused: Some("that".to_owned()),
        };
        assert_eq!(
            text(&inspection),
            "world    none of flumen\nsize     8 bytes\ndigest   sha256:00\n\
             exports  a\n         b\nimports  x/long@1  granted\n         y         refused: unknown here\n\
             runs     no: that\n"
        );
    }

    #[test]
    fn the_components_inside_the_binary_run() {
        for (name, bytes) in EXAMPLES {
            let inspection = component::inspect(bytes, None).unwrap();
            assert_eq!(inspection.refused, None, "{name}");
        }
    }
}
