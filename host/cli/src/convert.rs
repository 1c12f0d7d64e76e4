//! `flumen convert`: a configuration as native TOML.

use std::path::Path;
use std::process::ExitCode;

use flumen_agent::load::ConfigFiles;
use flumen_config::Problem;

use crate::arguments::ConvertArguments;
use crate::output::{complain, print};

/// Converts all agents of the files. Problems go to standard error; with an error the text is
/// written as far as it goes, and the exit code is 1.
pub(crate) fn run(program: &str, arguments: ConvertArguments) -> ExitCode {
    match convert(arguments) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => {
            complain(&format!(
                "{program}: the configuration has errors; it was converted as far as it goes"
            ));
            ExitCode::FAILURE
        }
        Err(what) => {
            complain(&format!("{program}: {what}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether there was an error in the configuration; or why nothing was converted.
fn convert(arguments: ConvertArguments) -> Result<bool, String> {
    let files = ConfigFiles {
        paths: arguments.files,
        agent: None,
        system_properties: arguments.properties,
    };
    let document = files.read().map_err(|error| error.to_string())?;
    let catalogue = flumen_agent::catalogue();
    let checked = flumen_config::check_all(&document, &catalogue);
    for problem in &checked.problems {
        complain(&problem.to_string());
    }
    let text = flumen_config::to_toml(&document, &catalogue);
    match &arguments.output {
        None => {
            print(&text).map_err(|error| format!("cannot write to standard output: {error}"))?
        }
        Some(path) => {
            if files.paths.iter().any(|input| is_same(input, path)) {
                return Err(format!(
                    "{} is what is converted; name another file for the output",
                    path.display()
                ));
            }
            std::fs::write(path, &text)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(checked.problems.iter().any(Problem::is_error))
}

/// Whether two paths lead to one file that exists.
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
