//! The program under trial, as a command of the shell.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use flumen_tests::wait::{PATIENCE, wait_for};

/// What a run of the program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// To read lines and keep them.
    Fill,
    /// To hand out what was kept.
    Drain,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Stage::Fill => "fill",
            Stage::Drain => "drain",
        }
    }
}

/// What stands for the places in a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'paths> {
    pub(super) port: u16,
    pub(super) folder: &'paths Path,
    pub(super) output: &'paths Path,
    pub(super) output_port: u16,
}

/// A name for the table, and the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) command: String,
}

/// A process that is killed with the value.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has ended and was waited for, which is the aim.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn filled_in(&self, stage: Stage, places: &Places<'_>) -> String {
        self.command
            .replace("{port}", &places.port.to_string())
            .replace("{folder}", &places.folder.display().to_string())
            .replace("{output}", &places.output.display().to_string())
            .replace("{output-port}", &places.output_port.to_string())
            .replace("{stage}", stage.word())
    }

    /// Starts the program and waits until it listens.
    ///
    /// # Errors
    /// When it ends before it does, or does not within the time that a test waits.
    pub(super) fn start(&self, stage: Stage, places: &Places<'_>) -> Result<Running> {
        let command = self.filled_in(stage, places);
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let mut running = Running(child.with_context(|| format!("start {command}"))?);
        let what = format!("port {} of {}", places.port, self.name);
        wait_for(&what, PATIENCE, || {
            if let Some(status) = running.0.try_wait()? {
                bail!("{} ended with {status}: {command}", self.name);
            }
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, places.port)).ok())
        })?;
        Ok(running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places<'static> {
        Places {
            port: 7,
            folder: Path::new("/store"),
            output: Path::new("/out"),
            output_port: 8,
        }
    }

    #[test]
    fn all_places_are_filled_in() {
        let program = Program {
            name: "barrel".to_owned(),
            command: "barrel {stage} {port} {folder} {output} {output-port}".to_owned(),
        };
        let command = program.filled_in(Stage::Drain, &places());
        assert_eq!(command, "barrel drain 7 /store /out 8");
    }

    #[test]
    fn a_program_that_ends_at_once_is_told_from_one_that_is_slow() {
        let program = Program {
            name: "barrel".to_owned(),
            command: "false {stage}".to_owned(),
        };
        let error = program.start(Stage::Fill, &places()).map(drop).unwrap_err();
        assert!(error.to_string().contains("false fill"), "{error}");
    }
}
