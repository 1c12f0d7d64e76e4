//! The flumen binary: verbs, flags, exit codes. Wiring and nothing else.
//!
//! * `flags`, `system_properties`: the command line as data.
//! * `arguments`: words to a command, pure.
//! * `agent`, `channel`, `check`, `component`, `convert`, `docs`, `help`, `import`, `version`: one file per
//!   verb.
//! * `examples`: the components inside the binary.
//! * `logging`, `progress`, `output`: what is written where; `signals`: what is heard.
//!
//! Exit codes: 0 done, or drained after a signal; 1 wrong usage, wrong configuration, or a failure
//! that is told on standard error; 143 or 130 when a second SIGTERM or SIGINT cut the drain short.

mod agent;
mod arguments;
mod channel;
mod check;
mod component;
mod convert;
mod docs;
mod examples;
mod flags;
mod help;
mod import;
mod logging;
mod output;
mod progress;
mod signals;
mod system_properties;
mod version;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::arguments::{Command, UsageError};
use crate::output::{complain, print};

/// The name in messages when the program does not know what it was called by.
const PROGRAM: &str = "flumen";

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let program = program_name(words.next());
    match arguments::parse(words) {
        Ok(command) => run(&program, command),
        Err(error) => {
            complain(&format!("{program}: {error}"));
            complain(&match error {
                UsageError::NoCommand => format!("\n{}", help::usage(&program)),
                UsageError::Wrong(_) => format!("`{program} help` tells more"),
            });
            ExitCode::FAILURE
        }
    }
}

/// What the program was called by: a link may be called `flume-ng`.
fn program_name(word: Option<OsString>) -> String {
    let word = word.unwrap_or_default();
    Path::new(&word).file_name().map_or_else(
        || PROGRAM.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn run(program: &str, command: Command) -> ExitCode {
    match command {
        Command::Agent(arguments) => agent::run(program, arguments),
        Command::Check(arguments) => check::run(program, arguments),
        Command::Convert(arguments) => convert::run(program, arguments),
        Command::Component(command) => component::run(program, command),
        Command::Channel(command) => channel::run(program, command),
        Command::ImportFlumeChannel(arguments) => import::run(program, arguments),
        Command::Docs(page) => print_or_fail(program, &docs::text(page)),
        Command::Help(None) => print_or_fail(program, &help::usage(program)),
        Command::Help(Some(topic)) => match help::topic(program, &topic) {
            Ok(text) => print_or_fail(program, &text),
            Err(what) => {
                complain(&format!("{program}: {what}"));
                ExitCode::FAILURE
            }
        },
        Command::Version => print_or_fail(program, &version::text()),
    }
}

fn print_or_fail(program: &str, text: &str) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!(
                "{program}: cannot write to standard output: {error}"
            ));
            ExitCode::FAILURE
        }
    }
}
