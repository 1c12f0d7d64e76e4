//! `flumen component`: makes, builds, looks at and runs components.
//!
//! * `new`: writes a project, with the SDK in it (`template`).
//! * `build`: calls cargo.
//! * `inspect`, `run`: what the agent's room of components tells.

mod build;
mod inspect;
mod new;
mod run;
mod template;

use std::path::Path;
use std::process::ExitCode;

use crate::arguments::ComponentCommand;
use crate::output::complain;

/// Carries out a command. Whatever fails is told on standard error, with exit code 1.
pub(crate) fn run(program: &str, command: ComponentCommand) -> ExitCode {
    let done = match command {
        ComponentCommand::New(arguments) => new::run(program, &arguments),
        ComponentCommand::Build(folder) => build::run(&folder),
        ComponentCommand::Inspect(component) => inspect::run(&component),
        ComponentCommand::Run(arguments) => run::run(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(what) => {
            complain(&format!("{program}: {what}"));
            ExitCode::FAILURE
        }
    }
}

/// A path as messages show it: without the dot that stands for the current folder.
fn shown(path: &Path) -> String {
    let short = path.strip_prefix(".").unwrap_or(path);
    match short.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => short.display().to_string(),
    }
}
