//! The crash rig: does to a durable store what happens to machines, and holds it to its promises.
//!
//! ```text
//! cargo run --release -p flumen-tests --bin flumen-crash -- run --seconds 3600 --seed 1
//! ```
//!
//! A *driver* process puts and takes; an *oracle* in another process hears of each attempt and each
//! answer over a pipe; *scenarios* kill the driver, take the power from its disk, fill it, let it
//! fail or damage its files. `docs/crash-tests.md` tells what is tested and what is not.

mod arguments;
mod body;
mod driver;
mod event;
mod faulty_disk;
mod mutation;
mod oracle;
mod rig;
mod scenario;
mod trace;
mod volume;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use arguments::{Run, parse};
use scenario::{Choice, Scenario, play};

/// The first broken promises tell the story.
const VIOLATIONS_SHOWN: usize = 5;

fn main() -> ExitCode {
    let outcome = parse(lexopt::Parser::from_env()).and_then(|run| match run {
        Run::Help => {
            println!("{}", arguments::HELP);
            Ok(true)
        }
        Run::List => {
            for scenario in scenario::SCENARIOS {
                println!("{:<24} {}", scenario.name, scenario.about);
            }
            Ok(true)
        }
        Run::Drive(orders) => driver::run(&orders).map(|()| true),
        Run::Disk(folder, bytes) => faulty_disk::serve(&folder, bytes).map(|()| true),
        Run::Apart(words) => apart(&words),
        Run::Play(scenarios, choice) => play_all(&scenarios, &choice),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(arguments::BROKEN),
        Err(error) => {
            eprintln!("flumen-crash: {error:#}");
            ExitCode::from(arguments::NOT_PLAYED)
        }
    }
}

/// Runs this program again where its mounts are seen by nobody else and end with it.
fn apart(words: &[String]) -> Result<bool> {
    let own = std::env::current_exe().context("find the running program")?;
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(own)
        .arg("play")
        .args(words)
        .status()
        .context("start unshare, of the package util-linux")?;
    match status.code() {
        Some(0) => Ok(true),
        Some(code) if code == i32::from(arguments::BROKEN) => Ok(false),
        _ => bail!(
            "the scenarios were not played; mounting needs root, and strace, mount, mkfs.ext4 and perl"
        ),
    }
}

fn play_all(scenarios: &[&'static Scenario], choice: &Choice) -> Result<bool> {
    let mut kept = true;
    for scenario in scenarios {
        let outcome = play(scenario, choice)?;
        let seconds = outcome.elapsed.as_secs_f64();
        let Some((round, violations)) = &outcome.broken else {
            println!(
                "{:<24} {:>5} rounds {seconds:>7.1} s  kept",
                scenario.name, outcome.rounds
            );
            continue;
        };
        kept = false;
        println!(
            "{:<24} {:>5} rounds {seconds:>7.1} s  BROKEN in round {round}:",
            scenario.name, outcome.rounds
        );
        for violation in violations.iter().take(VIOLATIONS_SHOWN) {
            println!("  {violation}");
        }
        println!(
            "  again: flumen-crash run {} --seed {} --round {round}",
            scenario.name, choice.seed
        );
    }
    Ok(kept)
}
