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
mod foreign;
mod mutation;
mod oracle;
mod rig;
mod scenario;
mod trace;
mod volume;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use arguments::{Run, parse};
use mutation::Mutation;
use scenario::{Choice, Outcome, Scenario, play};

/// What a machine has to have.
const NEEDS: &str = "the rig needs Linux, root, loop devices, /dev/fuse, and the programs unshare, \
                     mount, mkfs.ext4, strace and perl";

/// The first broken promises tell the story.
const VIOLATIONS_SHOWN: usize = 5;

fn main() -> ExitCode {
    let outcome = parse(lexopt::Parser::from_env()).and_then(|run| match run {
        Run::Help => {
            println!("{}", arguments::HELP);
            Ok(true)
        }
        Run::List { short } => {
            for scenario in scenario::SCENARIOS {
                let stores = scenario.short_stores();
                match short {
                    true if stores.is_empty() => {}
                    true => println!("{:<24} {stores}", scenario.name),
                    false => println!("{:<24} {}", scenario.name, scenario.about),
                }
            }
            Ok(true)
        }
        Run::Drive(orders) => driver::run(&orders).map(|()| true),
        Run::Disk(folder, bytes) => faulty_disk::serve(&folder, bytes).map(|()| true),
        Run::Apart(words) => apart(&words),
        Run::Foreign(foreign) => foreign.run(),
        Run::Weaken(mutations, choice) => weaken_all(&mutations, &choice),
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
        .args(words)
        .status()
        .context("start unshare, of the package util-linux")?;
    match status.code() {
        Some(0) => Ok(true),
        Some(code) if code == i32::from(arguments::BROKEN) => Ok(false),
        _ => bail!("nothing was decided; {NEEDS}"),
    }
}

/// Plays scenarios and tells what came of them.
fn play_all(scenarios: &[&'static Scenario], choice: &Choice) -> Result<bool> {
    let mut kept = true;
    for scenario in scenarios {
        let outcome = play(scenario, choice)?;
        kept &= outcome.broken.is_none();
        tell(scenario, choice, &outcome);
    }
    Ok(kept)
}

fn tell(scenario: &Scenario, choice: &Choice, outcome: &Outcome) {
    let name = scenario.name;
    let (rounds, seconds) = (outcome.rounds, outcome.elapsed.as_secs_f64());
    let store = choice.kind.name();
    let Some((round, violations)) = &outcome.broken else {
        println!("{name:<24} {store:<8} {rounds:>5} rounds {seconds:>7.1} s  kept");
        return;
    };
    println!("{name:<24} {store:<8} {rounds:>5} rounds {seconds:>7.1} s  BROKEN in round {round}:");
    for violation in violations.iter().take(VIOLATIONS_SHOWN) {
        println!("  {violation}");
    }
    let mutation = choice.mutation.as_ref();
    let mutation = mutation.map_or(String::new(), |name| format!(" --mutation {name}"));
    println!(
        "  again: flumen-crash run {name} --store {store} --seed {} --round {round}{mutation}",
        choice.seed
    );
}

/// Switches protections off and sees that a scenario breaks.
fn weaken_all(mutations: &[&'static Mutation], choice: &Choice) -> Result<bool> {
    let mut all_noticed = true;
    for mutation in mutations {
        let mut noticed = false;
        for scenario in mutation.scenarios {
            let scenario = scenario::named(scenario).context("the table names a scenario")?;
            let choice = Choice {
                kind: mutation.kind,
                mutation: Some(mutation.name.to_owned()),
                rounds: Some(choice.rounds.unwrap_or(mutation.rounds)),
                ..choice.clone()
            };
            let outcome = play(scenario, &choice)?;
            let seconds = outcome.elapsed.as_secs_f64();
            let Some((round, violations)) = &outcome.broken else {
                continue;
            };
            let first = violations.first().map(ToString::to_string);
            println!(
                "{:<16} noticed by {:<16} in round {round:>3}, {seconds:>5.1} s: {}",
                mutation.name,
                scenario.name,
                first.unwrap_or_default()
            );
            noticed = true;
            break;
        }
        if !noticed {
            println!(
                "{:<16} NOT NOTICED by {:?}",
                mutation.name, mutation.scenarios
            );
        }
        all_noticed &= noticed;
    }
    Ok(all_noticed)
}
