//! The command line of the rig.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::prelude::{Long, Short, Value, ValueExt};

use crate::driver::{Kind, Orders};
use crate::mutation::Mutation;
use crate::scenario::{self, Choice, SCENARIOS, Scenario};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
usage: flumen-crash list
       flumen-crash run [SCENARIO ...] [FLAGS]

Plays scenarios, all of them when none is named, and ends with 1 when a promise was broken.

--seed N          decides all that chance decides (1)
--rounds N        rounds of each scenario (a few, which take minutes in all)
--round N         that one round only
--seconds N       each scenario as often as it goes in its share of this time
--store NAME      what is driven: channel, the file channel, or log, the log below it (log)
--mutation NAME   with this protection switched off: a promise must be broken
--folder PATH     where the folders of rounds are made (the system's temporary folder)";

/// The exit code for a broken promise.
pub(crate) const BROKEN: u8 = 1;

/// The exit code when the rig could not do its work.
pub(crate) const NOT_PLAYED: u8 = 2;

/// What this process is to do.
#[derive(Debug)]
pub(crate) enum Run {
    /// Print [`HELP`].
    Help,
    /// Print the scenarios.
    List,
    /// Play in a process of its own, with these words.
    Apart(Vec<String>),
    /// Play, here.
    Play(Vec<&'static Scenario>, Choice),
    /// Be a faulty disk of so many bytes under this folder.
    Disk(PathBuf, usize),
    /// Be the driver.
    Drive(Orders),
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Reads the command line.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Run> {
    match parser.next()? {
        Some(Value(verb)) => match verb.string()?.as_str() {
            "list" => Ok(Run::List),
            "run" => {
                let words = parser.raw_args()?.map(ValueExt::string);
                let words = words.collect::<Result<Vec<_>, _>>()?;
                // What is wrong with them is told here, once.
                play(lexopt::Parser::from_args(&words))?;
                Ok(Run::Apart(words))
            }
            "play" => play(parser),
            "drive" => drive(parser).map(Run::Drive),
            "disk" => {
                let folder = PathBuf::from(parser.value()?);
                let mebibytes: usize = parser.value()?.parse()?;
                Ok(Run::Disk(folder, mebibytes << 20))
            }
            other => bail!("no verb {other:?}; see --help"),
        },
        _ => Ok(Run::Help),
    }
}

fn play(mut parser: lexopt::Parser) -> Result<Run> {
    let mut scenarios = Vec::new();
    let mut seconds = None;
    let mut choice = Choice {
        seed: 1,
        kind: Kind::Log,
        mutation: None,
        round: None,
        rounds: None,
        share: None,
        folder: std::env::temp_dir(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Value(name) => {
                let name = name.string()?;
                let known = scenario::named(&name);
                scenarios.push(known.with_context(|| format!("no scenario {name:?}; see list"))?);
            }
            Long("seed") => choice.seed = parser.value()?.parse()?,
            Long("rounds") => choice.rounds = Some(parser.value()?.parse()?),
            Long("round") => choice.round = Some(parser.value()?.parse()?),
            Long("seconds") => seconds = Some(parser.value()?.parse::<u64>()?),
            Long("store") => choice.kind = kind(&parser.value()?.string()?)?,
            Long("mutation") => choice.mutation = Some(mutation(&parser.value()?.string()?)?),
            Long("folder") => choice.folder = PathBuf::from(parser.value()?),
            Long("help") | Short('h') => return Ok(Run::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    if scenarios.is_empty() {
        scenarios = SCENARIOS.iter().collect();
    }
    choice.share = seconds.map(|all| Duration::from_secs(all / scenarios.len() as u64));
    Ok(Run::Play(scenarios, choice))
}

fn drive(mut parser: lexopt::Parser) -> Result<Orders> {
    let mut orders = Orders::new(Kind::Log, &PathBuf::new(), 0);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("store") => orders.kind = kind(&parser.value()?.string()?)?,
            Long("folder") => orders.folder = PathBuf::from(parser.value()?),
            Long("seed") => orders.seed = parser.value()?.parse()?,
            Long("run") => orders.run = parser.value()?.parse()?,
            Long("producers") => orders.producers = parser.value()?.parse()?,
            Long("transactions") => orders.transactions = parser.value()?.parse()?,
            Long("segment-bytes") => orders.segment_bytes = parser.value()?.parse()?,
            Long("segments-max") => orders.segments_max = parser.value()?.parse()?,
            Long("backlog-max") => orders.backlog_max = parser.value()?.parse()?,
            Long("take") => orders.take = parser.value()?.parse()?,
            Long("mutation") => orders.mutation = Some(mutation(&parser.value()?.string()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(orders)
}

fn kind(name: &str) -> Result<Kind> {
    let named = |kind: &Kind| kind.name() == name;
    let kind = Kind::ALL.into_iter().find(named);
    kind.with_context(|| format!("no store {name:?}"))
}

fn mutation(name: &str) -> Result<Mutation> {
    Mutation::named(name).with_context(|| format!("no mutation {name:?}"))
}
